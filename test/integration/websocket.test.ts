/** What a WebSocket client sees: docs/protocol.md, line by line. */
import { request as httpRequest } from 'node:http';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { defineAction, type ChatMiddleware } from '../../src/kit';
import { MemoryStore } from '../../src/store/memory-store';
import { Conversation } from '../../src/transports/conversation';
import { Gate } from '../compat/actions';
import { HttpClient } from '../support/http-client';
import { WsClient, type Parsed } from '../support/clients';
import { eventually } from '../support/eventually';
import { HurriedClock } from '../support/hurried-clock';
import { startServer } from '../support/server';
import { usualLimits } from '../support/stores';

/** Sets an attribute of the connection, as ActionHero's documents have it. */
const login = defineAction({
  name: 'login',
  description: 'sets what it is told',
  inputs: z.object({ name: z.string(), value: z.unknown() }),
  run: ({ params, connection }) => {
    connection[params.name] = params.value;
    return { set: params.name };
  },
});

async function two(url: string, path = '/chat/'): Promise<[WsClient, WsClient]> {
  return [await WsClient.connect(url, path), await WsClient.connect(url, path)];
}

describe.each(['/chat/', '/chat', '/primus', '/primus/?_primuscb=abc', '/chat?x=y'])('on %s', (path) => {
  test('the first frame is the welcome, and says who one is', async () => {
    const { url } = await startServer({ config: { general: { welcomeMessage: 'well, hello' } } });
    const ann = await WsClient.connect(url, path);
    expect(ann.greeting).toEqual({
      welcome: 'well, hello',
      context: 'api',
      id: expect.stringMatching(/^[\w-]{22}$/),
      room: 'defaultRoom',
      session: expect.stringMatching(/^[\w-]{60}$/),
    });
    expect(ann.session).not.toContain(ann.id);
  });

  test('what one says the other hears, and not itself', async () => {
    const { url } = await startServer();
    const [ann, bob] = await two(url, path);
    const said = await ann.say('hello world');
    expect(said).toEqual({ room: 'defaultRoom', id: expect.stringMatching(/^\d+-1$/), sentAt: expect.any(Number) });
    expect(await bob.heard.next()).toEqual({
      message: 'hello world',
      room: 'defaultRoom',
      from: ann.id,
      context: 'user',
      sentAt: said.sentAt,
      id: said.id,
    });
    await bob.say('back');
    expect(await ann.heard.next()).toMatchObject({ message: 'back', from: bob.id });
    expect(ann.heard.all).toHaveLength(1);
  });
});

describe('responses', () => {
  test('have both numbers, those of the request, also when they are pipelined and overtake one another', async () => {
    const gate = new Gate();
    const { url } = await startServer({ actions: [gate.action] });
    const ann = await WsClient.connect(url);
    ann.send({ event: 'action', params: { action: 'gate' }, messageId: 'slow' });
    ann.send({ event: 'roomAdd', room: 'x', messageId: 7 });
    ann.send({ event: 'detailsView' });
    ann.send({ event: 'nonsense', messageId: { any: ['thing'] } });
    ann.send({ messageId: 'last', room: 'x', event: 'roomView' });

    const [roomAdd, details, nonsense, view] = await ann.responses.take(4);
    expect(roomAdd).toEqual({ status: 'OK', context: 'response', data: true, messageCount: 2, messageId: 7 });
    expect(details).toMatchObject({ status: 'OK', messageCount: 3, data: { rooms: ['defaultRoom', 'x'] } });
    expect(details.messageId).toEqual(expect.stringMatching(/^[\w-]{36}$/));
    expect(nonsense).toMatchObject({ messageCount: 4, messageId: { any: ['thing'] } });
    expect(view).toMatchObject({ messageCount: 5, messageId: 'last', data: { room: 'x', membersCount: 1 } });

    gate.open();
    expect(await ann.responses.next()).toEqual({
      passed: true,
      context: 'response',
      messageCount: 1,
      messageId: 'slow',
    });
  });

  test('of errors have the text twice, the code and the other keys of the request', async () => {
    const general = { createRoomsOnJoin: false };
    const { url } = await startServer({ config: { general } });
    const ann = await WsClient.connect(url);
    ann.send({ event: 'roomAdd', room: 'nowhere', messageId: 1, also: [1], more: null });
    expect(await ann.responses.next()).toEqual({
      status: 'Error: room does not exist',
      error: 'Error: room does not exist',
      code: 'room_not_found',
      context: 'response',
      data: { room: 'nowhere', also: [1], more: null },
      messageCount: 1,
      messageId: 1,
    });
    // A token is not among them.
    expect(await ann.ask('resume', { session: 'a secret', echo: true })).toMatchObject({
      code: 'session_unknown',
      data: { echo: true },
    });
    expect(JSON.stringify(ann.responses.all)).not.toContain('a secret');
  });

  test.each([
    ['roomAdd', {}, 'room_required', 'a room is required'],
    ['roomAdd', { room: 'two words' }, 'invalid_room_name', expect.any(String)],
    ['roomAdd', { room: '__proto__' }, 'invalid_room_name', expect.any(String)],
    ['roomAdd', { room: 5 }, 'invalid_room_name', expect.any(String)],
    ['roomLeave', { room: 'cellar' }, 'not_in_room', 'connection not in this room (cellar)'],
    ['roomView', { room: 'cellar' }, 'not_in_room', 'connection not in this room (cellar)'],
    ['roomChange', {}, 'room_change_needs_room', 'room is required to use the roomChange method'],
    ['silenceRoom', { room: 'cellar' }, 'not_in_room', 'connection not in this room (cellar)'],
    ['listenToRoom', { room: 'defaultRoom' }, 'already_in_room', 'connection already in this room (defaultRoom)'],
    ['say', {}, 'room_and_message_required', 'both room and message are required'],
    ['say', { message: '' }, 'room_and_message_required', 'both room and message are required'],
    ['say', { message: 'x', room: '' }, 'room_required', 'a room is required'],
    ['say', { message: 'x', room: 7 }, 'invalid_room_name', expect.any(String)],
    ['say', { message: 'x', room: 'cellar' }, 'not_in_room', 'connection not in this room (cellar)'],
    ['say', { message: 'x', key: '' }, 'invalid_parameter', 'key must have 1 to 64 characters'],
    ['say', { message: 'x', key: 'k'.repeat(65) }, 'invalid_parameter', 'key must have 1 to 64 characters'],
    ['history', { room: 'defaultRoom' }, 'history_disabled', 'history is not enabled'],
    ['resume', { session: 'nonsense' }, 'session_unknown', expect.any(String)],
    ['resume', {}, 'invalid_parameter', 'session is required to resume'],
    ['constructor', {}, 'unknown_verb', 'verb not found or not allowed (constructor)'],
    ['file', { file: 'logo.png' }, 'unknown_verb', 'verb not found or not allowed (file)'],
  ])('%s %j is refused: %s', async (event, rest, code, text) => {
    const { url } = await startServer();
    const ann = await WsClient.connect(url);
    const { error, ...response } = await ann.ask(event, rest);
    expect(response).toMatchObject({ code, status: error });
    expect(error.replace('Error: ', '')).toEqual(text);
    expect(await ann.data('detailsView')).toMatchObject({ rooms: ['defaultRoom'] });
  });
});

describe('verbs', () => {
  test('join, look at, listen to, change and leave rooms', async () => {
    const { url } = await startServer();
    const [ann, bob] = await two(url);
    expect(await ann.data('roomAdd', { room: 'garden' })).toBe(true);
    expect(await bob.data('roomAdd', { room: 'garden' })).toBe(true);
    const view = await ann.data('roomView', { room: 'garden' });
    expect(view).toMatchObject({ room: 'garden', membersCount: 2 });
    expect(view.members).toEqual({
      [ann.id]: { id: ann.id, joinedAt: expect.any(Number) },
      [bob.id]: { id: bob.id, joinedAt: expect.any(Number) },
    });
    expect(await bob.data('roomLeave', { room: 'garden' })).toBe(true);
    expect(await bob.data('listenToRoom', { room: 'garden' })).toBe(true);
    expect((await ann.data('roomView', { room: 'garden' })).membersCount).toBe(1);
    expect(await bob.ask('say', { room: 'garden', message: 'psst' })).toMatchObject({ code: 'not_in_room' });
    await ann.say('for whoever listens', { room: 'garden' });
    expect(await bob.heard.next()).toMatchObject({ message: 'for whoever listens', room: 'garden' });
    expect(await bob.data('silenceRoom', { room: 'garden' })).toBe(true);
    await ann.say('for nobody', { room: 'garden' });
    await ann.say('for all');
    expect(await bob.heard.next()).toMatchObject({ message: 'for all' });

    expect(await ann.data('roomChange', { room: 'cellar' })).toEqual({ room: 'cellar' });
    expect(await ann.data('detailsView')).toMatchObject({ room: 'cellar', rooms: ['garden', 'cellar'] });
    expect(await ann.data('roomView')).toMatchObject({ room: 'cellar' });
  });

  test('the default room was joined by connecting: asking for it once more is no mistake, twice is', async () => {
    const { url } = await startServer();
    const ann = await WsClient.connect(url);
    expect(await ann.data('roomAdd', { room: 'defaultRoom' })).toBe(true);
    expect(await ann.ask('roomAdd', { room: 'defaultRoom' })).toMatchObject({ code: 'already_in_room' });
  });

  test('detailsView tells all of it', async () => {
    const { url } = await startServer({ actions: [login] });
    const http = new HttpClient(url);
    const cookieId = await http.id();
    const ann = await WsClient.connect(url, '/chat/', {
      headers: { Cookie: `sessionID=${http.cookies.get('sessionID')!}` },
    });
    await ann.act('login', { name: 'auth', value: 'true' });
    await ann.data('paramAdd', { key: 'k', value: 'v' });
    await ann.data('listenToRoom', { room: 'radio' });
    expect(await ann.data('detailsView')).toEqual({
      id: ann.id,
      fingerprint: cookieId,
      remoteIP: '127.0.0.1',
      remotePort: expect.any(Number),
      params: { k: 'v' },
      connectedAt: expect.any(Number),
      rooms: ['defaultRoom'],
      room: 'defaultRoom',
      listening: ['radio'],
      attributes: { auth: 'true' },
      totalActions: 1,
      pendingActions: 0,
      cursor: expect.stringMatching(/^[\w-]+$/),
    });
    expect(ann.id).not.toBe(cookieId);
  });

  test('sticky parameters are added, shown and deleted, and the match among them applies to what is said', async () => {
    const { url } = await startServer();
    const [ann, bob] = await two(url);
    const cid = await WsClient.connect(url);
    expect(await ann.data('paramAdd', { key: 'roomMatchKey', value: 'id' })).toBeNull();
    expect(await ann.data('paramAdd', { key: 'roomMatchValue', value: bob.id })).toBeNull();
    expect(await ann.data('paramView', { key: 'roomMatchKey' })).toBe('id');
    expect(await ann.data('paramView', { key: 'nothing' })).toBeNull();
    expect(await ann.data('paramsView')).toEqual({ roomMatchKey: 'id', roomMatchValue: bob.id });
    await ann.say('for Bob');
    expect(await bob.heard.next()).toMatchObject({ message: 'for Bob' });
    expect(await ann.data('paramDelete', { key: 'roomMatchValue' })).toBeNull();
    expect(await ann.data('paramsDelete')).toBeNull();
    expect(await ann.data('paramsView')).toEqual({});
    await ann.say('for all');
    expect(await cid.heard.next()).toMatchObject({ message: 'for all' });
    expect(await ann.ask('paramAdd', { key: '__proto__', value: 1 })).toMatchObject({ code: 'invalid_parameter' });
  });

  test('documentation lists the actions and what they take', async () => {
    const { url } = await startServer({ actions: [login] });
    const ann = await WsClient.connect(url);
    const documentation = await ann.data('documentation');
    expect(documentation['login']['1']).toEqual({
      name: 'login',
      version: 1,
      description: 'sets what it is told',
      inputs: { name: { required: true, type: 'string' }, value: { required: true } },
      outputExample: {},
    });
    expect(Object.keys(documentation).sort()).toEqual(['chat', 'documentation', 'login', 'status']);
  });

  test('history gives what was said before, as far as it is enabled', async () => {
    const { url } = await startServer({ config: { chat: { history: 2 } } });
    const ann = await WsClient.connect(url);
    const ids: string[] = [];
    for (const message of ['one', 'two', 'three']) ids.push((await ann.say(message)).id);
    const bob = await WsClient.connect(url);
    const { messages } = await bob.data('history', { room: 'defaultRoom' });
    expect(messages.map(({ message }: Parsed) => message)).toEqual(['two', 'three']);
    const before = await bob.data('history', { room: 'defaultRoom', before: ids[1], limit: 1 });
    expect(before.messages).toMatchObject([{ message: 'one', from: ann.id }]);
    expect(await bob.ask('history', { room: 'cellar' })).toMatchObject({ code: 'not_in_room' });
  });

  test('a say with a key is said once', async () => {
    const { url } = await startServer();
    const [ann, bob] = await two(url);
    const first = await ann.say('once', { key: 'k1' });
    expect(await ann.say('once', { key: 'k1' })).toEqual(first);
    await ann.say('then');
    expect((await bob.heard.take(2)).map(({ message }) => message)).toEqual(['once', 'then']);
  });

  test('any JSON value arrives as it was, and what is the server’s to say is not the client’s', async () => {
    const { url } = await startServer();
    const [ann, bob] = await two(url);
    const forged = { from: 'somebody', context: 'api', sentAt: 1, id: '1-1', welcome: 'x' };
    const values = [{ x: [1, null, 'y'] }, [], 0, false, null, 'two  spaces \u{1d11e} \u2028 \0 ü', ' ', '"', '\u200b'];
    for (const message of values) await ann.say(message, forged);
    const heard = await bob.heard.take(values.length);
    expect(heard.map(({ message }) => message)).toEqual(values);
    for (const { from, context } of heard) expect([from, context]).toEqual([ann.id, 'user']);
    expect(await ann.ask('say', { message: 'x' })).toMatchObject({ status: 'OK' });
  });
});

describe('actions', () => {
  test('answer with their own keys, errors without a prefix', async () => {
    const { url } = await startServer();
    const ann = await WsClient.connect(url);
    ann.send({ event: 'action', params: { action: 'status' }, messageId: 'a' });
    const status = await ann.responses.next();
    expect(status).toMatchObject({ uptime: expect.any(Number), context: 'response', messageCount: 1, messageId: 'a' });
    expect(status).not.toHaveProperty('status');
    ann.send({ event: 'action', params: { action: 'nonsense', messageId: 'b' } });
    expect(await ann.responses.next()).toEqual({
      error: 'unknown action or invalid apiVersion',
      code: 'unknown_action',
      context: 'response',
      messageCount: 2,
      messageId: 'b',
    });
    ann.send({ event: 'action', params: null });
    expect(await ann.responses.next()).toMatchObject({ code: 'unknown_action', messageCount: 3 });
  });

  test('are limited in how many may be pending; verbs are not', async () => {
    const gate = new Gate();
    const { url } = await startServer({ actions: [gate.action], config: { general: { simultaneousActions: 2 } } });
    const ann = await WsClient.connect(url);
    for (const messageId of ['one', 'two', 'three'])
      ann.send({ event: 'action', params: { action: 'gate' }, messageId });
    expect(await ann.responses.next()).toMatchObject({
      error: 'you have too many pending requests',
      code: 'too_many_pending',
      messageId: 'three',
    });
    const verbs = await Promise.all(Array.from({ length: 20 }, () => ann.data('detailsView')));
    expect(verbs[19]).toMatchObject({ totalActions: 3, pendingActions: 2 });
    gate.open();
    expect((await ann.responses.take(2)).map(({ passed }) => passed)).toEqual([true, true]);
    expect(await ann.act('gate')).toMatchObject({ passed: true });
  });

  test('of chat run over the socket as well', async () => {
    const { url } = await startServer();
    const [ann, bob] = await two(url);
    expect(await ann.act('chat', { method: 'say', message: 'by action' })).toMatchObject({ room: 'defaultRoom' });
    expect(await bob.heard.next()).toMatchObject({ message: 'by action', from: ann.id });
    expect(await bob.act('chat', { method: 'messages' })).toMatchObject({
      messages: [{ message: 'by action' }],
      cursor: expect.any(String),
    });
  });
});

describe('frames', () => {
  test('that are not JSON are answered on /chat/ and do not count, and are ignored on /primus', async () => {
    const { url } = await startServer();
    const ann = await WsClient.connect(url);
    const bob = await WsClient.connect(url, '/primus');
    for (const { socket } of [ann, bob]) {
      for (const text of ['rubbish', '', '{"event":', Buffer.from('{"event":"detailsView"}')]) socket.send(text);
    }
    for (const { error, code, messageCount } of await ann.responses.take(4)) {
      expect(error).toMatch(/^Error: /);
      expect(['invalid_json', 'bad_request']).toContain(code);
      expect(messageCount).toBe(0);
    }
    for (const client of [ann, bob])
      expect(await client.ask('detailsView')).toMatchObject({ status: 'OK', messageCount: 1 });
    expect(bob.responses.all).toHaveLength(1);
  });

  test('that are JSON and no request are refused, and count', async () => {
    const { url } = await startServer();
    const ann = await WsClient.connect(url, '/primus');
    for (const value of ['text', 5, null, [], [{ event: 'quit' }]]) ann.send(value);
    const refused = await ann.responses.take(5);
    expect(refused.map(({ messageCount }) => messageCount)).toEqual([1, 2, 3, 4, 5]);
    for (const { error } of refused) expect(error).toBe('Error: a request is a JSON object');
    ann.send({});
    expect(await ann.responses.next()).toMatchObject({ error: 'Error: verb not found or not allowed (undefined)' });
    ann.send({ event: { no: 'verb' } });
    expect(await ann.responses.next()).toMatchObject({ code: 'unknown_verb' });
  });

  test('with half a character are refused', async () => {
    const { url } = await startServer();
    const ann = await WsClient.connect(url);
    ann.socket.send('{"event":"say","message":"\\ud800"}');
    expect(await ann.responses.next()).toMatchObject({ code: 'invalid_encoding' });
  });

  test('with a message that is too long are refused, the message alone', async () => {
    const { url } = await startServer();
    const ann = await WsClient.connect(url);
    await ann.say('ü'.repeat(8192));
    expect(await ann.ask('say', { message: 'ü'.repeat(8193) })).toMatchObject({
      error: 'Error: a message has 16384 bytes at most',
      code: 'too_large',
    });
    expect(await ann.ask('say', { message: { x: 'x'.repeat(16_384) } })).toMatchObject({ code: 'too_large' });
  });

  test('over the size limit close the connection with 1009', async () => {
    const { url } = await startServer({ config: { limits: { frameBytes: 20_000 } } });
    const ann = await WsClient.connect(url);
    await ann.say('x'.repeat(16_384));
    ann.socket.send(JSON.stringify({ event: 'say', message: 'x'.repeat(20_000) }));
    expect(await ann.closed).toMatchObject({ code: 1009 });
  });
});

describe('Primus', () => {
  test('its pings and its question for an id are answered at once', async () => {
    const { url } = await startServer();
    const ann = await WsClient.connect(url, '/primus');
    ann.send('primus::ping::1234567');
    expect(await ann.primus.next()).toBe('primus::pong::1234567');
    ann.send('primus::id::');
    expect(await ann.primus.next()).toBe(`primus::id::${ann.id}`);
    ann.send('primus::pong::1234567');
    expect(await ann.ask('detailsView')).toMatchObject({ messageCount: 1 });
  });

  test('quit says goodbye in all ways, on /chat/ only in words', async () => {
    const { url } = await startServer();
    for (const [path, words] of [
      ['/primus', ['primus::server::close']],
      ['/chat/', []],
    ] as const) {
      for (const event of ['quit', 'exit']) {
        const ann = await WsClient.connect(url, path);
        ann.send({ event });
        ann.send({ event: 'detailsView' });
        expect(await ann.closed).toMatchObject({ code: 1000 });
        expect(ann.others.all).toEqual([{ status: 'Bye!', context: 'api' }]);
        expect(ann.primus.all).toEqual(words);
        expect(ann.responses.all).toEqual([]);
      }
    }
  });

  test('a server that goes closes with 1012 and no word of Primus: its clients come back', async () => {
    const server = await startServer();
    const ann = await WsClient.connect(server.url, '/primus');
    const bob = await WsClient.connect(server.url);
    server.drain();
    for (const client of [ann, bob]) expect(await client.closed).toMatchObject({ code: 1012 });
    expect(ann.primus.all).toEqual([]);
  });
});

describe('going', () => {
  test('what was asked before quit is answered first, actions too', async () => {
    const gate = new Gate();
    const { url } = await startServer({ actions: [gate.action] });
    const [ann, bob] = await two(url);
    ann.send({ event: 'action', params: { action: 'gate' } });
    ann.send({ event: 'say', message: 'last words' });
    ann.send({ event: 'quit' });
    expect(await bob.heard.next()).toMatchObject({ message: 'last words' });
    gate.open();
    expect((await ann.responses.take(2)).map(({ messageCount }) => messageCount)).toEqual([2, 1]);
    await ann.closed;
  });

  test('a clean close leaves at once, a dropped link after the grace unless it is back', async () => {
    const { url } = await startServer({ config: { general: { reconnectGrace: 60_000 } } });
    const [ann, bob] = await two(url);
    const cid = await WsClient.connect(url);
    bob.socket.close(1000);
    await bob.closed;
    cid.socket.terminate();
    await cid.closed;
    let view: Parsed;
    do view = await ann.data('roomView');
    while (Object.keys(view.members).includes(bob.id));
    expect(Object.keys(view.members).sort()).toEqual([ann.id, cid.id].sort());
  });

  test('a link that drops before its client has come in leaves nobody behind', async () => {
    const store = new MemoryStore(usualLimits);
    const server = await startServer({ store, config: { general: { reconnectGrace: 0 } } });
    const follow = store.follow.bind(store);
    let goOn: (() => void) | undefined;
    jest.spyOn(store, 'follow').mockImplementationOnce(async (...given) => {
      await new Promise<void>((resolve) => (goOn = resolve));
      return follow(...given);
    });
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/chat/`);
    socket.on('error', () => undefined);
    await eventually(() => goOn);
    expect((await server.api.chatRoom.roomStatus('defaultRoom')).membersCount).toBe(1);
    socket.terminate();
    await eventually(() => server.api.connections.counts()['websocket'] === 0);
    goOn?.();
    await eventually(async () => (await server.api.chatRoom.roomStatus('defaultRoom')).membersCount === 0);
  });

  test('a ping is answered with a pong that has its data', async () => {
    const { url } = await startServer();
    const ann = await WsClient.connect(url);
    const order: string[] = [];
    ann.socket.on('pong', (data) => order.push(data.toString()));
    ann.socket.on('message', () => order.push('answer'));
    for (const data of ['', 'x'.repeat(125)]) ann.socket.ping(data);
    await eventually(() => order.length === 2);
    expect(order).toEqual(['', 'x'.repeat(125)]);
    ann.send({ event: 'paramsView' });
    ann.socket.ping('last');
    await eventually(() => order.length === 4);
    expect(order.slice(2).sort()).toEqual(['answer', 'last']);
  });

  test('who is cut off is told with 1013 to come again, and can', async () => {
    const cut = defineAction({
      name: 'cut',
      description: 'cuts the link it comes by',
      inputs: z.object({}),
      run: ({ connection }) => {
        connection.destroy();
      },
    });
    const { url } = await startServer({ actions: [cut] });
    const [ann, bob] = await two(url);
    const { cursor } = await ann.data('detailsView');
    ann.send({ event: 'action', params: { action: 'cut' } });
    expect(await ann.closed).toEqual({ code: 1013, reason: 'destroyed' });
    expect(ann.responses.all).toHaveLength(1);
    await bob.say('meanwhile');
    const back = await WsClient.connect(url);
    await back.data('resume', { session: ann.session, after: cursor });
    expect(await back.heard.next()).toMatchObject({ message: 'meanwhile' });
  });

  test('a drained server answers what was asked before it closes', async () => {
    const gate = new Gate();
    const server = await startServer({ actions: [gate.action] });
    const ann = await WsClient.connect(server.url);
    ann.send({ event: 'action', params: { action: 'gate' } });
    await ann.data('detailsView');
    server.drain();
    gate.open();
    expect(await ann.responses.next()).toMatchObject({ passed: true });
    expect(await ann.closed).toMatchObject({ code: 1012 });
  });
});

describe('an upgrade that is refused is a plain HTTP answer', () => {
  function upgrade(url: string, path: string, headers: Record<string, string> = {}): Promise<Parsed> {
    return new Promise((resolve, reject) => {
      const request = httpRequest(url + path, {
        headers: {
          Connection: 'Upgrade',
          Upgrade: 'websocket',
          'Sec-WebSocket-Key': Buffer.from('0123456789abcdef').toString('base64'),
          'Sec-WebSocket-Version': '13',
          ...headers,
        },
      });
      request.on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, body: JSON.parse(text) as unknown }),
        );
      });
      request.on('upgrade', (_response, socket) => {
        socket.destroy();
        resolve({ status: 101 });
      });
      request.on('error', reject);
      request.end();
    });
  }

  test.each([
    ['/chat/', { Origin: 'http://evil.test' }, 403, 'cross_site'],
    ['/primus', { Origin: 'null' }, 403, 'cross_site'],
    ['/chat/', { Host: 'evil.test' }, 421, 'wrong_host'],
    ['/nowhere', {}, 404, 'not_found'],
  ])('%s with %j: %d %s', async (path, headers, status, code) => {
    const server = await startServer();
    const answer = await upgrade(server.url, path, headers);
    expect(answer).toMatchObject({ status, body: { code, error: expect.stringMatching(/^Error: /) } });
    expect(answer.headers['content-type']).toMatch('application/json');
    expect(await server.api.chatRoom.roomStatus('defaultRoom')).toMatchObject({ membersCount: 0 });
  });

  test('an origin of ours, or one that is allowed, is let in', async () => {
    const { url, port } = await startServer({ config: { commonWeb: { allowedOrigins: ['https://page.test'] } } });
    expect(await upgrade(url, '/chat/', { Origin: `http://127.0.0.1:${port}` })).toEqual({ status: 101 });
    expect(await upgrade(url, '/chat/', { Origin: 'https://page.test' })).toEqual({ status: 101 });
  });

  test('too many new clients of one address: 429 with Retry-After, before any client is made', async () => {
    const server = await startServer({ config: { limits: { newClientsPerSecondPerAddress: 1 } } });
    for (let nth = 0; nth < 4; nth += 1) await WsClient.connect(server.url);
    const answer = await upgrade(server.url, '/chat/');
    expect(answer).toMatchObject({ status: 429, body: { code: 'too_many_requests' } });
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(await server.api.chatRoom.roomStatus('defaultRoom')).toMatchObject({ membersCount: 4 });
  });

  test('a server that goes takes nobody in', async () => {
    const server = await startServer();
    server.drain();
    expect(await upgrade(server.url, '/chat/')).toMatchObject({ status: 503, body: { code: 'shutting_down' } });
  });
});

describe('who hears', () => {
  test('general.echo lets speakers hear themselves, resume asks for it alone', async () => {
    const echoing = await startServer({ config: { general: { echo: true } } });
    const ann = await WsClient.connect(echoing.url);
    await ann.say('hello me');
    expect(await ann.heard.next()).toMatchObject({ message: 'hello me', from: ann.id });
    await ann.data('resume', { session: ann.session, after: (await ann.data('detailsView')).cursor, echo: false });
    await ann.say('quiet');

    const { url } = await startServer();
    const bob = await WsClient.connect(url);
    const { cursor } = await bob.data('detailsView');
    await bob.say('before');
    await bob.data('resume', { session: bob.session, after: cursor, echo: true });
    expect(await bob.heard.next()).toMatchObject({ message: 'before', from: bob.id });
    await bob.say('after');
    expect(await bob.heard.next()).toMatchObject({ message: 'after', from: bob.id });
    expect(ann.heard.all).toHaveLength(1);
  });

  test('presence=true tells who comes and goes', async () => {
    const { url } = await startServer({ config: { general: { reconnectGrace: 0 } } });
    const ann = await WsClient.connect(url);
    const { cursor } = await ann.data('roomView');
    await ann.data('resume', { session: ann.session, after: cursor, presence: true });
    const bob = await WsClient.connect(url);
    const at = expect.any(Number);
    expect(await ann.others.next()).toEqual({
      context: 'presence',
      event: 'join',
      room: 'defaultRoom',
      id: bob.id,
      at,
    });
    bob.socket.close();
    expect(await ann.others.next()).toEqual({
      context: 'presence',
      event: 'leave',
      room: 'defaultRoom',
      id: bob.id,
      at,
    });
  });

  test('roomMatch picks hearers by id or by what an action set', async () => {
    const { url } = await startServer({ actions: [login] });
    const [ann, bob] = await two(url);
    const cid = await WsClient.connect(url);
    await bob.act('login', { name: 'auth', value: true });
    await ann.say('for the known', { roomMatchKey: 'auth', roomMatchValue: 'true' });
    await ann.say('for Cid', { roomMatchKey: 'id', roomMatchValue: cid.id });
    await ann.say('for none', { roomMatchKey: 'rooms', roomMatchValue: 'defaultRoom' });
    await ann.say('for all');
    expect((await bob.heard.take(2)).map(({ message }) => message)).toEqual(['for the known', 'for all']);
    expect((await cid.heard.take(2)).map(({ message }) => message)).toEqual(['for Cid', 'for all']);
    await bob.act('login', { name: 'auth', value: null });
    await ann.say('for the known', { roomMatchKey: 'auth', roomMatchValue: 'true' });
    await ann.say('end');
    expect(await bob.heard.next()).toMatchObject({ message: 'end' });
    expect(await ann.ask('say', { message: 'x', roomMatchKey: 'id' })).toMatchObject({ code: 'invalid_parameter' });
  });

  test('a direct message has no room, and an object goes as it is', async () => {
    const { url, api } = await startServer();
    const [ann, bob] = await two(url);
    await api.connections.apply(ann.id, 'sendMessage', 'just you');
    expect(await ann.heard.next()).toEqual({
      message: 'just you',
      from: 'earshot',
      context: 'user',
      sentAt: expect.any(Number),
      id: expect.stringMatching(/^\d+-1$/),
    });
    await api.connections.apply(ann.id, 'sendMessage', { message: { deep: 1 }, from: 'a bot', extra: [1] });
    expect(await ann.heard.next()).toMatchObject({ message: { deep: 1 }, from: 'a bot', extra: [1], context: 'user' });
    await api.connections.apply(ann.id, 'sendMessage', { context: 'alert', text: 'fire' });
    expect(await ann.others.next()).toMatchObject({ context: 'alert', text: 'fire', from: 'earshot' });
    await ann.say('still here');
    await bob.heard.next();
    expect(bob.heard.all).toHaveLength(1);
  });

  test('the pushes of a room keep its order, whoever speaks', async () => {
    const { url } = await startServer();
    const [ann, bob] = await two(url);
    const cid = await WsClient.connect(url);
    for (let nth = 0; nth < 50; nth += 1) for (const each of [ann, bob]) each.send({ event: 'say', message: nth });
    const seqs = (await cid.heard.take(100)).map(({ id }) => Number(id.split('-')[1]));
    expect(seqs).toEqual(Array.from({ length: 100 }, (_, nth) => nth + 1));
  });
});

describe('a join hook', () => {
  const bouncer: ChatMiddleware = {
    name: 'bouncer',
    join: (connection, room) => {
      if (room === 'vip' && connection['auth'] !== 'true') throw new Error('members only');
    },
  };

  test('refuses with its own words', async () => {
    const { url } = await startServer({ middleware: [bouncer], actions: [login] });
    const ann = await WsClient.connect(url);
    expect(await ann.ask('roomAdd', { room: 'vip' })).toMatchObject({
      error: 'Error: members only',
      code: 'forbidden',
    });
    expect(await ann.ask('roomChange', { room: 'vip' })).toMatchObject({ error: 'Error: members only' });
    expect(await ann.data('detailsView')).toMatchObject({ room: 'defaultRoom', rooms: ['defaultRoom'] });
    await ann.act('login', { name: 'auth', value: 'true' });
    expect(await ann.data('roomAdd', { room: 'vip' })).toBe(true);
  });
});

test('limits of 0 turn them off, and the port is any free one', async () => {
  const { url, port } = await startServer({ config: { limits: { frameBytes: 0, messageBytes: 0, bufferSoft: 0 } } });
  expect(port).toBeGreaterThan(0);
  const [ann, bob] = await two(url);
  await ann.say('x'.repeat(200_000));
  expect((await bob.heard.next()).message).toHaveLength(200_000);
});

describe('thousands of frames in one read', () => {
  /** The client's socket, whose writes it can hold together. */
  const together = (client: WsClient, send: () => void): void => {
    const { _socket: socket } = client.socket as unknown as { _socket: { cork: () => void; uncork: () => void } };
    socket.cork();
    send();
    socket.uncork();
  };
  const SAY = { event: 'say', message: 'x' };

  test('are looked at as they are answered, all of them', async () => {
    let open = (): void => undefined;
    const opened = new Promise<undefined>((resolve) => (open = (): void => resolve(undefined)));
    const held: ChatMiddleware = { name: 'held', onSayReceive: () => opened };
    const { url } = await startServer({ middleware: [held] });
    const [flood, other] = await two(url);
    const read = jest.spyOn(Conversation.prototype, 'count');
    try {
      const frames = 3000;
      together(flood, () => {
        for (let nth = 0; nth < frames; nth += 1) flood.send(SAY);
      });
      await eventually(() => read.mock.calls.length >= 250);
      await other.data('roomView');
      // As many as may wait, what made room for them, and the other's own.
      expect(read.mock.calls.length).toBeLessThan(300);
      open();
      await eventually(() => flood.responses.all.length === frames);
      const counts = flood.responses.all.map((answer) => (answer as { messageCount: number }).messageCount);
      expect(counts).toEqual(Array.from({ length: frames }, (_, nth) => nth + 1));
    } finally {
      read.mockRestore();
    }
  });

  test('are said, also when the client closes right behind them', async () => {
    const slow: ChatMiddleware = {
      name: 'slow',
      onSayReceive: async (_connection, _room, message) => {
        await new Promise(setImmediate);
        return message;
      },
    };
    const { url } = await startServer({ middleware: [slow] });
    const [flood, other] = await two(url);
    const frames = 1000;
    together(flood, () => {
      for (let nth = 0; nth < frames; nth += 1) flood.send({ ...SAY, message: nth });
      flood.socket.close();
    });
    await eventually(() => other.heard.all.length === frames);
    expect(other.heard.all.map((heard) => (heard as { message: number }).message)).toEqual(
      Array.from({ length: frames }, (_, nth) => nth),
    );
  });

  test('keep nobody waiting when they are no requests: they are looked at in several turns', async () => {
    const { url } = await startServer();
    const flood = await WsClient.connect(url);
    const clock = new HurriedClock();
    const turns = new Set<number>();
    const refused = jest.spyOn(Conversation.prototype, 'refuse').mockImplementation(() => void turns.add(clock.turns));
    try {
      together(flood, () => {
        for (let nth = 0; nth < 2000; nth += 1) flood.socket.send('x');
        flood.send({ event: 'roomView' });
      });
      await eventually(() => flood.responses.all.some((answer) => answer['messageCount'] === 1));
      expect(turns.size).toBeGreaterThan(100);
    } finally {
      clock.stop();
      refused.mockRestore();
    }
  });
});
