/**
 * A member is written in two slots, its room's and its record's, which the store can change only one after the other.
 * Here the two are kept the same. Who lets a client in leaves an attempt of its own in the record, and replaces it by what
 * the room said. Where others wrote there meanwhile, that may be the last word no more: then it leaves another attempt,
 * asks the room, and replaces it by the answer. So whose attempt is the last has asked after every change; and what a node
 * did not live to finish, whoever reads the record next for one of the client's requests, or the node that it is connected
 * to, finishes in the same way. Who takes a client out clears the record whatever it has, and goes on until the room has it
 * no more after that; by the server's word it leaves an attempt there before that, as the client will not ask again.
 */
import { randomUUID } from 'node:crypto';
import { ChatError } from '../protocol/errors';
import { absentPeer, type Participant, type Peer } from './connection';
import type { Holding } from './holding';
import type { MiddlewareChain } from './middleware';
import { unlessDone } from './outcome';
import { cameInAt, heardAs, isSame, Session, type HeardRoom } from './session';
import { isPutOut, type Sessions, type Wrote } from './sessions';
import { FIRST_WEB_LEASE, recordTTL, type ChatSettings } from './settings';
import type { Attempt, ClientChange, Departure, Holder, Joined, JoinRequest, RecordedRoom, Store } from './store';

export interface MembershipsOptions {
  readonly store: Store;
  readonly settings: ChatSettings;
  readonly middleware: MiddlewareChain;
  /** This process among the nodes that hold members. */
  readonly node: string;
  readonly sessions: Sessions;
  readonly holding: Holding;
  readonly participant: (session: Session, peer: Peer) => Participant;
  /** The node's lease in a room began with somebody's coming in. */
  readonly leaseBegan: (room: string) => void;
}

/** What else is written of a client with its coming into a room, or its going. */
export type Besides = Pick<ClientChange, 'room' | 'places'>;

export interface Settled {
  /** Undefined: the client is not in the room. */
  readonly heard: HeardRoom | undefined;
  /** The current room until then. */
  readonly roomBefore: string | null;
}

export class Memberships {
  constructor(readonly options: MembershipsOptions) {}

  // --- coming in ---

  /** Into the room in the store. What `Leases` has to know of it is told. */
  async enter(request: JoinRequest): Promise<Joined> {
    const joined = await this.options.store.join(request);
    if (joined.outcome !== 'no_room' && joined.leaseBegan) this.options.leaseBegan(request.room);
    return joined;
  }

  /**
   * Tells the record what a change of the room has come to: as the room said, where the record is still as it was before
   * that, or as the room says now.
   * @param entered what the room said; undefined: the client is not in there
   * @param as what the record had before; undefined where that is not known
   * @param change what goes with it where the client is in the room
   */
  async settle(
    session: Session,
    room: string,
    entered: HeardRoom | undefined,
    as: RecordedRoom | undefined,
    change?: (heard: HeardRoom) => Besides,
  ): Promise<Settled> {
    let [heard, before] = [entered, as];
    for (;;) {
      const told = before && (await this.#replace(session, { room, as: before }, heard, heard && change?.(heard)));
      if (told) return { heard, roomBefore: told.roomBefore };
      // The client's own next request may have finished the attempt: what it wrote, it does not write again.
      const now = session.rooms.get(room);
      if (before?.floor === undefined && before && heard && now && isSame(now, heard)) {
        before = now;
        continue;
      }
      before = newAttempt();
      await this.options.sessions.write(session, { rooms: new Map([[room, before]]) });
      heard = await this.#ask(session, room);
    }
  }

  /** What the room says of a client. */
  async #ask({ id }: Session, room: string): Promise<HeardRoom | undefined> {
    const membership = await this.options.store.membership(room, id);
    return membership && heardAs(membership);
  }

  /** Undefined when the record has not what is expected: then nothing is written. */
  async #replace(
    session: Session,
    expects: NonNullable<ClientChange['expects']>,
    recorded: RecordedRoom | undefined,
    change: Besides = {},
  ): Promise<Wrote | undefined> {
    try {
      const rooms = new Map([[expects.room, recorded ?? null]]);
      return await this.options.sessions.write(session, { rooms, expects, ...change });
    } catch (error) {
      if (isPutOut(error)) return undefined;
      throw error;
    }
  }

  /** Back into a room that the client's record says it is in: the `join` hooks run again, and may refuse by now. */
  async rejoin(who: Participant, room: string, heard: HeardRoom): Promise<void> {
    const { session } = who;
    try {
      await this.options.middleware.join(who, room, heard.listening);
    } catch (error) {
      if (!(error instanceof ChatError) || error.status >= 500) throw error;
      await this.takeOut(room, session.id, session);
      return;
    }
    await this.putInto(session, room, heard, this.holdersOf(who));
  }

  /** Into a room where the client was before, at its old place unless the room's log was lost since. */
  async putInto(session: Session, room: string, heard: HeardRoom, holders: readonly Holder[]): Promise<void> {
    const { listening } = heard;
    const joined = await this.enter({
      room,
      client: session.id,
      listening,
      holders,
      create: true,
      rejoinFrom: heard,
    });
    if (joined.outcome === 'no_room') return;
    const back = heardAs(joined.membership);
    if (joined.outcome === 'already' && isSame(back, heard)) return;
    // Who hears it was there all the time, and is told of what was lost by the log.
    if (back.listening === listening && !cameInAt(back, heard)) session.replace(room, back);
    if (await this.#replace(session, { room, as: heard }, back)) return;
    const attempt = newAttempt();
    if (await this.#replace(session, { room }, attempt)) {
      await this.settle(session, room, await this.#ask(session, room), attempt);
    } else {
      // It was put out before it came back, and we had not heard of that.
      await this.takeOut(room, session.id, session);
    }
  }

  // --- being held ---

  /** What holds a client that comes in by its connection. */
  holdersOf({ session, peer }: Participant): Holder[] {
    const holders: Holder[] = [];
    if (peer.type === 'web') {
      const leaseMs = session.isNew
        ? Math.min(FIRST_WEB_LEASE, recordTTL(this.options.settings))
        : recordTTL(this.options.settings);
      holders.push({ web: true, leaseMs });
    }
    if (peer.type !== 'web' || this.options.holding.isHeld(session.id)) holders.push(this.#node);
    return holders;
  }

  /** What holds one that the server puts in, be it connected or not. */
  holdersOfAbsent(client: string): Holder[] {
    const own: Holder = { web: true, leaseMs: FIRST_WEB_LEASE };
    return this.options.holding.isHeld(client) ? [own, this.#node] : [own];
  }

  get #node(): Holder {
    return { node: this.options.node, leaseMs: this.options.settings.nodeLease };
  }

  /** This node's lease holds the client in these of its rooms from now on; it comes back into those that it is not in. */
  async hold(session: Session, rooms: ReadonlyMap<string, HeardRoom>): Promise<void> {
    const holders = [this.#node];
    await Promise.all([...rooms].map(([room, heard]) => this.putInto(session, room, heard, holders)));
  }

  /**
   * This node's lease holds it no longer, unless it comes back meanwhile; out of its rooms where nothing else does.
   * @param left is told its departures, of which the `leave` hooks are to be told, be it that it fails with a later one
   */
  async letGo(session: Session, left: Map<string, Departure>): Promise<void> {
    for (const [room, heard] of session.rooms) {
      if (this.options.holding.isHeld(session.id)) break;
      try {
        const departure = await this.options.store.release(room, session.id, { node: this.options.node });
        if (departure) left.set(room, departure);
      } finally {
        // Another object: who has just come into its rooms, and believes that it is held there, is told so.
        if (session.rooms.get(room) === heard) session.replace(room, { ...heard });
      }
    }
  }

  /** The store lost rooms that this node holds clients in, or the leases there: they are put back as the node knows them. */
  async putBack(rooms: ReadonlySet<string>): Promise<void> {
    for (const session of this.options.holding.held()) {
      if (!session.rooms.keys().some((room) => rooms.has(room))) continue;
      // It may have been put out of the room, by whoever removed it, before we heard of that.
      await this.options.sessions.refresh(session);
      const here = new Map([...session.rooms].filter(([room]) => rooms.has(room)));
      await this.hold(session, here);
      // Writing nothing makes the record anew when it is gone.
      await this.options.sessions.write(session, {});
    }
  }

  // --- going ---

  /** Who has left the room by the server's word: out of their records as well. */
  async putOut(room: string, departed: readonly Departure[]): Promise<void> {
    const failures: unknown[] = [];
    for (const { client } of departed) {
      await this.takeOut(room, client).catch((error: unknown) => failures.push(error));
    }
    await this.departed(room, departed);
    if (failures.length > 0) unlessDone(failures[0]);
  }

  /**
   * Out of a room and then out of the record, until the room has it no more: between the two it may have come in again, or
   * have been put back by a node that found the room in its record.
   * @returns as what it went the first time
   */
  async takeOut(room: string, client: string, known?: Session): Promise<Departure | undefined> {
    const { store, sessions } = this.options;
    if (!known) {
      // The client does not ask for that, nor again: should the store go away in the middle, the attempt tells of it.
      const session = await sessions.load(client);
      if (session) await this.#replace(session, { room }, newAttempt());
    }
    let gone = await store.leave(room, client);
    try {
      for (;;) {
        const session = known ?? (await sessions.load(client));
        if (session) await sessions.write(session, { rooms: new Map([[room, null]]) });
        const again = await store.leave(room, client);
        if (!again) return gone;
        gone ??= again;
      }
    } catch (error) {
      if (gone) unlessDone(error);
      throw error;
    }
  }

  /** Runs `leave` for clients that are gone already, as they were last stored. */
  async departed(room: string, departures: readonly Departure[]): Promise<void> {
    for (const { client } of departures) {
      const session = (await this.options.sessions.load(client)) ?? new Session(client);
      await this.options.middleware.gone(this.options.participant(session, absentPeer(client)), room);
    }
  }
}

/** Before a change of a room, or after it. */
export function newAttempt(): Attempt {
  return { floor: undefined, attempt: randomUUID() };
}
