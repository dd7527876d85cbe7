/** Which client a socket is at present: held in its rooms for as long, with everything they say pushed to the link. */
import type { Chat } from '../core/chat';
import { Client } from '../core/client';
import type { Peer } from '../core/connection';
import { Pusher } from '../core/push';
import type { Rates } from '../core/rate';
import type { HeardRoom, Session } from '../core/session';
import type { SocketLink } from './link';

export interface Wishes {
  /** Hear oneself; as the server is set, when undefined. */
  readonly echo?: boolean | undefined;
  /** Hear who comes and goes. */
  readonly presence?: boolean | undefined;
}

export interface Attached {
  readonly client: Client;
  readonly pusher: Pusher;
}

export class Attachment {
  #client: Client | undefined;
  #pusher: Pusher | undefined;
  #over = false;

  constructor(
    readonly chat: Chat,
    readonly rates: Rates,
    readonly link: SocketLink,
    readonly participant: { peerOf(id: string): Peer },
  ) {}

  /** The peer has taken what it was sent. */
  drained(): void {
    this.#pusher?.drained();
  }

  get current(): Attached | undefined {
    const [client, pusher] = [this.#client, this.#pusher];
    return client && pusher && { client, pusher };
  }

  /**
   * From now on the socket is that client; what its rooms say is pushed once the pusher is started.
   * @param rooms into which it has just come in the name of this socket
   */
  async become(loaded: Session, wishes: Wishes, rooms: Iterable<[string, HeardRoom]>): Promise<Attached> {
    try {
      return await this.#attach(loaded, new Map(rooms), wishes);
    } catch (error) {
      // Nobody will ever end what has not begun.
      void this.chat.holding.part(loaded);
      throw error;
    }
  }

  async #attach(
    loaded: Session,
    held: ReadonlyMap<string, HeardRoom>,
    { echo, presence = false }: Wishes,
  ): Promise<Attached> {
    const { chat, rates, link } = this;
    const session = await chat.sessions.live(loaded);
    const client = new Client(chat, session, this.participant.peerOf(session.id), rates);
    const listener = { session, client, echo: echo ?? chat.settings.echo };
    const pusher = new Pusher(chat, link, listener, presence);
    await chat.holding.attach(session, pusher, held);
    // Only now: who becomes what it is already shall not leave its rooms in between.
    this.#release(true);
    this.#client = client;
    this.#pusher = pusher;
    if (this.#over) this.#release(false);
    return { client, pusher };
  }

  /** @param clean the client said that it goes; a dropped link keeps its rooms for the grace */
  end(clean: boolean): void {
    this.#over = true;
    this.#keepPlaces();
    this.#release(clean);
  }

  /** Where it goes on when it comes back without a cursor. A peer that left something untaken hears it all once more. */
  #keepPlaces(): void {
    const { current } = this;
    if (!current || this.link.unsent > 0) return;
    const { client, pusher } = current;
    const { places } = pusher;
    if (places.size === 0) return;
    this.chat.sessions.write(client.session, { places }).catch((error: unknown) => {
      this.chat.logger.debug({ err: error, client: client.id }, 'a place was not kept; its messages may come again');
    });
  }

  #release(clean: boolean): void {
    const { current } = this;
    if (!current) return;
    const { client, pusher } = current;
    this.#client = undefined;
    this.#pusher = undefined;
    pusher.stop();
    this.chat.holding.detach(client.session, pusher, clean);
  }
}
