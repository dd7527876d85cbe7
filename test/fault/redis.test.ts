/** Redis breaks under load, in every way it does; then what every reader was given is compared with what was accepted. */
import { eventually } from '../support/eventually';
import { closeProxies, FaultProxy } from '../support/proxy';
import { OwnRedis, stopOwnRedis } from '../support/redis';
import { closeStores } from '../support/stores';
import { eachTold, endTrials, nobodyTold, pause, Trial, type Under } from '../support/trial';

const at = (where: OwnRedis | FaultProxy): Under => ({
  redis: { url: where instanceof OwnRedis ? where.socket : where.url },
});

afterEach(async () => {
  await endTrials();
  await closeStores();
  await closeProxies();
  await stopOwnRedis();
});

test('killed and back with its data', async () => {
  const redis = await OwnRedis.start('--appendonly', 'yes', '--appendfsync', 'always');
  const trial = await Trial.start('Redis killed, back with its data', 'nothing lost, nobody told', at(redis));
  await redis.kill();
  await pause(500);
  await redis.start();
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test('killed and back without its data: every reader is told `reset` once, and goes on', async () => {
  const redis = await OwnRedis.start();
  const trial = await Trial.start('Redis killed, back without its data', '`reset`, once each', at(redis));
  await redis.kill();
  await redis.start();
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(eachTold('reset'));
});

test('back from an older snapshot: the numbers are given out again, and every reader is told `fork` once', async () => {
  const redis = await OwnRedis.start();
  const trial = await Trial.start('Redis killed, back from an older snapshot', '`fork`, once each', at(redis));
  await redis.admin.save();
  // Whoever had read no further than the snapshot would not see that anything is gone.
  await trial.heardByAll();
  await redis.kill();
  await redis.start();
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(eachTold('fork'));
});

test('emptied while polls wait and streams are open: told `reset` once', async () => {
  const redis = await OwnRedis.start();
  const trial = await Trial.start('Redis emptied (FLUSHALL) while readers wait', '`reset`, once each', at(redis));
  await redis.admin.flushall();
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(eachTold('reset'));
});

test('stopped for 3 s, as a machine that swaps: late, not lost', async () => {
  const redis = await OwnRedis.start();
  const trial = await Trial.start('Redis stopped for 3 s (SIGSTOP)', 'late, not lost', at(redis));
  redis.pause();
  await pause(3000);
  redis.resume();
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test('paused for 3 s by its operator: what was asked runs later, once', async () => {
  const redis = await OwnRedis.start();
  const trial = await Trial.start('Redis paused for 3 s (CLIENT PAUSE)', 'late, not lost', at(redis));
  await redis.admin.call('CLIENT', 'PAUSE', 3000, 'ALL');
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test('its scripts flushed, again and again: nobody notices', async () => {
  const redis = await OwnRedis.start();
  const trial = await Trial.start('scripts flushed 20 times (SCRIPT FLUSH)', 'nobody notices', at(redis));
  for (let times = 0; times < 20; times += 1) {
    await redis.admin.script('FLUSH');
    await pause(20);
  }
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test('full: says are refused whole, and go on when there is room', async () => {
  const redis = await OwnRedis.start();
  const trial = await Trial.start('Redis full (maxmemory)', 'says refused with 507, nothing half done', at(redis));
  await redis.admin.config('SET', 'maxmemory', '1mb');
  await pause(700);
  expect(trial.crowd.refusals).toContain('store_full');
  await redis.admin.config('SET', 'maxmemory', '0');
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test('unable to save: says are refused whole, readyz says why, and it goes on when it can', async () => {
  const redis = await OwnRedis.start('--stop-writes-on-bgsave-error', 'yes');
  const trial = await Trial.start(
    'Redis cannot save (-MISCONF)',
    'says refused with 507, nothing half done',
    at(redis),
  );
  const [node] = trial.nodes;
  await redis.forbidSaving();
  await eventually(() => trial.crowd.refusals.has('store_full'));
  const health = await eventually(async () => ((await node!.ready()).ready ? undefined : node!.ready()));
  expect(health.reason).toMatch(/full|save/);
  await redis.allowSaving();
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test('links cut, again and again: said once, heard once', async () => {
  const redis = await OwnRedis.start();
  const proxy = await FaultProxy.to(redis.socket);
  const trial = await Trial.start('links to Redis cut 10 times', 'said once, heard once', at(proxy));
  for (let times = 0; times < 10; times += 1) {
    proxy.cut();
    await pause(150);
  }
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test('answers lost after they were made: said once, heard once', async () => {
  const redis = await OwnRedis.start();
  const proxy = await FaultProxy.to(redis.socket);
  const trial = await Trial.start('replies lost after execution', 'said once, heard once', at(proxy));
  for (let times = 0; times < 3; times += 1) {
    proxy.deafen();
    await pause(100);
    proxy.heal();
    proxy.cut();
    await pause(400);
  }
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test('more is said than the log keeps: who was away is told to the number what was trimmed', async () => {
  const redis = await OwnRedis.start();
  const little = { ...at(redis), limits: { maxLogLength: 20 }, away: 1000 };
  const trial = await Trial.start('more said than the log keeps', '`trimmed`, to the number', little);
  // On a busy machine so much is not said in every second.
  await eventually(() => trial.told.at(-1)!.length > 0, 30_000);
  expect(await trial.settle()).toEqual([]);
  expect(new Set(trial.told.flat())).toEqual(new Set(['trimmed']));
});
