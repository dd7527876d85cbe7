/** The embedded store: a whole chat server in one process, with the same semantics as Redis and nothing to install. */
import type { Entry, NewEntry, Topic } from '../core/entry';
import { clientTopic, presenceTopic, topicSubject } from '../core/entry';
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
  KeptSecret,
  Membership,
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
import { MemoryClients } from './memory-clients';
import type { MemoryLog } from './memory-log';
import { MemoryRoom } from './memory-room';

/** What each costs, about: a room, a remembered key. */
const COST = { room: 3000, once: 400 } as const;

const NOBODY: readonly Follower[] = [];

/** How often what has expired is let go of, so that memory comes back also when nobody asks. */
const TIDY_EVERY = 1000;

export class MemoryStore implements Store {
  readonly #rooms = new Map<string, MemoryRoom>();
  readonly #once = new Map<string, { readonly id: EntryId; readonly until: number }>();
  readonly #nodes = new Map<string, { readonly record: string; readonly until: number }>();
  /** Where there are several, a list, made anew with every change: most logs have one. */
  readonly #followers = new Map<Topic, Follower | readonly Follower[]>();
  readonly #budget: Budget;
  readonly #clients: MemoryClients;
  #secret: Omit<KeptSecret, 'now'> | undefined;
  #tidying: NodeJS.Timeout | undefined;

  constructor(
    readonly limits: StoreLimits,
    readonly now: () => number = Date.now,
  ) {
    this.#budget = new Budget(limits.bytes ?? 0);
    this.#clients = new MemoryClients(limits, now, this.#budget, (id, version) => this.#changed(id, version));
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

  secret(proposed: string): Promise<KeptSecret> {
    const now = this.now();
    this.#secret ??= { secret: proposed, since: now };
    return Promise.resolve({ ...this.#secret, now });
  }

  append(topic: Topic, entry: NewEntry, options: AppendOptions): Promise<Appended> {
    const onceKey = options.key === undefined ? undefined : onceKeyOf(topic, options.key);
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

  appended(topic: Topic, key: string): Promise<EntryId | undefined> {
    const once = this.#once.get(onceKeyOf(topic, key));
    return Promise.resolve(once && once.until > this.now() ? once.id : undefined);
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

  follow(topic: Topic, follower: Follower): Promise<void> {
    const others = this.#followersOf(topic);
    this.#followers.set(topic, others.length > 0 ? [...others, follower] : follower);
    return Promise.resolve();
  }

  unfollow(topic: Topic, follower: Follower): void {
    const others = this.#followersOf(topic).filter((other) => other !== follower);
    const [only] = others;
    if (only) this.#followers.set(topic, others.length > 1 ? others : only);
    else this.#followers.delete(topic);
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
    const there = this.#room(request.room);
    const room = there ?? (request.create ? this.#makeRoom(request.room) : undefined);
    if (!room) return Promise.resolve({ outcome: 'no_room' });
    room.usedAt = this.now();
    return Promise.resolve(room.join(request, there === undefined));
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
    return Promise.resolve(this.#clients.record(id));
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is a rejection for the caller
  async writeClient(
    id: string,
    change: ClientChange,
    options: { readonly ttlMs: number; readonly create: boolean },
  ): Promise<Written | undefined> {
    return this.#clients.write(id, change, options);
  }

  renewClient(id: string, ttlMs: number): Promise<number | undefined> {
    return Promise.resolve(this.#clients.renew(id, ttlMs));
  }

  deliver(id: string, delivery: Delivery, ttlMs: number): Promise<number | undefined> {
    return Promise.resolve(this.#clients.deliver(id, delivery, ttlMs));
  }

  removeClient(id: string): Promise<void> {
    this.#clients.remove(id);
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
    if (topic.startsWith('client:')) return this.#clients.log(subject, create);
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

  #announce(topic: Topic, entry: Entry): void {
    for (const follower of this.#followersOf(topic)) follower.entry(entry);
  }

  #changed(id: string, version: number): void {
    for (const follower of this.#followersOf(clientTopic(id))) follower.changed(version);
  }

  #followersOf(topic: Topic): readonly Follower[] {
    const followers = this.#followers.get(topic) ?? NOBODY;
    return 'entry' in followers ? [followers] : followers;
  }

  #tidy(): void {
    this.#clients.tidy();
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

/** Like a full Redis: refuses whole, and lets go all the same. */
function full(): Promise<never> {
  return Promise.reject(new ChatError('store_full'));
}

function onceKeyOf(topic: Topic, key: string): string {
  return `${topic} ${key}`;
}
