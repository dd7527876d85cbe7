/** The Redis store as every store, and what an operator finds in Redis. */
import { Redis } from 'ioredis';
import { BEGINNING } from '../../src/protocol/entry-id';
import type { RedisStore } from '../../src/store/redis/redis-store';
import { storeContract } from '../contract/store';
import { Ear, enter, node, tell, texts, told, web } from '../contract/store/given';
import { eventually } from '../support/eventually';
import { KeptLog } from '../support/logger';
import { freshPrefix, keysUnder, OwnRedis, sharedRedis, stopOwnRedis } from '../support/redis';
import { closeStores, newRedisStore, openRedisStore, redisStore, usualLimits } from '../support/stores';

storeContract('RedisStore', redisStore);

describe('RedisStore in Redis', () => {
  let admin: Redis;
  beforeAll(() => {
    admin = new Redis(sharedRedis());
  });
  afterAll(() => admin.disconnect());
  afterEach(async () => {
    await closeStores();
    await stopOwnRedis();
  });

  /** Everything but what belongs to the deployment and to the node. */
  async function keysOf(prefix: string): Promise<string[]> {
    const keys = (await keysUnder(admin, prefix)).map((key) => key.slice(prefix.length));
    return keys.filter((key) => !/^(layout|rooms|probe:)/.test(key));
  }

  test("a room's keys are in one slot, and a client's in another", async () => {
    const prefix = freshPrefix();
    const store = await openRedisStore({ prefix });
    await enter(store, 'x', 'c1', { holders: [node('n1'), web()] });
    await tell(store, 'room:x', { data: 'a', speaker: 'c1' }, { key: 'c1:k' });
    await store.writeClient('c1', {}, { ttlMs: 1000, create: true });
    await tell(store, 'client:c1', 'a', { key: 'k' });
    expect(await keysOf(prefix)).toEqual([
      'mail:{c1}',
      'mail:{c1}:once:k',
      'queue:{c1}',
      ...['held', 'leases', 'log', 'log:once:c1:k', 'members', 'presence', 'roll', 'room', 'web'].map(
        (kind) => `{room:x}:${kind}`,
      ),
    ]);
    expect(await admin.smembers(`${prefix}rooms`)).toEqual(['x']);
  });

  test('the queue dies with its TTL, and the mail with it', async () => {
    const prefix = freshPrefix();
    const store = await openRedisStore({ prefix });
    await store.writeClient('c1', {}, { ttlMs: 5000, create: true });
    await told(store, 'client:c1', 'a');
    for (const key of ['queue:{c1}', 'mail:{c1}']) {
      const left = await admin.pttl(prefix + key);
      expect(left).toBeGreaterThan(4000);
      expect(left).toBeLessThanOrEqual(5000);
    }
    await store.renewClient('c1', 60_000);
    for (const key of ['queue:{c1}', 'mail:{c1}']) expect(await admin.pttl(prefix + key)).toBeGreaterThan(50_000);
  });

  test('everything ends by itself', async () => {
    const prefix = freshPrefix();
    const store = await openRedisStore({
      prefix,
      limits: { messageTTL: 40, maxLogLength: 10, logKeep: 50 },
      timing: { probe: 20 },
    });
    await enter(store, 'x', 'c1', { holders: [node('n1', 60), web(60)] });
    await enter(store, 'x', 'c2', { holders: [web(10)], listening: true });
    await enter(store, 'y', 'c1', { holders: [] });
    await tell(store, 'room:x', 'a', { keyMs: 30 });
    await tell(store, 'presence:y', 'a', { keyMs: 30 });
    await store.writeClient('c1', {}, { ttlMs: 30, create: true });
    await tell(store, 'client:c1', 'a', { keyMs: 30 });
    await store.sweep('x');
    await eventually(async () => (await keysOf(prefix)).length === 0);
    await store.rooms();
    await eventually(async () => (await admin.scard(`${prefix}rooms`)) === 0);
  });

  test('a room that was made to stay has no end, its messages have', async () => {
    const prefix = freshPrefix();
    const store = await openRedisStore({ prefix });
    await enter(store, 'x', 'c1');
    await store.addRoom('x');
    await told(store, 'room:x', 'a');
    await store.renewNode('n1', 1000, ['x']);
    expect(await admin.pttl(`${prefix}{room:x}:room`)).toBe(-1);
    expect(await admin.pttl(`${prefix}{room:x}:members`)).toBe(-1);
    expect(await admin.pttl(`${prefix}{room:x}:log`)).toBeGreaterThan(0);
  });

  test('the list of rooms is repaired', async () => {
    const prefix = freshPrefix();
    const store = await openRedisStore({ prefix, timing: { probe: 20 } });
    await enter(store, 'x', 'c1');
    await admin.srem(`${prefix}rooms`, 'x');
    await admin.sadd(`${prefix}rooms`, 'gone');
    await store.renewNode('n1', 1000, ['x']);
    expect(await store.rooms()).toEqual(['x']);
    await eventually(async () => (await admin.smembers(`${prefix}rooms`)).join() === 'x');
  });

  test('large entries are read in pieces, each followed by the next', async () => {
    const store = await openRedisStore({});
    const said = Array.from({ length: 100 }, (_, nth) => `${nth} ${'x'.repeat(30_000)}`);
    for (const text of said) await told(store, 'room:x', text);
    const read: string[] = [];
    let pieces = 0;
    for (let after = BEGINNING; read.length < said.length; pieces += 1) {
      const { entries } = await store.read('room:x', after, 512);
      expect(entries.length).toBeLessThan(100);
      read.push(...entries.map(({ data }) => data));
      after = entries.at(-1)!.id;
    }
    expect(read).toEqual(said);
    expect(pieces).toBeGreaterThan(1);
    expect((await store.read('room:x', BEGINNING, 10)).entries).toHaveLength(10);
  });

  test('what is too old is not read, though no append has dropped it yet', async () => {
    const prefix = freshPrefix();
    const store = await openRedisStore({ prefix });
    await told(store, 'room:x', 'made');
    const [state, log] = [`${prefix}{room:x}:room`, `${prefix}{room:x}:log`];
    const old = Date.now() - 2 * usualLimits.messageTTL;
    const ids = [`${old}-1`, `${old}-2`, `${Date.now()}-3`];
    await admin.del(log);
    await admin.hset(state, 'born', `${old}-0`, 'last', ids[2] ?? '');
    for (const [index, id] of ids.entries()) await admin.xadd(log, id, 'p', ids[index - 1] ?? `${old}-0`, 'd', id);
    for (const after of [BEGINNING, `${old}-1`]) {
      expect((await store.read('room:x', after, 10)).entries.map(({ id }) => id)).toEqual([ids[2]]);
    }
    expect((await store.history('room:x', undefined, 10)).map(({ id }) => id)).toEqual([ids[2]]);
  });

  test('a clock of Redis that goes back holds no message up, and their order is kept', async () => {
    const prefix = freshPrefix();
    const store = await openRedisStore({ prefix });
    await told(store, 'room:x', 'made');
    const ahead = Date.now() + 3_600_000;
    const [state, log] = [`${prefix}{room:x}:room`, `${prefix}{room:x}:log`];
    await admin.xadd(log, `${ahead}-2`, 'p', `${ahead}-1`, 'd', 'before it went back');
    await admin.hset(state, 'last', `${ahead}-2`);
    expect([await told(store, 'room:x', 'a'), await told(store, 'room:x', 'b')]).toEqual([`${ahead}-3`, `${ahead}-4`]);
    expect(await texts(store, 'room:x', `${ahead}-2`)).toEqual(['a', 'b']);
  });

  test('what somebody else publishes is thrown away and counted', async () => {
    const prefix = freshPrefix();
    const store = await openRedisStore({ prefix });
    const id = await told(store, 'room:x', 'a');
    const ear = new Ear();
    await store.follow('room:x', ear);
    const garbage = [
      '',
      'x',
      '1',
      '1\n',
      '1\n5-1\n5-0',
      '1\n5-1\n5-0\n',
      '2\n5-1\n5-0\n\ndata',
      '1\n5-2\n5-0\n\nskips one',
      '1\n4-1\n5-0\n\ngoes back',
      '1\n5-1x\n5-0\n\nno id',
      '1\n5-1\n5-0\n{"speaker":1}\ndata',
      '1\n5-1\n5-0\n["a","b"]\ndata',
      '1\n5-1\n5-0\n["a","b",3]\ndata',
      '1\n5-1\n5-0\n[]\ndata',
      '1\nentries',
      '1\nentries\n',
      '1\nentries\n5-0',
      '1\nentries\n5-0\n5-1\n',
      '1\nentries\n5-0\n5-1\n\none\n5-2',
      '1\nentries\n5-0\n5-1\n\none\n5-3\n\nskips one',
      '1\nentries\n5-0\n5-1\n\none\n5-2\n[]\nno speaker',
      '1\nentries\n5-0\n5-1\n\none\n4-2\n\ngoes back',
      `1\nentries\n5-0${Array.from({ length: 65 }, (_, nth) => `\n5-${nth + 1}\n\ntoo many`).join('')}`,
      '1\nchanged\n-1',
      '1\nchanged\n1e3',
      `1\n5-1\n5-0\n\n${'m'.repeat(5_000_000)}`,
    ];
    for (const text of garbage) await admin.publish(`${prefix}{room:x}:log`, text);
    await told(store, 'room:x', 'b');
    await eventually(() => ear.texts.length > 0);
    expect(ear.texts).toEqual(['b']);
    expect(ear.entries[0]?.prev).toBe(id);
    expect([ear.stales, ear.versions]).toEqual([0, []]);
    expect(store.figures.malformed).toBe(garbage.length);
  });

  test('what is said in one room at once is one script and one announcement', async () => {
    const redis = await OwnRedis.start();
    const store = await openRedisStore({ redis: { url: redis.socket } });
    const ear = new Ear();
    await store.follow('room:x', ear);
    await told(store, 'room:x', 'first');
    const count = async (command: string): Promise<number> =>
      Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await redis.admin.info('commandstats'))?.[1] ?? 0);
    const before = [await count('evalsha'), await count('publish'), await count('xadd')];
    const numbers = Array.from({ length: 60 }, (_, nth) => String(nth));
    await Promise.all(numbers.map((nth) => told(store, 'room:x', nth)));
    const after = [await count('evalsha'), await count('publish'), await count('xadd')];
    const [scripts = 0, published = 0, added] = after.map((calls, index) => calls - before[index]!);
    // The probe of the link may have come in between.
    expect(scripts).toBeLessThan(5);
    expect(published).toBeLessThan(5);
    expect(added).toBe(60);
    await eventually(() => ear.texts.length === 61);
    expect(ear.texts).toEqual(['first', ...numbers]);
  });

  const watches = new Set<Redis>();
  afterEach(() => {
    for (const watch of watches) watch.disconnect();
    watches.clear();
  });

  /** How many entries each script has from now on; those of other things have few. */
  async function lengthsOfScripts(redis: OwnRedis): Promise<number[]> {
    const lengths: number[] = [];
    const watch = await redis.admin.monitor();
    watches.add(watch);
    watch.on('monitor', (_time: string, [command, , keys]: string[]) => {
      if (command === 'evalsha' || command === 'eval') lengths.push(Number(keys) - 3);
    });
    return lengths;
  }

  test('no script has more than 64 entries, or much more than a quarter of a megabyte of them', async () => {
    const redis = await OwnRedis.start();
    const store = await openRedisStore({ redis: { url: redis.socket } });
    const lengths = await lengthsOfScripts(redis);
    await Promise.all(Array.from({ length: 150 }, (_, nth) => told(store, 'room:x', String(nth))));
    await eventually(() => lengths.filter((length) => length > 5).length === 3);
    expect(lengths.filter((length) => length > 5)).toEqual([64, 64, 22]);
    lengths.length = 0;
    await Promise.all(Array.from({ length: 12 }, (_, nth) => told(store, 'room:y', String(nth % 10).repeat(60_000))));
    await eventually(() => lengths.filter((length) => length === 4).length === 3);
    expect(await texts(store, 'room:y')).toHaveLength(12);
  });

  test('who is refused is refused for all that it has said since, and Redis is not asked again', async () => {
    const redis = await OwnRedis.start();
    const store = await openRedisStore({ redis: { url: redis.socket } });
    await enter(store, 'x', 'c1');
    const lengths = await lengthsOfScripts(redis);
    const hundred = Array.from({ length: 100 });
    const says = (room: string, create: boolean): Promise<unknown>[] =>
      hundred.map(() => tell(store, `room:${room}`, { data: 'a', speaker: 'c2' }, { member: 'c2', create }));
    expect(await Promise.all(says('x', true))).toEqual(hundred.map(() => ({ outcome: 'not_member' })));
    expect(await Promise.all(says('none', false))).toEqual(hundred.map(() => ({ outcome: 'no_log' })));
    await told(store, 'room:x', 'b');
    await eventually(() => lengths.at(-1) === 1);
    expect(lengths.filter((length) => length > 5)).toEqual([64, 64]);
  });

  test('who is refused is not let in by what is said behind it, when the room has lost its state', async () => {
    const prefix = freshPrefix();
    const store = await openRedisStore({ prefix });
    await enter(store, 'x', 'c1');
    await told(store, 'room:x', 'a');
    await admin.del(`${prefix}{room:x}:room`);
    const mine = (data: string) => tell(store, 'room:x', { data, speaker: 'c1' }, { member: 'c1', create: false });
    const answers = await Promise.all([mine('b'), tell(store, 'room:x', 'c'), mine('d')]);
    expect(answers.map(({ outcome }) => outcome)).toEqual(['no_log', 'appended', 'no_log']);
    expect(await texts(store, 'room:x')).toEqual(['c']);
  });

  test('what entries are matched by counts with them: all of them are announced', async () => {
    const store = await openRedisStore({});
    const ear = new Ear();
    await store.follow('room:x', ear);
    const match = { key: 'k', value: '\u0001'.repeat(16_000) };
    const says = Array.from({ length: 64 }, (_, nth) =>
      tell(store, 'room:x', { data: String(nth), speaker: '', match }),
    );
    await Promise.all(says);
    await eventually(() => ear.texts.length === 64);
    expect(store.figures.malformed).toBe(0);
  });

  test('announcements over another Redis only wake', async () => {
    const other = await OwnRedis.start();
    const prefix = freshPrefix();
    const options = { prefix, pubsub: { url: other.socket } };
    const [store, second] = [await openRedisStore(options), await openRedisStore(options)];
    const [ear, presence, own] = [new Ear(), new Ear(), new Ear()];
    await store.follow('room:x', ear);
    await store.follow('presence:x', presence);
    await store.follow('client:c1', own);
    await told(second, 'room:x', 'a');
    await enter(second, 'x', 'c1');
    const { version } = (await second.writeClient('c1', {}, { ttlMs: 1000, create: true }))!;
    await second.writeClient('c1', { room: 'x' }, { ttlMs: 1000, create: true });
    await eventually(() => ear.stales === 1 && presence.stales === 1 && own.versions.length > 0);
    expect(own.versions.at(-1)).toBe(version + 1);
    await other.admin.publish(`${prefix}{room:x}:log`, '1\n5-1\n5-0\n\nforged');
    await eventually(() => store.figures.malformed === 1);
    expect([ear.texts, presence.texts]).toEqual([[], []]);
    expect(await store.health()).toEqual({ ready: true, reason: '' });
  });

  test('what nodes take from one bucket is added up, and forgotten when it has flowed back', async () => {
    const prefix = freshPrefix();
    const [store, second] = [await openRedisStore({ prefix }), await openRedisStore({ prefix })];
    const limit = { perSecond: 10, burst: 20 };
    const now = async (): Promise<number> => {
      const [seconds = 0, micros = 0] = (await admin.time()).map(Number);
      return seconds * 1000 + micros / 1000;
    };
    const began = await now();
    const left = await store.tally('says', limit, new Map([['c1', 15], ['__proto__', 1]])); // prettier-ignore
    expect([...left.keys()]).toEqual(['c1', '__proto__']);
    expect(left.get('c1')).toBe(5);
    const after = (await second.tally('says', limit, new Map([['c1', 10]]))).get('c1')!;
    expect(after).toBeGreaterThanOrEqual(-5);
    // What has flowed back since then, and a millisecond at either end.
    expect(after).toBeLessThanOrEqual(-5 + ((await now()) - began + 2) / 100);
    expect((await second.tally('joins', limit, new Map([['c1', 1]]))).get('c1')).toBe(19);
    const key = `${prefix}rates:{says}`;
    expect(await admin.pttl(key)).toBeLessThanOrEqual(2500);
    await eventually(async () => (await admin.zscore(key, '__proto__')) === null || (await admin.pttl(key)) < 2350);
    await second.tally('says', limit, new Map([['c2', 1]]));
    expect(await admin.zrange(key, '0', '-1')).toEqual(expect.arrayContaining(['c1', 'c2']));
    expect(await admin.zscore(key, '__proto__')).toBeNull();
  });

  describe('at the start', () => {
    const line = async (store: RedisStore): Promise<string> =>
      store.open().then(
        () => 'it opened',
        (error: unknown) => (error as Error).message,
      );

    test('an unreachable Redis is told in one line, without its password', async () => {
      const url = 'redis://me:topsecret@127.0.0.1:1/0';
      const told = await line(newRedisStore({ redis: { url }, timing: { open: 150 } }));
      expect(told).toMatch(
        /^cannot reach Redis at redis:\/\/\*\*\*@127\.0\.0\.1:1\/0: connect ECONNREFUSED .*\(tried for 0\.15 s\)$/,
      );
      const cluster = { nodes: ['redis://me:topsecret@127.0.0.1:1', '127.0.0.1:2'] };
      const toldOfCluster = await line(newRedisStore({ redis: cluster, timing: { open: 150 } }));
      expect(toldOfCluster).toMatch(
        /^cannot reach Redis at the cluster of redis:\/\/\*\*\*@127\.0\.0\.1:1, 127\.0\.0\.1:2: /,
      );
    });

    test('a wrong password is told at once', async () => {
      const redis = await OwnRedis.start('--requirepass', 'right');
      const options = { url: redis.socket, password: 'wrong' };
      expect(await line(newRedisStore({ redis: options }))).toMatch(/^cannot reach Redis at .*: WRONGPASS/);
      const store = await openRedisStore({ redis: { ...options, password: 'right' } });
      expect(await store.health()).toMatchObject({ ready: true });
    });

    test('a layout of another version is left alone', async () => {
      const prefix = freshPrefix();
      await admin.set(`${prefix}layout`, '1');
      expect(await line(newRedisStore({ prefix }))).toMatch(/^Redis holds layout 1 .* take another prefix$/);
      await admin.del(`${prefix}layout`);
    });

    test('nodes of two versions share a layout: what the later one adds is passed over by the other', async () => {
      const prefix = freshPrefix();
      const store = await openRedisStore({ prefix });
      const first = await told(store, 'room:x', 'a');
      const ear = new Ear();
      await store.follow('room:x', ear);
      const [ms = ''] = first.split('-');
      const [state, log] = [`${prefix}{room:x}:room`, `${prefix}{room:x}:log`];
      await admin.xadd(log, `${ms}-2`, 'p', first, 'd', 'b', 'z', 'of a later version');
      await admin.hset(state, 'last', `${ms}-2`, 'z', 'of a later version');
      await admin.publish(log, `1\nsomething else\n${ms}-2`);
      await told(store, 'room:x', 'c');
      await eventually(() => ear.texts.length > 0);
      expect(ear.texts).toEqual(['c']);
      expect(await texts(store, 'room:x')).toEqual(['a', 'b', 'c']);

      const change = { room: 'x', attributes: new Map([['name', 'Ann']]) };
      await store.writeClient('c1', change, { ttlMs: 60_000, create: true });
      const before = await store.client('c1');
      await admin.hset(`${prefix}queue:{c1}`, 'z', 'of a later version', 'z:x', 'and this');
      expect(await store.client('c1')).toEqual(before);
    });

    test('a Redis that may evict is warned of', async () => {
      const redis = await OwnRedis.start('--maxmemory-policy', 'allkeys-lru');
      const logger = new KeptLog();
      await openRedisStore({ redis: { url: redis.socket }, logger });
      expect(logger.lines.filter(({ level }) => level === 'warn')).toMatchObject([{ data: { policy: 'allkeys-lru' } }]);
    });
  });

  test('scripts that Redis has forgotten are given again', async () => {
    const store = await openRedisStore({ limits: usualLimits });
    await told(store, 'room:x', 'a');
    await admin.script('FLUSH');
    await Promise.all(['b', 'c', 'd'].map((data) => told(store, 'room:x', data)));
    expect(await texts(store, 'room:x')).toEqual(['a', 'b', 'c', 'd']);
  });
});
