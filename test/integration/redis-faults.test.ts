/** What the Redis store says and keeps when Redis, or the way to it, breaks. */
import { ChatError } from '../../src/protocol/errors';
import { Ear, enter, tell, texts, told } from '../contract/store/given';
import { eventually } from '../support/eventually';
import { KeptLog } from '../support/logger';
import { closeProxies, FaultProxy } from '../support/proxy';
import { freshPrefix, keysUnder, OwnRedis, sharedRedis, stopOwnRedis } from '../support/redis';
import { closeStores, newRedisStore, openRedisStore } from '../support/stores';

afterEach(async () => {
  await closeStores();
  await closeProxies();
  await stopOwnRedis();
});

/** The code that a call is refused with. */
async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    return `answered ${JSON.stringify(await call)}`;
  } catch (error) {
    return error instanceof ChatError ? error.code : String(error);
  }
}

/** What was asked before is written. */
function afterItsTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

describe('a broken way to Redis', () => {
  test('what was done and not heard of is done once', async () => {
    const proxy = await FaultProxy.to(sharedRedis());
    const prefix = freshPrefix();
    const store = await openRedisStore({ prefix, redis: { url: proxy.url } });
    const witness = await openRedisStore({ prefix });
    await told(store, 'room:x', 'a');
    proxy.deafen();
    const saying = tell(store, 'room:x', 'b');
    await eventually(async () => (await texts(witness, 'room:x')).length === 2);
    proxy.heal();
    proxy.cut();
    const { entries } = await witness.read('room:x', '0-0', 10);
    expect(await saying).toEqual({ outcome: 'repeated', id: entries[1]?.id });
    expect(await texts(witness, 'room:x')).toEqual(['a', 'b']);
  });

  test('what was never heard of is unknown, unless it was only asked', async () => {
    const proxy = await FaultProxy.to(sharedRedis());
    const store = await openRedisStore({ redis: { url: proxy.url }, timing: { call: 150 } });
    // Whose one call takes as long as all of the other's would, one after the other.
    const patient = await openRedisStore({ redis: { url: proxy.url }, timing: { call: 450 } });
    await told(store, 'room:x', 'a');
    proxy.deafen();
    const calls = [
      tell(store, 'room:x', 'b'),
      enter(store, 'x', 'c1'),
      store.read('room:x', '0-0', 10),
      store.client('c1'),
    ];
    const codes = Promise.all(calls.map(refusal));
    const last = refusal(patient.client('c1'));
    expect(await Promise.race([codes, last])).toEqual([
      'outcome_unknown',
      'outcome_unknown',
      'store_unavailable',
      'store_unavailable',
    ]);
    expect(await last).toBe('store_unavailable');
  });

  test('a call waits for a link, and nothing was done when there is none', async () => {
    const proxy = await FaultProxy.to(sharedRedis());
    const prefix = freshPrefix();
    const store = await openRedisStore({ prefix, redis: { url: proxy.url }, timing: { call: 2000 } });
    proxy.down();
    await eventually(async () => !(await store.health()).ready);
    expect((await store.health()).reason).toMatch(/^no link to Redis/);
    const refused = [tell(store, 'room:x', 'a'), store.follow('room:x', new Ear())].map(refusal);
    expect(await Promise.all(refused)).toEqual(['store_unavailable', 'store_unavailable']);
    const saying = told(store, 'room:x', 'b');
    proxy.heal();
    await saying;
    expect(await texts(store, 'room:x')).toEqual(['b']);
    await eventually(async () => (await store.health()).ready);
  });

  test('links that are cut again and again lose and double nothing', async () => {
    const proxy = await FaultProxy.to(sharedRedis());
    const store = await openRedisStore({ redis: { url: proxy.url } });
    const ids: string[] = [];
    const inOrder: string[] = [];
    for (let round = 0; round < 5; round += 1) {
      for (let index = 0; index < 20; index += 1) inOrder.push(`${round}:${index}`);
      const all = Array.from({ length: 20 }, (_, index) => tell(store, 'room:x', `${round}:${index}`));
      setTimeout(() => proxy.cut(), round);
      for (const said of await Promise.all(all)) if ('id' in said) ids.push(said.id);
    }
    const { entries } = await store.read('room:x', '0-0', 1000);
    expect(entries.map(({ id }) => id)).toEqual(
      [...ids].sort((a, b) => Number(a.split('-')[1]) - Number(b.split('-')[1])),
    );
    expect(entries.map(({ data }) => data)).toEqual(inOrder);
  });

  test('followers read again after the link was lost, and hear what comes then', async () => {
    const proxy = await FaultProxy.to(sharedRedis());
    const logger = new KeptLog();
    const store = await openRedisStore({ redis: { url: proxy.url }, logger });
    const ears = [new Ear(), new Ear()];
    for (const [index, ear] of ears.entries()) await store.follow(`room:r${index}`, ear);
    const ended = new Ear();
    await store.follow('room:ended', ended);
    store.unfollow('room:ended', ended);
    proxy.cut();
    await eventually(() => ears.every(({ stales }) => stales === 1));
    await told(store, 'room:r0', 'a');
    await eventually(() => ears[0]!.texts.length === 1);
    const linkLines = logger.lines
      .filter(({ level }) => level !== 'debug')
      .map(({ level, text }) => `${level} ${text}`);
    // Two links, of commands and of announcements.
    expect(linkLines.sort()).toEqual([
      'info the link to Redis is back',
      'info the link to Redis is back',
      'warn the link to Redis is lost',
      'warn the link to Redis is lost',
    ]);
  });

  test('a way that swallows everything is found out, told, and left', async () => {
    const proxy = await FaultProxy.to(sharedRedis());
    const store = await openRedisStore({ redis: { url: proxy.url }, timing: { call: 200, probe: 40, silence: 120 } });
    const ear = new Ear();
    await store.follow('room:x', ear);
    proxy.halfOpen();
    await eventually(async () => !(await store.health()).ready);
    proxy.heal();
    await eventually(async () => (await store.health()).ready);
    await eventually(() => ear.stales > 0);
    await told(store, 'room:x', 'a');
    await eventually(() => ear.texts.length === 1);
  });

  test('a slow way is slow', async () => {
    const proxy = await FaultProxy.to(sharedRedis());
    const store = await openRedisStore({ redis: { url: proxy.url } });
    proxy.slow(50);
    await Promise.all(Array.from({ length: 10 }, (_, index) => told(store, 'room:x', String(index))));
    expect(await texts(store, 'room:x')).toHaveLength(10);
  });

  test('what waits behind a call that is not answered is not done, and is told so', async () => {
    const redis = await OwnRedis.start();
    const prefix = freshPrefix();
    const store = await openRedisStore({
      prefix,
      redis: { url: redis.socket },
      timing: { call: 300, silence: 60_000 },
    });
    await told(store, 'room:x', 'a');
    redis.pause();
    const written = refusal(tell(store, 'room:x', 'b'));
    await afterItsTurn();
    const waiting = Array.from({ length: 5 }, (_, nth) => refusal(tell(store, 'room:x', `c${String(nth)}`)));
    expect(await written).toBe('outcome_unknown');
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => 'store_unavailable'));
    const behindThem = refusal(tell(store, 'room:x', 'd'));
    redis.resume();
    expect(await behindThem).toMatch(/^answered/);
    expect(await texts(store, 'room:x')).toEqual(['a', 'b', 'd']);
  });

  test('what Redis refuses for a while is done when it does not, in its order, with what waited behind it', async () => {
    const redis = await OwnRedis.start();
    const store = await openRedisStore({ redis: { url: redis.socket } });
    await told(store, 'room:x', 'a');
    const numbers = Array.from({ length: 100 }, (_, nth) => String(nth));
    await redis.admin.config('SET', 'min-replicas-to-write', '1');
    const all = Promise.all(numbers.map((nth) => tell(store, 'room:x', nth)));
    await afterItsTurn();
    await redis.admin.config('SET', 'min-replicas-to-write', '0');
    await all;
    expect(await texts(store, 'room:x')).toEqual(['a', ...numbers]);
  });

  test('what a full Redis refuses is refused, each batch by itself', async () => {
    const redis = await OwnRedis.start();
    // Less than sixteen batches would take, if each waited for the next look at what is to be sent again.
    const store = await openRedisStore({ redis: { url: redis.socket }, timing: { call: 400 } });
    await told(store, 'room:x', 'a');
    await redis.admin.config('SET', 'maxmemory', '1');
    const refused = Array.from({ length: 1000 }, (_, nth) => refusal(tell(store, 'room:x', String(nth))));
    expect(await Promise.all(refused)).toEqual(refused.map(() => 'store_full'));
    await redis.admin.config('SET', 'maxmemory', '0');
    await told(store, 'room:x', 'b');
    expect(await texts(store, 'room:x')).toEqual(['a', 'b']);
  });

  test('closing waits for nothing', async () => {
    const redis = await OwnRedis.start();
    // Longer than this test may take: nothing ends it but the closing.
    const never = 120_000;
    const timing = { call: never, probe: never, silence: never };
    const store = await openRedisStore({ redis: { url: redis.socket }, timing });
    redis.pause();
    const saying = refusal(tell(store, 'room:x', 'a'));
    await afterItsTurn();
    const behindIt = refusal(tell(store, 'room:x', 'b'));
    const elsewhere = refusal(tell(store, 'room:y', 'c'));
    await store.close();
    expect(await saying).toBe('outcome_unknown');
    expect(await behindIt).toBe('store_unavailable');
    expect(await elsewhere).toBe('store_unavailable');
    expect(await refusal(tell(store, 'room:x', 'b'))).toBe('store_unavailable');
    expect(await store.health()).toEqual({ ready: false, reason: 'the store is closed' });
    await newRedisStore({}).close();
  });
});

describe('a broken Redis', () => {
  test('one that stands still leaves it unknown, and the key tells later', async () => {
    const redis = await OwnRedis.start();
    const store = await openRedisStore({ redis: { url: redis.socket }, timing: { call: 200 } });
    await told(store, 'room:x', 'a');
    redis.pause();
    expect(await refusal(tell(store, 'room:x', 'b', { key: 'k' }))).toBe('outcome_unknown');
    redis.resume();
    const said = await eventually(() => tell(store, 'room:x', 'b', { key: 'k' }).catch(() => undefined));
    const { entries } = await store.read('room:x', '0-0', 10);
    expect(said).toEqual({ outcome: 'repeated', id: entries[1]?.id });
    expect(entries.map(({ data }) => data)).toEqual(['a', 'b']);
  });

  test('one that is full refuses whole, and lets go all the same', async () => {
    const redis = await OwnRedis.start();
    const prefix = freshPrefix();
    const store = await openRedisStore({ prefix, redis: { url: redis.socket }, timing: { probe: 30 } });
    await enter(store, 'x', 'c1');
    const id = await told(store, 'room:x', 'a');
    await store.writeClient('c1', {}, { ttlMs: 60_000, create: true });
    const ear = new Ear();
    await store.follow('room:x', ear);
    const before = await keysUnder(redis.admin, prefix);
    await redis.admin.config('SET', 'maxmemory', '1mb');

    expect(await refusal(tell(store, 'room:x', 'b', { key: 'k' }))).toBe('store_full');
    expect(await refusal(enter(store, 'x', 'c2'))).toBe('store_full');
    expect(await refusal(store.writeClient('c1', { room: 'x' }, { ttlMs: 1000, create: true }))).toBe('store_full');
    expect(await keysUnder(redis.admin, prefix)).toEqual(before);
    await eventually(async () => (await store.health()).reason.includes('full'));

    expect((await store.read('room:x', '0-0', 10)).state?.last).toBe(id);
    expect(await store.renewNode('n1', 1000, ['x'])).toEqual([]);
    expect(await store.deliver('c1', { from: 0, confirmed: new Map(), pending: new Map() }, 1000)).toBe(1);
    expect(await store.view('x', { limit: 10, sweep: true })).toMatchObject({ membersCount: 1 });
    expect(await store.leave('x', 'c1')).toEqual({ client: 'c1', listening: false });

    await redis.admin.config('SET', 'maxmemory', '0');
    expect(await tell(store, 'room:x', 'b', { key: 'k' })).toMatchObject({ outcome: 'appended' });
    await eventually(async () => (await store.health()).ready);
    await eventually(() => ear.texts.length > 0);
    expect(ear.texts).toEqual(['b']);
  });

  test('one that comes back without its data is a new one', async () => {
    const redis = await OwnRedis.start();
    const store = await openRedisStore({ redis: { url: redis.socket } });
    const { since } = await store.secret('one');
    await enter(store, 'x', 'c1');
    await told(store, 'room:x', 'a');
    await redis.kill();
    const renewing = store.renewNode('n1', 1000, ['x']);
    await redis.start();
    expect(await renewing).toEqual(['x']);
    expect((await store.read('room:x', '0-0', 0)).state).toBeUndefined();
    const again = await store.secret('one');
    expect(again.since).toBeGreaterThan(since);
  });

  test('one that came back with its data goes on', async () => {
    const redis = await OwnRedis.start('--appendonly', 'yes', '--appendfsync', 'always');
    const store = await openRedisStore({ redis: { url: redis.socket } });
    const first = await told(store, 'room:x', 'a');
    await redis.kill();
    const saying = told(store, 'room:x', 'b');
    await redis.start();
    await saying;
    const { entries } = await store.read('room:x', '0-0', 10);
    expect(entries.map(({ data }) => data)).toEqual(['a', 'b']);
    expect(entries[1]?.prev).toBe(first);
  });

  test('with waitReplicas, what no replica has is unknown', async () => {
    const store = await openRedisStore({ waitReplicas: 1, timing: { call: 200 } });
    expect(await refusal(tell(store, 'room:x', 'a', { key: 'k' }))).toBe('outcome_unknown');
    expect(await texts(store, 'room:x')).toEqual(['a']);
  });
});
