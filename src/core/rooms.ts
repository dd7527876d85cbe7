/** Who is in which room: joining and leaving, on purpose, by lease or by the server's word; and what a room looks like. */
import { BEGINNING } from '../protocol/entry-id';
import { asChatError, ChatError } from '../protocol/errors';
import { parseRoomName } from '../protocol/room';
import { absentPeer, type ChatConnection, type Peer } from './connection';
import { roomTopic } from './entry';
import type { MiddlewareChain } from './middleware';
import { cameInAt, heardAs, Session, type HeardRoom } from './session';
import { isPutOut, type Sessions } from './sessions';
import { FIRST_WEB_LEASE, recordTTL, type ChatSettings } from './settings';
import type { ClientChange, Departure, Holder, Joined, JoinRequest, Membership, RoomSnapshot, Store } from './store';

export interface RoomsOptions {
  readonly store: Store;
  readonly settings: ChatSettings;
  readonly middleware: MiddlewareChain;
  /** This process among the nodes that hold members. */
  readonly node: string;
  /** Of the same chat; asked for late, because sessions ask for rooms as well. */
  readonly sessions: () => Sessions;
  readonly connection: (session: Session, peer: Peer) => { readonly connection: ChatConnection };
  /** There are as many rooms as there may be. */
  readonly full: () => boolean;
  /** Nobody is removed for a lease that ran out in an outage. */
  readonly maySweep: () => boolean;
  /** The node's lease in a room began with somebody's coming in. */
  readonly leaseBegan: (room: string) => void;
}

/**
 * Takes what the room costs that a join may make, or throws that it may not; what is returned gives it back, when none was
 * made. The server's own joins cost nothing.
 */
export type Making = () => () => void;

export class Rooms {
  constructor(readonly options: RoomsOptions) {}

  /**
   * @param revived the client was here before its record was lost: it keeps no place, so that it is told
   * @throws ChatError already_in_room, too_many_rooms, room_not_found, capacity, what `making` throws or a `join` hook says
   */
  async join(
    session: Session,
    connection: ChatConnection,
    room: string,
    {
      listening,
      revived,
      leaving,
      making,
    }: {
      listening: boolean;
      revived?: 'expired' | 'reset' | undefined;
      making?: Making | undefined;
      /** A room that it is about to leave for this one. */
      leaving?: string | null;
    },
  ): Promise<HeardRoom> {
    const known = session.rooms.get(room);
    if (known && (listening || !known.listening)) throw new ChatError('already_in_room', room);
    const { roomsPerClient } = this.options.settings;
    const mostRooms = roomsPerClient === 0 || !session.rooms.has(leaving ?? '') ? roomsPerClient : roomsPerClient + 1;
    if (!known && mostRooms > 0 && session.rooms.size >= mostRooms) {
      throw new ChatError('too_many_rooms', String(roomsPerClient));
    }
    await this.options.middleware.join(connection, room, listening);

    // The record first, as intent: whatever comes between, the client's next request finishes or undoes the join.
    const change = { ...intention(room, listening), mostRooms };
    const intent = this.options.sessions().write(session, change);
    return this.#join(session, connection, room, { listening, revived, intent, making });
  }

  /**
   * The record of a client that has none, and its first room. Every new connection comes by here, so it takes two round
   * trips; one more where hooks are asked, which shall see a client that there is.
   * @param revived the client was here before its record was lost
   */
  async joinFirst(
    session: Session,
    connection: ChatConnection,
    room: string | null,
    revived: 'expired' | 'reset' | undefined,
  ): Promise<void> {
    const { middleware, sessions } = this.options;
    const change = { ...(revived ? { revived } : {}), ...(room === null ? {} : intention(room, false)) };
    const intent = sessions().create(session, change);
    if (room === null || middleware.hasJoin) await intent;
    if (room === null) return;
    try {
      await middleware.join(connection, room, false);
    } catch (error) {
      await this.#forgetRoom(session, room);
      // A hook that keeps strangers out of the default room does not keep them from logging in.
      if (!(error instanceof ChatError) || error.status >= 500) throw error;
      return;
    }
    try {
      await this.#join(session, connection, room, { listening: false, revived, intent, current: { room } });
    } catch (error) {
      // Put out as it came in: it is a client all the same.
      if (!isPutOut(error)) throw error;
    }
  }

  /** What a join is in the store, once the hooks have let it pass. */
  async #join(
    session: Session,
    connection: ChatConnection,
    room: string,
    options: {
      readonly listening: boolean;
      readonly revived: 'expired' | 'reset' | undefined;
      readonly making?: Making | undefined;
      /** The record's being told of it. */
      readonly intent: Promise<unknown>;
      /** The room is to be the client's current one. */
      readonly current?: { readonly room: string };
    },
  ): Promise<HeardRoom> {
    const { listening, revived, intent, current, making } = options;
    const { store, settings } = this.options;
    const request = {
      room,
      client: session.id,
      listening,
      holders: this.#holders(session, connection),
      // Whom the store forgot hears the new log from its beginning: it was there all the time.
      ...(revived === 'reset' ? { rejoinFrom: { floor: BEGINNING, presenceFloor: BEGINNING } } : {}),
    };
    const joining = this.#enter(request, making);
    const [entered] = await Promise.all([joining, intent]).catch(async (error: unknown) => {
      // Others that it asked for at the same time were too many already.
      if (error instanceof ChatError && error.code === 'too_many_rooms') {
        await joining;
        await store.leave(room, session.id);
        throw new ChatError('too_many_rooms', String(settings.roomsPerClient));
      }
      throw error;
    });
    if (entered instanceof ChatError) {
      await this.#forgetRoom(session, room);
      throw entered;
    }
    // A member that asks to listen is one still.
    const heard = heardAs(entered);
    // Who listened here goes on where it was.
    const place = revived || session.rooms.has(room) ? {} : placeOfItsOwn(session, room, heard);
    return this.#settle(session, room, heard, { ...place, ...current });
  }

  /**
   * Tells the record that a join is done, unless the client was put out meanwhile: out of the room first, and then out of
   * the record. A listener's is told only where nobody else has done it: the client may have become a member.
   * @throws ChatError not_in_room
   */
  async #settle(session: Session, room: string, entered: HeardRoom, change: ClientChange): Promise<HeardRoom> {
    const { sessions, store } = this.options;
    let heard = entered;
    while (!(await this.#writeIn(session, heard, { room, joining: heard.listening }, change))) {
      // The intent may have been taken for one of a node that did not live to finish it: by a request of this client that
      // came before the room had it.
      await sessions().write(session, intention(room, heard.listening));
      const membership = await store.membership(room, session.id);
      if (!membership) {
        await this.#forgetRoom(session, room);
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
      await this.options.sessions().write(session, { ...change, rooms: new Map([[expects.room, heard]]), expects });
      return true;
    } catch (error) {
      if (isPutOut(error)) return false;
      throw error;
    }
  }

  /** Into the room that is there, or into a new one where that may be made; else why not. */
  async #enter(request: Omit<JoinRequest, 'create'>, making: Making | undefined): Promise<Membership | ChatError> {
    const { settings } = this.options;
    const permit = request.room === settings.defaultRoom ? undefined : this.#permit(making);
    const create = !(permit instanceof ChatError);
    const giveBack = create ? permit : undefined;
    const joined = await this.#joinStore({ ...request, create }).catch((error: unknown) => {
      // Where it is not known whether anything was done, a room may have been made.
      if (asChatError(error).code !== 'outcome_unknown') giveBack?.();
      throw error;
    });
    if (joined.outcome !== 'joined' || !joined.created) giveBack?.();
    if (joined.outcome !== 'no_room') return joined.membership;
    return create ? new ChatError('room_not_found') : permit;
  }

  async #joinStore(request: JoinRequest): Promise<Joined> {
    const joined = await this.options.store.join(request);
    if (joined.outcome !== 'no_room' && joined.leaseBegan) this.options.leaseBegan(request.room);
    return joined;
  }

  #permit(making: Making | undefined): ChatError | (() => void) | undefined {
    if (!this.options.settings.createRoomsOnJoin) return new ChatError('room_not_found');
    if (this.options.full()) return new ChatError('capacity');
    try {
      return making?.();
    } catch (error) {
      if (error instanceof ChatError) return error;
      throw error;
    }
  }

  /** @throws ChatError not_in_room, or what a `leave` hook says */
  async leave(session: Session, connection: ChatConnection, room: string): Promise<void> {
    if (!session.rooms.has(room)) throw new ChatError('not_in_room', room);
    await this.options.middleware.leave(connection, room);
    await this.#takeOut(room, session.id, session);
  }

  /**
   * Into the new room, then out of the old one; when either is refused nothing has changed. Of changes that a client
   * asks for at the same time, on whatever nodes, each leaves the room that was the current one right before it.
   */
  async changeRoom(
    session: Session,
    connection: ChatConnection,
    room: string,
    { revived, making }: { revived?: 'expired' | 'reset' | undefined; making?: Making } = {},
  ): Promise<void> {
    if (room === session.room) return;
    const { sessions, middleware } = this.options;
    const known = session.rooms.get(room);
    if (known?.listening !== false) {
      // For a moment it is in one more than it may be.
      await this.join(session, connection, room, { listening: false, revived, leaving: session.room, making });
    }
    const old = await sessions().write(session, { room, expects: { room } });
    if (old === null || old === room) return;
    try {
      await middleware.leave(connection, old);
    } catch (error) {
      await sessions().write(session, { room: old });
      if (known?.listening !== false) await this.#unjoin(session, connection, room, known);
      throw error;
    }
    await this.#takeOut(old, session.id, session);
  }

  /** A join is undone, and nobody is asked whether it may be: out of the room, or a listener there as before. */
  async #unjoin(
    session: Session,
    connection: ChatConnection,
    room: string,
    before: HeardRoom | undefined,
  ): Promise<void> {
    await this.options.store.leave(room, session.id);
    if (!before) {
      await this.#forgetRoom(session, room);
      return;
    }
    session.enter(room, before);
    await this.#putInto(session, room, before, this.#holders(session, connection));
  }

  /** Back into a room that the client's record says it is in: the `join` hooks run again, and may refuse by now. */
  async rejoin(session: Session, connection: ChatConnection, room: string, heard: HeardRoom): Promise<void> {
    try {
      await this.options.middleware.join(connection, room, heard.listening);
    } catch (error) {
      if (!(error instanceof ChatError) || error.status >= 500) throw error;
      await this.#takeOut(room, session.id, session);
      return;
    }
    await this.#putInto(session, room, heard, this.#holders(session, connection));
  }

  /** @param options.by who asks; without it, the server. @throws ChatError room_not_found, not_in_room */
  async view(
    room: string,
    options: {
      by?: { session: Session; connection: ChatConnection };
      limit?: number | undefined;
      after?: string | undefined;
    } = {},
  ): Promise<RoomSnapshot> {
    const { by, after } = options;
    if (by && !by.session.rooms.has(room)) throw await this.notHeard(room, by.connection);
    const most = this.options.settings.membersListed;
    const limit = Math.min(options.limit ?? Infinity, most === 0 ? Infinity : most);
    const sweep = this.options.maySweep();
    const snapshot = await this.options.store.view(room, {
      limit: Number.isFinite(limit) ? limit : 1_000_000,
      after,
      sweep,
    });
    if (!snapshot) throw new ChatError('room_not_found');
    if (snapshot.departed.length > 0) await this.departed(room, snapshot.departed);
    return snapshot;
  }

  /** @throws ChatError room_exists */
  async add(room: string): Promise<void> {
    if (!(await this.options.store.addRoom(parseRoomName(room)))) throw new ChatError('room_exists');
  }

  /** Everybody leaves, and the room and its log are gone. @throws ChatError room_not_found */
  async destroy(room: string): Promise<void> {
    const { store } = this.options;
    // First out of a room that is there: whoever still read it when it goes would be told of a loss, and put it back.
    const departed = await store.emptyRoom(room);
    if (!departed) throw new ChatError('room_not_found');
    await this.#putOut(room, departed);
    // Who came in meanwhile.
    await this.#putOut(room, (await store.removeRoom(room)) ?? []);
  }

  /** Puts a client of any node into a room, whether or not it is connected; `join` hooks are not asked. */
  async addMember(client: string, room: string): Promise<void> {
    const session = await this.options.sessions().load(client);
    if (!session) throw new ChatError('not_found', 'this client');
    if (session.rooms.get(room)?.listening === false) throw new ChatError('already_in_room', room);
    const create = this.options.settings.createRoomsOnJoin;
    const holders: Holder[] = [{ web: true, leaseMs: FIRST_WEB_LEASE }];
    if (this.options.sessions().isHeld(client))
      holders.push({ node: this.options.node, leaseMs: this.options.settings.nodeLease });
    const isNew = !session.rooms.has(room);
    await this.options.sessions().write(session, intention(parseRoomName(room), false));
    const joined = await this.#joinStore({ room, client, listening: false, holders, create });
    if (joined.outcome === 'no_room') {
      await this.#forgetRoom(session, room);
      throw new ChatError('room_not_found');
    }
    const heard = heardAs(joined.membership);
    await this.#settle(session, room, heard, isNew ? placeOfItsOwn(session, room, heard) : {});
  }

  /** Takes a client of any node out of a room. */
  async removeMember(client: string, room: string): Promise<void> {
    const gone = await this.#takeOut(room, client);
    if (!gone) throw new ChatError('not_in_room', room);
    await this.departed(room, [gone]);
  }

  // --- what nodes and leases do ---

  /** Why a client cannot speak in a room or look into it. Sockets are told the same of a room that is not there. */
  async notHeard(room: string, connection: ChatConnection): Promise<ChatError> {
    const strange = connection.type !== 'web' || (await this.options.store.roomExists(room));
    return strange ? new ChatError('not_in_room', room) : new ChatError('room_not_found');
  }

  #holders(session: Session, connection: ChatConnection): Holder[] {
    const holders: Holder[] = [];
    if (connection.type === 'web') {
      const leaseMs = session.isNew
        ? Math.min(FIRST_WEB_LEASE, recordTTL(this.options.settings))
        : recordTTL(this.options.settings);
      holders.push({ web: true, leaseMs });
    }
    if (connection.type !== 'web' || this.options.sessions().isHeld(session.id))
      holders.push({ node: this.options.node, leaseMs: this.options.settings.nodeLease });
    return holders;
  }

  /** Into a room where the client was before, at its old place unless the room's log was lost since. */
  async #putInto(session: Session, room: string, heard: HeardRoom, holders: readonly Holder[]): Promise<void> {
    const { listening } = heard;
    const joined = await this.#joinStore({
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

  async hold(session: Session, rooms: ReadonlyMap<string, HeardRoom>): Promise<void> {
    const holders: Holder[] = [{ node: this.options.node, leaseMs: this.options.settings.nodeLease }];
    await Promise.all([...rooms].map(([room, heard]) => this.#putInto(session, room, heard, holders)));
  }

  async letGo(session: Session): Promise<void> {
    for (const room of [...session.rooms.keys()]) {
      const departure = await this.options.store.release(room, session.id, { node: this.options.node });
      if (departure) await this.departed(room, [departure]);
    }
  }

  /** The store lost rooms that this node holds clients in, or the leases there: they are put back as the node knows them. */
  async putBack(rooms: ReadonlySet<string>): Promise<void> {
    for (const session of this.options.sessions().held()) {
      if (![...session.rooms.keys()].some((room) => rooms.has(room))) continue;
      // It may have been put out of the room, by whoever removed it, before we heard of that.
      await this.options.sessions().refresh(session);
      const here = new Map([...session.rooms].filter(([room]) => rooms.has(room)));
      await this.hold(session, here);
      // Writing nothing makes the record anew when it is gone.
      await this.options.sessions().write(session, {});
    }
  }

  async #putOut(room: string, departed: readonly Departure[]): Promise<void> {
    for (const { client } of departed) await this.#takeOut(room, client);
    await this.departed(room, departed);
  }

  /**
   * Out of a room and then out of the record, until the room has it no more: between the two it may have come in again, or
   * have been put back by a node that found the room in its record.
   * @returns as what it went the first time
   */
  async #takeOut(room: string, client: string, known?: Session): Promise<Departure | undefined> {
    const { store, sessions } = this.options;
    let gone = await store.leave(room, client);
    for (;;) {
      const session = known ?? (await sessions().load(client));
      if (session) await this.#forgetRoom(session, room);
      const again = await store.leave(room, client);
      if (!again) return gone;
      gone ??= again;
    }
  }

  async #forgetRoom(session: Session, room: string): Promise<void> {
    session.exit(room);
    await this.options.sessions().write(session, { rooms: new Map([[room, null]]) });
  }

  /** Runs `leave` for clients that are gone already, as they were last stored. */
  async departed(room: string, departures: readonly Departure[]): Promise<void> {
    for (const { client } of departures) {
      const session = (await this.options.sessions().load(client)) ?? new Session(client);
      await this.options.middleware.gone(this.options.connection(session, absentPeer(client)).connection, room);
    }
  }
}

/**
 * A client that was revived is told of what it has lost in the rooms that it has no place in: not of one that it comes
 * into only now. All others go on where they came in when they have no place.
 */
function placeOfItsOwn(session: Session, room: string, { floor }: HeardRoom): ClientChange {
  return session.revived ? { places: new Map([[roomTopic(room), floor]]) } : {};
}

/** A join that is under way, for a record. */
function intention(room: string, listening: boolean): ClientChange {
  return { rooms: new Map([[room, { listening, floor: undefined }]]) };
}
