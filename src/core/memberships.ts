/**
 * A member is written in two slots, its room's and its record's, which the store can change only one after the other.
 * Here the two are kept the same: by whoever comes in and goes, by nodes that hold their clients with a lease, and by what
 * has to be undone when another was quicker.
 */
import { ChatError } from '../protocol/errors';
import { absentPeer, type ChatConnection, type Peer } from './connection';
import type { MiddlewareChain } from './middleware';
import { cameInAt, heardAs, Session, type HeardRoom } from './session';
import { isPutOut, type Sessions } from './sessions';
import { FIRST_WEB_LEASE, recordTTL, type ChatSettings } from './settings';
import type { ClientChange, Departure, Holder, Joined, JoinRequest, Store } from './store';

export interface MembershipsOptions {
  readonly store: Store;
  readonly settings: ChatSettings;
  readonly middleware: MiddlewareChain;
  /** This process among the nodes that hold members. */
  readonly node: string;
  readonly sessions: Sessions;
  readonly connection: (session: Session, peer: Peer) => { readonly connection: ChatConnection };
  /** The node's lease in a room began with somebody's coming in. */
  readonly leaseBegan: (room: string) => void;
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
   * Tells the record that a join is done, unless the client was put out meanwhile: out of the room first, and then out of
   * the record. A listener's is told only where nobody else has done it: the client may have become a member.
   * @throws ChatError not_in_room
   */
  async settle(session: Session, room: string, entered: HeardRoom, change: ClientChange): Promise<HeardRoom> {
    const { sessions, store } = this.options;
    let heard = entered;
    while (!(await this.#writeIn(session, heard, { room, joining: heard.listening }, change))) {
      // The intent may have been taken for one of a node that did not live to finish it: by a request of this client that
      // came before the room had it.
      await sessions.write(session, intention(room, heard.listening));
      const membership = await store.membership(room, session.id);
      if (!membership) {
        await this.forget(session, room);
        throw new ChatError('not_in_room', room);
      }
      heard = heardAs(membership);
    }
    return heard;
  }

  /** False when the record has not this room any more: then nothing is written. */
  async #writeIn(
    session: Session,
    heard: HeardRoom,
    expects: NonNullable<ClientChange['expects']>,
    change: ClientChange = {},
  ): Promise<boolean> {
    try {
      await this.options.sessions.write(session, { ...change, rooms: new Map([[expects.room, heard]]), expects });
      return true;
    } catch (error) {
      if (isPutOut(error)) return false;
      throw error;
    }
  }

  /** Back into a room that the client's record says it is in: the `join` hooks run again, and may refuse by now. */
  async rejoin(session: Session, connection: ChatConnection, room: string, heard: HeardRoom): Promise<void> {
    try {
      await this.options.middleware.join(connection, room, heard.listening);
    } catch (error) {
      if (!(error instanceof ChatError) || error.status >= 500) throw error;
      await this.takeOut(room, session.id, session);
      return;
    }
    await this.putInto(session, room, heard, this.holdersOf(session, connection));
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
    const back = heardAs({ ...joined.membership, listening });
    if (joined.outcome === 'already' && cameInAt(back, heard)) return;
    session.rooms.set(room, back);
    if (await this.#writeIn(session, back, { room })) return;
    // It was put out before it came back, and we had not heard of that.
    await this.options.store.leave(room, session.id);
    session.exit(room);
  }

  // --- being held ---

  /** What holds a client that comes in by this connection. */
  holdersOf(session: Session, connection: ChatConnection): Holder[] {
    const holders: Holder[] = [];
    if (connection.type === 'web') {
      const leaseMs = session.isNew
        ? Math.min(FIRST_WEB_LEASE, recordTTL(this.options.settings))
        : recordTTL(this.options.settings);
      holders.push({ web: true, leaseMs });
    }
    if (connection.type !== 'web' || this.options.sessions.isHeld(session.id)) holders.push(this.#node);
    return holders;
  }

  /** What holds one that the server puts in, be it connected or not. */
  holdersOfAbsent(client: string): Holder[] {
    const own: Holder = { web: true, leaseMs: FIRST_WEB_LEASE };
    return this.options.sessions.isHeld(client) ? [own, this.#node] : [own];
  }

  get #node(): Holder {
    return { node: this.options.node, leaseMs: this.options.settings.nodeLease };
  }

  /** This node's lease holds the client in these of its rooms from now on; it comes back into those that it is not in. */
  async hold(session: Session, rooms: ReadonlyMap<string, HeardRoom>): Promise<void> {
    const holders = [this.#node];
    await Promise.all([...rooms].map(([room, heard]) => this.putInto(session, room, heard, holders)));
  }

  /** This node's lease holds it no longer; out of its rooms where nothing else does. */
  async letGo(session: Session): Promise<void> {
    for (const room of [...session.rooms.keys()]) {
      const departure = await this.options.store.release(room, session.id, { node: this.options.node });
      if (departure) await this.departed(room, [departure]);
    }
  }

  /** The store lost rooms that this node holds clients in, or the leases there: they are put back as the node knows them. */
  async putBack(rooms: ReadonlySet<string>): Promise<void> {
    for (const session of this.options.sessions.held()) {
      if (![...session.rooms.keys()].some((room) => rooms.has(room))) continue;
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
    for (const { client } of departed) await this.takeOut(room, client);
    await this.departed(room, departed);
  }

  /**
   * Out of a room and then out of the record, until the room has it no more: between the two it may have come in again, or
   * have been put back by a node that found the room in its record.
   * @returns as what it went the first time
   */
  async takeOut(room: string, client: string, known?: Session): Promise<Departure | undefined> {
    const { store, sessions } = this.options;
    let gone = await store.leave(room, client);
    for (;;) {
      const session = known ?? (await sessions.load(client));
      if (session) await this.forget(session, room);
      const again = await store.leave(room, client);
      if (!again) return gone;
      gone ??= again;
    }
  }

  /** Out of the record alone. */
  async forget(session: Session, room: string): Promise<void> {
    session.exit(room);
    await this.options.sessions.write(session, { rooms: new Map([[room, null]]) });
  }

  /** Runs `leave` for clients that are gone already, as they were last stored. */
  async departed(room: string, departures: readonly Departure[]): Promise<void> {
    for (const { client } of departures) {
      const session = (await this.options.sessions.load(client)) ?? new Session(client);
      await this.options.middleware.gone(this.options.connection(session, absentPeer(client)).connection, room);
    }
  }
}

/** A join that is under way, for a record. */
export function intention(room: string, listening: boolean): ClientChange {
  return { rooms: new Map([[room, { listening, floor: undefined }]]) };
}
