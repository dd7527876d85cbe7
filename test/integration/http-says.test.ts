/** A say over HTTP that names its room: the room's roll decides, and the client's record is read only where that does not know it. */
import { z } from 'zod';
import { Redis } from 'ioredis';
import { defineAction, type ChatMiddleware } from '../../src/kit';
import { MemoryStore } from '../../src/store/memory-store';
import { arrived, connected, cookieSet, HttpClient, refusal } from '../support/http-client';
import { eventually } from '../support/eventually';
import { deployments } from '../support/nodes';
import { freshPrefix, keysUnder, OwnRedis, sharedRedis, stopOwnRedis } from '../support/redis';
import { startServer } from '../support/server';

afterEach(stopOwnRedis);
afterEach(() => jest.restoreAllMocks());

/** Of which records were read from now on. */
function recordsRead(): string[] {
  const read: string[] = [];
  const { client } = MemoryStore.prototype;
  jest.spyOn(MemoryStore.prototype, 'client').mockImplementation(function (this: MemoryStore, id) {
    read.push(id);
    return client.call(this, id);
  });
  return read;
}

test('it is one script, and Redis is asked for nothing else', async () => {
  const redis = await OwnRedis.start();
  const { url } = await startServer({ config: { redis: { url: redis.socket, prefix: 'e:' } } });
  const clients = [await connected({ url }), await arrived({ url })];
  for (const client of clients) {
    await client.post('roomAdd', { room: 'x' });
    await client.say('warm', { room: 'x' });
  }
  const counted = async (): Promise<Map<string, number>> =>
    new Map(
      [...(await redis.admin.info('commandstats')).matchAll(/cmdstat_(\w+):calls=(\d+)/g)].map(
        ([, command = '', calls]) => [command, Number(calls)],
      ),
    );
  const before = await counted();
  for (let nth = 0; nth < 20; nth += 1) for (const client of clients) await client.say(String(nth), { room: 'x' });
  const after = await counted();
  const asked = (command: string): number => (after.get(command) ?? 0) - (before.get(command) ?? 0);
  expect(asked('hgetall')).toBe(0);
  expect(asked('xadd')).toBe(40);
  // A round of the leases, and the probe of the link, may have come in between.
  expect(asked('evalsha')).toBeLessThan(45);
});

test('what names no room goes by the record, which may have been changed on another node', async () => {
  const { url } = await startServer();
  const client = await connected({ url });
  await client.say('warm');
  const read = recordsRead();
  await client.say('here', { room: 'defaultRoom' });
  expect(read).toEqual([]);
  await client.say('there');
  expect(read).toHaveLength(1);
});

test('who only says things is renewed when it is time', async () => {
  const { url } = await startServer({ config: { commonWeb: { httpClientMessageTTL: 400 } } });
  const client = await connected({ url });
  await client.say('warm', { room: 'defaultRoom' });
  const renewed = jest.spyOn(MemoryStore.prototype, 'renewClient');
  await eventually(async () => {
    await client.say('again', { room: 'defaultRoom' });
    return renewed.mock.calls.length === 2;
  });
  expect(renewed.mock.calls.map(([id]) => id)).toEqual([await client.id(), await client.id()]);
});

test.each([
  [
    'a token that only looks like ours',
    {},
    (cookie: string) => ({ Cookie: cookie, Authorization: `Bearer ${'A'.repeat(60)}` }),
  ],
  [
    'a cookie on a page of any site',
    { allowedOrigins: ['*'] },
    (cookie: string) => ({ Cookie: cookie, Origin: 'https://any.example' }),
  ],
])('%s speaks for nobody', async (_what, commonWeb, headersWith) => {
  const server = await startServer({ config: { commonWeb } });
  const [client, hearer] = [await arrived(server), await arrived(server)];
  for (let nth = 0; nth < 2; nth += 1) await client.say('warm', { room: 'defaultRoom' });
  await hearer.ok('messages');
  const stranger = new HttpClient(server.url);
  stranger.headers = headersWith(`sessionID=${client.cookies.get('sessionID')!}`);
  await stranger.post('say', { room: 'defaultRoom', message: 'not mine' });
  await client.say('mine', { room: 'defaultRoom' });
  const heard = (await hearer.ok('messages')).messages as { message: string; from: string }[];
  expect(heard.filter(({ from }) => from === client.is).map(({ message }) => message)).toEqual(['mine']);
});

describe.each(deployments)('on $where', ({ start }) => {
  test('who has come in or gone, on whatever node, is heard or refused', async () => {
    const { here, there } = await start();
    const client = await connected(here);
    const say = (url: string): Promise<[number, unknown]> => {
      client.url = url;
      return client.post('say', { room: 'x', message: 'hello' }).then(({ status, body }) => [status, body.code]);
    };
    const move = async (url: string, method: string): Promise<void> => {
      client.url = url;
      expect(await client.post(method, { room: 'x' })).toMatchObject({ status: 200 });
    };
    // Both nodes have seen it.
    expect(await say(here.url)).toEqual([404, 'room_not_found']);
    expect(await say(there.url)).toEqual([404, 'room_not_found']);
    for (const [one, other] of [
      [here.url, there.url],
      [there.url, here.url],
    ] as const) {
      await move(one, 'roomAdd');
      expect(await say(other)).toEqual([200, undefined]);
      expect(await say(one)).toEqual([200, undefined]);
      await move(one, 'roomLeave');
      expect(await say(other)).toEqual([403, 'not_in_room']);
      expect(await say(one)).toEqual([403, 'not_in_room']);
      await move(one, 'listenToRoom');
      expect(await say(other)).toEqual([403, 'not_in_room']);
      await move(one, 'silenceRoom');
    }
  });

  test('a key says it once, and is answered also where its client has left meanwhile', async () => {
    const { here, there } = await start();
    const client = await connected(here);
    await client.post('roomAdd', { room: 'x' });
    await client.say('warm', { room: 'x' });
    const first = await client.say('once', { room: 'x', key: 'k' });
    client.url = there.url;
    expect(await client.say('once', { room: 'x', key: 'k' })).toEqual(first);
    client.url = here.url;
    await client.post('roomLeave', { room: 'x' });
    expect(await client.say('once', { room: 'x', key: 'k' })).toEqual(first);
    expect(await client.post('say', { room: 'x', message: 'twice', key: 'l' })).toMatchObject({ status: 403 });
  });

  test('a receive hook sees who speaks, with its rooms and attributes', async () => {
    const seen: unknown[] = [];
    const hook: ChatMiddleware = {
      name: 'sees',
      onSayReceive: (connection, _room, payload) => {
        seen.push([connection.rooms, connection['mood']]);
        return payload;
      },
    };
    const mood = defineAction({
      name: 'mood',
      description: 'sets an attribute',
      inputs: z.object({}),
      run: ({ connection }) => {
        connection['mood'] = 'good';
        return {};
      },
    });
    const { here } = await start({ middleware: [hook], actions: [mood] });
    const client = await connected(here);
    await client.request('POST', '/api/mood', {});
    for (let nth = 0; nth < 2; nth += 1) await client.say('hello', { room: 'defaultRoom' });
    expect(seen).toEqual(Array.from({ length: 2 }, () => [['defaultRoom'], 'good']));
  });
});

describe('when the store has lost what it knew', () => {
  let admin: Redis;
  beforeEach(() => {
    admin = new Redis(sharedRedis());
  });
  afterEach(() => {
    admin.disconnect();
  });

  async function lose(pattern: string): Promise<void> {
    const keys = await keysUnder(admin, pattern);
    expect(keys).not.toEqual([]);
    await admin.del(...keys);
  }

  /** A client that has said something in x, and how the store's keys begin. */
  async function spoken(): Promise<{ readonly client: HttpClient; readonly is: string; readonly prefix: string }> {
    const prefix = freshPrefix();
    const client = await arrived(await startServer({ config: { redis: { url: sharedRedis(), prefix } } }));
    await client.post('roomAdd', { room: 'x' });
    await client.say('before', { room: 'x' });
    return { client, is: client.is, prefix };
  }

  test('a room that is gone is made anew, and what was said is in there once', async () => {
    const { client, prefix } = await spoken();
    await lose(`${prefix}{room:x}`);
    expect(await client.say('after', { room: 'x' })).toMatchObject({ status: 'OK' });
    expect(await admin.xlen(`${prefix}{room:x}:log`)).toBe(1);
  });

  test('a client whose record is gone with its room is known by its cookie, and given new ones', async () => {
    const { client, is, prefix } = await spoken();
    await lose(prefix);
    const answer = await client.post('say', { room: 'x', message: 'after' });
    expect(refusal(answer).slice(0, 2)).toEqual([404, 'room_not_found']);
    expect(cookieSet(answer, 'chatAck')).toBeDefined();
    expect(await client.id()).toBe(is);
  });
});

test('what is refused at first is counted once', async () => {
  // Three at once, of 80 bytes together.
  const { url } = await startServer({ config: { limits: { saysPerSecond: 1.5, bytesPerSecondPerAddress: 10 } } });
  const client = await connected({ url });
  await client.say('warm', { room: 'defaultRoom' });
  const spoken = await client.post('say', { room: 'nowhere', message: 'm'.repeat(40) });
  expect(refusal(spoken).slice(0, 2)).toEqual([404, 'room_not_found']);
  expect(await client.say('m'.repeat(30), { room: 'defaultRoom' })).toMatchObject({ status: 'OK' });
  expect(await client.post('say', { room: 'defaultRoom', message: 'm' })).toMatchObject({ status: 429 });
});
