/** Coming back: any client, on any socket of any node, after whatever place it had; nothing lost, nothing untold. */
import { Redis } from 'ioredis';
import { z } from 'zod';
import { defineAction, type ChatMiddleware } from '../../src/kit';
import { BEGINNING } from '../../src/protocol/entry-id';
import type { GapReason } from '../../src/protocol/message';
import { MemoryStore } from '../../src/store/memory-store';
import { distant } from '../support/distant-store';
import { eventually } from '../support/eventually';
import { connected, HttpClient, type Query } from '../support/http-client';
import { deployments, twoNodes } from '../support/nodes';
import { keysUnder, sharedRedis } from '../support/redis';
import { startServer, type ServerUnderTest } from '../support/server';
import { redisSettings } from '../support/store-settings';
import { usualLimits } from '../support/stores';
import { TcpClient, WsClient, type Parsed } from '../support/clients';

type Client = WsClient | TcpClient;

const sockets: readonly (readonly [string, (server: ServerUnderTest) => Promise<Client>])[] = [
  ['WebSocket', ({ url }) => WsClient.connect(url)],
  ['Primus', ({ url }) => WsClient.connect(url, '/primus')],
  ['TCP', ({ tcpPort }) => TcpClient.connect(tcpPort)],
];

const texts = (messages: readonly Parsed[]): unknown[] => messages.map(({ message }) => message);

describe.each(deployments)('on $where', ({ start }) => {
  describe.each(sockets)('%s', (_name, connect) => {
    test.each(sockets)('is gone on with on %s: replayed in order, then live, no seam', async (_other, reconnect) => {
      const { here, there } = await start({ config: { general: { reconnectGrace: 0 } } });
      const ann = await WsClient.connect(here.url);
      const bob = await connect(here);
      for (const client of [ann, bob]) await client.data('roomAdd', { room: 'garden' });
      await ann.say('heard', { room: 'garden' });
      await bob.heard.next();
      const { cursor } = await bob.data('detailsView');
      bob.abandon();
      await bob.closed;
      for (let nth = 0; nth < 20; nth += 1) await ann.say(nth, { room: 'garden' });

      const back = await reconnect(there);
      // Said while it comes back: some of it is replayed, some is live, and nobody can tell which.
      let speaking = true as boolean;
      const speak = (async () => {
        let nth = 20;
        for (; speaking; nth += 1) await ann.say(nth, { room: 'garden' });
        return nth;
      })();
      const resumed = await back.data('resume', { session: bob.session, after: cursor });
      expect(resumed).toEqual({ id: bob.id, rooms: ['defaultRoom', 'garden'], recovered: true, cursor });
      await back.heard.take(40);
      speaking = false;
      const count = await speak;
      while (back.heard.all.length < count) await back.heard.next();
      expect(texts(back.heard.all)).toEqual(Array.from({ length: count }, (_, nth) => nth));
      expect(back.others.all).toEqual([]);

      expect(await back.data('detailsView')).toMatchObject({ id: bob.id, rooms: ['defaultRoom', 'garden'] });
      await back.say('it is me', { room: 'garden' });
      expect(await ann.heard.next()).toMatchObject({ message: 'it is me', from: bob.id });
    });
  });

  test('an HTTP client by its cookie, with the cursor of its last poll; and a socket over HTTP by its token', async () => {
    const { here, there } = await start();
    const ann = await WsClient.connect(here.url);
    const bob = new HttpClient(here.url);
    await bob.ok('roomAdd', { room: 'garden' });
    await ann.data('roomAdd', { room: 'garden' });
    await ann.say('one', { room: 'garden' });
    expect(texts((await bob.ok('messages')).messages)).toEqual(['one']);
    await ann.say('two', { room: 'garden' });

    const headers = { Cookie: `sessionID=${bob.cookies.get('sessionID')!}` };
    const socket = await WsClient.connect(there.url, '/chat/', { headers });
    const id = await bob.id();
    expect(await socket.data('resume', { after: bob.cursor })).toMatchObject({ id, recovered: true });
    expect(await socket.heard.next()).toMatchObject({ message: 'two' });
    await ann.say('three', { room: 'garden' });
    expect(await socket.heard.next()).toMatchObject({ message: 'three' });
    const { cursor } = await socket.data('detailsView');
    await ann.say('four', { room: 'garden' });

    const poll = new HttpClient(there.url);
    poll.headers = { Authorization: `Bearer ${bob.cookies.get('sessionID')!}` };
    expect(texts((await poll.ok('messages', { after: cursor })).messages)).toEqual(['four']);
  });

  test('two connections may be one client, and both hear', async () => {
    const { here, there } = await start({ config: { general: { reconnectGrace: 0 } } });
    const ann = await WsClient.connect(here.url);
    const bob = await WsClient.connect(here.url);
    const also = await TcpClient.connect(there.tcpPort);
    await also.data('resume', { session: bob.session });
    await ann.say('to both');
    expect(await bob.heard.next()).toMatchObject({ message: 'to both' });
    expect(await also.heard.next()).toMatchObject({ message: 'to both' });
    await bob.say('not to oneself');
    expect(await ann.heard.next()).toMatchObject({ from: bob.id });
    await also.data('roomAdd', { room: 'garden' });
    await ann.data('roomAdd', { room: 'garden' });
    await ann.say('joined elsewhere', { room: 'garden' });
    expect(await bob.heard.next()).toMatchObject({ message: 'joined elsewhere' });
    // One of them goes, the client stays.
    bob.socket.close(1000);
    await bob.closed;
    await ann.say('to the other');
    expect(await also.heard.next()).toMatchObject({ message: 'joined elsewhere' });
    expect(await also.heard.next()).toMatchObject({ message: 'to the other' });
    expect(also.heard.all).toHaveLength(3);
    expect(await ann.data('roomView')).toMatchObject({ membersCount: 2 });
  });
});

test('the client that one was when connecting is gone from its rooms', async () => {
  const server = await startServer();
  const ann = await WsClient.connect(server.url);
  const bob = await WsClient.connect(server.url);
  await bob.data('resume', { session: ann.session });
  const members = async (): Promise<string[]> =>
    Object.keys((await server.api.chatRoom.roomStatus('defaultRoom')).members);
  while ((await members()).includes(bob.id)) continue;
  expect(await members()).toEqual([ann.id]);
});

test('places may be named room by room', async () => {
  const server = await startServer();
  const ann = await WsClient.connect(server.url);
  const bob = await WsClient.connect(server.url);
  for (const client of [ann, bob]) await client.data('roomAdd', { room: 'garden' });
  const ids: Parsed = {};
  for (const nth of [1, 2, 3]) {
    for (const room of ['garden', 'defaultRoom'])
      ids[`${room} ${nth}`] = (await ann.say(`${room} ${nth}`, { room })).id;
  }
  const back = await TcpClient.connect(server.tcpPort);
  const after = { garden: ids['garden 2'], defaultRoom: ids['defaultRoom 1'] };
  await back.data('resume', { session: bob.session, after });
  const heard = texts(await back.heard.take(3)).sort();
  expect(heard).toEqual(['defaultRoom 2', 'defaultRoom 3', 'garden 3']);
});

test('a place that is nonsense is refused, and nothing changes', async () => {
  const server = await startServer();
  const ann = await WsClient.connect(server.url);
  const { session, id } = ann;
  for (const after of ['nonsense!', 5, [], { garden: 'x' }, { garden: 7 }]) {
    expect(await ann.ask('resume', { session, after })).toMatchObject({ code: 'invalid_parameter' });
  }
  expect(await ann.ask('resume', { session, echo: 'loud' })).toMatchObject({ code: 'invalid_parameter' });
  expect(await ann.data('detailsView')).toMatchObject({ id, rooms: ['defaultRoom'] });
});

/** The keys of a room, as an accident treats them. */
class RoomInRedis {
  readonly #redis = new Redis(sharedRedis());
  readonly #kept = new Map<string, Buffer>();

  constructor(readonly prefix: string) {}

  async keep(): Promise<void> {
    for (const key of await this.#keys()) this.#kept.set(key, await this.#redis.dumpBuffer(key));
  }

  /** All of it is lost. */
  async remove(): Promise<void> {
    await this.#redis.del(...(await this.#keys()));
  }

  /** As a replica has it that lagged, or a snapshot; at once, or who is there would make the room anew. */
  async rewind(): Promise<void> {
    const change = this.#redis.multi().del(...(await this.#keys()));
    for (const [key, value] of this.#kept) change.restore(key, 60_000, value);
    await change.exec();
  }

  /** What was said has had its time. */
  async expire(): Promise<void> {
    await this.#redis.xtrim(`${this.prefix}:log`, 'MAXLEN', 0);
  }

  close(): void {
    this.#redis.disconnect();
  }

  #keys(): Promise<string[]> {
    return keysUnder(this.#redis, this.prefix);
  }
}

interface Told {
  readonly heard: readonly Parsed[];
  readonly gaps: readonly Parsed[] | undefined;
}

/** The ways in which one client is given what follows a cursor. */
function waysBehind(
  after: string,
  bob: HttpClient & { readonly session: string },
  { url, tcpPort }: ServerUnderTest,
): readonly (() => Promise<Told>)[] {
  const http = (): HttpClient => Object.assign(new HttpClient(url), { headers: bob.headers });
  // An answer may be the gap alone, where its node has not heard of what follows: the next one goes on from there.
  const poll = (query: Query) => async (): Promise<Told> => {
    const told: { heard: Parsed[]; gaps: Parsed[] } = { heard: [], gaps: [] };
    for (let place = after; told.heard.length === 0;) {
      const { messages, gaps, cursor } = await http().ok('messages', { after: place, ...query });
      told.heard.push(...(messages as Parsed[]));
      told.gaps.push(...((gaps as Parsed[] | undefined) ?? []));
      place = cursor as string;
    }
    return told;
  };
  const stream = (format: 'sse' | 'ndjson') => async (): Promise<Told> => {
    const client = http();
    await client.stream(format, { after });
    const heard = [await client.heard.next()];
    return { heard, gaps: client.others.all.map((told) => (format === 'sse' ? told.data : told)) };
  };
  const socket = (connect: () => Promise<Client>) => async (): Promise<Told> => {
    const client = await connect();
    await client.data('resume', { session: bob.session, after });
    return { heard: [await client.heard.next()], gaps: client.others.all };
  };
  return [
    poll({}),
    poll({ wait: 60 }),
    stream('sse'),
    stream('ndjson'),
    socket(() => WsClient.nobody(url)),
    socket(() => WsClient.connect(url, '/primus')),
    socket(() => TcpClient.connect(tcpPort)),
  ];
}

describe('what cannot be heard any more is told once, in order', () => {
  test('trimmed', async () => {
    // On another node: where it was, the newest messages are in memory, whatever the log keeps.
    const { here, there } = await twoNodes({ config: { chat: { maxLogLength: 5 } } });
    const ann = await WsClient.connect(here.url);
    const bob = await WsClient.connect(here.url);
    await ann.say('heard');
    await bob.heard.next();
    const { cursor } = await bob.data('detailsView');
    bob.abandon();
    for (let nth = 1; nth <= 12; nth += 1) await ann.say(nth);
    const back = await WsClient.connect(there.url);
    const frames: Parsed[] = [];
    back.socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString())));
    await back.data('resume', { session: bob.session, after: cursor });
    expect(texts(await back.heard.take(5))).toEqual([8, 9, 10, 11, 12]);
    expect(back.others.all).toEqual([{ context: 'gap', room: 'defaultRoom', reason: 'trimmed', lost: 7 }]);
    expect(frames.map(({ context }) => context)).toEqual(['response', 'gap', 'user', 'user', 'user', 'user', 'user']);
  });

  test.each<[GapReason, number | null, (room: RoomInRedis) => Promise<void>]>([
    ['expired', 2, (room) => room.expire()],
    ['reset', null, (room) => room.remove()],
    ['fork', null, (room) => room.rewind()],
  ])('%s: by every way, whoever comes back and whoever was there', async (reason, lost, lose) => {
    const settings = redisSettings();
    const config = { redis: settings, limits: { parkedPollsPerClient: 0, streamsPerClient: 0 } };
    const [here, there] = [await startServer({ config }), await startServer({ config })];
    const room = new RoomInRedis(`${settings.prefix}{room:defaultRoom}`);
    const [ann, bob] = [await WsClient.connect(here.url), await connected(here)];
    await ann.say('heard');
    const { cursor } = await bob.ok('messages');
    await room.keep();
    for (const text of ['one', 'two']) await ann.say(text);
    const { cursor: end } = await bob.ok('messages');
    // Who was there has heard what expires. A poll that waits is answered by the loss before what follows is said.
    const wasThere = reason === 'expired' ? [] : waysBehind(end, bob, there).slice(2);
    const told = wasThere.map((way) => way());
    await eventually(() => {
      const { stream = 0, websocket = 0, socket = 0 } = there.api.connections.counts();
      return stream + websocket + socket === told.length;
    });
    await lose(room);
    await ann.say('after');
    told.push(...waysBehind(reason === 'expired' ? cursor : end, bob, there).map((way) => way()));
    for (const { heard, gaps } of await Promise.all(told)) {
      expect(texts(heard)).toEqual(['after']);
      expect(gaps).toEqual([expect.objectContaining({ room: 'defaultRoom', reason, lost })]);
    }
    room.close();
  });

  test('expired: a cookie goes on under its id, a token is to connect anew', async () => {
    const server = await startServer({ config: { commonWeb: { httpClientMessageTTL: 100 } } });
    const ann = await WsClient.connect(server.url);
    const bob = new HttpClient(server.url);
    const id = await bob.id();
    const { cursor } = await bob.ok('messages');
    const token = bob.cookies.get('sessionID')!;
    await ann.say('missed');
    const { chatRoom, options } = server.api;
    await eventually(async () => !(await options.chat.store.client(id)));
    await eventually(async () => (await chatRoom.roomStatus('defaultRoom')).membersCount === 1);

    expect(await ann.ask('resume', { session: token, after: cursor })).toMatchObject({
      error: 'Error: this session has expired; connect again',
      code: 'session_expired',
    });
    const headers = { Cookie: `sessionID=${token}` };
    const back = await WsClient.connect(server.url, '/chat/', { headers });
    expect(await back.data('resume', { after: cursor })).toMatchObject({ id, rooms: ['defaultRoom'] });
    expect(await back.others.next()).toEqual({ context: 'gap', room: 'defaultRoom', reason: 'expired', lost: null });
  });
});

test('the join hooks are asked again: who may no longer be in a room is not', async () => {
  const banned = new Set<string>();
  const bouncer: ChatMiddleware = {
    name: 'bouncer',
    join: ({ id }, room) => {
      if (room === 'garden' && banned.has(id)) throw new Error('you are banned');
    },
  };
  const server = await startServer({ middleware: [bouncer] });
  const ann = await WsClient.connect(server.url);
  const bob = await WsClient.connect(server.url);
  for (const client of [ann, bob]) await client.data('roomAdd', { room: 'garden' });
  const { cursor } = await bob.data('detailsView');
  bob.abandon();
  banned.add(bob.id);
  await ann.say('behind its back', { room: 'garden' });
  const back = await WsClient.connect(server.url);
  expect(await back.data('resume', { session: bob.session, after: cursor })).toMatchObject({ rooms: ['defaultRoom'] });
  await ann.say('for all');
  expect(await back.heard.next()).toMatchObject({ message: 'for all' });
  expect(await back.ask('say', { room: 'garden', message: 'let me' })).toMatchObject({ code: 'not_in_room' });
  expect(await ann.data('roomView', { room: 'garden' })).toMatchObject({ membersCount: 1 });
});

test('attributes, listened rooms and the current room are there again, on another node', async () => {
  const login = defineAction({
    name: 'login',
    description: 'as in the documents',
    inputs: z.object({}),
    run: ({ connection }) => {
      connection['auth'] = 'true';
    },
  });
  const { here, there } = await twoNodes({ actions: [login] });
  const ann = await WsClient.connect(here.url);
  await ann.act('login');
  await ann.data('listenToRoom', { room: 'radio' });
  await ann.data('roomChange', { room: 'garden' });
  const back = await TcpClient.connect(there.tcpPort);
  await back.data('resume', { session: ann.session });
  expect(await back.data('detailsView')).toMatchObject({
    attributes: { auth: 'true' },
    listening: ['radio'],
    room: 'garden',
    rooms: ['garden'],
  });
});

test('without a cursor one goes on where one was, and misses nothing of the time between', async () => {
  const server = await startServer({ config: { general: { reconnectGrace: 0 } } });
  const ann = await WsClient.connect(server.url);
  const bob = await WsClient.connect(server.url);
  for (const client of [ann, bob]) await client.data('roomAdd', { room: 'garden' });
  for (const room of ['garden', 'defaultRoom']) await ann.say('heard', { room });
  await bob.heard.take(2);
  bob.abandon();
  await eventually(async () => (await ann.data('roomView')).membersCount === 1);
  for (const room of ['garden', 'defaultRoom']) await ann.say(`missed in ${room}`, { room });
  const back = await WsClient.connect(server.url);
  await back.data('resume', { session: bob.session });
  expect(texts(await back.heard.take(2)).sort()).toEqual(['missed in defaultRoom', 'missed in garden']);
});

test('who came and went before one’s own coming is told by no transport, whatever cursor is given', async () => {
  const server = await startServer();
  const { url, tcpPort } = server;
  const ann = await connected(server);
  await ann.ok('roomAdd', { room: 'garden' });
  const { cursor: early } = (await ann.ok('roomView', { room: 'garden' })).roomStatus as { cursor: string };
  await ann.ok('roomLeave', { room: 'garden' });
  const unseen = await connected(server);
  await unseen.ok('roomAdd', { room: 'garden' });
  await unseen.ok('roomLeave', { room: 'garden' });
  await ann.ok('roomAdd', { room: 'garden' });
  const seen = await connected(server);
  await seen.ok('roomAdd', { room: 'garden' });
  const told = { context: 'presence', event: 'join', room: 'garden', id: await seen.id(), at: expect.any(Number) };

  const all = { after: early, presence: true };
  const poll = await ann.ok('messages', all);
  expect([poll.messages, poll.gaps]).toEqual([[told], undefined]);
  const wait = await ann.ok('messages', { ...all, wait: 30 });
  expect([wait.messages, wait.gaps]).toEqual([[told], undefined]);

  const streams = await Promise.all(
    ['sse', 'ndjson'].map(async (format) => {
      const query = `/chat/?method=messages&stream=${format}&presence=true`;
      const headers = { authorization: `Bearer ${ann.session}`, 'last-event-id': early };
      const ending = new AbortController();
      const { body } = await fetch(new URL(query, url), { headers, signal: ending.signal });
      let text = '';
      for await (const bytes of body!) {
        text += Buffer.from(bytes as Uint8Array).toString();
        if (text.includes('"garden"')) break;
      }
      ending.abort();
      return text.split('\n').filter((line) => line.includes('"presence"') && line.includes('{'));
    }),
  );
  for (const lines of streams) {
    expect(lines.map((line) => JSON.parse(line.slice(line.indexOf('{'))) as unknown)).toEqual([
      expect.objectContaining(told),
    ]);
  }

  for (const socket of [await WsClient.connect(url), await TcpClient.connect(tcpPort)]) {
    await socket.data('resume', { session: ann.session, ...all });
    expect(await socket.others.next()).toEqual(told);
    await seen.say('the end', { room: 'garden' });
    await socket.heard.next();
    expect(socket.others.untaken).toEqual([]);
  }
});

test('who says in the handshake that it will resume is nobody until it does: nobody joins or leaves for it', async () => {
  const { url } = await startServer({ config: { general: { reconnectGrace: 0 } } });
  const ann = await WsClient.connect(url);
  await ann.data('resume', { session: ann.session, presence: true });
  const bob = await WsClient.connect(url);
  expect(await ann.others.next()).toMatchObject({ event: 'join', id: bob.id });
  await bob.data('listenToRoom', { room: 'garden' });

  const back = await WsClient.nobody(url);
  for (const event of ['say', 'roomView', 'detailsView']) {
    expect(await back.ask(event, { message: 'who am I' })).toMatchObject({ code: 'session_unknown' });
  }
  expect(await back.act('status')).toMatchObject({ code: 'session_unknown' });
  expect(await back.ask('resume', { session: 'wrong' })).toMatchObject({ code: 'session_unknown' });
  expect(await back.data('resume', { session: bob.session })).toMatchObject({ id: bob.id, rooms: ['defaultRoom'] });
  await back.say('here again');
  expect(await ann.heard.next()).toMatchObject({ message: 'here again', from: bob.id });

  const gone = await WsClient.nobody(url);
  gone.socket.close();
  await gone.closed;
  back.socket.close();
  bob.socket.close();
  expect(await ann.others.next()).toMatchObject({ event: 'leave', id: bob.id });
  expect(back.welcome.all).toEqual([]);
});

/** Where the clock is the test's, nothing else may wait by it. */
async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await check())) await new Promise(setImmediate);
}

describe('who is gone for less than the grace or its TTL', () => {
  afterEach(() => jest.useRealTimers());

  test('does not flap, however often it drops and on whatever node it is back; who stays away leaves once', async () => {
    jest.useFakeTimers({ now: Date.now(), doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    const store = new MemoryStore({ ...usualLimits, messageTTL: 3_600_000 });
    const general = { nodeLease: 4500, reconnectGrace: 2000 };
    const config = { general, commonWeb: { httpClientMessageTTL: 4000 } };
    const nodes = [await startServer({ store, config }), await startServer({ store, config })] as const;
    const presence = async (): Promise<string[]> => {
      const { entries } = await store.read('presence:defaultRoom', BEGINNING, 1000);
      const told = entries.map(({ data }) => JSON.parse(`${data}}`) as { event: string; id: string });
      return told.map(({ event, id }) => `${event} ${id}`).sort();
    };
    const isEmpty = ({ api }: ServerUnderTest): boolean => {
      const { websocket, socket, stream, poll } = api.connections.counts();
      return [websocket, socket, stream, poll].every((count) => count === 0);
    };

    const { url, tcpPort } = nodes[0];
    let ws = await WsClient.connect(url);
    let page = await WsClient.connect(url, '/primus');
    // Its line is why nobody waits to see whether it will resume.
    let tcp = await TcpClient.connect(tcpPort, 'detailsView');
    const sessions = [ws, page, tcp].map(({ session }) => session);
    const [poller, waiting, reader] = [new HttpClient(url), new HttpClient(url), new HttpClient(url)];
    const web = [poller, waiting, reader];
    const ids = [ws.id, page.id, tcp.id, ...(await Promise.all(web.map((client) => client.id())))];
    const joins = ids.map((id) => `join ${id}`).sort();

    // Twelve times are longer than two leases of a node, and two TTLs of an HTTP client.
    for (let time = 1; time <= 12; time += 1) {
      const there = nodes[time % 2] ?? nodes[0];
      ws.abandon();
      page.socket.close(1001);
      // An end by FIN would be a goodbye.
      tcp.socket.resetAndDestroy();
      for (const client of web) client.abandon();
      await until(() => nodes.every(isEmpty));
      jest.advanceTimersByTime(900);

      ws = await WsClient.nobody(there.url);
      await ws.data('resume', { session: sessions[0] });
      page = await WsClient.nobody(there.url);
      await page.data('resume', { session: sessions[1] });
      tcp = await TcpClient.connect(there.tcpPort, `resume ${sessions[2] ?? ''}`);
      for (const client of web) client.url = there.url;
      await poller.ok('messages');
      waiting.ok('messages', { wait: 60 }).catch(() => undefined);
      await reader.stream('sse');
      await until(() => there.api.connections.counts()['poll'] === 1);
      expect(await presence()).toEqual(joins);
    }
    const members = Object.keys((await nodes[0].api.chatRoom.roomStatus('defaultRoom')).members);
    expect(members.sort()).toEqual([...ids].sort());

    for (const client of [ws, page, tcp, ...web]) client.abandon();
    await until(() => nodes.every(isEmpty));
    await until(async () => {
      jest.advanceTimersByTime(1000);
      return (await presence()).length >= 2 * ids.length;
    });
    jest.advanceTimersByTime(60_000);
    await new Promise(setImmediate);
    expect(await presence()).toEqual([...joins, ...ids.map((id) => `leave ${id}`)].sort());
  });
});

describe('who said in the handshake that it will resume', () => {
  beforeEach(() => {
    jest.useFakeTimers({
      doNotFake: ['nextTick', 'setImmediate', 'setInterval', 'Date', 'queueMicrotask', 'performance'],
    });
  });
  afterEach(() => jest.useRealTimers());

  test('has the time of a handshake for it', async () => {
    const { url, log } = await startServer();
    const bob = await WsClient.connect(url);
    const [never, wrongly, inTime] = [
      await WsClient.nobody(url),
      await WsClient.nobody(url),
      await WsClient.nobody(url),
    ];
    await inTime.data('resume', { session: bob.session });
    jest.advanceTimersByTime(9900);
    for (const nobody of [never, wrongly]) {
      expect(await nobody.ask('resume', { session: 'wrong' })).toMatchObject({ code: 'session_unknown' });
    }
    jest.advanceTimersByTime(200);
    for (const nobody of [never, wrongly]) expect(await nobody.closed).toMatchObject({ code: 1013 });
    await inTime.say('still here');
    expect(log.lines).toEqual([]);
  });

  test('is answered what it asked in that time, however long it takes', async () => {
    const waiting: (() => void)[] = [];
    let isSlow = false;
    const join = async (): Promise<void> => {
      if (isSlow) await new Promise<void>((resolve) => waiting.push(resolve));
    };
    const { url } = await startServer({ middleware: [{ name: 'slow', join }] });
    const bob = await WsClient.connect(url);
    const [late, never] = [await WsClient.nobody(url), await WsClient.nobody(url)];
    isSlow = true;
    const resumed = late.data('resume', { session: bob.session });
    await until(() => waiting.length === 1);
    jest.advanceTimersByTime(10_000);
    await never.closed;
    for (const goOn of waiting) goOn();
    expect(await resumed).toMatchObject({ id: bob.id });
    await late.say('here again');
  });
});

describe('a connection that resumes from its first moment on', () => {
  const cookieOf = (session: string): object => ({ headers: { Cookie: `sessionID=${session}` } });
  const bearerOf = (session: string): object => ({ headers: { Authorization: `Bearer ${session}` } });
  const encoded = (cursor: string): string => encodeURIComponent(cursor);

  const ways: readonly [string, (server: ServerUnderTest, session: string, cursor: string) => Promise<Client>][] = [
    [
      'a WebSocket at ?resume=true',
      async ({ url }, session, after) => {
        const client = await WsClient.nobody(url);
        expect(await client.data('resume', { session, after })).toMatchObject({ recovered: true });
        return client;
      },
    ],
    [
      'a WebSocket with its cursor and a token in the handshake',
      ({ url }, session, cursor) => WsClient.connect(url, `/chat/?after=${encoded(cursor)}`, bearerOf(session)),
    ],
    [
      'a WebSocket with its cursor in the handshake, by its cookie',
      ({ url }, session, cursor) => WsClient.connect(url, `/chat/?after=${encoded(cursor)}`, cookieOf(session)),
    ],
    [
      'Primus the same way',
      ({ url }, session, cursor) => WsClient.connect(url, `/primus?after=${encoded(cursor)}`, cookieOf(session)),
    ],
    [
      'TCP by its first line',
      async ({ tcpPort }, session, cursor) => {
        const client = await TcpClient.connect(tcpPort, `resume ${session} ${cursor}`);
        expect(await client.responses.next()).toMatchObject({ status: 'OK', data: { recovered: true } });
        return client;
      },
    ],
  ];

  test.each(ways)('%s: nobody sees another client come and go', async (_name, resume) => {
    const { here, there } = await twoNodes();
    const ann = await WsClient.connect(here.url);
    const bob = await WsClient.connect(here.url);
    const { cursor } = await bob.data('detailsView');
    bob.abandon();
    await bob.closed;
    await ann.say('you were away');
    await ann.data('resume', { session: ann.session, presence: true });

    const back = await resume(there, bob.session, cursor);
    expect(back.welcome.all.every(({ id }) => id === bob.id)).toBe(true);
    expect(await back.heard.next()).toMatchObject({ message: 'you were away' });
    const { members } = await ann.data('roomView', { room: 'defaultRoom' });
    expect(Object.keys(members).sort()).toEqual([ann.id, bob.id].sort());
    // Had anybody come in between, this would not be the first that is heard of.
    const eve = await TcpClient.connect(there.tcpPort);
    expect(await ann.others.next(({ context }) => context === 'presence')).toMatchObject({ event: 'join', id: eve.id });
  });

  test('a cursor of nobody is refused before there is a socket; a token that is not ours is not asked for', async () => {
    const { here } = await twoNodes();
    await expect(WsClient.connect(here.url, '/chat/?after=')).rejects.toThrow('401');
    await expect(WsClient.connect(here.url, '/chat/?after=', bearerOf("an application's own"))).rejects.toThrow('401');
    await expect(WsClient.connect(here.url, '/chat/?after=x&after=y')).rejects.toThrow('400');
    const bob = await TcpClient.connect(here.tcpPort);
    await expect(WsClient.connect(here.url, '/chat/?after=rubbish', bearerOf(bob.session))).rejects.toThrow('1013');
  });

  test('a first line that resumes nobody is told so by a new client', async () => {
    const { here } = await twoNodes();
    const bob = await TcpClient.connect(here.tcpPort, 'resume nonsense');
    expect(bob.greeting).toMatchObject({ id: expect.any(String), session: expect.any(String), room: 'defaultRoom' });
    expect(await bob.responses.next()).toMatchObject({ code: 'session_unknown', messageCount: 1 });
    await bob.say('I am new here');
  });
});

test('a new client costs two round trips, over whatever it comes', async () => {
  const { store, trips } = distant(new MemoryStore(usualLimits));
  const server = await startServer({ store });
  await WsClient.connect(server.url);
  expect(await trips(() => WsClient.connect(server.url))).toBe(2);
  expect(await trips(() => TcpClient.connect(server.tcpPort))).toBe(2);
  expect(await trips(() => new HttpClient(server.url).post('connect'))).toBe(2);
  expect(await trips(() => new HttpClient(server.url).ok('messages'))).toBeLessThanOrEqual(3);
});
