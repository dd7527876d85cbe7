/** Chat over plain HTTP as docs/protocol.md has it: every method, every refusal, and who a request is from. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import http from 'node:http';
import { createConnection } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import express from 'express';
import request from 'supertest';
import { z } from 'zod';
import { actions as earshotActions } from '../../actions';
import { defineAction, type ChatMiddleware } from '../../src/kit';
import type { SettingsInput } from '../../src/config';
import { createChat } from '../../src/mounted-chat';
import { TcpClient, WsClient } from '../support/clients';
import { eventually } from '../support/eventually';
import {
  arrived,
  connected,
  cookieSet,
  HttpClient,
  refusal,
  setCookies,
  texts,
  type Answer,
} from '../support/http-client';
import { KeptLog } from '../support/logger';
import { startServer, type ServerOptions, type ServerUnderTest } from '../support/server';
import { storeSettings } from '../support/store-settings';

const ID = /^[A-Za-z0-9_-]{22}$/;
const TOKEN = /^[A-Za-z0-9_-]{60}$/;
const CURSOR = /^[A-Za-z0-9_-]+$/;
const ENTRY = /^\d{13}-\d+$/;
const anId = expect.stringMatching(ID) as string;
const aCursor = expect.stringMatching(CURSOR) as string;

/** Without any jar: what one request of somebody unknown is answered. */
async function ask(server: ServerUnderTest, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const client = new HttpClient(server.url);
  client.headers = headers;
  return client.request('GET', path);
}

/** Bytes as they are, and all that comes back. */
async function raw(server: ServerUnderTest, bytes: string): Promise<string> {
  const socket = createConnection(server.port, '127.0.0.1');
  socket.write(bytes);
  let text = '';
  for await (const piece of socket.setEncoding('utf8')) text += String(piece);
  return text;
}

describe.each(storeSettings)('on %s', (_name, settings) => {
  const start = (config: SettingsInput = {}, more: Omit<ServerOptions, 'config'> = {}): Promise<ServerUnderTest> =>
    startServer({ ...more, config: { ...settings(), ...config } });

  describe('each method', () => {
    test('say, and messages as the others get it', async () => {
      const server = await start();
      const [speaker, hearer] = [await arrived(server), await arrived(server)];
      const said = await speaker.ok('say', { message: 'hello world' });
      expect(said).toEqual({
        status: 'OK',
        room: 'defaultRoom',
        id: expect.stringMatching(ENTRY),
        sentAt: Number((said.id as string).split('-')[0]),
      });
      expect(await hearer.ok('messages')).toEqual({
        messages: [
          {
            message: 'hello world',
            room: 'defaultRoom',
            from: speaker.is,
            context: 'user',
            sentAt: said.sentAt,
            id: said.id,
          },
        ],
        cursor: aCursor,
      });
      expect(await speaker.ok('messages')).toEqual({ messages: [], cursor: aCursor });
    });

    test('roomView', async () => {
      const server = await start();
      const clients = [await arrived(server), await arrived(server)];
      expect(await clients[0]!.ok('roomView')).toEqual({
        roomStatus: {
          room: 'defaultRoom',
          members: clients.map(({ is }) => is).sort(),
          membersCount: 2,
          cursor: aCursor,
        },
      });
    });

    test('roomChange, roomAdd, roomLeave, listenToRoom, silenceRoom, and detailsView of it all', async () => {
      const server = await start();
      const client = await arrived(server);
      expect(await client.ok('roomChange', { room: 'den' })).toEqual({ room: 'den' });
      expect(await client.ok('roomAdd', { room: 'attic' })).toEqual({ status: 'OK', room: 'attic' });
      expect(await client.ok('listenToRoom', { room: 'hall' })).toEqual({ status: 'OK', room: 'hall' });
      const { details } = await client.ok('detailsView');
      expect(details).toMatchObject({ id: client.is, room: 'den', listening: ['hall'], attributes: {} });
      expect([...details.rooms].sort()).toEqual(['attic', 'den']);
      expect(Math.abs(Date.now() - details.connectedAt)).toBeLessThan(10_000);

      const read = async (cursor: string): Promise<unknown[]> => {
        return texts(await client.ok('messages', { after: cursor, echo: true }));
      };
      await client.say('after that', { room: 'attic' });
      expect(await read(details.cursor)).toEqual(['after that']);
      expect(await read((await client.ok('detailsView')).details.cursor)).toEqual([]);

      expect(await client.ok('roomLeave', { room: 'attic' })).toEqual({ status: 'OK', room: 'attic' });
      expect(await client.ok('silenceRoom', { room: 'hall' })).toEqual({ status: 'OK', room: 'hall' });
      expect((await client.ok('detailsView')).details).toMatchObject({ rooms: ['den'], listening: [] });
    });

    test('connect, for clients without cookies', async () => {
      const server = await start();
      const client = new HttpClient(server.url);
      const { status, body, headers } = await client.post('connect');
      expect([status, body, headers['set-cookie']]).toEqual([
        200,
        { session: expect.stringMatching(TOKEN), id: anId, room: 'defaultRoom', cursor: aCursor },
        undefined,
      ]);
      const other = await arrived(server);
      await other.say('hello');
      client.headers = { Authorization: `Bearer ${body.session as string}` };
      expect(await client.id()).toBe(body.id);
      expect(texts(await client.ok('messages', { after: body.cursor as string }))).toEqual(['hello']);
      expect(client.cookies.size).toBe(0);
    });
  });

  describe('rooms', () => {
    test('a room left out is the current one, and only members can speak in one', async () => {
      const server = await start();
      const [client, other] = [await arrived(server), await arrived(server)];
      await client.ok('roomChange', { room: 'den' });
      expect(await client.ok('say', { message: 'x' })).toMatchObject({ room: 'den' });
      expect(await client.ok('roomView')).toMatchObject({ roomStatus: { room: 'den', members: [client.is] } });
      expect(refusal(await other.get('say', { message: 'x', room: 'den' }))).toEqual([
        403,
        'not_in_room',
        'Error: connection not in this room (den)',
      ]);
      await other.ok('listenToRoom', { room: 'den' });
      expect(refusal(await other.get('say', { message: 'x', room: 'den' }))[1]).toBe('not_in_room');
      await client.ok('roomLeave', { room: 'den' });
      expect(refusal(await client.get('say', { message: 'x' }))).toEqual([
        400,
        'room_required',
        'Error: a room is required',
      ]);
    });

    test('roomView of a room that one does not hear, and of none', async () => {
      const server = await start();
      const [client, other] = [await arrived(server), await arrived(server)];
      await other.ok('roomAdd', { room: 'den' });
      expect(refusal(await client.get('roomView', { room: 'den' }))).toEqual([
        403,
        'not_in_room',
        'Error: connection not in this room (den)',
      ]);
      expect(refusal(await client.get('roomView', { room: 'nowhere' }))).toEqual([
        404,
        'room_not_found',
        'Error: room does not exist',
      ]);
      await client.ok('listenToRoom', { room: 'den' });
      // Who listens is no member.
      expect(await client.ok('roomView', { room: 'den' })).toMatchObject({
        roomStatus: { members: [other.is], membersCount: 1 },
      });
    });

    test('members are paged by limit, and counted exactly', async () => {
      const server = await start();
      const clients = [];
      for (let index = 0; index < 5; index += 1) clients.push(await arrived(server));
      const seen: string[] = [];
      let query: Record<string, string | number> = { limit: 2 };
      for (const size of [2, 2, 1]) {
        const { roomStatus } = await clients[0]!.ok('roomView', query);
        expect([roomStatus.members.length, roomStatus.membersCount]).toEqual([size, 5]);
        seen.push(...roomStatus.members);
        query = { limit: 2, cursor: roomStatus.next };
      }
      expect(query['cursor']).toBeUndefined();
      expect(seen).toEqual(clients.map(({ is }) => is).sort());
    });

    test('with createRoomsOnJoin off only rooms that were added can be joined', async () => {
      const server = await start({ general: { createRoomsOnJoin: false, startingChatRooms: ['den'] } });
      const client = await arrived(server);
      await client.ok('roomAdd', { room: 'den' });
      expect(refusal(await client.get('roomAdd', { room: 'attic' }))).toEqual([
        404,
        'room_not_found',
        'Error: room does not exist',
      ]);
      await server.api.chatRoom.add('attic');
      await client.ok('roomAdd', { room: 'attic' });
    });

    test('a roomChange that is refused changes nothing', async () => {
      const strict: ChatMiddleware = {
        name: 'strict',
        join: (_connection, room) => {
          if (room === 'vault') throw new Error('members only');
        },
        leave: (_connection, room) => {
          if (room === 'trap') throw new Error('nobody leaves');
        },
      };
      const server = await start({}, { middleware: [strict] });
      const [client, other] = [await arrived(server), await arrived(server)];
      const refused = await client.get('roomChange', { room: 'vault' });
      expect(refusal(refused)).toEqual([403, 'forbidden', 'Error: members only']);
      expect(cookieSet(refused, '__room')).toBeUndefined();
      expect((await client.ok('detailsView')).details).toMatchObject({ room: 'defaultRoom', rooms: ['defaultRoom'] });

      await client.ok('roomChange', { room: 'trap' });
      await other.ok('listenToRoom', { room: 'trap' });
      expect(refusal(await client.get('roomChange', { room: 'den' }))).toEqual([
        403,
        'forbidden',
        'Error: nobody leaves',
      ]);
      expect((await client.ok('detailsView')).details).toMatchObject({ room: 'trap', rooms: ['trap'] });
      await client.ok('say', { message: 'still here' });
      expect(texts(await other.ok('messages'))).toEqual(['still here']);
    });

    test('what a middleware throws is its word to the client; null drops, with a code', async () => {
      const rules: ChatMiddleware = {
        name: 'rules',
        onSayReceive: (_connection, _room, payload) => {
          if (payload.message === 'bad') throw new Error('mind your language');
          return payload.message === 'nothing' ? null : { ...payload, message: `<${String(payload.message)}>` };
        },
        say: (_connection, _room, payload) => ({ ...payload, message: `${String(payload.message)}!` }),
      };
      const server = await start({}, { middleware: [rules] });
      const [client, other] = [await arrived(server), await arrived(server)];
      expect(refusal(await client.get('say', { message: 'bad' }))).toEqual([
        403,
        'forbidden',
        'Error: mind your language',
      ]);
      expect(refusal(await client.get('say', { message: 'nothing' }))).toEqual([
        403,
        'dropped',
        'Error: the message was dropped',
      ]);
      await client.ok('say', { message: 'hello' });
      expect(texts(await other.ok('messages'))).toEqual(['<hello>!']);
    });
  });

  describe('saying', () => {
    test('a key says it once, for this client in this room', async () => {
      const server = await start();
      const [client, other] = [await arrived(server), await arrived(server)];
      const first = await client.ok('say', { message: 'once', key: 'k' });
      expect(await client.ok('say', { message: 'twice', key: 'k' })).toEqual(first);
      expect(await other.ok('say', { message: 'mine', key: 'k' })).not.toMatchObject({ id: first.id });
      expect(texts(await other.ok('messages', { echo: true }))).toEqual(['once', 'mine']);
    });

    test('what a client writes of room, from, sentAt, id and context is not listened to', async () => {
      const server = await start();
      const [client, other] = [await arrived(server), await arrived(server)];
      const forged = { from: other.is, sentAt: 1, id: '1-1', context: 'api', speaker: '', general: 'x' };
      const said = await client.say('me', forged);
      const [message] = (await other.ok('messages')).messages;
      expect(message).toEqual({
        message: 'me',
        room: 'defaultRoom',
        from: client.is,
        context: 'user',
        sentAt: said.sentAt,
        id: said.id,
      });
    });

    test('a string arrives byte for byte, and over JSON any value', async () => {
      const server = await start();
      const [client, other] = [await arrived(server), await arrived(server)];
      const strings = [
        '  two  spaces ',
        'a\r\nb\tc\0d',
        'grüß 𝄞 👩‍👩‍👧',
        'e\u0301 \u2028 \u202e',
        '"}\\',
        '#&=+%25',
        '\ud83d\ude00',
      ];
      const values = [{ a: [1, null, { b: 'c' }] }, [], 0, false, null, 3.5, ''.padEnd(100, 'x')];
      for (const text of strings) await client.ok('say', { message: text });
      for (const value of values) await client.say(value);
      expect(texts(await other.ok('messages'))).toEqual([...strings, ...values]);
    });

    test('roomMatchKey and roomMatchValue choose who hears it', async () => {
      const login = defineAction({
        name: 'login',
        description: 'marks who is in',
        inputs: z.object({}),
        run: ({ connection }) => {
          connection['auth'] = 'true';
          return { in: true };
        },
      });
      const server = await start({}, { actions: [login] });
      const [client, friend, stranger] = [await arrived(server), await arrived(server), await arrived(server)];
      expect((await friend.api('login')).body).toEqual({ in: true });
      expect((await friend.ok('detailsView')).details.attributes).toEqual({ auth: 'true' });
      await client.ok('say', { message: 'to one', roomMatchKey: 'id', roomMatchValue: stranger.is });
      await client.ok('say', { message: 'to friends', roomMatchKey: 'auth', roomMatchValue: 'true' });
      await client.ok('say', { message: 'to nobody', roomMatchKey: 'type', roomMatchValue: 'web' });
      await client.ok('say', { message: 'to all' });
      expect(texts(await friend.ok('messages'))).toEqual(['to friends', 'to all']);
      expect(texts(await stranger.ok('messages'))).toEqual(['to one', 'to all']);
    });
  });

  describe('hearing', () => {
    test('echo, presence and limit are what each poll asks for', async () => {
      const server = await start();
      const client = await arrived(server);
      const { cursor } = await client.ok('messages', { presence: true });
      const other = await arrived(server);
      await client.say('mine');
      await other.say('theirs');
      expect(texts(await client.ok('messages', { after: cursor }))).toEqual(['theirs']);
      expect(texts(await client.ok('messages', { after: cursor, echo: true }))).toEqual(['mine', 'theirs']);
      expect(texts(await client.ok('messages', { after: cursor, echo: 'false' }))).toEqual(['theirs']);
      const { messages } = await client.ok('messages', { after: cursor, presence: true });
      expect(messages[0]).toEqual({
        context: 'presence',
        event: 'join',
        room: 'defaultRoom',
        id: other.is,
        at: expect.any(Number),
      });
      expect(messages[1]).toMatchObject({ message: 'theirs' });

      for (const text of ['a', 'b', 'c']) await other.say(text);
      const first = await client.ok('messages', { after: cursor, limit: 3 });
      const second = await client.ok('messages', { after: first.cursor, limit: 3 });
      expect([texts(first), texts(second)]).toEqual([
        ['theirs', 'a'],
        ['b', 'c'],
      ]);
    });

    test('several rooms come as one, in the order of time', async () => {
      const server = await start();
      const [client, other] = [await arrived(server), await arrived(server)];
      for (const who of [client, other]) await who.ok('roomAdd', { room: 'den' });
      for (const [index, room] of ['den', 'defaultRoom', 'den', 'defaultRoom'].entries()) {
        const { sentAt } = await client.say(`${room} ${index}`, { room });
        // Times are whole milliseconds: within one of them there is no order between rooms.
        await eventually(() => Date.now() > sentAt);
      }
      expect(texts(await other.ok('messages'))).toEqual(['den 0', 'defaultRoom 1', 'den 2', 'defaultRoom 3']);
    });

    test('direct messages have no room, and come in their turn', async () => {
      const server = await start();
      const client = await arrived(server);
      await server.api.connections.apply(client.is, 'sendMessage', 'psst');
      await server.api.connections.apply(client.is, 'sendMessage', { hint: 'look', context: 'alert' });
      const direct = { from: 'earshot', sentAt: expect.any(Number), id: expect.stringMatching(ENTRY) };
      expect((await client.ok('messages')).messages).toEqual([
        { ...direct, message: 'psst', context: 'user' },
        { ...direct, hint: 'look', context: 'alert' },
      ]);
      expect((await client.ok('messages')).messages).toEqual([]);
    });

    test('nothing from before the join is heard, whatever cursor is given', async () => {
      const server = await start();
      const speaker = await arrived(server);
      const early = (await speaker.ok('roomView')).roomStatus.cursor as string;
      await speaker.say('before');
      const late = await arrived(server);
      await speaker.say('after');
      expect(await late.ok('messages', { after: early })).toEqual({
        messages: [expect.objectContaining({ message: 'after' })],
        cursor: aCursor,
      });
    });

    test('history is refused unless it is on and the client hears the room', async () => {
      const off = await arrived(await start());
      expect(refusal(await off.get('history', { room: 'defaultRoom' }))).toEqual([
        403,
        'history_disabled',
        'Error: history is not enabled',
      ]);

      const server = await start({ chat: { history: 3 } });
      const speaker = await arrived(server);
      for (const text of ['a', 'b', 'c', 'd']) await speaker.say(text);
      const late = await arrived(server);
      const all = await late.ok('history', { room: 'defaultRoom' });
      expect(texts(all)).toEqual(['b', 'c', 'd']);
      expect(all.messages[0]).toMatchObject({ room: 'defaultRoom', from: speaker.is, context: 'user' });
      expect(texts(await late.ok('history', { room: 'defaultRoom', limit: 1 }))).toEqual(['d']);
      const before = all.messages[1].id as string;
      expect(texts(await late.ok('history', { room: 'defaultRoom', before, limit: 2 }))).toEqual(['a', 'b']);
      expect(refusal(await late.get('history', {}))).toEqual([400, 'room_required', 'Error: a room is required']);
      expect(refusal(await late.get('history', { room: 'den' }))[1]).toBe('not_in_room');
      expect(refusal(await late.get('history', { room: 'defaultRoom', before: 'x' }))[1]).toBe('invalid_parameter');
    });
  });

  describe('who a request is from', () => {
    test('a bearer token of ours before the cookie; one of another form is nobody', async () => {
      const server = await start();
      const [byCookie, byToken] = [await arrived(server), new HttpClient(server.url)];
      const { session, id } = (await byToken.post('connect')).body;
      const both = { Cookie: `sessionID=${byCookie.cookies.get('sessionID') ?? ''}` };
      const whoIs = async (authorization: string): Promise<Answer> =>
        ask(server, '/chat/?method=detailsView', { ...both, Authorization: authorization });
      expect((await whoIs(`Bearer ${session as string}`)).body.details.id).toBe(id);
      expect((await whoIs('Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln')).body.details.id).toBe(byCookie.is);
      expect((await whoIs('Basic dXNlcjpwYXNz')).body.details.id).toBe(byCookie.is);
      // Our form, but never ours.
      const forged = `${'A'.repeat(50)}${(session as string).slice(50)}`;
      const answer = await whoIs(`Bearer ${forged}`);
      expect(refusal(answer)).toEqual([401, 'session_unknown', 'Error: this session is not known; connect again']);
      expect(setCookies(answer)).toEqual([]);
    });

    test.each([
      ['one that we never issued', () => 'B'.repeat(60)],
      ['a public id', (victim: { is: string }) => victim.is],
      ['text of any kind', () => 'me'],
      ['an object', () => encodeURIComponent('j:{"a":1}')],
      ['the token and one character', (victim: HttpClient) => `${victim.cookies.get('sessionID') ?? ''}A`],
    ])('a sessionID that is no token of ours is never adopted: %s', async (_what, cookieOf) => {
      const server = await start();
      const [victim, speaker] = [await arrived(server), await arrived(server)];
      await speaker.say('for the victim');
      const planted = cookieOf(victim);
      const answer = await ask(server, '/chat/?method=messages', { Cookie: `sessionID=${planted}; chatAck=0` });
      expect(answer.body.messages).toEqual([]);
      const cookie = cookieSet(answer, 'sessionID') ?? '';
      expect(cookie).toMatch(/^sessionID=[A-Za-z0-9_-]{60};/);
      expect(cookie).not.toContain(`=${planted};`);
      expect(texts(await victim.ok('messages'))).toEqual(['for the victim']);
    });

    test('two different sessionIDs are none, as one of them was planted; the same one twice is one', async () => {
      const server = await start();
      const [mine, planted] = [await arrived(server), await arrived(server)];
      const own = `sessionID=${mine.cookies.get('sessionID') ?? ''}`;
      const other = `sessionID=${planted.cookies.get('sessionID') ?? ''}`;
      const seen = async (Cookie: string): Promise<string> =>
        (await ask(server, '/chat/?method=detailsView', { Cookie })).body.details.id as string;
      expect([mine.is, planted.is]).not.toContain(await seen(`${other}; ${own}`));
      expect(await seen(`${own}; ${own}`)).toBe(mine.is);
    });

    test('the cookies of a client that comes back are the ones it has', async () => {
      const server = await start();
      const client = new HttpClient(server.url);
      const first = await client.get('detailsView');
      const age = 60 + 86_400;
      expect(setCookies(first)).toEqual([
        expect.stringMatching(
          new RegExp(`^sessionID=[A-Za-z0-9_-]{60}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${age}$`),
        ),
        expect.stringMatching(new RegExp(`^chatAck=\\d+; Path=/; HttpOnly; SameSite=Lax; Max-Age=${age}$`)),
      ]);
      const token = client.cookies.get('sessionID');
      expect((await client.get('detailsView')).body.details.id).toBe(first.body.details.id);
      expect(setCookies(await client.get('detailsView'))).toEqual([]);
      expect(client.cookies.get('sessionID')).toBe(token);
    });

    test('nothing in a URL says who one is', async () => {
      const server = await start();
      const victim = await arrived(server);
      const token = victim.cookies.get('sessionID') ?? '';
      const query = new URLSearchParams({
        sessionID: token,
        session: token,
        sid: token,
        token,
        id: victim.is,
        from: victim.is,
      });
      const { body } = await ask(server, `/chat/?method=detailsView&${query.toString()}`);
      expect(body.details.id).not.toBe(victim.is);
    });

    test('with onlyStaticElements clients of one kind are one client, and no header chooses another', async () => {
      const server = await start({ commonWeb: { fingerprintOptions: { onlyStaticElements: true } } });
      const curl = { 'User-Agent': 'curl/8', 'Accept-Language': 'en' };
      const whoIs = async (headers: Record<string, string>): Promise<Answer> =>
        ask(server, '/chat/?method=detailsView', headers);
      const first = await whoIs(curl);
      expect(setCookies(first)).toEqual([]);
      const id = first.body.details.id as string;
      expect((await whoIs(curl)).body.details.id).toBe(id);
      const spoofs = { 'X-Forwarded-For': '10.1.2.3', 'x-sessionID': id, sessionID: id, Cookie: `sessionID=${id}` };
      expect((await whoIs({ ...curl, ...spoofs })).body.details.id).toBe(id);
      expect((await whoIs({ ...curl, 'User-Agent': 'curl/9' })).body.details.id).not.toBe(id);

      const speaker = new HttpClient(server.url);
      speaker.headers = { 'User-Agent': 'other' };
      await speaker.say('hello');
      expect(texts((await ask(server, '/chat/?method=messages', curl)).body)).toEqual(['hello']);
      expect((await ask(server, '/chat/?method=messages', curl)).body).toEqual({ messages: [], cursor: aCursor });
      // A browser that a page of another site drives looks like itself.
      const browser = { 'User-Agent': 'Mozilla/5.0', Accept: '*/*' };
      expect(refusal(await whoIs(browser))[1]).toBe('cross_site');
      expect(refusal(await whoIs({ ...browser, Cookie: 'sessionID=planted' }))[1]).toBe('cross_site');
      expect((await whoIs({ ...browser, 'X-Chat': '1' })).status).toBe(200);
    });

    test("an action of one's own reads what it is given each time, be it named as a poll is and the same", async () => {
      let made = 0;
      const inputs = z.object({ method: z.string(), nth: z.number().default(() => (made += 1)) });
      const count = defineAction({
        name: 'count',
        description: 'counts',
        inputs,
        safe: true,
        run: ({ params }) => params,
      });
      const server = await start({}, { actions: [count] });
      for (const nth of [1, 2, 3]) {
        expect((await ask(server, '/api/count?method=messages')).body).toMatchObject({ method: 'messages', nth });
      }
    });

    test("an action of one's own is not run for a page of another site, unless it says that it changes nothing", async () => {
      const ran: string[] = [];
      const [order, look] = ['order', 'look'].map((name) =>
        defineAction({
          name,
          description: name,
          inputs: z.object({}),
          safe: name === 'look',
          run: ({ httpMethod }) => ({ ran: ran.push(`${name} by ${httpMethod ?? 'socket'}`) }),
        }),
      );
      const server = await start({}, { actions: [order!, look!] });
      // Over plain HTTP, by a script or `fetch` under `no-referrer`: without any mark of whose page it was.
      const browser = { 'User-Agent': 'Mozilla/5.0', Accept: '*/*', 'Accept-Language': 'en' };
      for (const path of ['/api/order', '/api?action=order', '/api/order/']) {
        expect(refusal(await ask(server, path, browser))[1]).toBe('cross_site');
      }
      expect(refusal(await ask(server, '/api/look', { ...browser, Referer: 'http://evil.test/' }))[1]).toBe(
        'cross_site',
      );
      expect(ran).toEqual([]);
      for (const path of ['/api/look', '/api/status', '/api/documentation']) {
        expect((await ask(server, path, browser)).status).toBe(200);
      }
      const ours: Record<string, string>[] = [
        { 'X-Chat': '1' },
        { Referer: `${server.url}/` },
        { 'Sec-Fetch-Site': 'same-origin' },
      ];
      for (const marks of ours) {
        expect((await ask(server, '/api/order', { ...browser, ...marks })).status).toBe(200);
      }
      const known = new HttpClient(server.url);
      const [cookie = ''] = setCookies(await known.get('detailsView'));
      expect((await ask(server, '/api/order', { ...browser, Cookie: cookie.split(';')[0]! })).status).toBe(200);
      expect((await ask(server, '/api/order')).status).toBe(200);
      expect(ran).toEqual(['look by GET', ...Array<string>(5).fill('order by GET')]);
    });

    test('a new client stands in the default room at once, and a refused request makes none', async () => {
      const server = await start();
      const watcher = await arrived(server);
      await ask(server, '/chat/?method=nothing');
      await ask(server, '/chat/?method=say&message=x', { Origin: 'https://evil.test' });
      await ask(server, '/api/nothing');
      await ask(server, '/chat/nothing');
      await ask(server, '/chat/?method=roomView&method=roomView');
      // Only the first: what it asked for was wrong, who it was is not.
      expect(await watcher.ok('roomView')).toMatchObject({ roomStatus: { membersCount: 2 } });
    });
  });

  describe('after its time', () => {
    const ttl = 300;
    type View = () => Promise<{ roomStatus: { members: string[] } }>;
    /** Its record is written after it came in, so that it may outlive its place in the room. */
    const gone = async ({ api }: ServerUnderTest, view: View, id: string): Promise<void> => {
      await eventually(async () => !(await view()).roomStatus.members.includes(id));
      await eventually(async () => !(await api.options.chat.store.client(id)));
    };

    test('a bearer is told so, and to connect again', async () => {
      const server = await start({ commonWeb: { httpClientMessageTTL: ttl } });
      const { session, id } = (await new HttpClient(server.url).post('connect')).body;
      const watcher = new HttpClient(server.url);
      await watcher.stream('ndjson');
      await gone(server, () => watcher.ok('roomView'), id as string);
      const answer = await ask(server, '/chat/?method=detailsView', { Authorization: `Bearer ${session as string}` });
      expect(refusal(answer)).toEqual([401, 'session_expired', 'Error: this session has expired; connect again']);
    });

    test('a cookie client goes on under its id, and is told what is lost, once', async () => {
      const server = await start({ commonWeb: { httpClientMessageTTL: ttl }, chat: { messageTTL: 60_000 } });
      const client = await arrived(server);
      const { cursor } = await client.ok('messages');
      const watcher = new HttpClient(server.url);
      await watcher.stream('ndjson');
      await gone(server, () => watcher.ok('roomView'), client.is);
      await watcher.say('missed');
      const expired = { room: 'defaultRoom', reason: 'expired', lost: null };
      const back = await client.get('messages', { after: cursor });
      expect(back.body).toEqual({ messages: [], cursor: aCursor, gaps: [expired] });
      expect(cookieSet(back, 'sessionID')).toContain(client.cookies.get('sessionID'));
      expect(await client.id()).toBe(client.is);
      await watcher.say('heard');
      expect(texts(await client.ok('messages', { after: back.body.cursor as string }))).toEqual(['heard']);
    });

    test('__room leads it back, where it is signed for this client', async () => {
      const server = await start({ commonWeb: { httpClientMessageTTL: ttl }, chat: { messageTTL: 60_000 } });
      const [client, neighbour] = [await arrived(server), await arrived(server)];
      const changed = await client.get('roomChange', { room: 'café/den' });
      expect(cookieSet(changed, '__room')).toMatch(
        /^__room=caf%C3%A9%2Fden\.[A-Za-z0-9_-]{22}; Path=\/; HttpOnly; SameSite=Lax$/,
      );
      const watcher = new HttpClient(server.url);
      await watcher.stream('ndjson');
      for (const room of ['café/den', 'defaultRoom']) {
        if (room !== 'defaultRoom') await watcher.ok('roomAdd', { room });
        await gone(server, () => watcher.ok('roomView', { room }), client.is);
        await gone(server, () => watcher.ok('roomView', { room }), neighbour.is);
      }
      expect((await client.ok('detailsView')).details).toMatchObject({ room: 'café/den', rooms: ['café/den'] });
      // The place in that room has gone with the record.
      expect((await client.ok('messages')).gaps).toEqual([{ room: 'café/den', reason: 'expired', lost: null }]);
      expect(await client.ok('messages')).toEqual({ messages: [], cursor: aCursor });

      neighbour.cookies.set('__room', client.cookies.get('__room') ?? '');
      expect((await neighbour.ok('detailsView')).details).toMatchObject({ room: 'defaultRoom' });
    });

    test('__room is a hint only: it moves nobody who is known, and hooks are asked', async () => {
      let closed = false;
      const door: ChatMiddleware = {
        name: 'door',
        join: (_connection, room) => {
          if (closed && room === 'den') throw new Error('closed');
        },
      };
      const server = await start(
        { commonWeb: { httpClientMessageTTL: ttl }, chat: { messageTTL: 60_000 } },
        { middleware: [door] },
      );
      const client = await arrived(server);
      await client.ok('roomChange', { room: 'den' });
      const planted = client.cookies.get('__room') ?? '';
      await client.ok('roomChange', { room: 'defaultRoom' });
      client.cookies.set('__room', planted);
      expect((await client.ok('detailsView')).details.room).toBe('defaultRoom');

      const watcher = new HttpClient(server.url);
      await watcher.stream('ndjson');
      await gone(server, () => watcher.ok('roomView'), client.is);
      closed = true;
      expect((await client.ok('detailsView')).details).toMatchObject({ id: client.is, room: 'defaultRoom' });
    });

    test('who brings a cursor and nothing else is told that it has lost something', async () => {
      const server = await start();
      const [client, speaker] = [await arrived(server), await arrived(server)];
      const { cursor } = await client.ok('messages');
      await speaker.say('missed');
      client.cookies.clear();
      expect((await client.ok('messages', { after: cursor })).gaps).toEqual([
        { room: 'defaultRoom', reason: 'expired', lost: null },
      ]);
    });
  });
});

describe('the ways to ask', () => {
  let server: ServerUnderTest;
  const asked = { status: 'OK', room: 'defaultRoom' };

  beforeEach(async () => {
    server = await startServer();
  });

  test.each(['/chat/', '/chat', '/api/chat', '/api/chat/', '/api?action=chat', '/api/?action=chat'])(
    '%s, by GET, form and JSON',
    async (path) => {
      const query = { method: 'say', message: 'héllo wörld & more' };
      const agent = request(server.url);
      const answers = [
        await agent.get(path).query(query),
        await agent.post(path).type('form').send(query),
        await agent.post(path).type('json').send(query),
      ];
      for (const { status, body } of answers) expect([status, body]).toEqual([200, expect.objectContaining(asked)]);
    },
  );

  test('the body wins over the query, parameter by parameter', async () => {
    const [client, other] = [await arrived(server), await arrived(server)];
    await client.request('POST', '/chat/?method=say&message=query', { message: 'body' });
    expect(texts(await other.ok('messages'))).toEqual(['body']);
  });

  test("a GET's body is not looked at, and no type is a form", async () => {
    await request(server.url).get('/chat/?method=say').send({ message: 'x' }).expect(400);
    const bare = http.request(`${server.url}/chat/`, { method: 'POST' });
    bare.end('method=say&message=x\n');
    const [response] = (await once(bare, 'response')) as [http.IncomingMessage];
    response.resume();
    expect(response.statusCode).toBe(200);
  });

  test.each([
    ['query', '/chat/?method=say&message=a&message=b', undefined],
    ['query, of any name', '/chat/?method=say&message=a&x=1&x=1', undefined],
    ['query, written differently', '/chat/?method=say&message=a&m%65ssage=b', undefined],
    ['form', '/chat/?method=say', 'message=a&message=b'],
  ])('a parameter given twice is refused: %s', async (_where, path, form) => {
    const { status, body } = form
      ? await request(server.url).post(path).type('form').send(form)
      : await request(server.url).get(path);
    expect([status, body.code]).toEqual([400, 'repeated_parameter']);
    expect(body.error).toMatch(/^Error: (message|x) was given more than once$/);
  });

  test.each([
    ['room=', 'a room is required', 'room_required'],
    ['key=', 'key must have 1 to 64 characters', 'invalid_parameter'],
    [`key=${'k'.repeat(65)}`, 'key must have 1 to 64 characters', 'invalid_parameter'],
    ['room=two%20words', undefined, 'invalid_room_name'],
    ['room=__proto__', undefined, 'invalid_room_name'],
    ['room=constructor', undefined, 'invalid_room_name'],
    [`room=${'r'.repeat(101)}`, undefined, 'invalid_room_name'],
    ['room=a%0Ab', undefined, 'invalid_room_name'],
    ['roomMatchKey=id', 'roomMatchKey and roomMatchValue go together', 'invalid_parameter'],
    ['roomMatchKey=__proto__&roomMatchValue=x', undefined, 'invalid_parameter'],
    ['x=%ff', 'the request is not valid UTF-8', 'invalid_encoding'],
    ['x=%', 'the request is not valid UTF-8', 'invalid_encoding'],
    ['x=%ED%A0%80', 'the request is not valid UTF-8', 'invalid_encoding'],
  ])('say with %s is refused', async (more, text, code) => {
    const { status, body } = await request(server.url).get(`/chat/?method=say&message=x&${more}`);
    expect([status, body.code]).toEqual([400, code]);
    if (text !== undefined) expect(body.error).toBe(`Error: ${text}`);
  });

  test('100 characters are counted as people count them, in NFC', async () => {
    const client = await arrived(server);
    const room = 'é'.repeat(100);
    expect(await client.ok('roomAdd', { room: room.normalize('NFD') })).toMatchObject({ room });
    expect(refusal(await client.get('roomAdd', { room: `${room}x` }))[1]).toBe('invalid_room_name');
    expect(refusal(await client.get('roomAdd', { room }))).toEqual([
      409,
      'already_in_room',
      `Error: connection already in this room (${room})`,
    ]);
  });

  test.each([
    'wait=',
    'wait=x',
    'wait=-1',
    'wait=0x10',
    'wait=1e1',
    'wait=%205',
    'limit=',
    'limit=0',
    'limit=1.5',
    'limit=x',
    'after=x',
    'after=%00',
    `after=${'A'.repeat(5000)}`,
    'stream=xml',
    'echo=perhaps',
    'presence=2',
  ])('messages with %s is refused', async (more) => {
    const { status, body } = await request(server.url).get(`/chat/?method=messages&${more}`);
    expect([status, body.code]).toEqual([400, 'invalid_parameter']);
  });

  test.each(['wait=0', 'wait=00', 'wait=0.05', 'after=', 'limit=9999', 'echo=1', 'presence=true'])(
    'messages with %s is answered',
    async (more) => {
      await request(server.url).get(`/chat/?method=messages&${more}`).expect(200);
    },
  );

  test('a wait over 60 is 60', async () => {
    jest.useFakeTimers({
      doNotFake: ['nextTick', 'setImmediate', 'setTimeout', 'clearTimeout', 'Date', 'queueMicrotask'],
    });
    try {
      const client = await arrived(server);
      let isOver = false;
      const poll = client.ok('messages', { wait: 100_000 }).finally(() => (isOver = true));
      await eventually(() => server.api.connections.counts()['poll'] === 1);
      jest.advanceTimersByTime(59_900);
      await client.id();
      expect([isOver, server.api.connections.counts()['poll']]).toEqual([false, 1]);
      jest.advanceTimersByTime(200);
      expect(await poll).toEqual({ messages: [], cursor: expect.any(String) });
    } finally {
      jest.useRealTimers();
    }
  });

  test('null in a JSON body is what is left out', async () => {
    const client = await arrived(server);
    const speaker = await connected(server);
    const lack = { room: null, key: null, roomMatchKey: null, roomMatchValue: null };
    expect(await speaker.say(null, lack)).toMatchObject({ room: 'defaultRoom' });
    const nothing = { wait: null, after: null, limit: null, echo: null, presence: null, stream: null };
    const { status, body } = await client.post('messages', nothing);
    expect([status, texts(body)]).toEqual([200, [null]]);
    for (const [method, code] of [
      ['roomAdd', 'room_required'],
      ['roomChange', 'room_change_needs_room'],
    ] as const) {
      expect(await client.post(method, { room: null })).toMatchObject({ status: 400, body: { code } });
    }
    expect(await client.post('say', { method: null })).toMatchObject({
      status: 400,
      body: { code: 'method_required' },
    });
  });

  test.each([
    ['not JSON', '{"method":', 'invalid_json'],
    ['a list', '[]', 'invalid_json'],
    ['a text', '"say"', 'invalid_json'],
    ['half of a surrogate pair', '{"method":"say","message":"\\ud800"}', 'invalid_encoding'],
    ['half of one as a name', '{"method":"say","message":{"\\udc00":1}}', 'invalid_encoding'],
    ['a number for a room', '{"method":"say","message":"x","room":5}', 'invalid_parameter'],
    ['a list for a room', '{"method":"say","message":"x","room":["a"]}', 'invalid_parameter'],
    ['an object for a key', '{"method":"say","message":"x","key":{}}', 'invalid_parameter'],
    ['a list for a method', '{"method":["say"]}', 'invalid_parameter'],
    ['a list to wait for', '{"method":"messages","wait":[]}', 'invalid_parameter'],
    ['a list for a cursor', '{"method":"messages","after":["x"]}', 'invalid_parameter'],
    ['a map of rooms with no ids', '{"method":"messages","after":{"den":"x"}}', 'invalid_parameter'],
  ])('a JSON body with %s is refused', async (_what, text, code) => {
    const { status, body } = await request(server.url).post('/chat/').type('json').send(text);
    expect([status, body.code]).toEqual([400, code]);
  });

  test('bytes that are no UTF-8, a type that nobody asked for and a packed body are refused', async () => {
    const send = async (headers: http.OutgoingHttpHeaders, body: Buffer): Promise<[number | undefined, string]> => {
      const sent = http.request(`${server.url}/chat/?method=say`, { method: 'POST', headers });
      sent.end(body);
      const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
      let text = '';
      for await (const piece of response) text += String(piece);
      return [response.statusCode, (JSON.parse(text) as { code: string }).code];
    };
    const json = { 'Content-Type': 'application/json' };
    const invalid = Buffer.from('{"message":"\xff"}', 'latin1');
    expect(await send(json, invalid)).toEqual([400, 'invalid_encoding']);
    expect(await send({}, Buffer.from('message=\xff', 'latin1'))).toEqual([400, 'invalid_encoding']);
    const text = Buffer.from('message=x');
    expect(await send({ 'Content-Type': 'text/plain' }, text)).toEqual([400, 'bad_request']);
    expect(await send({ ...json, 'Content-Encoding': 'gzip' }, text)).toEqual([400, 'bad_request']);
  });

  test('names that every object answers to are names like any other, and mean nothing', async () => {
    const client = await arrived(server);
    for (const name of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf']) {
      expect(refusal(await client.get(name))).toEqual([
        404,
        'unknown_method',
        `Error: ${name} is not a known chat method`,
      ]);
      expect((await client.api(name)).status).toBe(404);
      await client.ok('say', { message: name, [name]: 'x', roomMatchKey: 'toString', roomMatchValue: 'x' });
    }
    await client.request('POST', '/chat/', JSON.parse('{"method":"say","message":"x","__proto__":{"polluted":1}}'));
    await client.request('POST', '/chat/', JSON.parse('{"method":"messages","after":{"__proto__":"1-1"}}'));
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  test.each(['PUT', 'DELETE', 'PATCH', 'HEAD'])('%s is not answered', async (method) => {
    const sent = http.request(`${server.url}/chat/?method=say&message=x`, { method });
    sent.end();
    const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
    response.resume();
    expect([response.statusCode, response.headers.allow]).toEqual([405, 'GET, POST, OPTIONS']);
  });

  test('connect is a POST', async () => {
    const client = new HttpClient(server.url);
    const answer = await client.get('connect');
    expect(refusal(answer)).toEqual([405, 'method_not_allowed', 'Error: connect must be a POST']);
    expect([answer.headers.allow, client.cookies.size]).toEqual(['POST', 0]);
  });

  test('any action is asked for under /api, and unknown parameters are dropped', async () => {
    const client = await arrived(server);
    expect((await client.api('status', { strange: 1 })).body).toMatchObject({ nodeStatus: 'Node Healthy' });
    expect((await client.request('GET', '/api?action=status')).body).toMatchObject({ serverName: 'earshot' });
    const { documentation } = (await client.api('documentation')).body;
    expect(Object.keys(documentation)).toEqual(earshotActions.map(({ name }) => name));
    expect(documentation.chat['1'].inputs).toMatchObject({ message: { required: false } });
    for (const path of ['/api', '/api/', '/api/nothing', '/api/chat/more', '/api?action=nothing']) {
      expect(refusal(await client.request('GET', path))).toEqual([
        404,
        'unknown_action',
        'Error: unknown action or invalid apiVersion',
      ]);
    }
    expect(refusal(await client.request('GET', '/chat/more'))).toEqual([
      404,
      'not_found',
      'Error: /more was not found',
    ]);
  });
});

describe('refusals', () => {
  const cases: readonly (readonly [string, Record<string, string>, number, string, string])[] = [
    ['', {}, 400, 'method_required', 'method is a required parameter for this action'],
    ['dance', {}, 404, 'unknown_method', 'dance is not a known chat method'],
    ['say', {}, 400, 'message_required', 'message is required to use the say method'],
    ['say', { message: '' }, 400, 'message_required', 'message is required to use the say method'],
    ['roomChange', {}, 400, 'room_change_needs_room', 'room is required to use the roomChange method'],
    ['roomChange', { room: '' }, 400, 'room_change_needs_room', 'room is required to use the roomChange method'],
    ['roomAdd', {}, 400, 'room_required', 'a room is required'],
    ['roomAdd', { room: '' }, 400, 'room_required', 'a room is required'],
    ['listenToRoom', {}, 400, 'room_required', 'a room is required'],
    ['roomAdd', { room: 'defaultRoom' }, 409, 'already_in_room', 'connection already in this room (defaultRoom)'],
    ['listenToRoom', { room: 'defaultRoom' }, 409, 'already_in_room', 'connection already in this room (defaultRoom)'],
    ['roomLeave', { room: 'den' }, 403, 'not_in_room', 'connection not in this room (den)'],
    ['silenceRoom', { room: 'defaultRoom' }, 403, 'not_in_room', 'connection not in this room (defaultRoom)'],
    ['say', { room: 'den', message: 'x' }, 404, 'room_not_found', 'room does not exist'],
  ];

  test.each(cases)('%s %j: %i %s', async (method, query, status, code, text) => {
    const server = await startServer();
    const client = await arrived(server);
    expect((await client.get(method, query)).body).toEqual({ error: `Error: ${text}`, code });
    expect((await client.post(method, query)).status).toBe(status);
  });

  test('with returnErrorCodes off they are all 200, and say the same', async () => {
    const server = await startServer({
      config: { commonWeb: { returnErrorCodes: false }, limits: { bodyBytes: 20_000 } },
    });
    const client = await arrived(server);
    for (const [method, query, , code, text] of cases) {
      expect(refusal(await client.get(method, query))).toEqual([200, code, `Error: ${text}`]);
    }
    expect(refusal(await client.request('GET', '/api/nothing'))[0]).toBe(200);
    expect(refusal(await client.post('say', { message: 'x'.repeat(20_000) }))).toEqual([
      200,
      'too_large',
      'Error: the body is too large',
    ]);
    expect((await client.request('PUT', '/chat/')).status).toBe(200);
  });

  test('while it is not turned on, every method is refused, and nobody is made a client', async () => {
    const server = await startServer({ config: { commonWeb: { httpClientMessageTTL: null } } });
    for (const method of ['', 'say', 'messages', 'roomView', 'detailsView', 'dance', 'connect']) {
      for (const how of ['get', 'post'] as const) {
        const client = new HttpClient(server.url);
        expect(refusal(await client[how](method, { wait: 'x' }))).toEqual([
          403,
          'chat_disabled',
          'Error: chatting via web clients is not enabled',
        ]);
        expect(client.cookies.size).toBe(0);
      }
    }
    expect(await server.api.chatRoom.roomStatus('defaultRoom')).toMatchObject({ membersCount: 0 });
    expect((await new HttpClient(server.url).api('status')).status).toBe(200);
  });

  test('too large, in bytes', async () => {
    const server = await startServer({ config: { limits: { messageBytes: 100 } } });
    const client = await arrived(server);
    await client.ok('say', { message: 'é'.repeat(50) });
    expect(refusal(await client.get('say', { message: 'é'.repeat(51) }))).toEqual([
      413,
      'too_large',
      'Error: a message has 100 bytes at most',
    ]);
    expect(refusal(await client.post('say', { message: 'x'.repeat(70_000) }))).toEqual([
      413,
      'too_large',
      'Error: the body is too large',
    ]);
    expect((await client.ok('detailsView')).details.id).toBe(client.is);
  });

  test('too fast: says, joins and new clients each have their own measure, and say when to come again', async () => {
    const server = await startServer({
      config: { limits: { saysPerSecond: 1, joinsPerSecond: 0.1, newClientsPerSecondPerAddress: 0.5 } },
    });
    const client = await arrived(server);
    for (let index = 0; index < 2; index += 1) await client.say('x');
    const fast = await client.get('say', { message: 'x' });
    expect(fast.headers['retry-after']).toBe('1');
    expect(fast.body).toEqual({
      error: 'Error: too many requests; try again later',
      code: 'too_many_requests',
      retryAfter: 1,
    });
    expect(fast.status).toBe(429);
    await client.ok('roomAdd', { room: 'a' });
    expect((await client.get('roomAdd', { room: 'b' })).headers['retry-after']).toBe('10');
    await arrived(server);
    // Whatever it says of where it comes from.
    const stranger = await ask(server, '/chat/?method=detailsView', { 'X-Forwarded-For': '10.9.8.7' });
    expect([stranger.status, stranger.headers['retry-after']]).toEqual([429, '2']);
    expect(setCookies(stranger)).toEqual([]);
    await client.ok('detailsView');
  });

  test('too many rooms', async () => {
    const server = await startServer({ config: { limits: { roomsPerClient: 2 } } });
    const client = await arrived(server);
    await client.ok('roomAdd', { room: 'a' });
    expect(refusal(await client.get('listenToRoom', { room: 'b' }))).toEqual([
      403,
      'too_many_rooms',
      'Error: you are in too many rooms (2 at most)',
    ]);
  });

  test('a bug is logged whole and shown as nothing', async () => {
    const broken = defineAction({
      name: 'broken',
      description: 'throws',
      inputs: z.object({}),
      run: () => {
        throw new Error('secret detail');
      },
    });
    const server = await startServer({ actions: [broken] });
    expect(refusal(await new HttpClient(server.url).api('broken'))).toEqual([
      500,
      'internal',
      'Error: the server failed to do this',
    ]);
    expect(server.log.lines.filter(({ level }) => level === 'error')).toEqual([
      expect.objectContaining({ data: expect.objectContaining({ err: new Error('secret detail') }) }),
    ]);
  });
});

describe('who may ask', () => {
  const roomView = '/chat/?method=roomView';
  const HEADERS = {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store, private',
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    vary: 'Origin, Cookie',
  };

  test('every answer is for the one who asked, and is no script, page or picture', async () => {
    const server = await startServer();
    const agent = request(server.url);
    const answers = [
      await agent.get(roomView),
      await agent.get('/chat/?method=nothing&callback=alert'),
      await agent.get('/api/nothing'),
      await agent.post('/chat/').type('json').send('{'),
      await agent
        .post('/chat/')
        .type('json')
        .send(JSON.stringify({ message: 'x'.repeat(70_000) })),
      await agent.get(roomView).set('Origin', 'https://evil.test'),
      await agent.get(roomView).set('Host', 'evil.test'),
    ];
    for (const { headers, text } of answers) {
      expect(headers).toMatchObject(HEADERS);
      expect(headers).not.toHaveProperty('access-control-allow-origin');
      expect(text).toMatch(/^\{/);
    }
  });

  test('an answer that goes out in one piece has the head that node:http gives others, and its bytes', async () => {
    const server = await startServer();
    const [ann, bob] = [await connected(server), await connected(server)];
    await ann.say('\u{1d11e} naïve ⏎');
    const poll = (more: string): string =>
      `GET /chat/?method=messages&after=${bob.cursor} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${bob.session}\r\n${more}\r\n`;
    const both = await raw(server, poll('') + poll('Connection: close\r\n'));
    const [whole = '', put = ''] = both.split(/(?<=\})(?=HTTP)/);

    const parts = (answer: string): [string[], string] => {
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      return [head.split('\r\n'), body];
    };
    const [head, body] = parts(whole);
    const [others, same] = parts(put);
    const ofConnection = /^(Connection|Keep-Alive|Date): /;
    expect(head.filter((line) => !ofConnection.test(line)).sort()).toEqual(
      others.filter((line) => !ofConnection.test(line)).sort(),
    );
    expect(head).toEqual(expect.arrayContaining(['Connection: keep-alive', 'Keep-Alive: timeout=65']));
    expect(others).toContain('Connection: close');
    const date = head.find((line) => line.startsWith('Date: '))?.slice('Date: '.length) ?? '';
    expect(new Date(date).toUTCString()).toBe(date);
    expect(Math.abs(Date.parse(date) - Date.now())).toBeLessThan(60_000);
    expect(body).toBe(same);
    expect(texts(JSON.parse(body))).toEqual(['\u{1d11e} naïve ⏎']);
    // As the last, where node:http has what is of the connection: so it was whole indeed.
    expect(head.at(-1)).toBe(`Content-Length: ${Buffer.byteLength(body)}`);
    expect(others.at(-1)).toBe('Connection: close');
  });

  test.each([
    ['nothing, as curl', {}, 200],
    ['our own page', { 'Sec-Fetch-Site': 'same-origin' }, 200],
    ['a typed address', { 'Sec-Fetch-Site': 'none', Accept: 'text/html' }, 200],
    ['another site', { 'Sec-Fetch-Site': 'cross-site' }, 403],
    ['another port of this host', { 'Sec-Fetch-Site': 'same-site' }, 403],
    ['another origin', { Origin: 'https://evil.test' }, 403],
    ['a sandboxed frame', { Origin: 'null' }, 403],
    ['a link on plain HTTP', { Referer: 'http://evil.test/page' }, 403],
    ['a navigation on plain HTTP', { Accept: 'text/html,application/xhtml+xml' }, 403],
    ['a picture on plain HTTP', { Accept: 'image/avif,image/webp,*/*;q=0.8' }, 403],
  ])('%s: %j', async (_what, headers: Record<string, string>, status) => {
    const server = await startServer();
    const client = await arrived(server);
    client.headers = headers;
    const answers = [await client.get('say', { message: 'x' }), await client.post('say', { message: 'x' })];
    expect(answers.map((answer) => answer.status)).toEqual([status, status]);
    if (status === 403) expect(refusal(answers[0]!)[1]).toBe('cross_site');

    const stranger = await ask(server, roomView, headers);
    expect([stranger.status, setCookies(stranger).length > 0]).toEqual([status, status === 200]);
  });

  test('our own page, also behind a proxy that ends TLS and does not tell', async () => {
    const server = await startServer();
    const { host } = new URL(server.url);
    for (const Origin of [`http://${host}`, `https://${host}`]) {
      const answer = await ask(server, roomView, { Origin, 'Sec-Fetch-Site': 'same-origin' });
      expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([200, undefined]);
    }
  });

  test('an allowed origin is told so, with its cookies; nobody else is', async () => {
    const Origin = 'https://app.example.com';
    const server = await startServer({
      config: { commonWeb: { allowedOrigins: ['https://example.com', 'https://*.example.com'] } },
    });
    const client = await arrived(server);
    client.headers = { Origin, 'Sec-Fetch-Site': 'cross-site' };
    const allowed = {
      'access-control-allow-origin': Origin,
      'access-control-allow-credentials': 'true',
      'cross-origin-resource-policy': 'cross-origin',
      vary: 'Origin, Cookie',
    };
    const answer = await client.get('detailsView');
    expect(answer.headers).toMatchObject(allowed);
    expect(answer.body.details.id).toBe(client.is);
    expect((await client.get('nothing')).headers).toMatchObject(allowed);

    const preflight = await request(server.url).options('/chat/').set('Origin', Origin);
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': Origin,
      'access-control-allow-methods': 'GET, POST',
      'access-control-allow-headers': 'Content-Type, Authorization, Last-Event-ID, X-Chat',
    });
    expect(preflight.headers['set-cookie']).toBeUndefined();
    for (const evil of [
      'https://evil-example.com',
      'https://example.com.evil.test',
      'http://app.example.com',
      'null',
    ]) {
      const refused = await request(server.url).options('/chat/').set('Origin', evil);
      expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([204, undefined]);
      expect((await ask(server, roomView, { Origin: evil })).status).toBe(403);
    }
  });

  test('* lets everybody in, as nobody', async () => {
    const server = await startServer({ config: { commonWeb: { allowedOrigins: ['*'] } } });
    const client = await arrived(server);
    const session = (await new HttpClient(server.url).post('connect')).body;
    client.headers = { Origin: 'http://localhost:1' };
    const answer = await client.get('detailsView');
    expect(answer.headers['access-control-allow-origin']).toBe('*');
    expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
    expect([answer.status, setCookies(answer)]).toEqual([200, []]);
    expect(answer.body.details.id).not.toBe(client.is);
    client.headers = { ...client.headers, Authorization: `Bearer ${session.session as string}` };
    expect(await client.id()).toBe(session.id);
    client.headers = { Origin: 'null' };
    expect((await client.get('detailsView')).status).toBe(403);
  });

  test('a host that is not ours is answered nothing, whatever is asked', async () => {
    const server = await startServer();
    for (const path of [roomView, '/chat', '/api/status', '/api/nothing', '/chat/nothing']) {
      for (const method of ['get', 'post', 'options'] as const) {
        const { status, body } = await request(server.url)[method](path).set('Host', 'evil.test:80');
        expect([path, status, body.code]).toEqual([path, 421, 'wrong_host']);
      }
    }
    for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1:80', '[::1]', '[::1]:8080']) {
      await request(server.url).get(roomView).set('Host', host).expect(200);
    }
    for (const host of ['localhost.evil.test', 'localhost.', '127.0.0.2', '::1', 'x@localhost', 'localhost:80:80']) {
      const { status } = await request(server.url).get(roomView).set('Host', host);
      expect([host, status]).toEqual([host, 421]);
    }
  });

  test('an address is the peer, or what the trusted proxies say of it', async () => {
    const XFF = { 'X-Forwarded-For': '1.1.1.1, 2.2.2.2', 'X-Forwarded-Proto': 'https' };
    const seen = async (trustProxy: number | string[]): Promise<[string, boolean]> => {
      const server = await startServer({ config: { commonWeb: { trustProxy } } });
      const answer = await ask(server, '/chat/?method=detailsView', XFF);
      return [answer.body.details.remoteIP as string, setCookies(answer).every((line) => line.endsWith('; Secure'))];
    };
    expect(await seen(0)).toEqual(['127.0.0.1', false]);
    expect(await seen(1)).toEqual(['2.2.2.2', true]);
    expect(await seen(2)).toEqual(['1.1.1.1', true]);
    expect(await seen(['127.0.0.1'])).toEqual(['2.2.2.2', true]);
    expect(await seen(['10.0.0.0/8'])).toEqual(['127.0.0.1', false]);
  });
});

describe('what is hardly HTTP', () => {
  /** Raw bytes out, all that comes back until the server closes. */
  test.each([
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['no host', 'GET /chat/?method=roomView HTTP/1.1\r\n\r\n', 400],
    ['bytes in the address', 'GET /chat/?message=gr\u00fc\u00df HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    ['two lengths', 'POST /chat/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 400],
    [
      'a length and chunks',
      'POST /chat/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['headers without end', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ])('%s is refused and closed', async (_what, bytes, status) => {
    const server = await startServer();
    const answer = await raw(server, bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    const code = status === 431 ? 'too_large' : 'bad_request';
    expect(answer).toContain(`"code":"${code}"`);
    expect((await ask(server, '/livez')).status).toBe(200);
  });

  const CHUNKED = 'Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\n';

  test.each([
    ['requests without a host', 'GET / HTTP/1.1\r\n\r\n'.repeat(3000), 400, 'bad_request'],
    ['expectations', 'GET / HTTP/1.1\r\nHost: localhost\r\nExpect: 1\r\n\r\n'.repeat(1200), 400, 'bad_request'],
    ['a GET with a body', `GET /livez HTTP/1.1\r\n${CHUNKED}${'1\r\nx\r\n'.repeat(10_000)}`, 200, ''],
  ])('%s, on and on: one answer, and the connection ends', async (_what, bytes, status, code) => {
    const server = await startServer();
    const socket = createConnection(server.port, '127.0.0.1');
    let text = '';
    socket.on('error', () => undefined).setEncoding('utf8');
    socket.on('data', (more: string) => (text += more));
    socket.write(bytes);
    await new Promise((resolve) => socket.once('close', resolve));
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(text).toContain(code);
    expect(text.match(/HTTP\/1/g)).toHaveLength(1);
  });

  test('a body that is too large, in pieces of one byte, is not taken to its end', async () => {
    const server = await startServer();
    const socket = createConnection(server.port, '127.0.0.1').on('error', () => undefined);
    socket.resume().write(`POST /chat/ HTTP/1.1\r\n${CHUNKED}${'1\r\nx\r\n'.repeat(100_000)}`);
    await new Promise((resolve) => socket.once('close', resolve));
    expect((await ask(server, '/livez')).status).toBe(200);
  });

  test('a body in pieces of one byte, asked for with 100-continue, is one message', async () => {
    const server = await startServer();
    const hearer = await WsClient.connect(server.url);
    const message = 'x'.repeat(9000);
    const body = JSON.stringify({ method: 'say', message }).replaceAll(/./g, (byte) => `1\r\n${byte}\r\n`);
    const answer = await raw(
      server,
      `POST /chat/ HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Type: application/json\r\n${CHUNKED}${body}0\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /);
    expect((await hearer.heard.take(1))[0]).toMatchObject({ message });
  });

  test('an upgrade behind a request that is not answered yet is none', async () => {
    const server = await startServer();
    const upgrade =
      'GET /chat/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n';
    expect(await raw(server, `GET /chat/?method=messages&wait=5 HTTP/1.1\r\nHost: localhost\r\n\r\n${upgrade}`)).toBe(
      '',
    );
    expect((await ask(server, '/livez')).status).toBe(200);
  });

  test('who says nothing, or half of it, is not waited for', async () => {
    const server = await startServer({ config: { limits: { handshake: 100 } } });
    expect(await raw(server, '')).toBe('');
    expect(await raw(server, 'GET /chat/ HTTP/1.1\r\nHost: local')).toMatch(/^HTTP\/1.1 408 /);
  });

  describe('on the server’s side of it', () => {
    let accepted: Socket[];
    const onAccepted = (message: unknown): number => accepted.push((message as { readonly socket: Socket }).socket);
    beforeEach(() => {
      accepted = [];
      subscribe('net.server.socket', onAccepted);
    });
    afterEach(() => unsubscribe('net.server.socket', onAccepted));

    test('who takes nothing of its answer is not waited for; with a WebSocket no timer stays', async () => {
      const server = await startServer();
      const waiting = raw(server, 'GET /chat/?method=messages&wait=25 HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await eventually(() => accepted[0]?.timeout === 75_000);
      accepted[0]!.emit('timeout');
      expect(await waiting).toBe('');
      await WsClient.connect(server.url);
      expect(accepted).toHaveLength(2);
      const timers = Object.getOwnPropertySymbols(accepted[1]!)
        .filter(({ description }) => description === 'timeout')
        .map((symbol) => Reflect.get(accepted[1]!, symbol) as unknown);
      expect(timers).toEqual([null]);
    });

    test('nor is who asked for half of it, and never closes', async () => {
      const server = await startServer({ config: { limits: { handshake: 100 } } });
      const peer = createConnection({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
      peer.write('GET /chat/ HTTP/1.1\r\nHost: local');
      expect(String((await once(peer, 'data'))[0])).toMatch(/^HTTP\/1.1 408 /);
      await eventually(() => accepted[0]?.destroyed);
      peer.destroy();
    });
  });

  test('an address may have so many connections', async () => {
    const server = await startServer({ config: { limits: { connectionsPerAddress: 2 } } });
    const sockets = [createConnection(server.port, '127.0.0.1'), createConnection(server.port, '127.0.0.1')];
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const refused = await raw(server, 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
    expect(refused).toMatch(/^HTTP\/1\.1 429 Too Many Requests\r\n.*Retry-After: 5\r\n.*"code":"too_many_requests"/s);
    sockets[0]!.destroy();
    await eventually(async () => (await ask(server, '/livez').catch(() => undefined))?.status === 200);
    sockets[1]!.destroy();
  });
});

test('a server that is full says so by every door, and takes somebody again when one has gone', async () => {
  const server = await startServer({ config: { limits: { connections: 2 } } });
  const [ann] = [await TcpClient.connect(server.tcpPort), await WsClient.connect(server.url)];
  const refused = await raw(server, 'GET /chat/?method=say&message=x HTTP/1.1\r\nHost: localhost\r\n\r\n');
  expect(refused).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n.*Retry-After: 5\r\n.*"code":"capacity"/s);
  expect(refused.match(/HTTP\//g)).toHaveLength(1);
  await expect(WsClient.connect(server.url)).rejects.toThrow('503');
  const line = await new Promise<string>((resolve, reject) => {
    createConnection(server.tcpPort, '127.0.0.1').on('error', reject).setEncoding('utf8').once('data', resolve);
  });
  expect(JSON.parse(line)).toMatchObject({ code: 'capacity', retryAfter: 5, context: 'api' });
  expect(await server.api.chatRoom.roomStatus('defaultRoom')).toMatchObject({ membersCount: 2 });
  ann.abandon();
  await eventually(async () => (await ask(server, '/livez').catch(() => undefined))?.status === 200);
});

describe('with as many rooms as there may be', () => {
  test.each(storeSettings)('on %s: no more are made, and those that are there are open', async (_name, settings) => {
    const general = { startingChatRooms: ['room-0', 'room-1'] };
    const server = await startServer({ config: { ...settings(), general, limits: { rooms: 3 } } });
    const [ann, ws, tcp] = [
      await arrived(server),
      await WsClient.connect(server.url),
      await TcpClient.connect(server.tcpPort),
    ];
    await ann.ok('roomAdd', { room: 'room-0' });
    // Who comes before the node has counted is let in.
    let tries = 0;
    const refusal = await eventually(async () => {
      tries += 1;
      const answer = await ann.get('roomAdd', { room: `mine-${tries}` });
      return answer.status === 200 ? undefined : answer;
    });
    expect(refusal).toMatchObject({ status: 503, body: { code: 'capacity' } });
    expect(await ws.ask('roomAdd', { room: 'mine' })).toMatchObject({ code: 'capacity' });
    expect(await tcp.line('listenToRoom mine')).toMatchObject({ code: 'capacity' });
    expect((await ann.get('roomChange', { room: 'mine' })).body.code).toBe('capacity');
    expect((await ann.ok('detailsView')).details.room).toBe('defaultRoom');
    expect(await ws.data('roomAdd', { room: 'room-0' })).toBe(true);
    await ann.say('come in', { room: 'room-0' });
    expect((await ws.heard.next()).message).toBe('come in');
  });
});

test('mounted in an application that has its own parsers, it is the same chat', async () => {
  const chat = await createChat({
    actions: earshotActions,
    logger: new KeptLog(),
    config: { commonWeb: { httpClientMessageTTL: 60_000 } },
  });
  const app = express();
  app.use(express.json(), express.urlencoded({ extended: true }));
  app.use('/talk', chat.router);
  const server = app.listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const said = { status: 'OK', room: 'defaultRoom' };
    const post = (): request.Test => request(url).post('/talk?method=say');
    expect(
      (
        await post()
          .type('json')
          .send({ message: { a: 1 } })
      ).body,
    ).toMatchObject(said);
    expect((await post().type('form').send('message=x')).body).toMatchObject(said);
    expect((await post().type('form').send('message=x&message=y')).body).toMatchObject({ code: 'repeated_parameter' });
    expect((await request(url).get('/talk/?method=roomView')).body).toMatchObject({
      roomStatus: { room: 'defaultRoom' },
    });
  } finally {
    server.close();
    server.closeAllConnections();
    await chat.close();
  }
});

test('the client library is small on its way, and is not sent again to who has it', async () => {
  const { url } = await startServer();
  const get = (headers: Record<string, string>): Promise<http.IncomingMessage> =>
    new Promise((resolve) => {
      http.get(`${url}/chat/client.js`, { headers }, (response) => resolve(response.resume()));
    });
  const plain = await get({});
  expect([plain.statusCode, plain.headers['content-encoding'], plain.headers.vary]).toEqual([
    200,
    undefined,
    'Accept-Encoding',
  ]);
  const zipped = await get({ 'Accept-Encoding': 'br, gzip' });
  expect(zipped.headers['content-encoding']).toBe('gzip');
  expect(Number(zipped.headers['content-length'])).toBeLessThan(6000);
  const again = await get({ 'Accept-Encoding': 'gzip', 'If-None-Match': zipped.headers.etag! });
  expect(again.statusCode).toBe(304);
});
