/** What can be asked of rooms: to come in and to go, by a client or by the server's word, and what a room looks like. */
import { BEGINNING } from '../protocol/entry-id';
import { asChatError, ChatError } from '../protocol/errors';
import { parseRoomName } from '../protocol/room';
import type { Participant } from './connection';
import { roomTopic } from './entry';
import { newAttempt, type Besides, type Memberships } from './memberships';
import type { MiddlewareChain } from './middleware';
import { unlessDone } from './outcome';
import { heardAs, type HeardRoom, type Session } from './session';
import { isPutOut, type Sessions, type Wrote } from './sessions';
import type { ChatSettings } from './settings';
import type { Attempt, JoinRequest, Membership, RoomSnapshot, Store } from './store';

export interface RoomsOptions {
  readonly store: Store;
  readonly settings: ChatSettings;
  readonly middleware: MiddlewareChain;
  readonly sessions: Sessions;
  /** There are as many rooms as there may be. */
  readonly full: () => boolean;
  /** Nobody is removed for a lease that ran out in an outage. */
  readonly maySweep: () => boolean;
}

/**
 * Takes what the room costs that a join may make, or throws that it may not; what is returned gives it back, when none was
 * made. The server's own joins cost nothing.
 */
export type Making = () => () => void;

/** The store says so. */
const NOTHING_DONE: ReadonlySet<string> = new Set(['store_unavailable', 'store_full']);

export class Rooms {
  constructor(
    readonly memberships: Memberships,
    readonly options: RoomsOptions,
  ) {}

  /**
   * @param revived the client was here before its record was lost: it keeps no place, so that it is told
   * @throws ChatError already_in_room, too_many_rooms, room_not_found, capacity, what `making` throws or a `join` hook says
   */
  async join(
    who: Participant,
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
    const { session } = who;
    const known = session.rooms.get(room);
    if (known && (listening || !known.listening)) throw new ChatError('already_in_room', room);
    const { roomsPerClient } = this.options.settings;
    const mostRooms = roomsPerClient === 0 || !session.rooms.has(leaving ?? '') ? roomsPerClient : roomsPerClient + 1;
    if (!known && mostRooms > 0 && session.rooms.size >= mostRooms) {
      throw new ChatError('too_many_rooms', String(roomsPerClient));
    }
    await this.options.middleware.join(who, room, listening);

    const attempt = newAttempt();
    // Who listens there already has it among its rooms.
    const change = { rooms: new Map([[room, attempt]]), ...(known ? {} : { mostRooms }) };
    const noted = this.options.sessions.write(session, change);
    return this.#join(who, room, { listening, revived, attempt, noted, making });
  }

  /**
   * The record of a client that has none, and its first room. Every new connection comes by here, so it takes two round
   * trips; one more where hooks are asked, which shall see a client that there is.
   * @param revived the client was here before its record was lost
   */
  async joinFirst(who: Participant, room: string | null, revived: 'expired' | 'reset' | undefined): Promise<void> {
    const { session } = who;
    const { middleware, sessions } = this.options;
    const was = revived ? { revived } : {};
    if (room === null) {
      await sessions.create(session, was);
      return;
    }
    const attempt = newAttempt();
    const noted = sessions.create(session, { ...was, rooms: new Map([[room, attempt]]) });
    if (middleware.hasJoin) await noted;
    try {
      await middleware.join(who, room, false);
    } catch (error) {
      const { isNext } = await noted;
      await this.memberships.settle(session, room, undefined, isNext ? attempt : undefined);
      // A hook that keeps strangers out of the default room does not keep them from logging in.
      if (!(error instanceof ChatError) || error.status >= 500) throw error;
      return;
    }
    try {
      await this.#join(who, room, { listening: false, revived, attempt, noted, current: true });
    } catch (error) {
      // Put out as it came in: it is a client all the same.
      if (!isPutOut(error)) throw error;
    }
  }

  /** What a join is in the store, once the hooks have let it pass. */
  async #join(
    who: Participant,
    room: string,
    options: {
      readonly listening: boolean;
      readonly revived: 'expired' | 'reset' | undefined;
      readonly making?: Making | undefined;
      /** What the record is told first: whatever comes between, the record's next reader finishes or undoes the join. */
      readonly attempt: Attempt;
      readonly noted: Promise<Wrote>;
      /** The room is to be the client's current one. */
      readonly current?: boolean;
    },
  ): Promise<HeardRoom> {
    const { session } = who;
    const { listening, revived, attempt, noted, current, making } = options;
    const known = session.rooms.get(room);
    const request = {
      room,
      client: session.id,
      listening,
      holders: this.memberships.holdersOf(who),
      // Whom the store forgot hears the new log from its beginning: it was there all the time.
      ...(revived === 'reset' ? { rejoinFrom: { floor: BEGINNING, presenceFloor: BEGINNING } } : {}),
    };
    const entering = this.#enter(request, making);
    const [entry, note] = await Promise.allSettled([entering, noted]);
    // Both were under way at once: what others have written in between, the attempt may have taken the place of.
    const alone = note.status === 'fulfilled' && note.value.isNext ? attempt : undefined;
    if (entry.status === 'rejected') {
      const isUnchanged = NOTHING_DONE.has(asChatError(entry.reason).code) && note.status === 'fulfilled';
      if (isUnchanged) await this.memberships.settle(session, room, known, alone);
      throw entry.reason;
    }
    const entered = entry.value;
    if (note.status === 'rejected') {
      if (entered instanceof ChatError) throw note.reason;
      if (known) return unlessDone(note.reason);
      // Others that it asked for at the same time were too many already; or no record could be told of it.
      await this.memberships.takeOut(room, session.id, session).catch(unlessDone);
      throw note.reason;
    }
    if (entered instanceof ChatError) {
      const { heard } = await this.memberships.settle(session, room, undefined, alone);
      if (heard) return heard;
      throw entered;
    }
    // Who listened here goes on where it was.
    const goesOn = revived !== undefined || known !== undefined;
    // A member that asks to listen is one still.
    const settling = this.memberships.settle(session, room, heardAs(entered), alone, (now) =>
      Object.assign(goesOn ? {} : placeOfItsOwn(room, now), current ? asCurrent(room, now) : undefined),
    );
    // Who put it out before it had a record could not tell that.
    const asking = current ? this.options.store.membership(room, session.id) : undefined;
    const [settled, asked] = await Promise.allSettled([settling, asking]);
    if (settled.status === 'rejected') return unlessDone(settled.reason);
    if (asked.status === 'rejected') return unlessDone(asked.reason);
    const { heard } = settled.value;
    if (heard && (!current || asked.value)) return heard;
    if (heard) await this.memberships.takeOut(room, session.id, session);
    throw new ChatError('not_in_room', room);
  }

  /** Into the room that is there, or into a new one where that may be made; else why not. */
  async #enter(request: Omit<JoinRequest, 'create'>, making: Making | undefined): Promise<Membership | ChatError> {
    const { settings } = this.options;
    const permit = request.room === settings.defaultRoom ? undefined : this.#permit(making);
    const create = !(permit instanceof ChatError);
    const giveBack = create ? permit : undefined;
    const joined = await this.memberships.enter({ create, ...request }).catch((error: unknown) => {
      // Where it is not known whether anything was done, a room may have been made.
      if (asChatError(error).code !== 'outcome_unknown') giveBack?.();
      throw error;
    });
    if (joined.outcome !== 'joined' || !joined.created) giveBack?.();
    if (joined.outcome !== 'no_room') return joined.membership;
    return create ? new ChatError('room_not_found') : permit;
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
  async leave(who: Participant, room: string): Promise<void> {
    const { session } = who;
    if (!session.rooms.has(room)) throw new ChatError('not_in_room', room);
    await this.options.middleware.leave(who, room);
    await this.memberships.takeOut(room, session.id, session);
  }

  /**
   * Into the new room, then out of the old one; when either is refused nothing has changed. Of changes that a client
   * asks for at the same time, on whatever nodes, each leaves the room that was the current one right before it.
   */
  async changeRoom(
    who: Participant,
    room: string,
    { revived, making }: { revived?: 'expired' | 'reset' | undefined; making?: Making } = {},
  ): Promise<void> {
    const { session } = who;
    const was = session.room;
    if (room === was) return;
    const known = session.rooms.get(room);
    const isMember = known?.listening === false;
    // For a moment it is in one more than it may be.
    const wanted = { listening: false, revived, leaving: was, making };
    const joined = isMember ? known : await this.join(who, room, wanted);
    const before = await this.#makeCurrent(session, room, joined).catch(isMember ? undefined : unlessDone);
    // A write whose answer was lost is done again, and finds what it did.
    const old = before === room ? was : before;
    if (old === null || old === room) return;
    try {
      await this.options.middleware.leave(who, old);
    } catch (error) {
      const left = session.rooms.get(old);
      try {
        if (left) await this.memberships.settle(session, old, left, left, (now) => asCurrent(old, now));
        if (!isMember) await this.#unjoin(who, room, known);
      } catch (failure) {
        unlessDone(failure);
      }
      throw error;
    }
    await this.memberships.takeOut(old, session.id, session).catch(unlessDone);
  }

  /** @returns the current room until then. @throws ChatError not_in_room */
  async #makeCurrent(session: Session, room: string, heard: HeardRoom): Promise<string | null> {
    const settled = await this.memberships.settle(session, room, heard, heard, (now) => asCurrent(room, now));
    if (settled.heard?.listening !== false) throw new ChatError('not_in_room', room);
    return settled.roomBefore;
  }

  /** A join is undone, and nobody is asked whether it may be: out of the room, or a listener there as before. */
  async #unjoin(who: Participant, room: string, before: HeardRoom | undefined): Promise<void> {
    const { session } = who;
    if (!before) {
      await this.memberships.takeOut(room, session.id, session);
      return;
    }
    await this.options.store.leave(room, session.id);
    session.enter(room, before);
    await this.memberships.putInto(session, room, before, this.memberships.holdersOf(who));
  }

  /** @param options.by who asks; without it, the server. @throws ChatError room_not_found, not_in_room */
  async view(
    room: string,
    options: {
      by?: Participant;
      limit?: number | undefined;
      after?: string | undefined;
    } = {},
  ): Promise<RoomSnapshot> {
    const { by, after } = options;
    if (by && !by.session.rooms.has(room)) throw await this.notHeard(room, by);
    const most = this.options.settings.membersListed;
    const limit = Math.min(options.limit ?? Infinity, most === 0 ? Infinity : most);
    const sweep = this.options.maySweep();
    const snapshot = await this.options.store.view(room, {
      limit: Number.isFinite(limit) ? limit : 1_000_000,
      after,
      sweep,
    });
    if (!snapshot) throw new ChatError('room_not_found');
    if (snapshot.departed.length > 0) await this.memberships.departed(room, snapshot.departed);
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
    await this.memberships.putOut(room, departed);
    // Who came in meanwhile.
    await this.memberships.putOut(room, (await store.removeRoom(room)) ?? []);
  }

  /** Puts a client of any node into a room, whether or not it is connected; `join` hooks are not asked. */
  async addMember(client: string, room: string): Promise<void> {
    const session = await this.options.sessions.load(client);
    if (!session) throw new ChatError('not_found', 'this client');
    if (session.rooms.get(room)?.listening === false) throw new ChatError('already_in_room', room);
    const create = this.options.settings.createRoomsOnJoin;
    const isNew = !session.rooms.has(room);
    const attempt = newAttempt();
    await this.options.sessions.write(session, { rooms: new Map([[parseRoomName(room), attempt]]) });
    const holders = this.memberships.holdersOfAbsent(client);
    const joined = await this.memberships.enter({ room, client, listening: false, holders, create });
    const heard = joined.outcome === 'no_room' ? undefined : heardAs(joined.membership);
    const placed = (now: HeardRoom): Besides => (isNew ? placeOfItsOwn(room, now) : {});
    const settled = await this.memberships.settle(session, room, heard, attempt, placed).catch(unlessDone);
    if (!settled.heard) throw heard ? new ChatError('not_in_room', room) : new ChatError('room_not_found');
  }

  /** Takes a client of any node out of a room. */
  async removeMember(client: string, room: string): Promise<void> {
    const gone = await this.memberships.takeOut(room, client);
    if (!gone) throw new ChatError('not_in_room', room);
    await this.memberships.departed(room, [gone]);
  }

  /** Why a client cannot speak in a room or look into it. Sockets are told the same of a room that is not there. */
  async notHeard(room: string, { peer }: Participant): Promise<ChatError> {
    const strange = peer.type !== 'web' || (await this.options.store.roomExists(room));
    return strange ? new ChatError('not_in_room', room) : new ChatError('room_not_found');
  }
}

/** Only a room that the client is a member of. */
function asCurrent(room: string, { listening }: HeardRoom): Besides {
  return listening ? {} : { room };
}

/**
 * Where it comes in is its first place: so that a client that was revived is told of its former rooms and not of this one;
 * and of this one, when the room's log is lost before anything of it was read.
 */
function placeOfItsOwn(room: string, { floor }: HeardRoom): Besides {
  return { places: new Map([[roomTopic(room), floor]]) };
}
