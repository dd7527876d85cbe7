/** Both stores, made the same way, so that a test of anything above them runs on each. */
import type { Store, StoreLimits } from '../../src/core/store';
import { MemoryStore } from '../../src/store/memory-store';
import type { RedisStoreOptions } from '../../src/store/redis/options';
import { RedisStore } from '../../src/store/redis/redis-store';
import { KeptLog } from './logger';
import { freshPrefix, sharedRedis } from './redis';

export interface StoreUnderTest {
  readonly store: Store;
  /** Another node on the same data. */
  second(): Promise<Store>;
}

export type CreateStore = (limits: StoreLimits & { readonly prefix?: string }) => Promise<StoreUnderTest>;

export const usualLimits: StoreLimits = { messageTTL: 60_000, maxLogLength: 1000, logKeep: 60_000 };

const open = new Set<Store>();

/** To be called in `afterEach`. */
export async function closeStores(): Promise<void> {
  await Promise.all([...open].map((store) => store.close()));
  open.clear();
}

export const memoryStore: CreateStore = async (limits) => {
  const store = await opened(new MemoryStore(limits));
  return { store, second: () => Promise.resolve(store) };
};

export const redisStore: CreateStore = async ({ prefix = freshPrefix(), ...limits }) => {
  const create = (): Promise<RedisStore> => openRedisStore({ prefix, limits });
  return { store: await create(), second: create };
};

/** With settings of one's own; what is not given is as usual. */
export function openRedisStore(options: Partial<RedisStoreOptions>): Promise<RedisStore> {
  return opened(newRedisStore(options));
}

export function newRedisStore(options: Partial<RedisStoreOptions>): RedisStore {
  const store = new RedisStore({
    redis: options.redis ?? { url: sharedRedis() },
    prefix: freshPrefix(),
    limits: usualLimits,
    logger: new KeptLog(),
    ...options,
  });
  open.add(store);
  return store;
}

async function opened<T extends Store>(store: T): Promise<T> {
  open.add(store);
  await store.open();
  return store;
}
