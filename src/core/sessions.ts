/** The sessions of this node: read from the store for one request, or kept live while something hears for them. */
import { ChatError } from '../protocol/errors';
import type { Logger } from './logger';
import { unlessDone } from './outcome';
import { cameInAt, heardAs, Session, type HeardRoom, type Hearer } from './session';
import type { ClientChange, Store, Written } from './store';
import type { Watcher } from './followed';
import type { Tails } from './tails';

/** A session that is kept, and follows its client's topic to know of changes to the record. */
export class Live implements Watcher {
  /** Links and streams: they hold the client in its rooms by this node's lease. Parked polls do not. See `Holding`. */
  holds = 0;
  /** The last of them went without a word, and may be back. */
  grace: NodeJS.Timeout | undefined;
  /** What was under way in its rooms when that was last looked at. */
  unfinished: Session['unfinished'] | undefined;
  /** By the steady clock; undefined while anything hears. */
  idleSince: number | undefined = performance.now();
  /** It is being brought up, for whoever waits for that; undefined once it is. */
  coming: Promise<Live> | undefined;

  get isHeld(): boolean {
    return this.holds > 0;
  }

  constructor(
    readonly session: Session,
    readonly catchUp: (session: Session) => void,
    readonly refresh: (session: Session) => Promise<void>,
  ) {}

  changed(version: number): void {
    this.session.told = Math.max(this.session.told, version);
    this.catchUp(this.session);
  }

  stale(): void {
    void this.refresh(this.session);
  }

  begun(): void {
    for (const hearer of this.session.hearers) hearer.ownLogBegun();
  }
}

/** What became of a session's record by a write. */
export interface Wrote {
  /** The current room until then. */
  readonly roomBefore: string | null;
  /** Nobody has changed the record since it was last known here, when the write began. */
  readonly isNext: boolean;
}

export interface SessionsOptions {
  readonly store: Store;
  readonly tails: Tails;
  readonly logger: Logger;
  readonly ttlMs: number;
  /** ms between looks at which sessions are idle, or behind. */
  readonly checkMs?: number;
  /** These rooms came while the client is held: the node's lease is to hold it there as well. */
  readonly hold: (session: Session, rooms: ReadonlyMap<string, HeardRoom>) => Promise<void>;
}

/** A live session outlives its last poll by this: until then the next one costs the store nothing. */
const LINGER = 30_000;
/** ms. */
const LATE = 100;

export class Sessions {
  /**
   * With those that are being brought up, which nobody but `keep` knows. A table of their own would hold what waits for
   * them long after that is answered: see Seats.
   */
  readonly #all = new Map<string, Live>();
  readonly #timer: NodeJS.Timeout;

  constructor(readonly options: SessionsOptions) {
    this.#timer = setInterval(() => {
      const idle = performance.now() - LINGER;
      this.each((live) => {
        if (live.idleSince !== undefined && live.idleSince <= idle && !live.grace) {
          this.#all.delete(live.session.id);
          this.#letGo(live);
          return;
        }
        // A record that could not be read when its change was announced.
        this.#catchUp(live.session);
        this.#finishOld(live);
      });
    }, options.checkMs ?? 5000);
    this.#timer.unref();
  }

  get liveCount(): number {
    let count = 0;
    this.each(() => {
      count += 1;
    });
    return count;
  }

  /** The client's live session with what is known of it here; undefined when there is none. */
  kept(id: string): Live | undefined {
    const live = this.#all.get(id);
    return live?.coming ? undefined : live;
  }

  /** Not a list: there may be a hundred thousand, and every few seconds somebody asks. They may come and go meanwhile. */
  each(look: (live: Live) => void): void {
    this.#all.forEach((live) => {
      if (!live.coming) look(live);
    });
  }

  /** The client's session, at once when it is live, or undefined when there is no record of it. */
  load(id: string): Session | Promise<Session | undefined> {
    const live = this.kept(id);
    if (!live) return this.#read(id);
    // It has come back, be it that its first request still waits here.
    live.session.isNew = false;
    return live.session;
  }

  async #read(id: string): Promise<Session | undefined> {
    for (;;) {
      const record = await this.options.store.client(id);
      if (!record) return undefined;
      const session = new Session(id);
      session.read(record);
      if (await this.#finish(session)) return session;
    }
  }

  /** Makes the record of a session that has none, or joins whoever makes it at the same time. */
  create(session: Session, change: ClientChange): Promise<Wrote> {
    session.isNew = true;
    session.revived = change.revived;
    // Rooms, be it none, count as a change: so the answer tells whether there was a record already.
    return this.write(session, { rooms: new Map(), ...change }, true);
  }

  /**
   * Writes to the session's record, and makes the record anew when the store has lost it: whoever has a session in
   * hand knows all that was in there.
   * @throws ChatError not_in_room, as the change expects
   */
  async write(session: Session, change: ClientChange, create = false): Promise<Wrote> {
    const { room, version, connectedAt } = session;
    const writing = session.begin(change);
    let outcome: { readonly lost: boolean; readonly written: Written | undefined };
    try {
      outcome = await this.#write(session, change, create);
    } catch (error) {
      session.end(writing);
      if (isPutOut(error)) await this.#refresh(session);
      else this.#catchUp(session);
      throw error;
    }
    const { lost, written } = outcome;
    const known = written !== undefined && session.wrote(writing, written) && !lost;
    session.end(writing);
    if (known) session.take(writing);
    if (!known) await this.refresh(session).catch(unlessDone);
    else this.#catchUp(session);
    const isSame = version === 0 || written?.connectedAt === connectedAt;
    return {
      roomBefore: lost ? room : (written?.roomBefore ?? null),
      isNext: !lost && isSame && written?.version === version + 1,
    };
  }

  async #write(
    session: Session,
    change: ClientChange,
    create: boolean,
  ): Promise<{ readonly lost: boolean; readonly written: Written | undefined }> {
    const { store, ttlMs } = this.options;
    const written = await store.writeClient(session.id, change, { ttlMs, create });
    if (written) return { lost: false, written };
    const remade = await store.writeClient(session.id, recordOf(session, change), { ttlMs, create: true });
    return { lost: true, written: remade };
  }

  /** The client's live session, followed from now on. */
  keep(session: Session): Promise<Live> {
    const known = this.#all.get(session.id);
    if (known) return known.coming ?? Promise.resolve(known);
    const live = new Live(session, this.#catchUp, this.#refresh);
    this.#all.set(session.id, live);
    live.coming = this.#bringUp(live);
    return live.coming;
  }

  /** The client's live session: this one, followed from now on, or the one that was live before it. */
  live(session: Session): Session | Promise<Session> {
    return this.kept(session.id)?.session ?? this.keep(session).then((live) => live.session);
  }

  /** Lets `hearer` hear for the client; what holds the client in its rooms is another. */
  listen(session: Session, hearer: Hearer): Session | Promise<Session> {
    const live = this.kept(session.id);
    return live ? this.add(live, hearer) : this.keep(session).then((kept) => this.add(kept, hearer));
  }

  /** The same where the live session is at hand. */
  add(live: Live, hearer: Hearer): Session {
    live.idleSince = undefined;
    // Most are alone, and `concat` is no fast way to a list of one; a spread would make room for sixteen more.
    const { hearers } = live.session;
    live.session.hearers = hearers.length === 0 ? [hearer] : hearers.concat(hearer);
    // Since it looked, when it was told of nothing yet, that may have changed.
    if (!this.options.tails.isSilent(live.session.topic)) hearer.ownLogBegun();
    return live.session;
  }

  /** `hearer` hears no longer. @returns the live session that it heard for; undefined when it did not */
  unlisten(session: Session, hearer: Hearer): Live | undefined {
    if (!session.hearers.includes(hearer)) return undefined;
    session.hearers = session.hearers.filter((other) => other !== hearer);
    const live = this.kept(session.id);
    if (live?.session !== session) return undefined;
    if (session.hearers.length === 0) live.idleSince = performance.now();
    return live;
  }

  /** Whoever began to wait for its turn then has waited so long that what is known of its client may be past. */
  isLate(began: number): boolean {
    return performance.now() - began > LATE;
  }

  /** Reads a session's record again; what changed is told to its hearers. */
  async refresh(session: Session): Promise<void> {
    const { told } = session;
    const record = await this.options.store.client(session.id);
    if (!record || session.isPast(record)) return;
    const before = new Map(session.rooms);
    session.read(record);
    // What was announced before it was read is in there, be it of another record than this.
    if (session.told === told) session.told = record.version;
    const isAsBefore = (room: string, heard: HeardRoom): boolean => {
      const known = before.get(room);
      return known !== undefined && cameInAt(known, heard);
    };
    const added = new Map([...session.rooms].filter(([room, heard]) => !isAsBefore(room, heard)));
    if (added.size > 0 && this.kept(session.id)?.isHeld) await this.options.hold(session, added);
  }

  close(): void {
    clearInterval(this.#timer);
    this.each((live) => {
      for (const hearer of live.session.hearers) hearer.close('the server is shutting down');
      this.#letGo(live);
    });
    this.#all.clear();
  }

  async #bringUp(live: Live): Promise<Live> {
    try {
      await this.#follow(live);
    } catch (error) {
      if (this.#all.get(live.session.id) === live) this.#all.delete(live.session.id);
      throw error;
    }
    live.idleSince = performance.now();
    live.coming = undefined;
    return live;
  }

  async #follow(live: Live): Promise<void> {
    const { session } = live;
    const hadRecord = session.version > 0;
    await this.options.tails.watch(session.topic, live);
    try {
      // What changed between the record's being read and its being followed was announced to nobody here.
      if (hadRecord) await this.refresh(session);
    } catch (error) {
      this.#letGo(live);
      throw error;
    }
  }

  /** Reads the record of a session that is behind, unless what was announced may be its own doing: then that tells. */
  readonly #catchUp = (session: Session): void => {
    if (session.isBehind && session.writing.length === 0) void this.#refresh(session);
  };

  /** Where it fails, the session stays behind. */
  readonly #refresh = (session: Session): Promise<void> =>
    this.refresh(session).catch((error: unknown) => {
      this.options.logger.debug({ err: error, client: session.id }, 'a record could not be read again');
    });

  /**
   * What was begun: the room's own entry tells whether it was done. Where it was not, whoever is at it notices that its
   * attempt is gone.
   * @returns false where somebody else has gone on with it meanwhile
   */
  async #finish(session: Session): Promise<boolean> {
    for (const [room, attempt] of session.unfinished) {
      const membership = await this.options.store.membership(room, session.id);
      const heard = membership && heardAs(membership);
      try {
        await this.write(session, { rooms: new Map([[room, heard ?? null]]), expects: { room, as: attempt } });
      } catch (error) {
        if (isPutOut(error)) return false;
        throw error;
      }
    }
    return true;
  }

  /** Of a session that is kept: what was under way at the last look, and is still, nobody goes on with. */
  #finishOld(live: Live): void {
    const { session, unfinished } = live;
    live.unfinished = session.unfinished;
    if (session.unfinished.size === 0) return;
    const isOld = [...session.unfinished].some(([room, { attempt }]) => unfinished?.get(room)?.attempt === attempt);
    if (!isOld) return;
    this.#finish(session)
      .then(() => this.#refresh(session))
      .catch((error: unknown) => {
        this.options.logger.debug({ err: error, client: session.id }, 'a change that was begun could not be finished');
      });
  }

  #letGo(live: Live): void {
    this.options.tails.unwatch(live.session.topic, live);
  }
}

/** A write that expected a room in the record was refused: somebody else changed that. */
export function isPutOut(error: unknown): boolean {
  return error instanceof ChatError && error.code === 'not_in_room';
}

/** All that a session knows and what is changed about it, as a change that makes its record. */
function recordOf(session: Session, change: ClientChange): ClientChange {
  return {
    revived: 'reset',
    room: session.room,
    ...change,
    rooms: new Map([...session.rooms, ...(change.rooms ?? [])]),
    attributes: new Map([...session.attributes, ...(change.attributes ?? [])]),
    places: new Map([...session.places, ...(change.places ?? [])]),
  };
}
