/** What a Redis store is told: where its Redis is, how its keys begin, and how long it waits for what. */
import type { Logger } from '../../core/logger';
import type { StoreLimits } from '../../core/store';

/** One of `url` (redis://, rediss://, unix:// or a socket's path), `nodes` (Redis Cluster), `sentinels` with `name`. */
export interface RedisAddress {
  readonly url?: string | null | undefined;
  /** `host:port` or an URL, each. */
  readonly nodes?: readonly string[] | null | undefined;
  readonly sentinels?: readonly string[] | null | undefined;
  /** The primary's name among the sentinels. */
  readonly name?: string | null | undefined;
  readonly username?: string | null | undefined;
  readonly password?: string | null | undefined;
  readonly tls?: RedisTls | null | undefined;
}

export interface RedisTls {
  readonly enable?: boolean | undefined;
  readonly ca?: string | null | undefined;
  readonly cert?: string | null | undefined;
  readonly key?: string | null | undefined;
  readonly servername?: string | null | undefined;
}

export interface RedisStoreOptions {
  readonly redis: RedisAddress;
  /** Another Redis for announcements; the text of messages never goes there. */
  readonly pubsub?: RedisAddress | null | undefined;
  /** Of an announcement only that something moved is believed; what, is read from the log. With `pubsub` it is so anyway. */
  readonly wakeOnly?: boolean | undefined;
  readonly prefix?: string | undefined;
  /** Replicas that must have a message before an append is answered; 0 for none. */
  readonly waitReplicas?: number | undefined;
  readonly limits: StoreLimits;
  readonly logger: Logger;
  /** Shorter in tests. */
  readonly timing?: Partial<RedisTiming> | undefined;
}

/** ms */
export interface RedisTiming {
  /** Start fails when Redis could not be reached for this long. */
  readonly open: number;
  /** A call waits this long for a link and for its answer, both together. */
  readonly call: number;
  /** How often the node listens for its own announcement. */
  readonly probe: number;
  /** A link with something unanswered for this long is given up and made anew. */
  readonly silence: number;
}

export const defaultTiming: RedisTiming = { open: 5000, call: 2000, probe: 2000, silence: 5000 };

/** The address for people: without its password, whatever form it has. */
export function describeAddress(address: RedisAddress): string {
  if (address.nodes) return `the cluster of ${address.nodes.map(masked).join(', ')}`;
  if (address.sentinels)
    return `${address.name ?? 'mymaster'} of the sentinels ${address.sentinels.map(masked).join(', ')}`;
  return masked(address.url ?? 'redis://127.0.0.1:6379');
}

function masked(address: string): string {
  return address.replace(/^([a-z]+:\/\/)?[^@/]*@/i, '$1***@').replace(/([?&]password=)[^&]*/gi, '$1***');
}
