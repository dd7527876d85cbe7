/** What a socket says in one breath: stored together, heard and answered one after the other. */
import { Redis } from 'ioredis';
import type { ChatMiddleware } from '../../src/kit';
import { MemoryStore } from '../../src/store/memory-store';
import { Conversation } from '../../src/transports/conversation';
import { WsClient } from '../support/clients';
import { collect } from '../support/collected';
import { deployments } from '../support/nodes';
import { eventually } from '../support/eventually';
import { stillness } from '../support/inbox';
import { freshPrefix, keysUnder, OwnRedis, sharedRedis, stopOwnRedis } from '../support/redis';
import { startServer } from '../support/server';

afterEach(stopOwnRedis);

const numbers = (count: number): string[] => Array.from({ length: count }, (_, nth) => String(nth));

describe.each(deployments)('on $where', ({ start }) => {
  test('it is heard and answered in the order in which it was said', async () => {
    const { here, there } = await start();
    const [ann, bob] = [await WsClient.connect(here.url), await WsClient.connect(there.url)];
    for (const message of numbers(200)) ann.send({ event: 'say', message });
    const heard = await bob.heard.take(200);
    expect(heard.map(({ message }) => message)).toEqual(numbers(200));
    const answers = await ann.responses.take(200);
    expect(answers.map(({ messageCount }) => messageCount)).toEqual(numbers(200).map((nth) => Number(nth) + 1));
    expect(answers.map(({ data }) => data.id)).toEqual(heard.map(({ id }) => id));
  });

  test('what is asked in between takes effect in between, and what is refused is answered in its place', async () => {
    const { here, there } = await start();
    const [ann, bob] = [await WsClient.connect(here.url), await WsClient.connect(there.url)];
    for (const room of ['x', 'y']) for (const who of [ann, bob]) await who.data('roomAdd', { room });
    ann.send({ event: 'say', room: 'x', message: 'a' });
    ann.send({ event: 'say', room: 'x' });
    ann.send({ event: 'say', room: 'x', message: 'b' });
    ann.send({ event: 'say', room: 'y', message: 'c' });
    ann.send({ event: 'say', room: 'x', message: 'd' });
    ann.send({ event: 'roomLeave', room: 'x' });
    ann.send({ event: 'say', room: 'x', message: 'e' });
    ann.send({ event: 'say', room: 'nowhere', message: 'f' });
    ann.send({ event: 'say', room: 'y', message: 'g' });
    const answers = await ann.responses.take(9);
    expect(answers.map(({ status, code }) => code ?? status)).toEqual([
      'OK',
      'room_and_message_required',
      'OK',
      'OK',
      'OK',
      'OK',
      'not_in_room',
      'not_in_room',
      'OK',
    ]);
    expect(answers.map(({ messageCount }) => messageCount)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const heard = await bob.heard.take(5);
    const heardIn = (where: string): unknown[] =>
      heard.filter(({ room }) => room === where).map(({ message }) => message);
    expect([heardIn('x'), heardIn('y')]).toEqual([
      ['a', 'b', 'd'],
      ['c', 'g'],
    ]);
  });

  test('a hook that takes its time changes nothing of the order', async () => {
    const slow: ChatMiddleware = {
      name: 'slow at first',
      onSayReceive: async (_connection, _room, payload) => {
        await new Promise((resolve) => setTimeout(resolve, 20 - 4 * Number(payload.message)));
        return payload;
      },
    };
    const { here, there } = await start({ middleware: [slow] });
    const [ann, bob] = [await WsClient.connect(here.url), await WsClient.connect(there.url)];
    for (const message of numbers(5)) ann.send({ event: 'say', message });
    expect((await bob.heard.take(5)).map(({ message }) => message)).toEqual(numbers(5));
  });
});

test('who is put off by a hook says nothing more', async () => {
  const seen: unknown[] = [];
  const strict: ChatMiddleware = {
    name: 'strict',
    onSayReceive: async (connection, _room, payload) => {
      seen.push(payload.message);
      await new Promise(setImmediate);
      if (payload.message === '1') connection.destroy();
      return payload;
    },
  };
  const { url } = await startServer({ middleware: [strict] });
  const [ann, bob] = [await WsClient.connect(url), await WsClient.connect(url)];
  for (const message of numbers(20)) ann.send({ event: 'say', message });
  await ann.closed;
  await bob.say('last');
  expect(seen).toEqual(['0', '1', 'last']);
});

test('an answer that cannot be written as JSON is an error, and the socket goes on', async () => {
  const server = await startServer();
  server.api.chatRoom.sanitizeMemberDetails = ({ id }) => ({ id, large: 1n });
  const ann = await WsClient.connect(server.url);
  expect(await ann.ask('roomView')).toMatchObject({ code: 'internal' });
  expect(await ann.ask('detailsView')).toMatchObject({ status: 'OK' });
});

test('a turn has 32 says for one room at most, and 64 KB of them', async () => {
  const { url } = await startServer();
  const ann = await WsClient.connect(url);
  for (const room of ['x', 'y']) await ann.data('roomAdd', { room });
  const held: (() => void)[] = [];
  const append = jest.spyOn(MemoryStore.prototype, 'append').mockImplementation(
    () =>
      new Promise((resolve) => {
        held.push(() => resolve({ outcome: 'appended', id: '1-1' }));
      }),
  );
  try {
    const says = (room: string, count: number, message = 'a'): void => {
      for (let nth = 0; nth < count; nth += 1) ann.send({ event: 'say', room, message });
    };
    says('x', 1);
    await eventually(() => held.length === 1);
    // All of it is read while the first one is under way.
    says('x', 40);
    says('y', 3);
    says('x', 5, 'm'.repeat(16_000));
    await stillness();
    const turns: number[] = [];
    for (let answered = 0; answered < 49; answered = ann.responses.all.length - 2) {
      turns.push(held.length);
      for (const answer of held.splice(0)) answer();
      await ann.responses.take(turns.at(-1)!);
      await stillness();
    }
    expect(turns).toEqual([1, 32, 8, 3, 4, 1]);
  } finally {
    append.mockRestore();
  }
});

test('an idle socket keeps nothing of what it has said', async () => {
  const { receive } = Conversation.prototype;
  const requests: WeakRef<object>[] = [];
  Conversation.prototype.receive = function (request, messageCount, bytes) {
    requests.push(new WeakRef(request));
    receive.call(this, request, messageCount, bytes);
  };
  try {
    const { url } = await startServer();
    const ann = await WsClient.connect(url);
    for (const message of numbers(5)) ann.send({ event: 'say', message });
    await ann.responses.take(5);
    await eventually(() => {
      collect();
      return requests.length === 5 && requests.every((request) => request.deref() === undefined);
    });
  } finally {
    Conversation.prototype.receive = receive;
  }
});

test('who is refused as the store has lost the room comes back in, and has said all of it in its order', async () => {
  const prefix = freshPrefix();
  const { url } = await startServer({ config: { redis: { url: sharedRedis(), prefix } } });
  const ann = await WsClient.connect(url);
  await ann.data('roomAdd', { room: 'x' });
  await ann.data('say', { room: 'x', message: 'before' });
  const admin = new Redis(sharedRedis());
  try {
    await admin.del(...(await keysUnder(admin, `${prefix}{room:x}`)));
    for (const message of numbers(40)) ann.send({ event: 'say', room: 'x', message });
    const answers = await ann.responses.take(40);
    expect(answers.map(({ status }) => status)).toEqual(numbers(40).map(() => 'OK'));
    const log = await admin.xrange(`${prefix}{room:x}:log`, '-', '+');
    expect(log.map(([, [, , , data]]) => (JSON.parse(`${data!}}`) as { message: string }).message)).toEqual(
      numbers(40),
    );
  } finally {
    admin.disconnect();
  }
});

test('Redis is asked a few times for a hundred says in a room, of whatever socket', async () => {
  const redis = await OwnRedis.start();
  const { url } = await startServer({ config: { redis: { url: redis.socket, prefix: 'e:' } } });
  const speakers = await Promise.all(numbers(4).map(() => WsClient.connect(url)));
  await Promise.all(speakers.map((who) => who.data('say', { message: 'warm' })));
  const scripts = async (): Promise<number> =>
    Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.admin.info('commandstats'))?.[1]);
  const before = await scripts();
  for (const who of speakers) for (const message of numbers(25)) who.send({ event: 'say', message });
  await Promise.all(speakers.map((who) => who.responses.take(25)));
  // A round of the lease, and of the probe, may have come in between.
  expect((await scripts()) - before).toBeLessThan(20);
});
