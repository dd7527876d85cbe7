/** Redis breaks under load, in every way it does; then what every reader was given is compared with what was accepted. */
import { Crowd, roundRobin } from '../support/crowd';
import { faults } from '../support/checker';
import { eventually } from '../support/eventually';
import { closeProxies, FaultProxy } from '../support/proxy';
import { freshPrefix, OwnRedis, stopOwnRedis } from '../support/redis';
import { startServer } from '../support/server';
import { closeStores, newRedisStore } from '../support/stores';
import type { RedisStoreOptions } from '../../src/store/redis/options';

let crowd: Crowd | undefined;

afterEach(async () => {
  await crowd?.end();
  crowd = undefined;
  await closeStores();
  await closeProxies();
  await stopOwnRedis();
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Under {
  readonly limits?: Partial<RedisStoreOptions['limits']>;
}

/** Two nodes, three writers, and readers of each kind that hop from node to node. */
async function load(address: Partial<RedisStoreOptions>, { limits = {} }: Under = {}): Promise<Crowd> {
  const prefix = freshPrefix();
  const usual = { messageTTL: 60_000, maxLogLength: 100_000, logKeep: 600_000 };
  const nodes = await Promise.all(
    [1, 2].map(() => startServer({ store: newRedisStore({ prefix, ...address, limits: { ...usual, ...limits } }) })),
  );
  const made = new Crowd(roundRobin(nodes.map(({ url }) => url)));
  await Promise.all([made.poll(), made.poll(), made.stream(), made.stream(), made.socket(), made.socket()]);
  await Promise.all(['ann', 'bob', 'eve'].map((name) => made.write(name)));
  crowd = made;
  await eventually(() => made.accepted.size > 50);
  return made;
}

/** Waits until every reader has all there is, and answers what is wrong with what they were given. */
async function settle(made: Crowd): Promise<string[]> {
  const before = made.accepted.size;
  await eventually(() => made.accepted.size > before + 50, 15_000);
  await made.hush();
  const wrong = (): string[] => made.records.flatMap((record) => faults(record, made.accepted, made.maybe));
  await eventually(() => wrong().length === 0 || undefined, 12_000).catch(() => undefined);
  return [...wrong(), ...made.strange];
}

const told = (made: Crowd): number[] => made.records.map(({ gaps }) => gaps.length);

test('killed and back with its data: nothing lost, nothing doubled, nobody told of a gap', async () => {
  const redis = await OwnRedis.start('--appendonly', 'yes', '--appendfsync', 'always');
  const made = await load({ redis: { url: redis.socket } });
  await redis.kill();
  await pause(500);
  await redis.start();
  expect(await settle(made)).toEqual([]);
  expect(told(made)).toEqual([0, 0, 0, 0, 0, 0]);
});

test('killed and back without its data: every reader is told `reset` once, and goes on', async () => {
  const redis = await OwnRedis.start();
  const made = await load({ redis: { url: redis.socket } });
  await redis.kill();
  await redis.start();
  expect(await settle(made)).toEqual([]);
  for (const { gaps } of made.records)
    expect(gaps).toEqual([expect.objectContaining({ room: 'defaultRoom', reason: 'reset', lost: null })]);
});

test('paused for 3 s: late, not lost', async () => {
  const redis = await OwnRedis.start();
  const made = await load({ redis: { url: redis.socket } });
  redis.pause();
  await pause(3000);
  redis.resume();
  expect(await settle(made)).toEqual([]);
  expect(told(made)).toEqual([0, 0, 0, 0, 0, 0]);
});

test('its scripts flushed, again and again: nobody notices', async () => {
  const redis = await OwnRedis.start();
  const made = await load({ redis: { url: redis.socket } });
  for (let times = 0; times < 20; times += 1) {
    await redis.admin.script('FLUSH');
    await pause(20);
  }
  expect(await settle(made)).toEqual([]);
  expect(told(made)).toEqual([0, 0, 0, 0, 0, 0]);
});

test('full: says are refused whole, and go on when there is room', async () => {
  const redis = await OwnRedis.start();
  const made = await load({ redis: { url: redis.socket } });
  await redis.admin.config('SET', 'maxmemory', '1mb');
  await pause(700);
  await redis.admin.config('SET', 'maxmemory', '0');
  expect(await settle(made)).toEqual([]);
  expect(told(made)).toEqual([0, 0, 0, 0, 0, 0]);
});

test('links cut, again and again: said once, heard once', async () => {
  const redis = await OwnRedis.start();
  const proxy = await FaultProxy.to(redis.socket);
  const made = await load({ redis: { url: proxy.url } });
  for (let times = 0; times < 10; times += 1) {
    proxy.cut();
    await pause(150);
  }
  expect(await settle(made)).toEqual([]);
  expect(told(made)).toEqual([0, 0, 0, 0, 0, 0]);
});

test('answers lost after they were made: said once, heard once', async () => {
  const redis = await OwnRedis.start();
  const proxy = await FaultProxy.to(redis.socket);
  const made = await load({ redis: { url: proxy.url } });
  for (let times = 0; times < 3; times += 1) {
    proxy.deafen();
    await pause(100);
    proxy.heal();
    proxy.cut();
    await pause(400);
  }
  expect(await settle(made)).toEqual([]);
  expect(told(made)).toEqual([0, 0, 0, 0, 0, 0]);
});

test('more is said than the log keeps: what was trimmed is told to the number', async () => {
  const redis = await OwnRedis.start();
  const made = await load({ redis: { url: redis.socket } }, { limits: { maxLogLength: 20 } });
  await pause(500);
  expect(await settle(made)).toEqual([]);
});
