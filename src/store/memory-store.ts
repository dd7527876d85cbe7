/** The embedded store: a whole chat server in one process, with the same semantics as Redis and nothing to install. */
import type { Entry, NewEntry, Topic } from '../core/entry';
import { clientTopic, presenceTopic, roomTopic, topicSubject } from '../core/entry';
import type {
  Appended,
  AppendOptions,
  ClientChange,
  ClientRecord,
  Delivery,
  Departure,
  Follower,
  Joined,
  JoinRequest,
  Membership,
  RecordedRoom,
  RoomSnapshot,
  Slice,
  Store,
  StoreFigures,
  StoreHealth,
  StoreLimits,
  Written,
} from '../core/store';
import type { EntryId } from '../protocol/entry-id';
import { ChatError } from '../protocol/errors';
import { Budget, bytesOf } from './memory-budget';
import { MemoryLog } from './memory-log';
import { MemoryRoom } from './memory-room';

interface StoredClient {
  version: number;
  readonly connectedAt: number;
  revived: 'expired' | 'reset' | undefined;
  room: string | null;
  /** These are replaced and never changed: whoever reads a record is given them as they are. */
  rooms: ReadonlyMap<string, RecordedRoom>;
  places: ReadonlyMap<Topic, EntryId>;
  pending: ReadonlyMap<Topic, EntryId>;
  /** As JSON, so that no caller shares an object with the store. */
  attributes: ReadonlyMap<string, string>;
  generation: number;
  expiresAt: number;
  log: MemoryLog | undefined;
  /** As it was last counted. */
  bytes: number;
}

/** What each costs, about: a record, a room in a record and its member's entry there, a room, a remembered key. */
const COST = { client: 1500, membership: 1000, room: 3000, once: 400 } as const;

/** How often what has expired is let go of, so that memory comes back also when nobody asks. */
const TIDY_EVERY = 1000;

export class MemoryStore implements Store {
  readonly #rooms = new Map<string, MemoryRoom>();
  readonly #clients = new Map<string, StoredClient>();
  readonly #once = new Map<string, { readonly id: EntryId; readonly until: number }>();
  readonly #nodes = new Map<string, { readonly record: string; readonly until: number }>();
  readonly #followers = new Map<Topic, Set<Follower>>();
  readonly #budget: Budget;
  #secret: { readonly secret: string; readonly since: number } | undefined;
  #tidying: NodeJS.Timeout | undefined;

  constructor(
    readonly limits: StoreLimits,
    readonly now: () => number = Date.now,
  ) {
    this.#budget = new Budget(limits.bytes ?? 0);
  }

  /** Bytes held, about. */
  get held(): number {
    return this.#budget.used;
  }

  open(): Promise<void> {
    this.#tidying ??= setInterval(() => {
      this.#tidy();
    }, TIDY_EVERY);
    this.#tidying.unref();
    return Promise.resolve();
  }

  close(): Promise<void> {
    clearInterval(this.#tidying);
    this.#tidying = undefined;
    return Promise.resolve();
  }

  health(): Promise<StoreHealth> {
    return Promise.resolve({ ready: true, reason: '' });
  }

  secret(proposed: string): Promise<{ readonly secret: string; readonly since: number }> {
    this.#secret ??= { secret: proposed, since: this.now() };
    return Promise.resolve(this.#secret);
  }

  append(topic: Topic, entry: NewEntry, options: AppendOptions): Promise<Appended> {
    const onceKey = options.key === undefined ? undefined : `${topic} ${options.key}`;
    const once = onceKey === undefined ? undefined : this.#once.get(onceKey);
    if (once && once.until > this.now()) return Promise.resolve({ outcome: 'repeated', id: once.id });

    if (this.#budget.full) return full();
    // Who is refused makes no room: a room without this log has no members either.
    const room = topic.startsWith('client:') ? undefined : this.#room(topicSubject(topic));
    const refused = options.member !== undefined && !room?.isMember(options.member);
    const log = this.#log(topic, options.create && !refused);
    if (!log && !(refused && options.create)) return Promise.resolve({ outcome: 'no_log' });
    if (!log || refused) return Promise.resolve({ outcome: 'not_member' });
    if (room) room.usedAt = this.now();
    const appended = log.append(entry);
    if (onceKey !== undefined) {
      if (!once) this.#budget.add(COST.once + bytesOf(onceKey));
      this.#once.set(onceKey, { id: appended.id, until: this.now() + (options.keyMs ?? 0) });
    }
    this.#announce(topic, appended);
    return Promise.resolve({ outcome: 'appended', id: appended.id });
  }

  read(topic: Topic, after: EntryId, limit: number): Promise<Slice> {
    return Promise.resolve(this.#log(topic, false)?.read(after, limit) ?? { entries: [], state: undefined });
  }

  ends(topics: readonly Topic[]): Promise<readonly (EntryId | undefined)[]> {
    return Promise.resolve(topics.map((topic) => this.#log(topic, false)?.state.last));
  }

  history(topic: Topic, before: EntryId | undefined, limit: number): Promise<Entry[]> {
    return Promise.resolve(this.#log(topic, false)?.history(before, limit) ?? []);
  }

  follow(topic: Topic, follower: Follower): Promise<() => void> {
    const followers = this.#followers.get(topic) ?? new Set();
    this.#followers.set(topic, followers);
    followers.add(follower);
    return Promise.resolve(() => {
      followers.delete(follower);
      if (followers.size === 0 && this.#followers.get(topic) === followers) this.#followers.delete(topic);
    });
  }

  // --- rooms ---

  addRoom(name: string): Promise<boolean> {
    const known = this.#room(name);
    if (known) {
      // Somebody's joining made it first; from now on it stays.
      known.added = true;
      return Promise.resolve(false);
    }
    this.#makeRoom(name).added = true;
    return Promise.resolve(true);
  }

  emptyRoom(name: string): Promise<Departure[] | undefined> {
    return Promise.resolve(this.#room(name)?.empty());
  }

  removeRoom(name: string): Promise<Departure[] | undefined> {
    const room = this.#room(name);
    const departed = room?.empty();
    if (room) this.#dropRoom(name, room);
    return Promise.resolve(departed);
  }

  roomExists(name: string): Promise<boolean> {
    return Promise.resolve(this.#room(name) !== undefined);
  }

  rooms(): Promise<string[]> {
    return Promise.resolve([...this.#rooms.keys()].filter((name) => this.#room(name) !== undefined).sort());
  }

  countRooms(): Promise<number> {
    return Promise.resolve(this.#rooms.size);
  }

  join(request: JoinRequest): Promise<Joined> {
    if (this.#budget.full) return full();
    const room = this.#room(request.room) ?? (request.create ? this.#makeRoom(request.room) : undefined);
    if (!room) return Promise.resolve({ outcome: 'no_room' });
    room.usedAt = this.now();
    return Promise.resolve(room.join(request));
  }

  membership(room: string, client: string): Promise<Membership | undefined> {
    return Promise.resolve(this.#room(room)?.membership(client));
  }

  leave(name: string, client: string): Promise<Departure | undefined> {
    return Promise.resolve(this.#room(name)?.leave(client));
  }

  release(
    name: string,
    client: string,
    holder: { readonly node: string } | { readonly web: true },
  ): Promise<Departure | undefined> {
    return Promise.resolve(this.#room(name)?.release(client, holder));
  }

  renewNode(node: string, leaseMs: number, rooms: readonly string[]): Promise<string[]> {
    const lost = rooms.filter((name) => {
      const room = this.#room(name);
      if (room) room.usedAt = this.now();
      return !room?.renewNode(node, leaseMs);
    });
    return Promise.resolve(lost);
  }

  renewWeb(name: string, clients: readonly string[], leaseMs: number): Promise<string[]> {
    const room = this.#room(name);
    if (room) room.usedAt = this.now();
    return Promise.resolve(clients.filter((client) => !room?.renewWeb(client, leaseMs)));
  }

  sweep(name: string): Promise<Departure[]> {
    return Promise.resolve(this.#room(name)?.sweep() ?? []);
  }

  view(
    name: string,
    options: { readonly limit: number; readonly after?: string | undefined; readonly sweep: boolean },
  ): Promise<RoomSnapshot | undefined> {
    const room = this.#room(name);
    if (!room) return Promise.resolve(undefined);
    const departed = options.sweep ? room.sweep() : [];
    return Promise.resolve(room.view(options.limit, options.after, departed));
  }

  // --- clients ---

  client(id: string): Promise<ClientRecord | undefined> {
    const stored = this.#client(id);
    if (!stored) return Promise.resolve(undefined);
    const attributes = stored.attributes.size > 0 ? parsed(stored.attributes) : NONE;
    return Promise.resolve({
      version: stored.version,
      connectedAt: stored.connectedAt,
      revived: stored.revived,
      room: stored.room,
      rooms: stored.rooms,
      attributes,
      places: stored.places,
      pending: { generation: stored.generation, places: stored.pending },
    });
  }

  writeClient(
    id: string,
    change: ClientChange,
    options: { readonly ttlMs: number; readonly create: boolean },
  ): Promise<Written | undefined> {
    let stored = this.#client(id);
    const { mostRooms } = change;
    if (mostRooms && new Set([...(stored?.rooms.keys() ?? []), ...(change.rooms?.keys() ?? [])]).size > mostRooms) {
      return Promise.reject(new ChatError('too_many_rooms', String(mostRooms)));
    }
    if (!stored) {
      if (!options.create) return Promise.resolve(undefined);
      if (this.#budget.full) return full();
      stored = {
        version: 0,
        connectedAt: this.now(),
        revived: undefined,
        room: null,
        rooms: NONE,
        attributes: NONE,
        places: NONE,
        generation: 0,
        pending: NONE,
        expiresAt: 0,
        log: undefined,
        bytes: 0,
      };
      this.#clients.set(id, stored);
    }
    stored.expiresAt = this.now() + options.ttlMs;
    if (change.revived !== undefined) stored.revived = change.revived;
    const roomBefore = stored.room;
    if (change.room !== undefined) stored.room = change.room;
    const places = new Map(stored.places);
    if (change.rooms) {
      const rooms = new Map(stored.rooms);
      for (const [room, recorded] of change.rooms) {
        if (recorded) {
          rooms.set(room, recorded);
          continue;
        }
        rooms.delete(room);
        places.delete(roomTopic(room));
        places.delete(presenceTopic(room));
      }
      stored.rooms = rooms;
    }
    if (change.attributes) {
      const attributes = new Map(stored.attributes);
      for (const [key, value] of change.attributes) {
        if (value === null || value === undefined) attributes.delete(key);
        else attributes.set(key, JSON.stringify(value));
      }
      stored.attributes = attributes;
    }
    for (const [topic, place] of change.places ?? []) places.set(topic, place);
    stored.places = places.size > 0 ? places : NONE;
    this.#weigh(stored);
    if (stored.version === 0 || change.room !== undefined || change.rooms || change.attributes) {
      stored.version += 1;
      this.#changed(id, stored.version);
    }
    const { version, connectedAt } = stored;
    return Promise.resolve({ version, connectedAt, roomBefore });
  }

  renewClient(id: string, ttlMs: number): Promise<number | undefined> {
    const stored = this.#client(id);
    if (stored) stored.expiresAt = this.now() + ttlMs;
    return Promise.resolve(stored?.version);
  }

  deliver(id: string, delivery: Delivery, ttlMs: number): Promise<number | undefined> {
    const stored = this.#client(id);
    if (!stored) return Promise.resolve(undefined);
    if (delivery.from === stored.generation) stored.places = new Map([...stored.places, ...delivery.confirmed]);
    stored.generation += 1;
    stored.pending = new Map(delivery.pending);
    stored.expiresAt = this.now() + ttlMs;
    return Promise.resolve(stored.generation);
  }

  removeClient(id: string): Promise<void> {
    const stored = this.#client(id);
    if (stored) this.#dropClient(id, stored);
    if (stored) this.#changed(id, stored.version + 1);
    return Promise.resolve();
  }

  // --- nodes ---

  readonly figures: StoreFigures = { malformed: 0, latency: undefined };

  beat(node: string, record: string, ttlMs: number): Promise<void> {
    this.#nodes.set(node, { record, until: this.now() + ttlMs });
    return Promise.resolve();
  }

  nodes(): Promise<string[]> {
    const live = [...this.#nodes.values()].filter(({ until }) => until > this.now());
    return Promise.resolve(live.map(({ record }) => record));
  }

  // --- inside ---

  #log(topic: Topic, create: boolean): MemoryLog | undefined {
    const subject = topicSubject(topic);
    if (topic.startsWith('client:')) {
      const client = this.#client(subject);
      if (client && create) client.log ??= new MemoryLog(this.limits, this.now, this.#budget);
      return client?.log;
    }
    const room = this.#room(subject) ?? (create ? this.#makeRoom(subject) : undefined);
    return topic.startsWith('room:') ? room?.log : room?.presence;
  }

  #room(name: string): MemoryRoom | undefined {
    const room = this.#rooms.get(name);
    if (!room) return undefined;
    const { messageTTL, logKeep } = this.limits;
    // One that was never spoken in is kept as long as a message would be: who comes back by then has lost nothing.
    const keep = room.log.spokenIn || messageTTL === 0 ? logKeep : messageTTL;
    if (room.added || !room.isEmpty || this.now() - room.usedAt < keep) return room;
    this.#dropRoom(name, room);
    return undefined;
  }

  #makeRoom(name: string): MemoryRoom {
    const announce = (entry: Entry): void => this.#announce(presenceTopic(name), entry);
    const room = new MemoryRoom(name, this.limits, this.now, announce, this.#budget);
    this.#rooms.set(name, room);
    this.#budget.add(COST.room);
    return room;
  }

  #dropRoom(name: string, { log, presence }: MemoryRoom): void {
    this.#rooms.delete(name);
    this.#budget.add(-COST.room);
    log.release();
    presence.release();
  }

  #dropClient(id: string, { log, bytes }: StoredClient): void {
    this.#clients.delete(id);
    this.#budget.add(-bytes);
    log?.release();
  }

  #weigh(stored: StoredClient): void {
    let bytes = COST.client + COST.membership * stored.rooms.size;
    for (const [key, json] of stored.attributes) bytes += bytesOf(key) + bytesOf(json);
    this.#budget.add(bytes - stored.bytes);
    stored.bytes = bytes;
  }

  #client(id: string): StoredClient | undefined {
    const stored = this.#clients.get(id);
    if (!stored) return undefined;
    if (stored.expiresAt > this.now()) return stored;
    this.#dropClient(id, stored);
    return undefined;
  }

  #announce(topic: Topic, entry: Entry): void {
    const followers = this.#followers.get(topic);
    if (!followers) return;
    for (const follower of [...followers]) follower.entry(entry);
  }

  #changed(id: string, version: number): void {
    const followers = this.#followers.get(clientTopic(id));
    if (!followers) return;
    for (const follower of [...followers]) follower.changed(version);
  }

  #tidy(): void {
    for (const id of this.#clients.keys()) this.#client(id)?.log?.expire();
    for (const name of this.#rooms.keys()) {
      const room = this.#room(name);
      room?.log.expire();
      room?.presence.expire();
    }
    for (const [node, { until }] of this.#nodes) if (until <= this.now()) this.#nodes.delete(node);
    for (const [key, { until }] of this.#once) {
      if (until > this.now()) continue;
      this.#once.delete(key);
      this.#budget.add(-COST.once - bytesOf(key));
    }
  }
}

const NONE: ReadonlyMap<never, never> = new Map<never, never>();

function parsed(attributes: ReadonlyMap<string, string>): Map<string, unknown> {
  return new Map([...attributes].map(([key, json]) => [key, JSON.parse(json)]));
}

/** Like a full Redis: refuses whole, and lets go all the same. */
function full(): Promise<never> {
  return Promise.reject(new ChatError('store_full'));
}
