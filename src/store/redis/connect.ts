/** Makes ioredis clients: of one Redis, of a primary behind sentinels, or of a Redis Cluster. */
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { RedisAddress, RedisTiming } from './options';

/** Both speak the same commands. Links are made when asked for, and remade for ever. */
export type Client = Redis | Cluster;

export function isCluster(address: RedisAddress): boolean {
  return (address.nodes?.length ?? 0) > 0;
}

/**
 * No offline queue and no resending by ioredis: what happens to a call whose link is lost is decided in calls.ts.
 * Left to ioredis, a command that its link lost would be sent again however late, when the key that makes its repeat
 * harmless has run out.
 */
export function connect(address: RedisAddress, timing: RedisTiming, role: 'commands' | 'announcements'): Client {
  const common: RedisOptions = {
    lazyConnect: true,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: null,
    connectTimeout: 3000,
    keepAlive: 10_000,
    socketTimeout: timing.silence,
    disconnectTimeout: 100,
    connectionName: `earshot-${role}`,
    // A primary that has become a replica: the link must be made anew, to find the new one.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
    ...definedOnly({ username: address.username, password: address.password, tls: tlsOptions(address) }),
  };
  const retryStrategy = (times: number): number =>
    Math.min(50 * 2 ** Math.min(times - 1, 5), 1000) * (0.75 + Math.random() / 2);

  if (address.nodes && isCluster(address)) {
    return new Cluster(address.nodes.map(hostAndPort), {
      lazyConnect: true,
      enableOfflineQueue: false,
      shardedSubscribers: role === 'announcements',
      clusterRetryStrategy: retryStrategy,
      redisOptions: { ...credentials(address.nodes), ...common },
    });
  }
  if (address.sentinels && address.sentinels.length > 0) {
    const { username, password } = credentials(address.sentinels);
    return new Redis({
      ...common,
      retryStrategy,
      sentinels: address.sentinels.map(hostAndPort),
      name: address.name ?? 'mymaster',
      sentinelRetryStrategy: retryStrategy,
      ...definedOnly({ sentinelUsername: username, sentinelPassword: password }),
      ...(common.tls ? { sentinelTLS: common.tls, enableTLSForSentinelMode: true } : {}),
    });
  }
  return new Redis((address.url ?? 'redis://127.0.0.1:6379').replace(/^unix:\/\//, ''), { ...common, retryStrategy });
}

/** Ends a client without waiting for a peer that may be dead. */
export function disconnect(client: Client): void {
  client.disconnect();
  if (client instanceof Redis) (client.stream as Redis['stream'] | undefined)?.destroy();
}

/** One address that says `rediss://` says it for all: what a cluster or a sentinel tells of has no scheme. */
function tlsOptions({ url, nodes, sentinels, tls }: RedisAddress): RedisOptions['tls'] {
  const addresses = [url, ...(nodes ?? []), ...(sentinels ?? [])];
  if (!tls?.enable && !addresses.some((address) => address?.startsWith('rediss:'))) return undefined;
  return definedOnly({ ca: tls?.ca, cert: tls?.cert, key: tls?.key, servername: tls?.servername });
}

function urlOf(node: string): URL {
  return new URL(node.includes('://') ? node : `redis://${node}`);
}

function hostAndPort(node: string): { host: string; port: number } {
  const url = urlOf(node);
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 6379 : Number(url.port) };
}

/** What the first of them that names any says, for all of them. */
function credentials(nodes: readonly string[]): { username?: string; password?: string } {
  const url = nodes.map(urlOf).find(({ username, password }) => username !== '' || password !== '');
  const [username, password] = [url?.username, url?.password].map((part) =>
    part ? decodeURIComponent(part) : undefined,
  );
  return definedOnly({ username, password });
}

function definedOnly<T extends object>(options: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const given = Object.entries(options).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(given) as { [K in keyof T]?: NonNullable<T[K]> };
}
