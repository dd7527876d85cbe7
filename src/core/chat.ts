/** The room core: clients, rooms and what is said in them. Knows no transport and no store by name. */
import { randomUUID } from 'node:crypto';
import { ChatError } from '../protocol/errors';
import type { EntryId } from '../protocol/entry-id';
import { encodeDirect } from '../protocol/message';
import { parseRoomName } from '../protocol/room';
import { LogEntry } from './batch';
import { OpenConnection, type Peer } from './connection';
import { Counters } from './counters';
import { clientTopic, roomTopic } from './entry';
import { Leases } from './leases';
import { Memberships } from './memberships';
import { Holding } from './holding';
import type { Logger } from './logger';
import { MiddlewareChain, type ChatMiddleware } from './middleware';
import { Session } from './session';
import { Renewal } from './renewal';
import { ReadTurns } from './read-turns';
import { RoomCount } from './room-count';
import { Rooms } from './rooms';
import { Saying } from './saying';
import { Sessions } from './sessions';
import { recordTTL, renewalPause, sessionTTL, type ChatSettings } from './settings';
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
  readonly saying: Saying;
  readonly leases: Leases;
  readonly logger: Logger;
  readonly counters = new Counters();
  readonly reads = new ReadTurns();
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
    this.saying = new Saying({
      store,
      settings,
      middleware: this.middleware,
      memberships: this.memberships,
      rooms: this.rooms,
      renewal: this.renewal,
      counters: this.counters,
    });
    this.leases = new Leases({
      store,
      logger,
      node: this.node,
      heldRooms: () => this.holding.heldRooms(),
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

  /** The store lost rooms that this node holds clients in, or the leases there: all is put back as the node knows it. */
  async #putBack(rooms: readonly string[]): Promise<void> {
    await this.store.secret(this.tokens.secret);
    await this.memberships.putBack(new Set(rooms));
    this.tails.check();
  }
}
