/** Peers that do not read, or read slowly: the server stops, waits, gives up, and nobody loses a message by it. */
import { createConnection, type Socket } from 'node:net';
import { Feed } from '../../src/core/feed';
import { Page } from '../../src/core/page';
import { HurriedClock } from '../support/hurried-clock';
import { connected } from '../support/http-client';
import { startServer, type ServerUnderTest } from '../support/server';
import { eventually } from '../support/eventually';
import { TcpClient, WsClient, type Parsed } from '../support/clients';
import type { SettingsInput } from '../../src/config';

/** More than the kernel takes for a peer that does not read. */
const COUNT = 750;
const words = 'x'.repeat(16_000);

const numbers = (from: number): number[] => Array.from({ length: COUNT - from }, (_, nth) => from + nth);
const numberOf = ({ message }: Parsed): number => parseInt(message as string, 10);

type Client = WsClient | TcpClient;

interface Kind {
  readonly name: string;
  connect(server: ServerUnderTest): Promise<{ readonly client: Client; readonly socket: Socket }>;
}

const kinds: readonly Kind[] = [
  {
    name: 'WebSocket',
    connect: async ({ url, port }) => {
      const socket = createConnection({ port, host: '127.0.0.1' });
      return { client: await WsClient.connect(url, '/chat/', { createConnection: () => socket }), socket };
    },
  },
  {
    name: 'TCP',
    connect: async ({ tcpPort }) => {
      const client = await TcpClient.connect(tcpPort);
      return { client, socket: client.socket };
    },
  },
];

function start(limits: SettingsInput['limits'], reconnectGrace = 5000): Promise<ServerUnderTest> {
  return startServer({ config: { limits, general: { reconnectGrace } } });
}

/** All of it, in the room's log. */
async function sayAll(server: ServerUnderTest): Promise<void> {
  const ann = await WsClient.connect(server.url);
  for (let nth = 0; nth < COUNT; nth += 1) ann.send({ event: 'say', message: `${nth} ${words}` });
  await ann.responses.take(COUNT);
}

describe.each(kinds)('a $name peer', ({ name, connect }) => {
  test('that stops reading is waited for, and goes on where it was', async () => {
    const server = await start({ bufferSoft: 20_000, stuck: 0 });
    const { client, socket } = await connect(server);
    socket.pause();
    await sayAll(server);
    socket.resume();
    expect((await client.heard.take(COUNT)).map(numberOf)).toEqual(numbers(0));
    expect(client.others.all).toEqual([]);
  });

  test('that takes nothing for too long is cut off, and loses nothing by it', async () => {
    const server = await start({ bufferSoft: 20_000, stuck: 200 }, 0);
    const { client, socket } = await connect(server);
    const { id, session } = client;
    const { cursor } = await client.data('detailsView');
    const deaf = await connect(server);
    for (const peer of [socket, deaf.socket]) peer.pause();
    await sayAll(server);
    await eventually(async () => {
      const { members } = await server.api.chatRoom.roomStatus('defaultRoom');
      return !(id in members || deaf.client.id in members);
    });
    // Who never reads what was on its way to it is given that again, also without a cursor.
    deaf.client.abandon();
    const next = await connect(server);
    await next.client.data('resume', { session: deaf.client.session });
    expect(numberOf(await next.client.heard.next())).toBeLessThanOrEqual(deaf.client.heard.all.length);

    // What had left the server comes first, then the reason, if it reads that far before the socket is taken from it.
    socket.resume();
    const closed = await client.closed;
    if (closed) expect([1013, 1006]).toContain(closed.code);
    const had = client.heard.all.length;
    expect(had).toBeLessThan(COUNT);

    const again = await connect(server);
    const after = had === 0 ? cursor : { defaultRoom: client.heard.all.at(-1).id as string };
    expect(await again.client.data('resume', { session, after })).toMatchObject({ id, rooms: ['defaultRoom'] });
    expect((await again.client.heard.take(COUNT - had)).map(numberOf)).toEqual(numbers(had));
  });

  test('that asks and asks and does not listen is cut off', async () => {
    const server = await start({ bufferSoft: 20_000, bufferHard: 200_000, stuck: 0 });
    const { client, socket } = await connect(server);
    await client.data('paramAdd', { key: 'much', value: words });
    socket.pause();
    let open = true;
    void client.closed.then(() => (open = false));
    const ask = (): void => {
      for (let nth = 0; nth < 200 && open; nth += 1) client.send({ event: 'paramsView' });
      if (open) setImmediate(ask);
    };
    ask();
    const closed = await client.closed;
    // It never reads the close frame; the socket is taken away from it.
    if (closed) expect(closed.code).toBe(1006);
    expect(await (await connect(server)).client.data('detailsView')).toBeDefined();
  });

  if (name === 'WebSocket') {
    test('that pings and pings and reads no pong is cut off', async () => {
      const server = await start({ bufferSoft: 20_000, bufferHard: 200_000, stuck: 0 });
      const { client, socket } = await connect(server);
      socket.pause();
      let open = true;
      void client.closed.then(() => (open = false));
      const ping = (): void => {
        for (let nth = 0; nth < 1000 && open; nth += 1) (client as WsClient).socket.ping('x'.repeat(125));
        if (open) setImmediate(ping);
      };
      ping();
      expect(await client.closed).toMatchObject({ code: 1006 });
      expect(await (await connect(server)).client.data('detailsView')).toBeDefined();
    });
  }

  test('that is only slow is not taken for a dead one, however much it has to catch up on', async () => {
    const server = await start({ bufferSoft: 20_000, stuck: 1000 });
    const before = await connect(server);
    const { session } = before.client;
    const { cursor } = await before.client.data('detailsView');
    before.client.abandon();
    await before.client.closed;
    await sayAll(server);

    const { client, socket } = await connect(server);
    // It rests after each piece that it has read, so it always goes on, but takes longer than the limit in all.
    const started = performance.now();
    socket.on('data', () => {
      socket.pause();
      setTimeout(() => socket.resume(), 10);
    });
    await client.data('resume', { session, after: cursor });
    const heard = await client.heard.take(COUNT);
    expect(heard.map(numberOf)).toEqual(numbers(0));
    expect(performance.now() - started).toBeGreaterThan(1000);
  });
});

test('streams that have waited for one read together are written to in several turns: others come between', async () => {
  const server = await startServer();
  const [speaker, ...crowd] = await Promise.all(Array.from({ length: 61 }, () => connected(server)));
  await Promise.all(crowd.map((client) => client.stream('ndjson')));
  let read = (): void => undefined;
  const reading = new Promise<void>((resolve) => (read = resolve));
  let waiting = 0;
  const next = Feed.prototype.next;
  const made = Page.prototype.made;
  const inTurn = new Map<number, number>();
  const clock = new HurriedClock();
  const mocks = [
    jest.spyOn(Feed.prototype, 'next').mockImplementation(function (this: Feed, limit) {
      waiting += 1;
      return reading.then(() => next.call(this, limit));
    }),
    jest.spyOn(Page.prototype, 'made').mockImplementation(function (this: Page, form, make) {
      inTurn.set(clock.turns, (inTurn.get(clock.turns) ?? 0) + 1);
      return made.call(this, form, make);
    }),
  ];
  try {
    await speaker!.say('to all of them');
    await eventually(() => waiting >= 60);
    read();
    for (const client of crowd) expect((await client.heard.next()).message).toBe('to all of them');
    expect([...inTurn.values()].reduce((sum, count) => sum + count)).toBe(60);
    expect(Math.max(...inTurn.values())).toBeLessThan(20);
  } finally {
    for (const mock of mocks) mock.mockRestore();
    clock.stop();
  }
});
