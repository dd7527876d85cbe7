/** Who comes back lives on: the leases of web clients, and the records of those who hear something here. */
import type { Participant } from './connection';
import type { Holding } from './holding';
import type { Memberships } from './memberships';
import type { Session } from './session';
import type { Sessions } from './sessions';
import type { Store } from './store';

export interface RenewalOptions {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly holding: Holding;
  readonly memberships: Memberships;
  /** ms that a record lives when it is renewed. */
  readonly ttlMs: number;
  /** ms between a client's renewals at least. */
  readonly pauseMs: number;
}

/** Records renewed at a time. */
const AT_ONCE = 100;

export class Renewal {
  /** When this node last renewed a client, by the steady clock; in that order. */
  readonly #touched = new Map<string, number>();

  constructor(readonly options: RenewalOptions) {}

  /**
   * An HTTP client came back: its record and its place in its rooms live on. Renews when it is time, and joins again
   * where its lease had run out.
   */
  touch(client: Participant): Promise<void> | undefined {
    return !client.session.isNew && this.isDue(client.session.id) ? this.renew(client) : undefined;
  }

  /** The same at once, because the store is known to have lost something; what is gone is put back. */
  async renew(client: Participant): Promise<void> {
    const { session } = client;
    const { ttlMs: ttl } = this.options;
    this.#touch(session);
    const version = await this.options.store.renewClient(session.id, ttl);
    if (version === undefined) await this.options.sessions.write(session, {});
    else if (version !== session.version) await this.options.sessions.refresh(session);
    for (const [room, heard] of session.rooms) {
      const [absent] = await this.options.store.renewWeb(room, [session.id], ttl);
      if (absent !== undefined) await this.options.memberships.rejoin(client, room, heard);
    }
  }

  /** The records of those who hear something here live on while they do, however long a poll or a stream is open. */
  async renewHeard(): Promise<void> {
    const { ttlMs: ttl } = this.options;
    const due: Session[] = [];
    const now = performance.now();
    this.options.sessions.each(({ session }) => {
      if (session.hearers.length > 0 && this.#isDue(session.id, now)) due.push(session);
    });
    for (let from = 0; from < due.length; from += AT_ONCE) {
      await Promise.all(due.slice(from, from + AT_ONCE).map(async (session) => this.#renew(session, ttl)));
    }
  }

  async #renew(session: Session, ttl: number): Promise<void> {
    this.#touch(session);
    const version = await this.options.store.renewClient(session.id, ttl);
    // Writing nothing makes a record anew that the store has lost; another version was made without our hearing of it.
    if (version === undefined) await this.options.sessions.write(session, {});
    else if (version !== session.version) await this.options.sessions.refresh(session);
    if (this.options.holding.isHeld(session.id)) return;
    for (const room of session.rooms.keys()) await this.options.store.renewWeb(room, [session.id], ttl);
  }

  #touch(session: Session): void {
    const now = performance.now();
    this.#forgetTouched(now - this.options.pauseMs);
    this.#touched.delete(session.id);
    this.#touched.set(session.id, now);
  }

  /** The pause has passed since this node renewed the client's record. */
  isDue(client: string): boolean {
    return this.#isDue(client, performance.now());
  }

  #isDue(client: string, now: number): boolean {
    const touched = this.#touched.get(client) ?? -Infinity;
    return now - touched >= this.options.pauseMs;
  }

  #forgetTouched(before: number): void {
    for (const [id, at] of this.#touched) {
      if (at >= before) return;
      this.#touched.delete(id);
    }
  }
}
