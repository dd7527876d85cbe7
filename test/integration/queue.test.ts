/**
 * A client’s queue: it gets what it has not had, by polls and streams, with a cursor or without, on any
 * node; and is told of all that it cannot get any more.
 */
import { once } from 'node:events';
import http from 'node:http';
import { EventSource } from 'eventsource';
import { Redis } from 'ioredis';
import type { SettingsInput } from '../../src/config';
import { MemoryStore } from '../../src/store/memory-store';
import { TcpClient, WsClient } from '../support/clients';
import { eventually } from '../support/eventually';
import { FaultProxy } from '../support/proxy';
import {
  arrived,
  connected,
  cookieSet,
  HttpClient,
  refusal,
  texts,
  type Answer,
  type Query,
} from '../support/http-client';
import { stillness } from '../support/inbox';
import { randomFrom, seedOfRun } from '../support/random';
import { keysUnder, sharedRedis } from '../support/redis';
import { startServer, type ServerUnderTest } from '../support/server';
import { redisSettings, storeSettings } from '../support/store-settings';
import { usualLimits } from '../support/stores';

const aCursor = expect.stringMatching(/^[A-Za-z0-9_-]+$/) as string;
const nothing = { messages: [], cursor: aCursor };

function parked(server: ServerUnderTest): number {
  return server.api.connections.counts()['poll'] ?? 0;
}

function streaming(server: ServerUnderTest): number {
  return server.api.connections.counts()['stream'] ?? 0;
}

/** Asks and is parked, as the one after those that are parked already; the answer comes later. */
async function park(
  server: ServerUnderTest,
  client: HttpClient,
  query: Query = {},
): Promise<{ answer: Promise<Answer> }> {
  const before = parked(server);
  const answer = client.get('messages', { wait: 30, ...query });
  await eventually(() => parked(server) > before);
  return { answer };
}

/** The answer is made and never arrives: what it set is not in the jar. */
async function lost(client: HttpClient, ask: () => Promise<Answer>): Promise<Answer> {
  const jar = new Map(client.cookies);
  const answer = await ask();
  client.cookies.clear();
  for (const [name, value] of jar) client.cookies.set(name, value);
  return answer;
}

describe.each(storeSettings)('on %s', (_name, settings) => {
  const start = (config: SettingsInput = {}): Promise<ServerUnderTest> =>
    startServer({ config: { ...settings(), ...config } });

  describe('without a cursor', () => {
    test('an answer that was lost comes again, one that is acknowledged does not', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      await speaker.say('a');
      expect(texts((await lost(client, () => client.get('messages'))).body)).toEqual(['a']);
      await speaker.say('b');
      expect(texts((await lost(client, () => client.get('messages'))).body)).toEqual(['a', 'b']);
      const arrivedAnswer = await client.get('messages');
      expect(texts(arrivedAnswer.body)).toEqual(['a', 'b']);
      expect(cookieSet(arrivedAnswer, 'chatAck')).toMatch(
        /^chatAck=\d+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=\d+$/,
      );
      expect(await client.ok('messages')).toEqual(nothing);
      await speaker.say('c');
      expect(texts(await client.ok('messages'))).toEqual(['c']);
    });

    test("a new client's first answer sets sessionID and chatAck, also when it waited for it", async () => {
      const server = await start();
      const speaker = await arrived(server);
      const client = new HttpClient(server.url);
      const { answer: poll } = await park(server, client);
      await speaker.say('first');
      expect(texts((await poll).body)).toEqual(['first']);
      expect([...client.cookies.keys()].sort()).toEqual(['chatAck', 'sessionID']);
      expect(await client.ok('messages')).toEqual(nothing);
      await speaker.say('second');
      expect(texts(await client.ok('messages', { wait: 30 }))).toEqual(['second']);
      expect(await client.ok('messages')).toEqual(nothing);
    });

    test('an answer that had nothing new sets no cookie', async () => {
      const server = await start();
      const client = await arrived(server);
      await client.ok('messages');
      await client.say('mine');
      // Its own words are passed over; that it has passed them is worth keeping, once.
      await client.ok('messages');
      expect((await client.get('messages')).headers['set-cookie']).toBeUndefined();
    });

    test.each([
      ['a cookie and no chatAck', (client: HttpClient) => client.cookies.delete('chatAck')],
      ['a chatAck that is no number', (client: HttpClient) => client.cookies.set('chatAck', 'x')],
    ])('%s: the place moves when the answer was written', async (_what, tamper) => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      for (const text of ['a', 'b']) {
        await speaker.say(text);
        tamper(client);
        const answer = await client.get('messages');
        expect([texts(answer.body), cookieSet(answer, 'chatAck')]).toEqual([[text], undefined]);
      }
      expect(await client.ok('messages')).toEqual(nothing);
    });

    test('a bearer: the place moves when the answer was written', async () => {
      const server = await start();
      const [client, speaker] = [await connected(server), await arrived(server)];
      for (const text of ['a', 'b', 'c']) {
        await speaker.say(text);
        expect(texts(await client.ok('messages'))).toEqual([text]);
      }
      expect(await client.ok('messages')).toEqual(nothing);
      expect(client.cookies.size).toBe(0);
    });

    test('a chatAck of a former record confirms nothing of this one', async () => {
      const server = await start({ commonWeb: { httpClientMessageTTL: 1500 }, chat: { messageTTL: 60_000 } });
      const client = await arrived(server);
      const watcher = await connected(server);
      await watcher.stream('ndjson');
      await watcher.say('a');
      await client.ok('messages');
      const former = client.cookies.get('chatAck') ?? '';
      await eventually(async () => {
        const { roomStatus } = await watcher.ok('roomView');
        return !(roomStatus.members as string[]).includes(client.is);
      });
      // Its record has as long as its lease had, from a moment later on.
      await eventually(async () => !(await server.api.options.chat.store.client(client.is)));
      await client.ok('detailsView');
      client.cookies.set('chatAck', former);
      await watcher.say('b');
      const gaps = [{ room: 'defaultRoom', reason: 'expired', lost: null }];
      const answer = await lost(client, () => client.get('messages'));
      expect([texts(answer.body), answer.body.gaps]).toEqual([['b'], gaps]);
      const again = await client.get('messages');
      expect([texts(again.body), again.body.gaps]).toEqual([['b'], gaps]);
      expect(await client.ok('messages')).toEqual(nothing);
    });

    test('a backlog comes in pages of limit, each acknowledged by itself', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      for (const text of ['a', 'b', 'c', 'd', 'e']) await speaker.say(text);
      expect(texts(await client.ok('messages', { limit: 2 }))).toEqual(['a', 'b']);
      expect(texts((await lost(client, () => client.get('messages', { limit: 2 }))).body)).toEqual(['c', 'd']);
      expect(texts(await client.ok('messages', { limit: 3 }))).toEqual(['c', 'd', 'e']);
      expect(await client.ok('messages')).toEqual(nothing);
    });

    const seed = seedOfRun();
    test(`whatever answers are lost, all is heard, in order (SEED=${seed})`, async () => {
      const server = await start();
      const random = randomFrom(seed);
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const heard: string[] = [];
      const take = ({ body }: Answer): void => {
        // What comes again is known by its id; here by its text.
        for (const text of texts(body) as string[]) if (!heard.includes(text)) heard.push(text);
      };
      for (let index = 0; index < 60; index += 1) {
        await speaker.say(String(index));
        const ask = (): Promise<Answer> =>
          client.get('messages', { limit: 1 + Math.floor(random() * 3), ...(random() < 0.3 ? { wait: 1 } : {}) });
        if (random() < 0.5) await lost(client, ask);
        else take(await ask());
      }
      for (let size = -1; size !== heard.length;) {
        size = heard.length;
        take(await client.get('messages'));
      }
      expect(heard).toEqual(Array.from({ length: 60 }, (_, index) => String(index)));
    });
  });

  describe('with a cursor', () => {
    test('exactly what follows it, as often as it is asked; the own place stays where it is', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const { cursor } = await client.ok('messages');
      for (const text of ['a', 'b']) await speaker.say(text);
      const first = await client.ok('messages', { after: cursor });
      expect(texts(first)).toEqual(['a', 'b']);
      expect(await client.ok('messages', { after: cursor })).toEqual(first);
      expect(await client.ok('messages', { after: first.cursor })).toEqual({ messages: [], cursor: first.cursor });
      // An empty one is as none.
      expect(texts(await client.ok('messages', { after: '' }))).toEqual(['a', 'b']);
      expect(await client.ok('messages')).toEqual(nothing);
      expect(await client.ok('messages', { after: cursor })).toEqual(first);
    });

    test('a client may write it itself, by room and id', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const { id } = await speaker.say('a');
      await speaker.say('b');
      expect(texts((await client.post('messages', { after: { defaultRoom: id } })).body)).toEqual(['b']);
    });

    test('it names no room, and is small with fifty of them', async () => {
      const server = await start();
      const client = await arrived(server);
      const rooms = Array.from(
        { length: 49 },
        (_, index) => `${'a room with a long name'.replaceAll(' ', '-')}-${index}`,
      );
      for (const room of rooms) await client.ok('roomAdd', { room });
      for (const room of rooms) await client.say('x', { room });
      const { cursor } = (await client.ok('messages', { presence: true })) as { cursor: string };
      expect(cursor.length).toBeLessThan(4096);
      expect(Buffer.from(cursor, 'base64url').toString('latin1')).not.toContain('room');
      expect(await client.ok('messages', { after: cursor })).toEqual({ messages: [], cursor: aCursor });
    });
  });

  describe('waiting', () => {
    test('with nothing to tell it is over after its time, with the cursor', async () => {
      const server = await start();
      const client = await arrived(server);
      const { cursor } = await client.ok('messages');
      const from = performance.now();
      expect(await client.ok('messages', { wait: 0.1 })).toEqual({ messages: [], cursor });
      expect(performance.now() - from).toBeGreaterThanOrEqual(99);
      expect(parked(server)).toBe(0);
    });

    test('it ends as soon as there is something: a message, a word to this client, a room that it came into', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const { answer: poll } = await park(server, client);
      await client.say('my own is nothing');
      await speaker.say('a');
      expect(texts((await poll).body)).toEqual(['a']);

      const { answer: second } = await park(server, client);
      await server.api.connections.apply(client.is, 'sendMessage', 'psst');
      expect(texts((await second).body)).toEqual(['psst']);

      const { answer: third } = await park(server, client);
      await client.ok('roomAdd', { room: 'den' });
      await speaker.ok('roomAdd', { room: 'den' });
      await speaker.say('b', { room: 'den' });
      expect(texts((await third).body)).toEqual(['b']);
    });

    test('several tabs on one cookie all get what comes while they wait', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      await client.ok('messages');
      const polls = [client.get('messages', { wait: 30 }), client.get('messages', { wait: 30 })];
      await eventually(() => parked(server) === 2);
      await speaker.say('to all tabs');
      for (const { body } of await Promise.all(polls)) expect(texts(body)).toEqual(['to all tabs']);
    });

    test('a third one is one too many: the oldest is answered empty at once', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const { cursor } = await client.ok('messages');
      const polls: Promise<Answer>[] = [];
      for (const count of [1, 2]) {
        polls.push(client.get('messages', { wait: 30, after: cursor }));
        await eventually(() => parked(server) === count);
      }
      polls.push(client.get('messages', { wait: 30, after: cursor }));
      expect((await polls[0]!).body).toEqual({ messages: [], cursor, superseded: true });
      expect(parked(server)).toBe(2);
      await speaker.say('a');
      for (const { body } of await Promise.all(polls.slice(1))) {
        expect([texts(body), body.superseded]).toEqual([['a'], undefined]);
      }
    });

    test('who gives up waiting leaves nothing behind, and has missed nothing', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const poll = client.get('messages', { wait: 30 }).catch(() => undefined);
      await eventually(() => parked(server) === 1);
      client.abandon();
      await poll;
      await eventually(() => parked(server) === 0);
      await speaker.say('a');
      expect(texts(await client.ok('messages'))).toEqual(['a']);
    });

    test('a server that goes answers at once, with the cursor', async () => {
      const server = await start();
      const client = await arrived(server);
      const { cursor } = await client.ok('messages');
      const { answer: poll } = await park(server, client);
      server.drain();
      const answer = await poll;
      expect([answer.status, answer.body]).toEqual([200, { messages: [], cursor }]);
      const late = await client.get('messages', { wait: 30 });
      expect([late.body, late.headers.connection]).toEqual([{ messages: [], cursor }, 'close']);
    });
  });

  describe('what is lost is told', () => {
    test('trimmed: how many, once, before what follows; all is accounted for', async () => {
      const server = await start({ chat: { maxLogLength: 5 } });
      const [byPlace, byCursor, speaker] = [await arrived(server), await arrived(server), await arrived(server)];
      const { cursor } = await byCursor.ok('messages');
      await byPlace.ok('messages');
      for (let index = 1; index <= 12; index += 1) await speaker.say(index);
      const told = {
        messages: [8, 9, 10, 11, 12].map((message) => expect.objectContaining({ message }) as object),
        cursor: aCursor,
        gaps: [{ room: 'defaultRoom', reason: 'trimmed', lost: 7 }],
      };
      const answer = await byCursor.ok('messages', { after: cursor });
      expect(answer).toEqual(told);
      expect(await byCursor.ok('messages', { after: cursor })).toEqual(told);
      expect(await byCursor.ok('messages', { after: answer.cursor })).toEqual(nothing);
      expect(await byPlace.ok('messages')).toEqual(told);
      expect(await byPlace.ok('messages')).toEqual(nothing);
    });

    test('with pages: the gap is in the first only', async () => {
      const server = await start({ chat: { maxLogLength: 3 } });
      const [client, speaker] = [await arrived(server), await arrived(server)];
      let { cursor } = await client.ok('messages');
      for (let index = 1; index <= 5; index += 1) await speaker.say(index);
      const pages = [];
      for (let page = 0; page < 3; page += 1) {
        const answer = await client.ok('messages', { after: cursor, limit: 1 });
        pages.push([texts(answer), answer.gaps]);
        cursor = answer.cursor;
      }
      expect(pages).toEqual([
        [[3], [{ room: 'defaultRoom', reason: 'trimmed', lost: 2 }]],
        [[4], undefined],
        [[5], undefined],
      ]);
    });

    test('expired: messages have their time, and are counted', async () => {
      const server = await start({ chat: { messageTTL: 60 } });
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const { cursor } = await client.ok('messages');
      for (let index = 0; index < 3; index += 1) await speaker.say(index);
      const gaps = [{ room: 'defaultRoom', reason: 'expired', lost: 3 }];
      const answer = await eventually(async () => {
        const { status, body } = await client.get('messages', { after: cursor });
        return status === 200 && body.messages.length === 0 ? (body as { cursor: string }) : undefined;
      });
      expect(answer).toEqual({ ...nothing, gaps });
      expect(await client.ok('messages', { after: answer.cursor })).toEqual(nothing);
      expect(await client.ok('messages')).toEqual({ ...nothing, gaps });
      expect(await client.ok('messages')).toEqual(nothing);
    });
  });

  test('nothing is lost, and so nothing told, when a quiet room is left the moment it was joined', async () => {
    const server = await start();
    const [ws, poller, speaker] = [await WsClient.connect(server.url), await arrived(server), await arrived(server)];
    await poller.stream('ndjson');
    const asked: Promise<unknown>[] = [];
    for (let round = 0; round < 20; round += 1) {
      for (const [add, leave] of [
        ['roomAdd', 'roomLeave'],
        ['listenToRoom', 'silenceRoom'],
      ] as const) {
        asked.push(ws.data(add, { room: `${add}${round}` }), ws.data(leave, { room: `${add}${round}` }));
      }
      await poller.ok('roomAdd', { room: `polled${round}` });
      await poller.ok('roomLeave', { room: `polled${round}` });
    }
    await Promise.all(asked);
    await speaker.say('and then');
    expect(await ws.heard.next()).toMatchObject({ message: 'and then' });
    expect(await poller.heard.next()).toMatchObject({ message: 'and then' });
    expect([...ws.others.all, ...poller.others.all]).toEqual([]);
  });

  test('who has gone on by a socket is not taken back by an answer of before', async () => {
    const server = await start();
    const [client, speaker] = [await arrived(server), await arrived(server)];
    await speaker.say('one');
    expect(texts(await client.ok('messages'))).toEqual(['one']);
    for (const message of ['two', 'three']) await speaker.say(message);
    const Cookie = [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const ws = await WsClient.connect(server.url, '/chat/', { headers: { Cookie } });
    await ws.data('resume');
    // The answer of before is not confirmed yet, so it comes again: once.
    expect(texts({ messages: await ws.heard.take(3) })).toEqual(['one', 'two', 'three']);
    ws.send({ event: 'quit' });
    await ws.closed;
    expect(await client.ok('messages')).toEqual(nothing);
  });

  describe('streams', () => {
    interface RawStream {
      readonly response: http.IncomingMessage;
      /** Everything so far. */
      text(): string;
      end(): void;
    }

    async function open(client: HttpClient, query: string, headers: Record<string, string> = {}): Promise<RawStream> {
      const Cookie = [...client.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const sent = http.request(`${client.url}/chat/?method=messages&${query}`, { headers: { Cookie, ...headers } });
      sent.end();
      const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('error', () => undefined);
      return { response, text: () => text, end: () => sent.destroy() };
    }

    /** The fields of each event, without the first, which only brings `retry` and the place. */
    function events(text: string): Record<string, string>[] {
      const whole = text.split('\n\n').slice(0, -1);
      return whole.map((event) =>
        Object.fromEntries(event.split('\n').map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string])),
      );
    }

    test('server-sent events: id, event and data, one line each, after retry and the place', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const stream = await open(client, 'stream=sse');
      expect(stream.response.statusCode).toBe(200);
      expect(stream.response.headers).toMatchObject({
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store, private',
        'x-content-type-options': 'nosniff',
        'x-accel-buffering': 'no',
        'referrer-policy': 'no-referrer',
        vary: 'Origin, Cookie, Accept',
      });
      const said = await speaker.say('one\n\nevent: x\r\ndata: two\u2028');
      await eventually(() => events(stream.text()).length === 2);
      const [first, event] = events(stream.text());
      expect(first).toEqual({ retry: expect.stringMatching(/^[12]\d{3}$/), id: aCursor });
      expect(event).toEqual({ id: aCursor, event: 'say', data: expect.any(String) });
      expect(JSON.parse(event!['data']!)).toEqual({
        message: 'one\n\nevent: x\r\ndata: two\u2028',
        room: 'defaultRoom',
        from: speaker.is,
        context: 'user',
        sentAt: said.sentAt,
        id: said.id,
      });
      // Both ids are cursors: the one of before the message, and the one of after it.
      expect(texts(await client.ok('messages', { after: first!['id'] }))).toHaveLength(1);
      expect(await client.ok('messages', { after: event!['id'] })).toEqual(nothing);
      stream.end();
    });

    test('NDJSON: a message a line, each with its cursor; asked for by parameter or Accept', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const streams = [await open(client, 'stream=ndjson'), await open(client, '', { Accept: 'application/x-ndjson' })];
      for (const text of ['a', 'b', 'c']) await speaker.say(text);
      for (const stream of streams) {
        expect(stream.response.headers['content-type']).toBe('application/x-ndjson; charset=utf-8');
        await eventually(() => stream.text().split('\n').length === 4);
        const lines = stream
          .text()
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as Record<string, string>);
        expect(lines.map(({ message }) => message)).toEqual(['a', 'b', 'c']);
        for (const [index, { cursor }] of lines.entries()) {
          expect(texts(await client.ok('messages', { after: cursor }))).toEqual(['b', 'c'].slice(index));
        }
        stream.end();
      }
      const sse = await open(client, '', { Accept: 'text/event-stream' });
      expect(sse.response.headers['content-type']).toBe('text/event-stream; charset=utf-8');
      sse.end();
    });

    test('the same address means what its headers and its body say, whoever asked it right before', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const { cursor } = await client.ok('messages');
      const path = `/chat/?method=messages&after=${cursor as string}`;
      for (const text of ['a', 'b', 'c']) await speaker.say(text);
      const plain = async (): Promise<unknown[]> => texts((await client.request('GET', path)).body);
      expect(await plain()).toEqual(['a', 'b', 'c']);
      // Its own words are not for the speaker, who asks the same.
      expect(texts((await speaker.request('GET', path)).body)).toEqual([]);
      expect(texts((await client.request('POST', path, { limit: 1 })).body)).toEqual(['a']);
      expect(await plain()).toEqual(['a', 'b', 'c']);
      const sse = await open(client, `after=${cursor as string}`, { Accept: 'text/event-stream' });
      await eventually(() => events(sse.text()).length === 4);
      expect(await plain()).toEqual(['a', 'b', 'c']);
      client.headers = { 'Last-Event-ID': events(sse.text())[1]!['id']! };
      expect(await plain()).toEqual(['b', 'c']);
      client.headers = {};
      expect(await plain()).toEqual(['a', 'b', 'c']);
      sse.end();
    });

    test('Last-Event-ID wins over after, and both resume exactly', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const { cursor } = await client.ok('messages');
      for (const text of ['a', 'b', 'c']) await speaker.say(text);
      const first = await open(client, `stream=sse&after=${cursor as string}`);
      await eventually(() => events(first.text()).length === 4);
      const afterA = events(first.text())[1]!['id']!;
      const again = await open(client, `stream=sse&after=${cursor as string}`, { 'Last-Event-ID': afterA });
      await eventually(() => events(again.text()).length === 3);
      expect(events(again.text()).slice(1)).toEqual(events(first.text()).slice(2));
      await speaker.say('d');
      for (const stream of [first, again]) {
        await eventually(() => stream.text().includes('"message":"d"'));
        stream.end();
      }
    });

    test('a gap is an event of its own, told before what follows; coming back with its id does not repeat it', async () => {
      const server = await start({ chat: { maxLogLength: 2 } });
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const { cursor } = await client.ok('messages');
      for (const text of ['a', 'b', 'c', 'd', 'e']) await speaker.say(text);
      const gap = { context: 'gap', room: 'defaultRoom', reason: 'trimmed', lost: 3 };
      const sse = await open(client, `stream=sse&after=${cursor as string}`);
      await eventually(() => events(sse.text()).length === 4);
      const [, told, d, e] = events(sse.text());
      expect(told).toEqual({ id: aCursor, event: 'gap', data: JSON.stringify(gap) });
      expect([d, e].map((event) => (JSON.parse(event!['data']!) as { message: string }).message)).toEqual(['d', 'e']);
      const { messages, gaps } = await client.ok('messages', { after: told!['id'] });
      expect([texts({ messages }), gaps]).toEqual([['d', 'e'], undefined]);
      sse.end();

      const ndjson = await open(client, `stream=ndjson&after=${cursor as string}`);
      await eventually(() => ndjson.text().split('\n').length === 4);
      expect(JSON.parse(ndjson.text().split('\n')[0]!)).toEqual({ ...gap, cursor: told!['id'] });
      ndjson.end();
    });

    test('echo and presence are asked for', async () => {
      const server = await start();
      const client = await arrived(server);
      await client.stream('sse', { echo: true, presence: true });
      await client.say('mine');
      expect(await client.heard.next()).toMatchObject({ message: 'mine', from: client.is });
      const other = await arrived(server);
      expect(await client.others.next()).toEqual({
        event: 'presence',
        data: { context: 'presence', event: 'join', room: 'defaultRoom', id: other.is, at: expect.any(Number) },
      });
    });

    test('without a cursor it begins at the place of the client, and moves it', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      await client.ok('messages');
      await speaker.say('a');
      const answer = await lost(client, () => client.get('messages'));
      expect(texts(answer.body)).toEqual(['a']);
      const stream = await open(client, 'stream=ndjson');
      await speaker.say('b');
      await eventually(() => stream.text().includes('"message":"b"'));
      expect(stream.text()).toContain('"message":"a"');
      stream.end();
      await eventually(() => streaming(server) === 0);
      expect(await client.ok('messages')).toEqual(nothing);
      // What was pending before the stream moves the place back no more, though its acknowledgement comes at last.
      client.cookies.set('chatAck', /chatAck=(\d+)/.exec(cookieSet(answer, 'chatAck') ?? '')?.[1] ?? '');
      expect(await client.ok('messages')).toEqual(nothing);
    });

    test('without a cursor it confirms what its chatAck brings back, be it that it has nothing to tell', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      await speaker.say('a');
      expect(texts(await client.ok('messages'))).toEqual(['a']);
      const stream = await open(client, 'stream=ndjson');
      stream.end();
      await eventually(() => streaming(server) === 0);
      client.cookies.delete('chatAck');
      expect(await client.ok('messages')).toEqual(nothing);
    });

    test('a new client is one that has its cookies from the stream', async () => {
      const server = await start();
      const client = new HttpClient(server.url);
      await client.stream('ndjson');
      expect([...client.cookies.keys()].sort()).toEqual(['chatAck', 'sessionID']);
      const { details } = await client.ok('detailsView');
      await (await arrived(server)).say('a');
      await client.heard.next();
      expect((await client.ok('detailsView')).details.connectedAt).toBe(details.connectedAt);
    });

    test('one client has so many, also when it asks for all at once', async () => {
      const server = await start({ limits: { streamsPerClient: 3 } });
      const client = await arrived(server);
      const streams = await Promise.all(Array.from({ length: 6 }, () => open(client, 'stream=sse')));
      const codes = streams.map(({ response }) => response.statusCode).sort();
      expect(codes).toEqual([200, 200, 200, 429, 429, 429]);
      expect(streaming(server)).toBe(3);
      const refused = await client.get('messages', { stream: 'sse' });
      expect([...refusal(refused), refused.headers['retry-after']]).toEqual([
        429,
        'too_many_requests',
        'Error: too many requests; try again later',
        '5',
      ]);
      streams.find(({ response }) => response.statusCode === 200)!.end();
      await eventually(() => streaming(server) === 2);
      const again = await open(client, 'stream=sse');
      expect(again.response.statusCode).toBe(200);
      for (const stream of [...streams, again]) stream.end();
    });

    test('a refusal is an answer like any other', async () => {
      const server = await start();
      const client = await arrived(server);
      expect(refusal(await client.get('messages', { stream: 'sse', after: 'x' }))).toEqual([
        400,
        'invalid_parameter',
        'Error: after is not a cursor',
      ]);
      expect(streaming(server)).toBe(0);
    });

    test('it holds its client in the rooms, and lets it go after the grace', async () => {
      const server = await start({ commonWeb: { httpClientMessageTTL: 200 }, general: { reconnectGrace: 50 } });
      const [client, watcher] = [await connected(server), await connected(server)];
      const id = await client.id();
      const stream = await open(client, 'stream=ndjson', client.headers);
      const own = await open(watcher, 'stream=ndjson&presence=true', watcher.headers);
      const isThere = async (): Promise<boolean> => {
        const { roomStatus } = await watcher.ok('roomView');
        return (roomStatus.members as string[]).includes(id);
      };
      const until = performance.now() + 450;
      while (performance.now() < until) expect(await isThere()).toBe(true);
      stream.end();
      await eventually(async () => !(await isThere()));
      await eventually(() => own.text().includes(`"event":"leave","room":"defaultRoom","id":"${id}"`));
      own.end();
    });

    test('a server that goes ends it politely, and turns away nobody who comes then', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const stream = await open(client, 'stream=sse');
      await speaker.say('a');
      await eventually(() => stream.text().includes('"message":"a"'));
      server.drain();
      await once(stream.response, 'end');
      expect(stream.text()).toMatch(/\n\nretry: \d+\n\n$/);
      // An EventSource gives up at an error; told to come again, it does.
      const late = await open(client, 'stream=sse');
      expect(late.response.statusCode).toBe(200);
      await once(late.response, 'end');
      expect(streaming(server)).toBe(0);
    });

    test('who takes nothing is not written to, and is cut off; it comes back and has lost nothing', async () => {
      const server = await start({ limits: { bufferSoft: 20_000, stuck: 100 } });
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const { cursor } = await client.ok('messages');
      const stuck = await open(client, `stream=ndjson&after=${cursor as string}`);
      stuck.response.pause();
      const text = 'x'.repeat(16_000);
      // The kernel takes some megabytes for a peer that reads nothing.
      let said = 0;
      for (; streaming(server) > 0 && said < 2000; said += 1) await speaker.say(`${said} ${text}`);
      expect(streaming(server)).toBe(0);
      const heard: string[] = [];
      for (let after = cursor as string; heard.length < said;) {
        const page = await client.ok('messages', { after });
        heard.push(...(texts(page) as string[]).map((each) => each.split(' ')[0]!));
        after = page.cursor as string;
      }
      expect(heard).toEqual(Array.from({ length: said }, (_, index) => String(index)));
      stuck.end();
    });
  });
});

test('a bearer whose next poll is there before its place is kept hears nothing twice', async () => {
  const store = new MemoryStore(usualLimits);
  const server = await startServer({ store });
  const [client, speaker] = [await connected(server), await arrived(server)];
  await speaker.say('a');
  const write = store.writeClient.bind(store);
  let goOn: (() => void) | undefined;
  jest.spyOn(store, 'writeClient').mockImplementationOnce(async (...given) => {
    await new Promise<void>((resolve) => (goOn = resolve));
    return write(...given);
  });
  expect(texts(await client.ok('messages'))).toEqual(['a']);
  await eventually(() => goOn);
  const next = client.ok('messages');
  // Whatever would not wait is answered by now.
  for (let turn = 0; turn < 3; turn += 1) await speaker.id();
  goOn?.();
  expect(await next).toEqual(nothing);
});

test('who keeps no jar, and goes before its answer is written, is given it again', async () => {
  const waiting: (() => void)[] = [];
  const say = (): Promise<undefined> => new Promise((resolve) => waiting.push(() => resolve(undefined)));
  const server = await startServer({ middleware: [{ name: 'slow', say }] });
  const [client, speaker] = [await connected(server), await arrived(server)];
  await speaker.say('a');
  const gone = http.get(`${server.url}/chat/?method=messages`, { headers: client.headers });
  gone.on('error', () => undefined);
  await eventually(() => waiting.length === 1);
  gone.destroy();
  // What it did is noticed before what is asked after it.
  await speaker.id();
  waiting.pop()?.();
  await speaker.id();
  const again = client.ok('messages');
  await eventually(() => waiting.length === 1);
  waiting.pop()?.();
  expect(texts(await again)).toEqual(['a']);
});

test('what is said while a poll looks at what was said before ends it as well', async () => {
  const waiting: (() => void)[] = [];
  const say = async (
    _connection: unknown,
    _room: string,
    { message }: { message: unknown },
  ): Promise<null | undefined> => {
    await new Promise<void>((resolve) => waiting.push(resolve));
    return message === 'nothing for it' ? null : undefined;
  };
  const server = await startServer({ middleware: [{ name: 'slow', say }] });
  const [client, speaker] = [await arrived(server), await arrived(server)];
  const { answer } = await park(server, client);
  await speaker.say('nothing for it');
  await eventually(() => waiting.length === 1);
  await speaker.say('this');
  await speaker.id();
  waiting.pop()?.();
  await eventually(() => waiting.length === 1);
  waiting.pop()?.();
  expect(texts((await answer).body)).toEqual(['this']);
});

test('an EventSource comes back by itself, and has heard everything once', async () => {
  const server = await startServer();
  const [client, speaker] = [await connected(server), await arrived(server)];
  const way = await FaultProxy.to(server.port);
  const { cursor } = await client.ok('messages');
  const source = new EventSource(`http://127.0.0.1:${way.port}/chat/?method=messages&after=${cursor as string}`, {
    fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...client.headers } }),
  });
  try {
    const heard: unknown[] = [];
    let opened = 0;
    source.addEventListener('open', () => (opened += 1));
    source.addEventListener('say', ({ data }) => {
      heard.push((JSON.parse(data as string) as { message: unknown }).message);
    });
    await eventually(() => opened === 1);
    await speaker.say('a');
    await eventually(() => heard.length === 1);
    way.cut();
    await speaker.say('b');
    // The time that the server told it to take for coming back.
    await eventually(() => opened === 2);
    await speaker.say('c');
    await eventually(() => heard.length === 3);
    expect(heard).toEqual(['a', 'b', 'c']);
  } finally {
    source.close();
    await way.close();
  }
});

test('a stream that has nothing to tell gives a sign of life every 20 s', async () => {
  jest.useFakeTimers({
    now: Date.now(),
    doNotFake: ['nextTick', 'setImmediate', 'setTimeout', 'clearTimeout', 'Date', 'queueMicrotask'],
  });
  try {
    const server = await startServer();
    const client = await arrived(server);
    const speaker = await arrived(server);
    const texts = await Promise.all(
      ['sse', 'ndjson'].map(async (format) => {
        const sent = http.get(`${server.url}/chat/?method=messages&stream=${format}`);
        const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
        const kept = { text: '' };
        response.setEncoding('utf8').on('data', (piece: string) => (kept.text += piece));
        response.on('error', () => undefined);
        return kept;
      }),
    );
    await speaker.say('a');
    await eventually(() => texts.every(({ text }) => text.includes('"a"')));
    const before = texts.map(({ text }) => text);
    jest.advanceTimersByTime(19_000);
    await speaker.say('b');
    await eventually(() => texts.every(({ text }) => text.includes('"b"')));
    expect(texts.map(({ text }) => text.includes('\n:\n\n'))).toEqual([false, false]);
    jest.advanceTimersByTime(20_000);
    await eventually(() => texts.every(({ text }, index) => text.length > before[index]!.length));
    await eventually(() => texts[0]!.text.endsWith('\n\n:\n\n') && texts[1]!.text.endsWith('}\n\n'));
    client.abandon();
  } finally {
    jest.useRealTimers();
  }
});

describe('in Redis', () => {
  let redis: Redis;
  beforeEach(() => {
    redis = new Redis(sharedRedis());
  });
  afterEach(() => {
    redis.disconnect();
  });

  test("a client's record is queue:{its public id}, with the TTL, renewed by coming back, gone after it", async () => {
    const settings = redisSettings();
    const ttl = 300;
    const server = await startServer({ config: { redis: settings, commonWeb: { httpClientMessageTTL: ttl } } });
    const [client, speaker] = [await arrived(server), await connected(server)];
    const key = `${settings.prefix}queue:{${client.is}}`;
    const left = (): Promise<number> => redis.pttl(key);
    expect(await left()).toBeGreaterThan(0);
    // A quarter more, so that a visit that renews nothing has its whole time still.
    expect(await left()).toBeLessThanOrEqual(1.25 * ttl);
    await server.api.connections.apply(client.is, 'sendMessage', 'unread');
    await eventually(async () => (await left()) < ttl / 2);
    await client.ok('messages');
    expect(await left()).toBeGreaterThan(ttl / 2);

    await server.api.connections.apply(client.is, 'sendMessage', 'unread');
    await speaker.stream('ndjson');
    await speaker.say('unread');
    await eventually(async () => (await left()) === -2);
    const keys = await keysUnder(redis, settings.prefix);
    // The keys of idempotence hold ids only, and have times of their own.
    expect(keys.filter((name) => name.includes(client.is) && !name.includes(':once:'))).toEqual([]);
    // The room keeps its membership until somebody finds that its lease has run out.
    await eventually(async () => {
      const { roomStatus } = await speaker.ok('roomView');
      return !(roomStatus.members as string[]).includes(client.is);
    });
    const back = await client.ok('messages');
    expect(back).toEqual({ ...nothing, gaps: [{ room: 'defaultRoom', reason: 'expired', lost: null }] });
    expect(await client.ok('messages')).toEqual(nothing);
    expect(await client.id()).toBe(client.is);
  });

  test('no token is in it, nor in any answer but its own, nor in the log', async () => {
    const settings = redisSettings();
    const server = await startServer({ config: { redis: settings, log: { level: 'debug' } } });
    const [client, bearer] = [await arrived(server), await connected(server)];
    const seen: string[] = [];
    for (const who of [client, bearer]) {
      await who.say('x');
      await who.ok('roomChange', { room: 'den' });
      const others = new HttpClient(server.url);
      await others.ok('roomAdd', { room: 'den' });
      seen.push(
        JSON.stringify([
          await others.ok('roomView', { room: 'den' }),
          await others.ok('messages'),
          await who.ok('detailsView'),
        ]),
      );
    }
    const all = await keysUnder(redis, settings.prefix);
    for (const key of all) seen.push(key, await redis.dump(key));
    seen.push(JSON.stringify(server.log.lines));
    const everything = seen.join('\n');
    expect(all.length).toBeGreaterThan(5);
    for (const token of [client.cookies.get('sessionID')!, bearer.session]) expect(everything).not.toContain(token);
  });

  test.each([
    ['a cookie, by short polls', arrived, {}],
    ['a cookie, by long polls', arrived, { wait: 30 }],
    ['a bearer', connected, {}],
    ['a bearer, by long polls', connected, { wait: 30 }],
  ] as const)('all is lost: %s goes on under its id, and is told once', async (_what, make, query) => {
    const settings = redisSettings();
    const server = await startServer({ config: { redis: settings } });
    const client: HttpClient = await make(server);
    const [speaker, id] = [await arrived(server), await client.id()];
    await speaker.say('before');
    expect(texts(await client.ok('messages', query))).toEqual(['before']);
    await speaker.say('lost');
    // Tokens and the store's secret have times of a millisecond.
    await eventually(async () => (await redis.del(...(await keysUnder(redis, settings.prefix)))) > 0);
    const fresh = await arrived(server);
    await fresh.ok('detailsView');
    const told = await client.ok('messages', query);
    expect(told.gaps).toEqual([{ room: 'defaultRoom', reason: 'reset', lost: null }]);
    await fresh.say('after');
    const next = await client.ok('messages', query);
    expect([texts(next), next.gaps]).toEqual([['after'], undefined]);
    expect(await client.ok('messages')).toEqual(nothing);
    expect(await client.id()).toBe(id);
    expect((await client.ok('roomView')).roomStatus.members).toContain(id);
    await client.say('still here');
    expect(texts(await fresh.ok('messages'))).toEqual(['still here']);
  });

  test('all is lost while a poll waits and a stream is open: both are told', async () => {
    const settings = redisSettings();
    const server = await startServer({ config: { redis: settings } });
    const [client, streamer, speaker] = [await arrived(server), await connected(server), await arrived(server)];
    await streamer.stream('ndjson');
    await speaker.say('before');
    await client.ok('messages');
    await streamer.heard.next();
    const { answer: poll } = await park(server, client);
    await redis.del(...(await keysUnder(redis, settings.prefix)));
    const fresh = await arrived(server);
    await fresh.say('after');
    const gap = { room: 'defaultRoom', reason: 'reset', lost: null };
    expect((await poll).body.gaps).toEqual([gap]);
    expect(await streamer.others.next()).toEqual({ context: 'gap', ...gap });
    expect(await streamer.heard.next()).toMatchObject({ message: 'after' });
  });

  describe('two nodes', () => {
    async function nodes(config: SettingsInput = {}): Promise<[ServerUnderTest, ServerUnderTest]> {
      const both = { ...config, redis: redisSettings() };
      return [await startServer({ config: both }), await startServer({ config: both })];
    }

    test('any node serves any client, each time another', async () => {
      const [one, two] = await nodes();
      const [client, speaker] = [await arrived(one), await arrived(two)];
      for (let index = 0; index < 10; index += 1) {
        speaker.url = [one, two][index % 2]!.url;
        await speaker.say(index);
        client.url = [one, two][(index >> 1) % 2]!.url;
        expect(texts(await client.ok('messages'))).toEqual([index]);
      }
      client.url = one.url;
      expect(await client.ok('messages')).toEqual(nothing);
    });

    test('any node parks any client, and wakes it', async () => {
      const [one, two] = await nodes();
      const [client, speaker] = [await arrived(one), await arrived(one)];
      client.url = two.url;
      for (const text of ['a', 'b', 'c']) {
        const { answer: poll } = await park(two, client);
        await speaker.say(text);
        expect(texts((await poll).body)).toEqual([text]);
      }
      const { answer: poll } = await park(two, client);
      await one.api.connections.apply(client.is, 'sendMessage', 'psst');
      expect(texts((await poll).body)).toEqual(['psst']);
    });

    test('a cursor of any method and transport is taken by every other, on the other node', async () => {
      const [one, two] = await nodes();
      const client = await connected(one);
      const speaker = await arrived(one);
      const cursors = [
        (await client.ok('messages')).cursor as string,
        (await client.post('roomView')).body.roomStatus.cursor as string,
      ];
      await client.stream('sse');
      await eventually(() => client.cursor !== '');
      cursors.push(client.cursor);
      const socket = await WsClient.connect(one.url);
      cursors.push((await socket.data('resume', { session: client.session, after: client.cursor })).cursor as string);
      cursors.push((await socket.data('detailsView')).cursor as string);
      await speaker.say('a');
      await speaker.say('b');

      for (const after of cursors) {
        const reader = new HttpClient(two.url);
        reader.headers = client.headers;
        expect(texts(await reader.ok('messages', { after }))).toEqual(['a', 'b']);
        for (const format of ['sse', 'ndjson'] as const) {
          const stream = new HttpClient(two.url);
          stream.headers = client.headers;
          await stream.stream(format, { after });
          expect((await stream.heard.take(2)).map(({ message }: { message: string }) => message)).toEqual(['a', 'b']);
          stream.abandon();
        }
        const tcp = await TcpClient.connect(two.tcpPort);
        await tcp.data('resume', { session: client.session, after });
        expect((await tcp.heard.take(2)).map(({ message }: { message: string }) => message)).toEqual(['a', 'b']);
        tcp.abandon();
        await eventually(() => streaming(two) === 0);
      }
    });

    test('what one node trims the other tells', async () => {
      const [one, two] = await nodes({ chat: { maxLogLength: 3 } });
      const [client, speaker] = [await arrived(one), await arrived(one)];
      const { cursor } = await client.ok('messages');
      for (let index = 0; index < 10; index += 1) await speaker.say(index);
      client.url = two.url;
      const answer = await client.ok('messages', { after: cursor });
      expect([texts(answer), answer.gaps]).toEqual([[7, 8, 9], [{ room: 'defaultRoom', reason: 'trimmed', lost: 7 }]]);
    });

    test('a roomChange on one node is heard by the poll that waits on the other', async () => {
      const [one, two] = await nodes();
      const [client, speaker] = [await arrived(one), await arrived(one)];
      await speaker.ok('roomAdd', { room: 'den' });
      client.url = two.url;
      const { answer: poll } = await park(two, client);
      const second = new HttpClient(one.url);
      for (const [name, value] of client.cookies) second.cookies.set(name, value);
      await second.ok('roomChange', { room: 'den' });
      await speaker.say('not for it any more', { room: 'defaultRoom' });
      // It may still be on its way to the other node when it is said.
      await eventually(async () => {
        await speaker.say('den', { room: 'den' });
        await stillness(5);
        return parked(two) === 0;
      });
      expect(new Set(texts((await poll).body))).toEqual(new Set(['den']));
    });
  });
});
