/** The store that nodes share: Redis 7.0 or later, alone, behind sentinels, or as a cluster. */
import { randomBytes } from 'node:crypto';
import type { Entry, NewEntry, Topic } from '../../core/entry';
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
  Written,
} from '../../core/store';
import type { EntryId } from '../../protocol/entry-id';
import { Calls } from './calls';
import { Clients } from './clients';
import { connect, isCluster } from './connect';
import { listOf, textOf, type Context, type Reply } from './context';
import { examine } from './examine';
import { Keys } from './keys';
import { Link } from './links';
import { Logs } from './logs';
import { defaultTiming, describeAddress, type RedisAddress, type RedisStoreOptions, type RedisTiming } from './options';
import { Nodes } from './nodes';
import { Probe } from './probe';
import { Replication } from './replication';
import { RoomIndex } from './room-index';
import { Rooms } from './rooms';
import { Subscriptions } from './subscriptions';

export class RedisStore implements Store {
  readonly #calls: Calls;
  /** Publishes on the other Redis, when announcements have one of their own. */
  readonly #publisher: Calls | undefined;
  readonly #subscriptions: Subscriptions;
  readonly #links: readonly Link[];
  readonly #keys: Keys;
  readonly #logs: Logs;
  readonly #rooms: Rooms;
  readonly #clients: Clients;
  readonly #nodes: Nodes;
  readonly #index: RoomIndex;
  readonly #probe: Probe;
  readonly #timing: RedisTiming;
  #closed = false;

  constructor(readonly options: RedisStoreOptions) {
    const { redis, pubsub, wakeOnly = false, limits, logger, waitReplicas = 0 } = options;
    const timing = { ...defaultTiming, ...options.timing };
    const keys = new Keys(options.prefix ?? 'earshot:');
    const links: Link[] = [];
    const linkTo = (address: RedisAddress, role: 'commands' | 'announcements'): Link => {
      const link = new Link(connect(address, timing, role), describeAddress(address), logger);
      links.push(link);
      return link;
    };

    const calls = new Calls(linkTo(redis, 'commands').client, timing.call);
    const publisher = pubsub ? new Calls(linkTo(pubsub, 'commands').client, timing.call) : undefined;
    this.#subscriptions = new Subscriptions({
      client: linkTo(pubsub ?? redis, 'announcements').client,
      entries: pubsub ? 'foreign' : wakeOnly ? 'wake' : 'believed',
      waitMs: timing.call,
      pingMs: timing.silence,
    });
    const verb = isCluster(pubsub ?? redis) ? 'SPUBLISH' : 'PUBLISH';
    const announce = (channel: string, text: string): Promise<unknown> | undefined =>
      publisher?.write((client) => client.call(verb, channel, text));

    const context: Context = {
      calls,
      keys,
      limits: {
        messageTTL: Math.round(limits.messageTTL),
        maxLogLength: limits.maxLogLength,
        logKeep: Math.max(1, Math.round(limits.logKeep)),
      },
      publish: publisher ? '' : verb,
      announce: (channel, text) => void announce(channel, text)?.catch(() => undefined),
    };
    const replication = waitReplicas > 0 ? new Replication(calls, waitReplicas, timing.call / 2) : undefined;
    const index = new RoomIndex(calls, keys);
    this.#logs = new Logs(context, replication, (room) => index.add(room));
    this.#rooms = new Rooms(context, index);
    this.#clients = new Clients(context);
    this.#nodes = new Nodes(context);

    const probeKey = keys.probe(randomBytes(9).toString('base64url'));
    this.#probe = new Probe({
      everyMs: timing.probe,
      send: async (text) => {
        await calls.script('probe', [probeKey], [context.publish, text]);
        await announce(probeKey, text);
        index.tidy().catch(() => undefined);
      },
    });
    this.#subscriptions.listen(probeKey, (text) => this.#probe.heard(text));

    this.#calls = calls;
    this.#publisher = publisher;
    this.#links = links;
    this.#keys = keys;
    this.#index = index;
    this.#timing = timing;
  }

  get figures(): StoreFigures {
    return { malformed: this.#subscriptions.malformed, latency: this.#calls.latency };
  }

  async open(): Promise<void> {
    try {
      await Promise.all(this.#links.map((link) => link.open(this.#timing.open)));
      await examine(this.#calls, this.#keys, this.options.logger);
      await this.#firstHeard();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#probe.close();
    this.#subscriptions.close();
    this.#calls.close();
    this.#publisher?.close();
    for (const link of this.#links) link.close();
    return Promise.resolve();
  }

  health(): Promise<StoreHealth> {
    if (this.#closed) return Promise.resolve({ ready: false, reason: 'the store is closed' });
    const broken = this.#links.find(({ client }) => client.status !== 'ready');
    if (broken) return Promise.resolve({ ready: false, reason: `no link to Redis: ${broken.lastError}` });
    return Promise.resolve(this.#probe.health());
  }

  async secret(proposed: string): Promise<KeptSecret> {
    const reply = (await this.#calls.script('secret', [this.#keys.secret], [proposed])) as Reply;
    const [kept = '', now = ''] = listOf(reply).map(textOf);
    const space = kept.indexOf(' ');
    return { secret: kept.slice(space + 1), since: Number(kept.slice(0, space)), now: Number(now) };
  }

  append(topic: Topic, entry: NewEntry, options: AppendOptions): Promise<Appended> {
    return this.#logs.append(topic, entry, options);
  }

  appended(topic: Topic, key: string): Promise<EntryId | undefined> {
    return this.#logs.appended(topic, key);
  }
  read(topic: Topic, after: EntryId, limit: number): Promise<Slice> {
    return this.#logs.read(topic, after, limit);
  }
  ends(topics: readonly Topic[]): Promise<readonly (EntryId | undefined)[]> {
    return this.#logs.ends(topics);
  }
  history(topic: Topic, before: EntryId | undefined, limit: number): Promise<Entry[]> {
    return this.#logs.history(topic, before, limit);
  }
  follow(topic: Topic, follower: Follower): Promise<void> {
    return this.#subscriptions.follow(this.#keys.log(topic).log, follower);
  }
  unfollow(topic: Topic, follower: Follower): void {
    this.#subscriptions.unfollow(this.#keys.log(topic).log, follower);
  }

  addRoom(room: string): Promise<boolean> {
    return this.#rooms.addRoom(room);
  }
  emptyRoom(room: string): Promise<Departure[] | undefined> {
    return this.#rooms.emptyRoom(room);
  }
  removeRoom(room: string): Promise<Departure[] | undefined> {
    return this.#rooms.removeRoom(room);
  }
  roomExists(room: string): Promise<boolean> {
    return this.#rooms.roomExists(room);
  }
  rooms(): Promise<string[]> {
    return this.#index.all();
  }
  countRooms(): Promise<number> {
    return this.#index.count();
  }
  join(request: JoinRequest): Promise<Joined> {
    return this.#rooms.join(request);
  }
  membership(room: string, client: string): Promise<Membership | undefined> {
    return this.#rooms.membership(room, client);
  }
  leave(room: string, client: string): Promise<Departure | undefined> {
    return this.#rooms.leave(room, client);
  }
  release(...[room, client, holder]: Parameters<Store['release']>): Promise<Departure | undefined> {
    return this.#rooms.release(room, client, holder);
  }
  renewNode(node: string, leaseMs: number, rooms: readonly string[]): Promise<string[]> {
    return this.#rooms.renewNode(node, leaseMs, rooms);
  }
  renewWeb(room: string, clients: readonly string[], leaseMs: number): Promise<string[]> {
    return this.#rooms.renewWeb(room, clients, leaseMs);
  }
  sweep(room: string): Promise<Departure[]> {
    return this.#rooms.sweep(room);
  }
  view(...[room, options]: Parameters<Store['view']>): Promise<RoomSnapshot | undefined> {
    return this.#rooms.view(room, options);
  }

  client(id: string): Promise<ClientRecord | undefined> {
    return this.#clients.client(id);
  }
  writeClient(
    id: string,
    change: ClientChange,
    options: Parameters<Store['writeClient']>[2],
  ): Promise<Written | undefined> {
    return this.#clients.writeClient(id, change, options);
  }
  renewClient(id: string, ttlMs: number): Promise<number | undefined> {
    return this.#clients.renewClient(id, ttlMs);
  }
  deliver(id: string, delivery: Delivery, ttlMs: number): Promise<number | undefined> {
    return this.#clients.deliver(id, delivery, ttlMs);
  }
  removeClient(id: string): Promise<void> {
    return this.#clients.removeClient(id);
  }

  async tally(
    ...[name, { perSecond, burst }, taken]: Parameters<NonNullable<Store['tally']>>
  ): Promise<Map<string, number>> {
    const parameters = [perSecond, ...[...taken].flat()];
    const reply = (await this.#calls.script('tally', [this.#keys.rates(name)], parameters)) as number[];
    const left = reply.map((ms) => burst - (ms * perSecond) / 1000);
    return new Map([...taken.keys()].map((key, index) => [key, left[index] ?? burst]));
  }

  beat(node: string, record: string, ttlMs: number): Promise<void> {
    return this.#nodes.beat(node, record, ttlMs);
  }
  nodes(): Promise<string[]> {
    return this.#nodes.nodes();
  }

  async #firstHeard(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const { reason } = this.#probe.health();
        reject(new Error(`Redis at ${this.#links[0]?.address ?? ''} is of no use: ${reason}`));
      }, this.#timing.open);
    });
    try {
      await Promise.race([this.#probe.start(), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
