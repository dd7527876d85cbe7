/** The room core: clients, rooms and what is said in them. Knows no transport and no store by name. */
import { randomUUID } from 'node:crypto';
import { ChatError } from '../protocol/errors';
import { BEGINNING, compareEntryIds, entryIdParts, type EntryId } from '../protocol/entry-id';
import { encodeDirect, encodeStored } from '../protocol/message';
import { parseRoomName } from '../protocol/room';
import { LogEntry } from './batch';
import { openConnection, type ChatConnection, type Peer } from './connection';
import { clientTopic, roomTopic, type Match, type Topic } from './entry';
import { Leases } from './leases';
import type { Logger } from './logger';
import { MiddlewareChain, type ChatMiddleware, type Payload } from './middleware';
import { Session, type HeardRoom } from './session';
import { Sessions } from './sessions';
import { CLIENT_KEY_MS, FIRST_WEB_LEASE, NODE_KEY_MS, NODE_LEASE, sessionTTL, type ChatSettings } from './settings';
import type { Departure, Holder, RoomSnapshot, Store } from './store';
import { Tails } from './tails';
import type { Tokens } from './tokens';
import type { Loss } from './verdict';

export interface ChatOptions {
  readonly store: Store;
  readonly tokens: Tokens;
  readonly settings: ChatSettings;
  readonly logger: Logger;
  readonly middleware?: readonly ChatMiddleware[];
  /** ms between rounds of leases and looks at log ends; tests of what they mend shorten them. */
  readonly leaseEvery?: number;
  readonly checkEvery?: number;
}

export interface Said {
  readonly room: string;
  readonly id: EntryId;
  /** ms since 1970, the store's clock. */
  readonly sentAt: number;
}

export interface SayOptions {
  /** Says it once: the same client, room and key within 5 minutes answers with the first id. */
  readonly key?: string | undefined;
  readonly match?: Match | undefined;
}

/** Somebody's words, or the server's own when the id is empty. */
interface Speaker {
  readonly id: string;
  readonly from: string;
}

/** Records renewed at a time. */
const AT_ONCE = 100;

export class Chat {
  /** Names this process among the nodes that hold members. */
  readonly node = randomUUID();
  readonly store: Store;
  readonly tokens: Tokens;
  readonly settings: ChatSettings;
  readonly middleware: MiddlewareChain;
  readonly tails: Tails;
  readonly sessions: Sessions;
  readonly leases: Leases;
  readonly logger: Logger;
  /** Gaps told to hearers of this node. */
  gaps = 0;
  /** When this node last renewed a client's own leases, by the steady clock. */
  readonly #touched = new Map<string, number>();

  constructor(options: ChatOptions) {
    const { store, settings, logger } = options;
    this.store = store;
    this.tokens = options.tokens;
    this.settings = settings;
    this.logger = logger;
    this.middleware = new MiddlewareChain(logger);
    for (const middleware of options.middleware ?? []) this.middleware.add(middleware);
    this.tails = new Tails({
      store,
      logger,
      keepMs: settings.messageTTL,
      ...(options.checkEvery === undefined ? {} : { checkMs: options.checkEvery }),
    });
    this.sessions = new Sessions({
      store,
      tails: this.tails,
      logger,
      ttlMs: sessionTTL(settings),
      reconnectGrace: settings.reconnectGrace,
      hold: (session, rooms) => this.#hold(session, rooms),
      letGo: (session) => this.#letGo(session),
    });
    this.leases = new Leases({
      store,
      logger,
      node: this.node,
      heldRooms: () => new Set(this.sessions.held().flatMap(({ rooms }) => [...rooms.keys()])),
      lost: (rooms) => this.#putBack(new Set(rooms)),
      departed: (room, departures) => this.#departed(room, departures),
      renewHeard: () => this.#renewHeard(),
      // Soon enough for the shorter of the two: a node's lease and a client's record.
      everyMs: options.leaseEvery ?? Math.min(NODE_LEASE / 3, sessionTTL(settings) / 8),
    });
  }

  async open(): Promise<void> {
    const { startingRooms, defaultRoom } = this.settings;
    for (const room of new Set([...startingRooms, ...(defaultRoom === null ? [] : [defaultRoom])])) {
      await this.store.addRoom(parseRoomName(room));
    }
    this.leases.start();
  }

  async close(): Promise<void> {
    await this.leases.close();
    this.sessions.close();
    this.tails.close();
  }

  connection(session: Session, peer: Peer): { connection: ChatConnection; flush(): Promise<void> } {
    return openConnection(session, peer, this);
  }

  // --- clients ---

  /**
   * A client that comes for the first time, or whose record is gone: a record, and the default room.
   * @param revived how the former record of this id was lost
   */
  async welcome(id: string, peer: Peer, revived?: 'expired' | 'reset'): Promise<Session> {
    const session = await this.sessions.create(id, revived ? { revived } : {});
    const room = this.settings.defaultRoom;
    if (room === null) return session;
    const { connection } = this.connection(session, peer);
    try {
      await this.join(session, connection, room, { listening: false, atArrival: true });
      await this.sessions.write(session, { room });
      session.room = room;
    } catch (error) {
      // A hook that keeps strangers out of the default room does not keep them from logging in.
      if (!(error instanceof ChatError) || error.status >= 500) throw error;
    }
    return session;
  }

  /**
   * An HTTP client came back: its record and its place in its rooms live on. Renews at most once a quarter of the
   * lease, and joins again where its lease had run out.
   */
  async touch(session: Session, connection: ChatConnection): Promise<void> {
    if (session.isNew || !this.isDue(session)) return;
    const ttl = sessionTTL(this.settings);
    this.#touch(session);
    await this.store.renewClient(session.id, ttl);
    for (const [room, heard] of [...session.rooms]) {
      const [absent] = await this.store.renewWeb(room, [session.id], ttl);
      if (absent !== undefined) await this.rejoin(session, connection, room, heard);
    }
  }

  /** The records of those who hear something here live on while they do, however long a poll or a stream is open. */
  async #renewHeard(): Promise<void> {
    const ttl = sessionTTL(this.settings);
    const due = this.sessions.heard().filter((session) => this.isDue(session));
    for (let from = 0; from < due.length; from += AT_ONCE) {
      await Promise.all(due.slice(from, from + AT_ONCE).map(async (session) => this.#renew(session, ttl)));
    }
  }

  async #renew(session: Session, ttl: number): Promise<void> {
    this.#touch(session);
    const version = await this.store.renewClient(session.id, ttl);
    // Writing nothing makes a record anew that the store has lost; a newer one was changed without our hearing of it.
    if (version === undefined) await this.sessions.write(session, {});
    else if (version > session.version) await this.sessions.refresh(session);
    if (this.sessions.isHeld(session.id)) return;
    for (const room of session.rooms.keys()) await this.store.renewWeb(room, [session.id], ttl);
  }

  #touch(session: Session): void {
    const now = performance.now();
    this.#forgetTouched(now - sessionTTL(this.settings) / 4);
    this.#touched.set(session.id, now);
  }

  /** A quarter of the client's TTL has passed since this node renewed its record. */
  isDue(session: Session): boolean {
    const touched = this.#touched.get(session.id) ?? -Infinity;
    return performance.now() - touched >= sessionTTL(this.settings) / 4;
  }

  /** What became of a record that a token of ours speaks of: the store was emptied since, or its time was over. */
  async lostHow(issuedAt: number): Promise<'expired' | 'reset'> {
    const { since } = await this.store.secret(this.tokens.secret);
    // A token's time is in whole seconds.
    return issuedAt + 1000 <= since ? 'reset' : 'expired';
  }

  /** Back into a room that the client's record says it is in: the `join` hooks run again, and may refuse by now. */
  async rejoin(session: Session, connection: ChatConnection, room: string, heard: HeardRoom): Promise<void> {
    try {
      await this.middleware.join(connection, room, heard.listening);
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
      await this.store.leave(room, session.id);
      await this.#forgetRoom(session, room);
      return;
    }
    await this.#putInto(session, room, heard, this.#holders(session, connection));
  }

  async setAttributes(session: Session, attributes: ReadonlyMap<string, unknown>): Promise<void> {
    await this.sessions.write(session, { attributes });
  }

  /** Tells one client alone; it hears it on whatever it is connected by, now or within its TTL. */
  async tell(client: string, message: unknown): Promise<EntryId> {
    const entry = { data: encodeDirect(message, this.settings.serverName), speaker: '' };
    const key = randomUUID();
    const result = await this.store.append(clientTopic(client), entry, { key, keyMs: NODE_KEY_MS, create: true });
    if (!('id' in result)) throw new ChatError('not_found', 'this client');
    return result.id;
  }

  // --- being in rooms ---

  /** @throws ChatError already_in_room, too_many_rooms, room_not_found, or what a `join` hook says */
  async join(
    session: Session,
    connection: ChatConnection,
    room: string,
    { listening, atArrival = false }: { listening: boolean; atArrival?: boolean },
  ): Promise<HeardRoom> {
    const known = session.rooms.get(room);
    if (known && (listening || !known.listening)) throw new ChatError('already_in_room', room);
    const { roomsPerClient, createRoomsOnJoin } = this.settings;
    if (!known && roomsPerClient > 0 && session.rooms.size >= roomsPerClient) {
      throw new ChatError('too_many_rooms', String(roomsPerClient));
    }
    await this.middleware.join(connection, room, listening);

    // The record first, as intent: whatever comes between, the client's next request finishes or undoes the join.
    const intent = this.sessions.write(session, { rooms: new Map([[room, { listening, floor: undefined }]]) });
    const [joined] = await Promise.all([
      this.store.join({
        room,
        client: session.id,
        listening,
        holders: this.#holders(session, connection),
        create: createRoomsOnJoin || room === this.settings.defaultRoom,
      }),
      intent,
    ]);
    if (joined.outcome === 'no_room') {
      await this.#forgetRoom(session, room);
      throw new ChatError('room_not_found');
    }
    const { floor } = joined.membership;
    const heard: HeardRoom = { listening, floor };
    // A place of its own, so that a client that was revived is told of its former rooms and not of this one.
    const places = atArrival ? {} : { places: new Map([[roomTopic(room), floor]]) };
    await this.sessions.write(session, { rooms: new Map([[room, heard]]), ...places });
    session.enter(room, heard);
    return heard;
  }

  /** @throws ChatError not_in_room, or what a `leave` hook says */
  async leave(session: Session, connection: ChatConnection, room: string): Promise<void> {
    if (!session.rooms.has(room)) throw new ChatError('not_in_room', room);
    await this.middleware.leave(connection, room);
    await this.store.leave(room, session.id);
    await this.#forgetRoom(session, room);
  }

  /** Into the new room, then out of the old one; when the first is refused nothing changes. */
  async changeRoom(session: Session, connection: ChatConnection, room: string): Promise<void> {
    const old = session.room;
    if (room === old) return;
    const known = session.rooms.get(room);
    if (!known || known.listening) await this.join(session, connection, room, { listening: false });
    if (old !== null && session.rooms.has(old)) {
      try {
        await this.leave(session, connection, old);
      } catch (error) {
        if (!known) await this.leave(session, connection, room);
        throw error;
      }
    }
    await this.sessions.write(session, { room });
    session.room = room;
  }

  /** The room that a request means: the one it names, or the client's current one. */
  roomFor(session: Session, named: string | undefined): string {
    const room = named ?? session.room;
    if (room === null) throw new ChatError('room_required');
    return room;
  }

  // --- saying ---

  /**
   * Accepted when it resolves: then it is in the room's log.
   * @throws ChatError not_in_room, room_not_found, dropped, too_large, outcome_unknown (repeat it with its key)
   */
  async say(
    session: Session,
    connection: ChatConnection,
    room: string,
    message: unknown,
    options: SayOptions = {},
  ): Promise<Said> {
    if (!session.rooms.has(room)) throw await this.#notHeard(room, connection);
    const speaker = { id: session.id, from: session.id };
    const data = await this.#accept(connection, speaker, room, message);
    const say = async (): Promise<Said | undefined> => this.#append(room, data, speaker, { ...options, member: true });
    const said = await say();
    if (said) return said;
    // Its lease ran out, or the store lost the room: it goes back in, if its record says that it belongs there.
    const record = await this.store.client(session.id);
    if (record && !record.rooms.has(room)) session.exit(room);
    const heard = session.rooms.get(room);
    if (heard && !heard.listening) await this.rejoin(session, connection, room, heard);
    const again = session.rooms.has(room) && !heard?.listening ? await say() : undefined;
    if (!again) throw new ChatError('not_in_room', room);
    return again;
  }

  /** The server's word, or one in somebody's name (`from`), to everybody in the room. */
  async broadcast(
    room: string,
    message: unknown,
    options: { from?: string; connection?: ChatConnection; match?: Match | undefined } = {},
  ): Promise<Said> {
    const speaker = {
      id: options.connection?.id ?? '',
      from: options.from ?? options.connection?.id ?? this.settings.serverName,
    };
    const { connection, match } = options;
    const data = connection
      ? await this.#accept(connection, speaker, room, message)
      : this.#encode(room, speaker.from, message);
    const said = await this.#append(room, data, speaker, { match, member: false });
    if (!said) throw new ChatError('room_not_found');
    return said;
  }

  /** Messages from before a place that this client may hear, oldest first. */
  async history(
    session: Session,
    room: string,
    limit: number | undefined,
    before: EntryId | undefined,
  ): Promise<LogEntry[]> {
    if (this.settings.history === 0) throw new ChatError('history_disabled');
    if (!session.rooms.has(room)) throw new ChatError('not_in_room', room);
    const count = Math.min(limit ?? this.settings.history, this.settings.history);
    const entries = await this.store.history(roomTopic(room), before, count);
    return entries.map((entry) => new LogEntry(roomTopic(room), entry));
  }

  // --- looking at rooms ---

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
    if (by && !by.session.rooms.has(room)) throw await this.#notHeard(room, by.connection);
    const most = this.settings.membersListed;
    const limit = Math.min(options.limit ?? Infinity, most === 0 ? Infinity : most);
    const sweep = this.leases.maySweep;
    const snapshot = await this.store.view(room, { limit: Number.isFinite(limit) ? limit : 1_000_000, after, sweep });
    if (!snapshot) throw new ChatError('room_not_found');
    if (snapshot.departed.length > 0) await this.#departed(room, snapshot.departed);
    return snapshot;
  }

  /** @throws ChatError room_exists */
  async add(room: string): Promise<void> {
    if (!(await this.store.addRoom(parseRoomName(room)))) throw new ChatError('room_exists');
  }

  /** Everybody leaves, and the room and its log are gone. @throws ChatError room_not_found */
  async destroy(room: string): Promise<void> {
    const departed = await this.store.removeRoom(room);
    if (!departed) throw new ChatError('room_not_found');
    for (const { client } of departed) {
      const session = await this.sessions.load(client);
      if (session) await this.#forgetRoom(session, room);
    }
    await this.#departed(room, departed);
  }

  /** Puts a client of any node into a room, whether or not it is connected; `join` hooks are not asked. */
  async addMember(client: string, room: string): Promise<void> {
    const session = await this.sessions.load(client);
    if (!session) throw new ChatError('not_found', 'this client');
    if (session.rooms.get(room)?.listening === false) throw new ChatError('already_in_room', room);
    const create = this.settings.createRoomsOnJoin;
    const holders: Holder[] = [{ web: true, leaseMs: FIRST_WEB_LEASE }];
    if (this.sessions.isHeld(client)) holders.push({ node: this.node, leaseMs: NODE_LEASE });
    const joined = await this.store.join({ room: parseRoomName(room), client, listening: false, holders, create });
    if (joined.outcome === 'no_room') throw new ChatError('room_not_found');
    const heard: HeardRoom = { listening: false, floor: joined.membership.floor };
    await this.sessions.write(session, {
      rooms: new Map([[room, heard]]),
      places: new Map([[roomTopic(room), heard.floor]]),
    });
    session.enter(room, heard);
  }

  /** Takes a client of any node out of a room. */
  async removeMember(client: string, room: string): Promise<void> {
    const departure = await this.store.leave(room, client);
    const session = await this.sessions.load(client);
    if (session) await this.#forgetRoom(session, room);
    // Between the two it may have said something, and so have been put back where its record still said it was.
    const again = await this.store.leave(room, client);
    const gone = departure ?? again;
    if (!gone) throw new ChatError('not_in_room', room);
    await this.#departed(room, [gone]);
  }

  // --- where a reader stands ---

  /**
   * Where a client goes on in a room: the place it gives, but nothing from before it came. What lies between is told
   * when it was lost, and is none of its business when it was not there.
   */
  async placeIn(
    session: Session,
    room: string,
    given: EntryId | undefined,
  ): Promise<{ place: EntryId; loss: Loss | undefined }> {
    const floor = session.rooms.get(room)?.floor;
    if (floor === undefined) throw new ChatError('not_in_room', room);
    if (given === undefined) {
      // No place though it was here before: what it had not read has gone with its record.
      return { place: floor, loss: session.revived && { reason: session.revived, lost: null } };
    }
    if (compareEntryIds(given, floor) >= 0) return { place: given, loss: undefined };
    if (session.revived && entryIdParts(given).ms < session.connectedAt) {
      return { place: floor, loss: { reason: session.revived, lost: null } };
    }
    const membership = await this.store.membership(room, session.id);
    return { place: floor, loss: membership?.afterReset ? { reason: 'reset', lost: null } : undefined };
  }

  /** Where a client goes on that has no cursor: at its own place, or from now on. */
  async placesNow(session: Session): Promise<Map<Topic, EntryId>> {
    const topics: Topic[] = [clientTopic(session.id), ...[...session.rooms.keys()].map(roomTopic)];
    const places = topics.map(async (topic): Promise<[Topic, EntryId]> => {
      return [topic, session.places.get(topic) ?? (await this.endOf(topic))];
    });
    return new Map(await Promise.all(places));
  }

  /** The place after everything that a log holds now. */
  async endOf(topic: Topic): Promise<EntryId> {
    const warm = this.tails.warm(topic);
    if (warm) return warm.last;
    const { state } = await this.store.read(topic, BEGINNING, 0);
    return state?.last ?? BEGINNING;
  }

  // --- inside ---

  /** Why a client cannot speak in a room or look into it. Sockets are told the same of a room that is not there. */
  async #notHeard(room: string, connection: ChatConnection): Promise<ChatError> {
    const strange = connection.type !== 'web' || (await this.store.roomExists(room));
    return strange ? new ChatError('not_in_room', room) : new ChatError('room_not_found');
  }

  /** What the hooks make of a message, as it will be stored. */
  async #accept(connection: ChatConnection, speaker: Speaker, room: string, message: unknown): Promise<string> {
    const payload: Payload = { message, room, from: speaker.from, context: 'user' };
    const received = await this.middleware.receive(connection, room, payload);
    if (received === null) throw new ChatError('dropped');
    return this.#encode(room, speaker.from, received.message);
  }

  #encode(room: string, from: string, message: unknown): string {
    const { messageBytes } = this.settings;
    if (messageBytes > 0) {
      const bytes = Buffer.byteLength(typeof message === 'string' ? message : JSON.stringify(message ?? null));
      if (bytes > messageBytes) throw new ChatError('too_large', `a message has ${String(messageBytes)} bytes at most`);
    }
    return encodeStored({ message, room, from });
  }

  async #append(
    room: string,
    data: string,
    speaker: Speaker,
    options: SayOptions & { readonly member: boolean },
  ): Promise<Said | undefined> {
    const { key, match } = options;
    const result = await this.store.append(
      roomTopic(room),
      { data, speaker: speaker.id, match },
      {
        key: key === undefined ? randomUUID() : `${speaker.id}:${key}`,
        keyMs: key === undefined ? NODE_KEY_MS : CLIENT_KEY_MS,
        member: options.member ? speaker.id : undefined,
        create: !options.member && this.settings.createRoomsOnJoin,
      },
    );
    return 'id' in result ? { room, id: result.id, sentAt: entryIdParts(result.id).ms } : undefined;
  }

  #holders(session: Session, connection: ChatConnection): Holder[] {
    const holders: Holder[] = [];
    if (connection.type === 'web') {
      const leaseMs = session.isNew ? Math.min(FIRST_WEB_LEASE, sessionTTL(this.settings)) : sessionTTL(this.settings);
      holders.push({ web: true, leaseMs });
    }
    if (connection.type !== 'web' || this.sessions.isHeld(session.id))
      holders.push({ node: this.node, leaseMs: NODE_LEASE });
    return holders;
  }

  /** Into a room where the client was before, at its old place unless the room's log was lost since. */
  async #putInto(session: Session, room: string, heard: HeardRoom, holders: readonly Holder[]): Promise<void> {
    const { listening, floor } = heard;
    const joined = await this.store.join({
      room,
      client: session.id,
      listening,
      holders,
      create: true,
      rejoinFrom: floor,
    });
    if (joined.outcome === 'no_room' || joined.membership.floor === floor) return;
    const risen: HeardRoom = { listening, floor: joined.membership.floor };
    session.rooms.set(room, risen);
    await this.sessions.write(session, { rooms: new Map([[room, risen]]) });
  }

  async #hold(session: Session, rooms: ReadonlyMap<string, HeardRoom>): Promise<void> {
    const holders: Holder[] = [{ node: this.node, leaseMs: NODE_LEASE }];
    await Promise.all([...rooms].map(([room, heard]) => this.#putInto(session, room, heard, holders)));
  }

  async #letGo(session: Session): Promise<void> {
    for (const room of [...session.rooms.keys()]) {
      const departure = await this.store.release(room, session.id, { node: this.node });
      if (departure) await this.#departed(room, [departure]);
    }
  }

  /** The store lost rooms that this node holds clients in, or the leases there: they are put back as the node knows them. */
  async #putBack(rooms: ReadonlySet<string>): Promise<void> {
    await this.store.secret(this.tokens.secret);
    for (const session of this.sessions.held()) {
      const here = new Map([...session.rooms].filter(([room]) => rooms.has(room)));
      if (here.size === 0) continue;
      await this.#hold(session, here);
      // Writing nothing makes the record anew when it is gone.
      await this.sessions.write(session, {});
    }
    this.tails.stale();
  }

  async #forgetRoom(session: Session, room: string): Promise<void> {
    const current = session.room === room ? { room: null } : {};
    session.exit(room);
    await this.sessions.write(session, { rooms: new Map([[room, null]]), ...current });
  }

  /** Runs `leave` for clients that are gone already, as they were last stored. */
  async #departed(room: string, departures: readonly Departure[]): Promise<void> {
    for (const { client } of departures) {
      const session = (await this.sessions.load(client)) ?? new Session(client);
      await this.middleware.gone(this.connection(session, absent(client)).connection, room);
    }
  }

  #forgetTouched(before: number): void {
    if (this.#touched.size < 10_000) return;
    for (const [id, at] of this.#touched) if (at < before) this.#touched.delete(id);
  }
}

/** The other end of a client that is not connected here. */
function absent(client: string): Peer {
  return { type: 'web', fingerprint: client, remoteIP: '', remotePort: 0, params: {}, destroy: () => undefined };
}
