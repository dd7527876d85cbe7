/** The way to Redis breaks without a word, in whole or in part: what is late is late by a bound, and told by readyz. */
import { eventually } from '../support/eventually';
import { closeProxies, FaultProxy } from '../support/proxy';
import { OwnRedis, stopOwnRedis } from '../support/redis';
import type { ServerUnderTest } from '../support/server';
import { closeStores } from '../support/stores';
import { endTrials, nobodyTold, pause, Trial } from '../support/trial';

afterEach(async () => {
  await endTrials();
  await closeStores();
  await closeProxies();
  await stopOwnRedis();
});

/** Faster than in life; a call waits longer than a busy machine keeps an answer, or a node would not even start. */
const timing = { call: 1000, probe: 200, silence: 600 };

async function statusOf(node: ServerUnderTest, path: string): Promise<number> {
  return (await fetch(`${node.url}${path}`)).status;
}

const reasonOf = async (node: ServerUnderTest): Promise<string> =>
  ((await (await fetch(`${node.url}/readyz`)).json()) as { reason: string }).reason;

/** Both nodes say that they live, and that they are not ready, or are. */
async function ready(trial: Trial, is: boolean): Promise<void> {
  for (const node of trial.nodes) {
    await eventually(async () => (await statusOf(node, '/readyz')) === (is ? 200 : 503), 10_000);
    expect(await statusOf(node, '/livez')).toBe(200);
  }
}

async function through(fault: string, expected: string): Promise<{ trial: Trial; proxy: FaultProxy }> {
  const redis = await OwnRedis.start();
  const proxy = await FaultProxy.to(redis.socket);
  return { trial: await Trial.start(fault, expected, { redis: { url: proxy.url }, timing }), proxy };
}

test('everything is swallowed: nodes turn unready and keep their clients, and go on when it heals', async () => {
  const { trial, proxy } = await through(
    'everything to Redis swallowed for 2 s',
    'late, not lost; readyz red, livez green',
  );
  proxy.halfOpen();
  await ready(trial, false);
  await pause(1500);
  expect(trial.crowd.refusals.size).toBeGreaterThan(0);
  proxy.heal();
  await ready(trial, true);
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test('only what is asked is swallowed: the same', async () => {
  const { trial, proxy } = await through(
    'the link of commands swallowed for 2 s',
    'late, not lost; readyz red, livez green',
  );
  proxy.halfOpen('earshot-commands');
  await ready(trial, false);
  await pause(1500);
  proxy.heal();
  await ready(trial, true);
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test('only announcements are swallowed: what is said still comes, within the time of a look at the log', async () => {
  const { trial, proxy } = await through(
    'the link of announcements swallowed',
    'at most 5 s late; readyz red, livez green',
  );
  proxy.halfOpen('earshot-announcements');
  await ready(trial, false);
  await trial.heardByAll();
  proxy.heal();
  await ready(trial, true);
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test('announcements get lost on a link that is sound otherwise: found out, and told', async () => {
  const { trial, proxy } = await through(
    'announcements lost, the link sound',
    'at most 5 s late; readyz red, livez green',
  );
  proxy.mute();
  await ready(trial, false);
  expect(await reasonOf(trial.nodes[0]!)).toBe('Redis answers, but its announcements do not arrive');
  await trial.heardByAll();
  proxy.heal();
  await ready(trial, true);
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});
