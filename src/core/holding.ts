/** Who is held in its rooms by this node's lease, while a link or a stream hears for it, and how it is let go of. */
import type { Logger } from './logger';
import type { HeardRoom, Hearer, Session } from './session';
import type { Sessions } from './sessions';
import type { Departure } from './store';

export interface HoldingOptions {
  readonly sessions: Sessions;
  readonly logger: Logger;
  /** ms for which a client whose links have all dropped keeps its rooms. */
  readonly reconnectGrace: number;
  /** The first hold has begun: the node's lease is to hold the client in these rooms. */
  readonly hold: (session: Session, rooms: ReadonlyMap<string, HeardRoom>) => Promise<void>;
  /** The last hold has ended: the node lets the client go. */
  readonly letGo: (session: Session, left: Map<string, Departure>) => Promise<void>;
  /** That was its leaving these rooms. */
  readonly left: (departures: ReadonlyMap<string, Departure>) => Promise<void>;
}

export class Holding {
  /** Those that are being let go of. */
  readonly #leaving = new Map<string, Promise<void>>();
  /** To be let go of: the node's lease in a room would hold them for as long as it holds anybody there. */
  readonly #parting = new Map<string, Session>();
  #closed = false;

  constructor(readonly options: HoldingOptions) {}

  isHeld(id: string): boolean {
    return this.options.sessions.kept(id)?.isHeld === true;
  }

  /** Every session that this node's lease holds in its rooms. */
  held(): Session[] {
    const sessions: Session[] = [];
    this.#each((session) => sessions.push(session));
    return sessions;
  }

  /** The rooms in which this node's lease holds somebody. */
  heldRooms(): ReadonlySet<string> {
    const rooms = new Set<string>();
    this.#each((session) => {
      for (const room of session.rooms.keys()) rooms.add(room);
    });
    return rooms;
  }

  #each(look: (session: Session) => void): void {
    this.options.sessions.each((live) => {
      if (live.isHeld || live.grace) look(live.session);
    });
  }

  /**
   * Lets `hearer` hear for the client, and this node's lease hold it in its rooms meanwhile.
   * @param held where the lease holds it already
   */
  async attach(session: Session, hearer: Hearer, held: ReadonlyMap<string, HeardRoom> = new Map()): Promise<Session> {
    const { sessions } = this.options;
    const live = await sessions.keep(session);
    sessions.add(live, hearer);
    clearTimeout(live.grace);
    const isFirst = !live.isHeld && live.grace === undefined;
    live.grace = undefined;
    live.holds += 1;
    try {
      if (isFirst) {
        await this.parted(session.id);
        const others = [...live.session.rooms].filter(([room, heard]) => held.get(room) !== heard);
        await this.options.hold(live.session, new Map(others));
      }
    } catch (error) {
      this.detach(live.session, hearer, true);
      throw error;
    }
    return live.session;
  }

  /** @param clean the client said that it goes; otherwise it may be back within the grace */
  detach(session: Session, hearer: Hearer, clean: boolean): void {
    const live = this.options.sessions.unlisten(session, hearer);
    if (!live) return;
    live.holds -= 1;
    if (live.isHeld || this.#closed) return;
    const letGo = (): void => {
      live.grace = undefined;
      void this.part(session);
    };
    if (clean || this.options.reconnectGrace === 0) letGo();
    else live.grace = setTimeout(letGo, this.options.reconnectGrace);
  }

  /** Resolves when the client's going, that is under way here, is over in the store; undefined when none is. */
  parted(id: string): Promise<void> | undefined {
    return this.#leaving.get(id);
  }

  /** The node's lease holds the client no longer; tried again with every round of leases until it is done. */
  async part(session: Session): Promise<void> {
    const { id } = session;
    const left = new Map<string, Departure>();
    const leaving = (this.#leaving.get(id) ?? Promise.resolve()).then(() => this.#part(session, left));
    this.#leaving.set(id, leaving);
    await leaving;
    if (this.#leaving.get(id) === leaving) this.#leaving.delete(id);
    try {
      await this.options.left(left);
    } catch (error) {
      this.options.logger.warn({ err: error, client: id }, 'who left a room could not be told to its hooks');
    }
  }

  /** Never rejects. */
  async #part(session: Session, left: Map<string, Departure>): Promise<void> {
    this.#parting.delete(session.id);
    try {
      // It may be back, or may yet come back.
      const live = this.options.sessions.kept(session.id);
      if (!live || (!live.isHeld && !live.grace)) await this.options.letGo(session, left);
    } catch (error) {
      this.#parting.set(session.id, session);
      this.options.logger.warn({ err: error, client: session.id }, 'a client could not be let go yet');
    }
  }

  async partAgain(): Promise<void> {
    for (const session of [...this.#parting.values()]) {
      void this.part(session);
      // For its hooks nobody waits here: the leases are to be renewed.
      await this.parted(session.id);
    }
  }

  /** Whoever goes from now on is let go of by the lease's running out. */
  close(): void {
    this.#closed = true;
    this.options.sessions.each(({ grace }) => {
      clearTimeout(grace);
    });
  }
}
