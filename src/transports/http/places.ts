/** Moves the places of clients that keep none themselves, once what was written to them has left us. */
import type { EntryId } from '../../protocol/entry-id';
import type { Chat } from '../../core/chat';
import type { Topic } from '../../core/entry';
import type { Session } from '../../core/session';

export type Places = ReadonlyMap<Topic, EntryId>;

export class PlaceKeeper {
  /** Under way, by client. */
  readonly #moving = new Map<string, Promise<unknown>>();

  move(chat: Chat, session: Session, places: Places): void {
    const { id } = session;
    const moving = (this.#moving.get(id) ?? Promise.resolve())
      .then(() => chat.sessions.write(session, { places }))
      .catch((error: unknown) => {
        chat.logger.warn({ err: error, client: id }, 'a place was not kept; its messages will come again');
      })
      .finally(() => {
        if (this.#moving.get(id) === moving) this.#moving.delete(id);
      });
    this.#moving.set(id, moving);
  }

  /** The client's next request may be here before the store has heard that its last answer was written. */
  async settled(client: string): Promise<void> {
    await this.#moving.get(client);
  }
}
