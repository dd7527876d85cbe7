/** The room core: clients, rooms and what is said in them. Knows no transport and no store by name. */
import { randomUUID } from 'node:crypto';
import { ChatError } from '../protocol/errors';
import { entryIdParts, type EntryId } from '../protocol/entry-id';
import { encodeDirect, encodeStored } from '../protocol/message';
import { parseRoomName } from '../protocol/room';
import { LogEntry } from './batch';
import { OpenConnection, type ChatConnection, type Participant, type Peer } from './connection';
import { Counters } from './counters';
import { clientTopic, roomTopic, type Match } from './entry';
import { Leases } from './leases';
import { Memberships } from './memberships';
import { Holding } from './holding';
import type { Logger } from './logger';
import { MiddlewareChain, type ChatMiddleware, type Payload } from './middleware';
import { Session } from './session';
import { Renewal } from './renewal';
import { ReadTurns } from './read-turns';
import { RoomCount } from './room-count';
import { Rooms } from './rooms';
import { Sessions } from './sessions';
import { CLIENT_KEY_MS, recordTTL, renewalPause, sessionTTL, type ChatSettings } from './settings';
import { Standing } from './standing';
import type { MemberView, Store } from './store';
import { Tails } from './tails';
import type { Tokens } from './tokens';

export interface ChatOptions {
  readonly store: Store;
  readonly tokens: Tokens;
  readonly settings: ChatSettings;
  readonly logger: Logger;
  readonly middleware?: readonly ChatMiddleware[];
  /** ms between rounds of leases and looks at what may have been missed, and that a log is followed on; tests shorten them. */
  readonly leaseEvery?: number;
  readonly checkEvery?: number;
  readonly linger?: number;
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
  /** Told how many bytes the message has before it is stored; may refuse. */
  readonly spend?: ((bytes: number) => void) | undefined;
}

/** Somebody's words, or the server's own when the id is empty. */
interface Speaker {
  readonly id: string;
  readonly from: string;
}

export class Chat {
  /** Names this process among the nodes that hold members. */
  readonly node = randomUUID();
  readonly store: Store;
  readonly tokens: Tokens;
  readonly settings: ChatSettings;
  readonly middleware: MiddlewareChain;
  readonly tails: Tails;
  readonly standing: Standing;
  readonly sessions: Sessions;
  readonly holding: Holding;
  readonly memberships: Memberships;
  readonly rooms: Rooms;
  readonly renewal: Renewal;
  readonly leases: Leases;
  readonly logger: Logger;
  readonly counters = new Counters();
  readonly reads = new ReadTurns();
  /** Of clients that were refused as they spoke: the last of what they say again, when it is done. */
  readonly #saidAgain = new WeakMap<Session, Promise<void>>();
  /** What others see of a member of their room, over sockets and `api.chatRoom.roomStatus`. */
  shownMember: (member: MemberView & Readonly<Record<string, unknown>>) => unknown = ({ id, joinedAt }) => ({
    id,
    joinedAt,
  });

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
      reads: this.reads,
      keepMs: settings.messageTTL,
      ...(options.checkEvery === undefined ? {} : { checkMs: options.checkEvery }),
      ...(options.linger === undefined ? {} : { lingerMs: options.linger }),
    });
    this.standing = new Standing({ store, tails: this.tails, reads: this.reads });
    this.sessions = new Sessions({
      store,
      tails: this.tails,
      logger,
      ttlMs: recordTTL(settings),
      ...(options.checkEvery === undefined ? {} : { checkMs: options.checkEvery }),
      hold: (session, rooms) => this.memberships.hold(session, rooms),
    });
    this.holding = new Holding({
      sessions: this.sessions,
      logger,
      reconnectGrace: settings.reconnectGrace,
      hold: (session, rooms) => this.memberships.hold(session, rooms),
      letGo: (session, left) => this.memberships.letGo(session, left),
      left: async (departures) => {
        for (const [room, departure] of departures) await this.memberships.departed(room, [departure]);
      },
    });
    const count = new RoomCount({ store, logger, most: settings.rooms });
    this.memberships = new Memberships({
      store,
      settings,
      middleware: this.middleware,
      node: this.node,
      sessions: this.sessions,
      holding: this.holding,
      participant: (session, peer) => this.connection(session, peer),
      leaseBegan: (room) => this.leases.began(room),
    });
    this.rooms = new Rooms(this.memberships, {
      store,
      settings,
      middleware: this.middleware,
      sessions: this.sessions,
      full: () => count.full,
      maySweep: () => this.leases.maySweep,
    });
    this.renewal = new Renewal({
      store,
      sessions: this.sessions,
      holding: this.holding,
      memberships: this.memberships,
      ttlMs: recordTTL(settings),
      pauseMs: renewalPause(settings),
    });
    this.leases = new Leases({
      store,
      logger,
      node: this.node,
      heldRooms: () => new Set(this.holding.held().flatMap(({ rooms }) => [...rooms.keys()])),
      lost: (rooms) => this.#putBack(rooms),
      departed: (room, departures) => this.memberships.departed(room, departures),
      renewHeard: () => this.renewal.renewHeard(),
      partAgain: () => this.holding.partAgain(),
      leaseMs: settings.nodeLease,
      // Soon enough for the shorter of the two: a node's lease and a client's record.
      everyMs: options.leaseEvery ?? Math.min(settings.nodeLease / 3, sessionTTL(settings) / 8),
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
    // First, as whoever hears something here is ended with its session, and keeps its rooms for another node.
    this.holding.close();
    this.sessions.close();
    this.tails.close();
  }

  connection(session: Session, peer: Peer): OpenConnection {
    return new OpenConnection(session, peer, this);
  }

  // --- clients ---

  /**
   * A client that comes for the first time, or whose record is gone: a record, and the default room.
   * @param revived how the former record of this id was lost
   */
  async welcome(id: string, peer: Peer, revived?: 'expired' | 'reset'): Promise<Session> {
    const session = new Session(id);
    const joining = this.rooms.joinFirst(this.connection(session, peer), this.settings.defaultRoom, revived);
    // A socket is heard for from its first moment on, so its own log is looked for meanwhile.
    await Promise.all([joining, peer.type === 'web' ? undefined : this.sessions.live(session)]);
    return session;
  }

  /**
   * What became of a record that a token of ours speaks of: the store was emptied since, or its time was over. One that
   * was there when the store was emptied would be over by itself once that is a record's life ago.
   */
  async lostHow(issuedAt: number): Promise<'expired' | 'reset'> {
    const { since, now } = await this.store.secret(this.tokens.secret);
    return issuedAt < since && now - since < recordTTL(this.settings) ? 'reset' : 'expired';
  }

  async setAttributes(session: Session, attributes: ReadonlyMap<string, unknown>): Promise<void> {
    // Between their being assigned and here the record may have been read, where they are not yet.
    for (const [key, value] of attributes) session.setAttribute(key, value);
    await this.sessions.write(session, { attributes });
  }

  /** Tells one client alone; it hears it on whatever it is connected by, now or within its TTL. */
  async tell(client: string, message: unknown): Promise<EntryId> {
    const entry = { data: encodeDirect(message, this.settings.serverName), speaker: '' };
    const result = await this.store.append(clientTopic(client), entry, { create: true });
    if (!('id' in result)) throw new ChatError('not_found', 'this client');
    return result.id;
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
  async say(client: Participant, room: string, message: unknown, options: SayOptions = {}): Promise<Said> {
    const { session } = client;
    const place = session.rooms.get(room);
    if (!place) throw await this.rooms.notHeard(room, client);
    if (place.listening) throw new ChatError('not_in_room', room);
    const speaker = { id: session.id, from: session.id };
    const data = this.middleware.hasReceive
      ? await this.#accept(client.connection, speaker, room, message, options)
      : this.#encode(room, speaker.from, message, options);
    const said = await this.#append(room, data, speaker, options, true);
    return said ?? this.#inOrder(session, (isFirst) => this.#sayAgain(isFirst, client, room, data, speaker, options));
  }

  /** What a client says may go straight to the room: its record was there lately, is not at hand, and no hook wants it. */
  maySayUnread(client: string): boolean {
    return !this.middleware.hasReceive && !this.renewal.isDue(client) && !this.sessions.kept(client);
  }

  /**
   * Says it for a client whose record is not at hand: the room itself knows who is in it. One script, and nothing else.
   * @returns undefined when the client is not in the room: what its record says of that is for `say`
   * @throws ChatError too_large, outcome_unknown (repeat it with its key)
   */
  async sayUnread(client: string, room: string, message: unknown, options: SayOptions): Promise<Said | undefined> {
    const data = this.#encode(room, client, message, options);
    return this.#append(room, data, { id: client, from: client }, options, true);
  }

  /** What a client was refused, in whatever room, is said again one after the other, so in its order. */
  #inOrder(session: Session, sayAgain: (isFirst: boolean) => Promise<Said>): Promise<Said> {
    const before = this.#saidAgain.get(session);
    const saying = before ? before.then(() => sayAgain(false)) : sayAgain(true);
    const done = saying.then(
      () => undefined,
      () => undefined,
    );
    this.#saidAgain.set(session, done);
    return saying;
  }

  async #sayAgain(
    isFirst: boolean,
    client: Participant,
    room: string,
    data: string,
    speaker: Speaker,
    options: SayOptions,
  ): Promise<Said> {
    const { session } = client;
    // Who said something before this is back in, most likely.
    const said = isFirst ? undefined : await this.#append(room, data, speaker, options, true);
    if (said) return said;
    // Its lease ran out, or the store lost the room: it goes back in, if its record says that it belongs there.
    const record = await this.store.client(session.id);
    if (record && !record.rooms.has(room)) session.exit(room);
    const heard = session.rooms.get(room);
    if (heard && !heard.listening) await this.memberships.rejoin(client, room, heard);
    const isMember = session.rooms.has(room) && !heard?.listening;
    const again = isMember ? await this.#append(room, data, speaker, options, true) : undefined;
    if (!again) throw new ChatError('not_in_room', room);
    return again;
  }

  /** The server's word, or one in somebody's name (`from`), to everybody in the room. */
  async broadcast(
    room: string,
    message: unknown,
    options: SayOptions & { from?: string; connection?: ChatConnection } = {},
  ): Promise<Said> {
    const speaker = {
      id: options.connection?.id ?? '',
      from: options.from ?? options.connection?.id ?? this.settings.serverName,
    };
    const { connection, match, key } = options;
    const data = connection
      ? await this.#accept(connection, speaker, room, message, options)
      : this.#encode(room, speaker.from, message, options);
    const said = await this.#append(room, data, speaker, { match, key }, false);
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

  // --- inside ---

  /** What the hooks make of a message, as it will be stored. */
  async #accept(
    connection: ChatConnection,
    speaker: Speaker,
    room: string,
    message: unknown,
    options: SayOptions,
  ): Promise<string> {
    const payload: Payload = { message, room, from: speaker.from, context: 'user' };
    const received = await this.middleware.receive(connection, room, payload);
    if (received === null) throw new ChatError('dropped');
    return this.#encode(room, speaker.from, received.message, options);
  }

  /** What it is matched by weighs as much in the log, and on its way, as what is said. */
  #encode(room: string, from: string, message: unknown, { match, spend }: SayOptions): string {
    const { messageBytes } = this.settings;
    if (messageBytes > 0 || spend) {
      const said = Buffer.byteLength(typeof message === 'string' ? message : JSON.stringify(message ?? null));
      const bytes = said + (match ? Buffer.byteLength(match.value) : 0);
      if (messageBytes > 0 && bytes > messageBytes) {
        throw new ChatError('too_large', `a message has ${String(messageBytes)} bytes at most`);
      }
      spend?.(bytes);
    }
    return encodeStored({ message, room, from });
  }

  async #append(
    room: string,
    data: string,
    speaker: Speaker,
    options: SayOptions,
    member: boolean,
  ): Promise<Said | undefined> {
    const { key, match } = options;
    const result = await this.store.append(
      roomTopic(room),
      { data, speaker: speaker.id, match },
      {
        ...(key === undefined ? {} : { key: `${keeperOf(speaker)}:${key}`, keyMs: CLIENT_KEY_MS }),
        member: member ? speaker.id : undefined,
        create: !member && this.settings.createRoomsOnJoin,
      },
    );
    if (!('id' in result)) return undefined;
    if (result.outcome === 'appended') this.counters.accepted += 1;
    else this.counters.repeated += 1;
    return { room, id: result.id, sentAt: entryIdParts(result.id).ms };
  }

  /** The store lost rooms that this node holds clients in, or the leases there: all is put back as the node knows it. */
  async #putBack(rooms: readonly string[]): Promise<void> {
    await this.store.secret(this.tokens.secret);
    await this.memberships.putBack(new Set(rooms));
    this.tails.check();
  }
}

/** Whose keys are told from others' keys: a client's, or who it is said for where no client says it. */
function keeperOf({ id, from }: Speaker): string {
  return id === '' ? JSON.stringify(from) : id;
}
