/** Redis gives earshot what it needs and nothing else: the user that the settings page tells operators to make. */
import { Redis } from 'ioredis';
import type { Follower } from '../../src/core/store';
import { enter, node, tell, web } from '../contract/store/given';
import { TcpClient, WsClient } from '../support/clients';
import { readDocument } from '../support/documents';
import { eventually } from '../support/eventually';
import { arrived } from '../support/http-client';
import { freshPrefix, OwnRedis, sharedRedis, stopOwnRedis } from '../support/redis';
import { ClusterDeployment } from '../support/redis-cluster';
import { startServer, stopServers } from '../support/server';
import { closeStores, openRedisStore } from '../support/stores';

const deaf: Follower = { entry: () => undefined, stale: () => undefined, changed: () => undefined };

afterEach(async () => {
  await stopServers();
  await closeStores();
  await stopOwnRedis();
});

/** The rules in the page's block, as Redis takes them. */
function documentedUser(): { readonly name: string; readonly password: string; readonly rules: readonly string[] } {
  const { blocks } = readDocument('docs/settings.md');
  const block = blocks.find(({ lines }) => lines[0]?.startsWith('redis-cli ACL SETUSER'));
  const [, , , name = '', ...rules] = (block?.lines ?? [])
    .join(' ')
    .replaceAll('\\', ' ')
    .replaceAll("'", '')
    .split(/\s+/);
  const password = rules.find((rule) => rule.startsWith('>'))?.slice(1) ?? '';
  return { name, password, rules };
}

const { name, password, rules } = documentedUser();

/** What it needs besides on the nodes of a Redis Cluster. */
function clusterRules(): readonly string[] {
  const [, sentence = ''] = /Redis Cluster\s+`([^`]+)`/.exec(readDocument('docs/settings.md').text) ?? [];
  return sentence.split(' ');
}
const allowed = rules.filter((rule) => rule.startsWith('+')).map((rule) => rule.slice(1));

async function redisWithUser(): Promise<{
  redis: OwnRedis;
  settings: { url: string; username: string; password: string };
}> {
  const redis = await OwnRedis.start();
  await redis.admin.call('ACL', 'SETUSER', name, ...rules);
  // Nobody comes in without a name and a password.
  await redis.admin.call('ACL', 'SETUSER', 'admin', 'on', 'nopass', '~*', '&*', '+@all');
  await redis.admin.call('CONFIG', 'RESETSTAT');
  return { redis, settings: { url: redis.socket, username: name, password } };
}

/** The commands that were called, `client|setname` for one with a second word. */
async function called(redis: OwnRedis): Promise<string[]> {
  const stats = await redis.admin.info('commandstats');
  return [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)]
    .filter(([, , calls]) => calls !== '0')
    .map(([, one = '']) => one);
}

async function refused(redis: OwnRedis): Promise<string[]> {
  const log = (await redis.admin.call('ACL', 'LOG')) as unknown[][];
  return log.map((entry) => entry.map(String).join(' '));
}

test('the documented user is allowed everything that a deployment does, and uses all that it is allowed', async () => {
  const { redis, settings } = await redisWithUser();
  const config = { redis: settings };
  const [here, there] = [await startServer({ config }), await startServer({ config })];
  const [ann, bob, cat] = [
    await arrived(here),
    await WsClient.connect(there.url),
    await TcpClient.connect(here.tcpPort),
  ];
  await bob.data('roomAdd', { room: 'kitchen' });
  await ann.ok('roomAdd', { room: 'kitchen' });
  await ann.say('hello', { room: 'kitchen', key: 'once' });
  await bob.say('and to you', { room: 'kitchen' });
  expect((await bob.heard.next()).message).toBe('hello');
  expect((await ann.ok('messages')).messages).toMatchObject([{ message: 'and to you' }]);
  await ann.ok('messages');
  await ann.ok('roomLeave', { room: 'kitchen' });
  cat.write('quit\r\n');
  await cat.finished;

  // What a whole day would bring, in a second.
  const store = await openRedisStore({
    redis: settings,
    prefix: 'earshot:',
    limits: { messageTTL: 0, maxLogLength: 2, logKeep: 60_000 },
    timing: { probe: 20, silence: 60 },
  });
  for (const text of ['a', 'b', 'c', 'd']) await tell(store, 'room:x', text);
  for (const client of ['c1', 'c2', 'c3', 'c4']) await enter(store, 'x', client);
  await enter(store, 'x', 'c5', { holders: [web(1)] });
  await enter(store, 'x', 'c6', { holders: [node('n2', 1)] });
  await eventually(async () => (await store.sweep('x')).length > 0);
  await store.release('x', 'c4', { node: 'n1' });
  await store.renewNode('n1', 60_000, ['x']);
  await store.renewWeb('x', ['c1'], 60_000);
  await store.membership('x', 'c1');
  await store.history('room:x', undefined, 5);
  await store.view('x', { limit: 5, sweep: true });
  await store.rooms();
  await store.writeClient('c1', { rooms: new Map([['x', null]]) }, { ttlMs: 60_000, create: true });
  await store.writeClient('c1', { rooms: new Map([['x', null]]) }, { ttlMs: 60_000, create: true });
  await store.renewClient('c1', 60_000);
  await store.deliver('c1', { from: 0, confirmed: new Map(), pending: new Map() }, 60_000);
  await store.removeClient('c1');
  await store.addRoom('kept');
  await store.emptyRoom('kept');
  await store.removeRoom('kept');
  await store.tally('says', { perSecond: 1, burst: 2 }, new Map([['c1', 1]]));
  await store.tally('says', { perSecond: 1, burst: 2 }, new Map([['c1', 1]]));
  await store.beat('n', '{}', 1);
  await eventually(async () => (await store.nodes()).length > 0 && (await store.nodes()).every((one) => one !== '{}'));
  await store.beat('n', '{}', 1);
  for (const topic of ['room:y', 'room:x'] as const) await store.follow(topic, deaf);
  store.unfollow('room:x', deaf);
  await redis.admin.srem('earshot:rooms', 'x');
  await redis.admin.sadd('earshot:rooms', 'gone');
  await eventually(async () => !(await redis.admin.sismember('earshot:rooms', 'gone')));
  await eventually(async () => (await called(redis)).includes('ping'));

  expect(await refused(redis)).toEqual([]);
  const admins = ['acl|log', 'acl|setuser', 'config|resetstat', 'sismember'];
  // Whoever has not said yet who it is may say that, whatever its rules are.
  const anybodys = ['hello', 'auth'];
  const used = (await called(redis)).filter((one) => ![...admins, ...anybodys].includes(one));
  expect(used.sort()).toEqual([...allowed].sort());
}, 30_000);

test('in a Redis Cluster it is allowed what it needs there as well, and uses all of that', async () => {
  const cluster = await ClusterDeployment.start();
  for (const { admin } of cluster.nodes) {
    await admin.call('ACL', 'SETUSER', name, ...rules, ...clusterRules());
    await admin.call('CONFIG', 'RESETSTAT');
  }
  const config = { redis: { ...cluster.address, username: name, password } };
  const [here, there] = [await startServer({ config }), await startServer({ config })];
  const [ann, bob] = [await arrived(here), await WsClient.connect(there.url)];
  for (const room of ['a', 'b', 'c', 'd', 'e', 'f']) {
    await ann.ok('roomAdd', { room });
    await bob.data('roomAdd', { room });
    await ann.say('hello', { room });
    expect((await bob.heard.next()).message).toBe('hello');
    await bob.data('roomLeave', { room });
  }
  // What is not of every day: somebody whose slot is on its way, and a room that nobody follows any more.
  const store = await openRedisStore({ redis: config.redis, prefix: 'earshot:' });
  await cluster.beginMoving('earshot:queue:{nobody}');
  const unused = async (): Promise<string[]> => {
    const used = new Set((await Promise.all(cluster.nodes.map(({ server }) => called(server)))).flat());
    return clusterRules().filter((rule) => !used.has(rule.slice(1)));
  };
  expect(await store.client('nobody')).toBeUndefined();
  await store.follow('room:a', deaf);
  store.unfollow('room:a', deaf);
  await eventually(async () => {
    if ((await unused()).length === 0) return true;
    // Which node a client asks where the slots are is chance, and only one is a replica, which is told READONLY.
    await openRedisStore({ redis: config.redis, prefix: 'earshot:' });
    return false;
  }).catch(async () => {
    expect(await unused()).toEqual([]);
  });
  expect((await Promise.all(cluster.nodes.map(({ server }) => refused(server)))).flat()).toEqual([]);
}, 30_000);

test('it can do nothing else: not read other keys, speak in other channels, look around or change the server', async () => {
  const { redis, settings } = await redisWithUser();
  await redis.admin.set('other:secret', 'x');
  const { url, username } = settings;
  const user = new Redis(url, { username, password });
  const attempts: readonly (readonly [string, ...string[]])[] = [
    ['GET', 'other:secret'],
    ['SET', 'other:secret', 'y'],
    ['UNLINK', 'other:secret'],
    ['PUBLISH', 'other:channel', 'x'],
    ['SUBSCRIBE', 'other:channel'],
    ['PSUBSCRIBE', '*'],
    ['EVAL', "return redis.call('GET', 'other:secret')", '0'],
    ['EVAL', "return redis.call('GET', KEYS[1])", '1', 'other:secret'],
    ['EVAL', "return redis.call('FLUSHALL')", '0'],
    ['KEYS', '*'],
    ['SCAN', '0'],
    ['FLUSHALL'],
    ['FLUSHDB'],
    ['CONFIG', 'GET', '*'],
    ['CONFIG', 'SET', 'dir', '/tmp'],
    ['MODULE', 'LIST'],
    ['ACL', 'LIST'],
    ['CLIENT', 'LIST'],
    ['CLIENT', 'KILL', 'ID', '1'],
    ['MONITOR'],
    ['SHUTDOWN', 'NOSAVE'],
    ['REPLICAOF', 'NO', 'ONE'],
    ['SCRIPT', 'FLUSH'],
    ['FUNCTION', 'LIST'],
    ['SAVE'],
    ['SELECT', '1'],
    ['MIGRATE', '127.0.0.1', '1', 'earshot:x', '0', '1'],
    ['RESTORE', 'earshot:x', '0', 'x'],
  ];
  const outcomes = await Promise.all(
    attempts.map(async ([command, ...parameters]) => [
      [command, ...parameters].join(' '),
      await user.call(command, ...parameters).then(
        () => 'done',
        (error: unknown) =>
          /^(NOPERM|ERR The user executing the script can't)/.test((error as Error).message) ||
          (error as Error).message,
      ),
    ]),
  );
  user.disconnect();
  expect(outcomes.filter(([, outcome]) => outcome !== true)).toEqual([]);
  expect(await redis.admin.get('other:secret')).toBe('x');
});

describe('announcements by somebody else in the same Redis', () => {
  let eve: Redis;
  beforeEach(() => {
    eve = new Redis(sharedRedis());
  });
  afterEach(() => {
    eve.disconnect();
  });

  /** Ann has said something to Bob, and Eve has seen it announced: she can go on from there as a node would. */
  async function eavesdropped(wakeOnly: boolean): Promise<{
    say: (words: string) => Promise<unknown>;
    bob: WsClient;
    poller: Awaited<ReturnType<typeof arrived>>;
    channel: string;
    prefix: string;
    forged: string;
  }> {
    const prefix = freshPrefix();
    const config = { redis: { url: sharedRedis(), prefix, wakeOnly } };
    const [here, there] = [await startServer({ config }), await startServer({ config })];
    const [ann, bob] = [await WsClient.connect(here.url), await WsClient.connect(there.url)];
    const poller = await arrived(there);
    const channel = `${prefix}{room:defaultRoom}:log`;
    const heard = new Promise<string>((resolve) => {
      eve.once('message', (_channel: string, text: string) => resolve(text));
    });
    await eve.subscribe(channel);
    await ann.data('say', { message: 'genuine' });
    expect((await bob.heard.next()).message).toBe('genuine');
    const [version = '', id = '', , ...rest] = (await heard).split('\n');
    await eve.unsubscribe();
    const [ms = '', seq = ''] = id.split('-');
    const next = `${ms}-${Number(seq) + 1}`;
    const forged = [version, next, id, ...rest].join('\n').replace('genuine', 'forged');
    return { say: (words) => ann.data('say', { message: words }), bob, poller, channel, prefix, forged };
  }

  test('with redis.wakeOnly nothing of what they say is heard, and what is really said is', async () => {
    const { say, bob, poller, channel, prefix, forged } = await eavesdropped(true);
    const lies = [
      forged,
      forged.replace('1\n', '2\n'),
      forged.replace(/"from":"[^"]*"/, '"from":"somebody"'),
      'rubbish',
      '1\nchanged\n999999999999999',
      '1\nmoved',
    ];
    for (const lie of lies) {
      await eve.publish(channel, lie);
      await eve.publish(channel.replace(/log$/, 'presence'), lie);
      await eve.publish(`${prefix}mail:{${bob.id}}`, lie);
      await eve.publish(`${prefix}queue:{${bob.id}}`, lie);
    }
    await eve.publish(channel, forged.replace('forged', 'x'.repeat(4 * 1024 * 1024)));
    await say('true');
    expect(await bob.heard.next()).toMatchObject({ message: 'true' });
    await bob.data('roomAdd', { room: 'kitchen' });
    await say('and another');
    expect(await bob.heard.next()).toMatchObject({ message: 'and another' });
    expect(bob.heard.all.map(({ message }) => message)).toEqual(['genuine', 'true', 'and another']);
    const { messages, gaps } = await poller.ok('messages');
    expect(gaps).toBeUndefined();
    expect((messages as { message: string }[]).map(({ message }) => message)).toEqual([
      'genuine',
      'true',
      'and another',
    ]);
  });

  test('without it a node believes who may publish as it does itself', async () => {
    const { bob, channel, forged } = await eavesdropped(false);
    await eve.publish(channel, forged);
    expect(await bob.heard.next()).toMatchObject({ message: 'forged' });
  });
});
