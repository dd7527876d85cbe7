/** ActionHero's API as its documents give it: every name, called as they call it. */
import { z } from 'zod';
import { defineAction, type ActionContext, type Api, type ChatConnection, type ChatMiddleware } from '../../src';
import { eventually } from '../support/eventually';
import { arrived, HttpClient } from '../support/http-client';
import { deployments, twoNodes } from '../support/nodes';
import { startServer } from '../support/server';
import { TcpClient, WsClient, type Parsed } from '../support/clients';

const nothing = z.object({});
type Context = ActionContext<typeof nothing, Api>;

/** An action that does what the test says, with the `api` and the connection that actions get. */
function doing(name: string, run: (context: Context & { connection: ChatConnection }) => unknown) {
  return defineAction({ name, description: 'does what the test says', inputs: nothing, run });
}

/** What a callback was called with. */
async function calledBack(call: (next: (error: Error | null, data?: unknown) => void) => unknown): Promise<unknown[]> {
  return new Promise((resolve) => {
    call((...given) => resolve(given));
  });
}

const texts = (messages: readonly Parsed[]): unknown[] => messages.map(({ message }) => message);

describe('socketRoomBroadcast', () => {
  test('a null connection speaks as the server, in the default room', async () => {
    const { url, api } = await startServer({ config: { general: { serverName: 'the house' } } });
    const ann = await WsClient.connect(url);
    await ann.data('roomChange', { room: 'garden' });
    await ann.data('roomAdd', { room: 'defaultRoom' });
    const time = new Date();
    const said = await api.chatRoom.socketRoomBroadcast(api, null, `Hello.  The time is ${String(time)}`);
    expect(await ann.heard.next()).toEqual({
      message: `Hello.  The time is ${String(time)}`,
      room: 'defaultRoom',
      from: 'the house',
      context: 'user',
      sentAt: said.sentAt,
      id: said.id,
    });
    await api.chatRoom.socketRoomBroadcast(null, { any: ['json'] });
    expect(await ann.heard.next()).toMatchObject({ message: { any: ['json'] }, from: 'the house' });
  });

  test('a mock connection speaks where and as it says', async () => {
    const { url, api } = await startServer();
    const ann = await WsClient.connect(url);
    await ann.data('roomAdd', { room: 'someOtherRoom' });
    const mockConnection = { room: 'someOtherRoom', public: { id: 0 } };
    await api.chatRoom.socketRoomBroadcast(api, mockConnection, 'one', false);
    await api.chatRoom.socketRoomBroadcast({ room: 'someOtherRoom', id: 'a bot' }, 'two');
    await api.chatRoom.socketRoomBroadcast({ public: { id: 'x' } }, 'three');
    const heard = await ann.heard.take(3);
    expect(heard.map(({ message, from, room }) => [message, from, room])).toEqual([
      ['one', '0', 'someOtherRoom'],
      ['two', 'a bot', 'someOtherRoom'],
      ['three', 'x', 'defaultRoom'],
    ]);
  });

  test('a connection speaks where it is, matched by its params, and does not hear itself', async () => {
    const tell = doing('tell', ({ api, connection }) => api.chatRoom.socketRoomBroadcast(api, connection, 'psst'));
    const login = doing('login', ({ connection }) => void (connection['auth'] = 'true'));
    const server = await startServer({ actions: [tell, login] });
    const ann = await WsClient.connect(server.url);
    const bob = await WsClient.connect(server.url);
    const cid = await WsClient.connect(server.url);
    const http = new HttpClient(server.url);
    await http.id();
    await bob.act('login');
    await ann.data('paramAdd', { key: 'roomMatchKey', value: 'auth' });
    await ann.data('paramAdd', { key: 'roomMatchValue', value: 'true' });
    expect(await ann.act('tell')).toMatchObject({ room: 'defaultRoom', id: expect.any(String) });
    expect(await bob.heard.next()).toMatchObject({ message: 'psst', from: ann.id });
    // Over HTTP the params are those of the request: `&roomMatchKey=id&roomMatchValue=123456`.
    await http.api('tell', { roomMatchKey: 'id', roomMatchValue: cid.id });
    expect(await cid.heard.next()).toMatchObject({ message: 'psst', from: await http.id() });
    // A value is compared as text; a filter that is none must not let everybody hear.
    const about = (params: Readonly<Record<string, unknown>>) =>
      server.api.chatRoom.socketRoomBroadcast({ room: 'defaultRoom', id: 'svc', params }, 'psst');
    await about({ roomMatchKey: 'auth', roomMatchValue: true });
    expect(await bob.heard.next()).toMatchObject({ message: 'psst', from: 'svc' });
    for (const params of [
      { roomMatchKey: 'auth' },
      { roomMatchValue: 'true' },
      { roomMatchKey: 'auth', roomMatchValue: {} },
    ])
      await expect(about(params)).rejects.toMatchObject({ code: 'invalid_parameter' });
    await server.api.chatRoom.socketRoomBroadcast(null, 'end');
    for (const client of [ann, bob, cid]) expect(await client.heard.next()).toMatchObject({ message: 'end' });
  });

  test('without a room, or words, it is refused; a call that nobody awaits ends nobody’s process', async () => {
    const { api } = await startServer({ config: { general: { defaultChatRoom: null } } });
    await expect(api.chatRoom.socketRoomBroadcast(api, null, 'x')).rejects.toMatchObject({ code: 'room_required' });
    await expect(api.chatRoom.broadcast(null, 'x', '')).rejects.toThrow('both room and message are required');
    await expect(api.chatRoom.broadcast(null, '', 'x')).rejects.toThrow('both room and message are required');
    await expect(api.chatRoom.broadcast(null, 'x', null)).rejects.toThrow('both room and message are required');
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', note);
    void api.chatRoom.socketRoomBroadcast(api, null, 'x');
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', note);
    expect(unhandled).toEqual([]);
  });
});

describe('socketRoomStatus', () => {
  test('lists the ids of the members, to a callback and as a promise', async () => {
    const { url, api } = await startServer();
    const ann = await WsClient.connect(url);
    const web = await new HttpClient(url).id();
    const expected = {
      room: 'defaultRoom',
      members: expect.arrayContaining([ann.id, web]),
      membersCount: 2,
    };
    expect(await api.chatRoom.socketRoomStatus(api, 'defaultRoom')).toEqual(expected);
    expect(await api.chatRoom.socketRoomStatus('defaultRoom')).toEqual(expected);
    expect(await calledBack((next) => api.chatRoom.socketRoomStatus(api, 'defaultRoom', next))).toEqual([
      null,
      expected,
    ]);
    expect(await calledBack((next) => api.chatRoom.socketRoomStatus('defaultRoom', next))).toEqual([null, expected]);
  });

  test('tells the callback what is wrong, and rejects where there is none', async () => {
    const { api } = await startServer();
    const [error, data] = await calledBack((next) => api.chatRoom.socketRoomStatus(api, 'nowhere', next));
    expect(error).toEqual(new Error('room does not exist'));
    expect(data).toBeUndefined();
    await expect(api.chatRoom.socketRoomStatus('nowhere')).rejects.toMatchObject({ code: 'room_not_found' });
    await expect(api.chatRoom.socketRoomStatus('')).rejects.toThrow('a room is required');
  });
});

describe('api.chatRoom', () => {
  test.each(deployments)('makes, finds, lists and destroys rooms, on $where', async ({ start }) => {
    const general = { createRoomsOnJoin: false, startingChatRooms: ['given'] };
    const { here, there } = await start({ config: { general } });
    const ann = await WsClient.connect(there.url);
    expect(await ann.ask('roomAdd', { room: 'garden' })).toMatchObject({ error: 'Error: room does not exist' });
    expect(await here.api.chatRoom.add('garden')).toBe(1);
    await expect(there.api.chatRoom.add('garden')).rejects.toThrow('room exists');
    await expect(there.api.chatRoom.add('two words')).rejects.toMatchObject({ code: 'invalid_room_name' });
    await expect(there.api.chatRoom.add('')).rejects.toThrow('a room is required');
    expect(await there.api.chatRoom.exists('garden')).toBe(true);
    expect(await there.api.chatRoom.exists('nowhere')).toBe(false);
    expect((await there.api.chatRoom.list()).sort()).toEqual(['defaultRoom', 'garden', 'given']);
    expect(await ann.data('roomAdd', { room: 'garden' })).toBe(true);

    await here.api.chatRoom.destroy('garden');
    expect(await there.api.chatRoom.exists('garden')).toBe(false);
    await expect(here.api.chatRoom.destroy('garden')).rejects.toThrow('room does not exist');
    expect(await ann.ask('say', { room: 'garden', message: 'x' })).toMatchObject({ code: 'not_in_room' });
    expect((await ann.data('detailsView')).rooms).toEqual(['defaultRoom']);
  });

  test.each(deployments)(
    'a room that is destroyed is left, by whatever way, and stays away: $where',
    async ({ start }) => {
      const { here, there } = await start();
      const room = 'garden';
      const member = await WsClient.connect(there.url);
      const listener = await TcpClient.connect(there.tcpPort);
      await listener.data('listenToRoom', { room });
      const [poller, reader] = [await arrived(there), await arrived(there)];
      for (const client of [poller, reader]) await client.ok('roomAdd', { room });
      await member.data('roomAdd', { room });
      await reader.stream('sse', { after: (await reader.ok('detailsView')).details.cursor });
      await poller.ok('messages');
      const poll = poller.ok('messages', { wait: 60 });
      await eventually(() => there.api.connections.counts()['poll'] === 1);

      await here.api.chatRoom.destroy(room);
      // Nothing was lost by it, so the next that anybody hears is what is said where they still are.
      const speaker = await WsClient.connect(here.url);
      await eventually(async () => (await member.data('detailsView')).rooms.length === 1);
      await speaker.say('over here');
      const answer = await poll;
      expect(texts(answer.messages)).toEqual(['over here']);
      expect(answer).not.toHaveProperty('gaps');
      for (const { heard } of [member, listener, reader]) {
        expect(await heard.next()).toMatchObject({ room: 'defaultRoom', message: 'over here' });
      }
      const words = [member, listener, reader].flatMap(({ others }) => others.all);
      expect(words.filter((word) => JSON.stringify(word).includes('reset'))).toEqual([]);
      for (const client of [poller, reader]) {
        expect((await client.ok('detailsView')).details.rooms).toEqual(['defaultRoom']);
        expect(await client.ok('messages')).not.toHaveProperty('gaps');
      }
      expect(await there.api.chatRoom.exists(room)).toBe(false);
    },
  );

  test('roomStatus and roomView show of the members what sanitizeMemberDetails lets it', async () => {
    const { url, api } = await startServer();
    const ann = await WsClient.connect(url);
    const joinedAt = expect.any(Number);
    expect(await api.chatRoom.roomStatus('defaultRoom')).toEqual({
      room: 'defaultRoom',
      members: { [ann.id]: { id: ann.id, joinedAt } },
      membersCount: 1,
    });
    api.chatRoom.sanitizeMemberDetails = ({ id }) => ({ name: `member ${id}` });
    expect((await api.chatRoom.roomStatus('defaultRoom')).members).toEqual({ [ann.id]: { name: `member ${ann.id}` } });
    expect((await ann.data('roomView')).members).toEqual({ [ann.id]: { name: `member ${ann.id}` } });
    await expect(api.chatRoom.roomStatus('nowhere')).rejects.toThrow('room does not exist');
    expect(api.chatRoom.generateMemberDetails({ id: 'x' })).toEqual({ id: 'x', joinedAt, host: api.id });
    expect(api.chatRoom.generateMessagePayload({ message: 'm', connection: { id: 'x', room: 'r' } })).toEqual({
      message: 'm',
      room: 'r',
      from: 'x',
      context: 'user',
      sentAt: expect.any(Number),
    });
  });

  test.each(deployments)('puts clients of any node into rooms and takes them out, on $where', async ({ start }) => {
    const { here, there } = await start();
    const ann = await WsClient.connect(there.url);
    const bob = new HttpClient(there.url);
    const web = await bob.id();
    const { chatRoom } = here.api;
    for (const id of [ann.id, web]) expect(await chatRoom.addMember(id, 'garden')).toBe(true);
    await expect(chatRoom.addMember(ann.id, 'garden')).rejects.toThrow('connection already in this room (garden)');
    await expect(chatRoom.addMember('nobody', 'garden')).rejects.toMatchObject({ code: 'not_found' });
    await chatRoom.broadcast(null, 'garden', 'welcome to the garden');
    expect(await ann.heard.next()).toMatchObject({ message: 'welcome to the garden', room: 'garden' });
    expect(texts((await bob.ok('messages')).messages)).toEqual(['welcome to the garden']);
    expect(await ann.say('thanks', { room: 'garden' })).toMatchObject({ room: 'garden' });

    expect(await chatRoom.removeMember(ann.id, 'garden')).toBe(true);
    await expect(chatRoom.removeMember(ann.id, 'garden')).rejects.toThrow('connection not in this room (garden)');
    expect(await ann.ask('say', { room: 'garden', message: 'x' })).toMatchObject({ code: 'not_in_room' });
    await chatRoom.broadcast(null, 'garden', 'behind its back');
    await chatRoom.broadcast(null, 'defaultRoom', 'for all');
    expect(await ann.heard.next()).toMatchObject({ message: 'for all' });
    expect((await chatRoom.roomStatus('garden')).membersCount).toBe(1);
  });

  test('changeChatRoom goes where the params say, by either of its names', async () => {
    const move = doing('move', ({ api, connection }) => api.chatRoom.changeChatRoom(api, connection));
    const moveToo = doing('moveToo', ({ api, connection }) =>
      calledBack((next) => api.webServer.changeChatRoom(connection, next)).then(([error, moved]) => ({ error, moved })),
    );
    const { url } = await startServer({ actions: [move, moveToo] });
    const bob = new HttpClient(url);
    expect((await bob.api('move', { room: 'garden' })).body).toEqual({ room: 'garden' });
    expect((await bob.ok('detailsView')).details).toMatchObject({ room: 'garden', rooms: ['garden'] });
    expect((await bob.api('moveToo', { room: 'cellar' })).body).toEqual({ error: null, moved: { room: 'cellar' } });
    expect(await bob.api('move')).toMatchObject({
      status: 400,
      body: { error: 'Error: room is required to use the roomChange method' },
    });
  });
});

describe('getWebChatMessage', () => {
  test.each(deployments)('gives an action of one’s own what its client has not had, on $where', async ({ start }) => {
    const inbox = doing('inbox', async ({ api, connection }) => ({
      promised: await api.webServer.getWebChatMessage(connection),
    }));
    const inboxOf2013 = doing('inboxOf2013', async ({ api, connection }) => {
      const [error, messages] = await calledBack((next) => api.webServer.getWebChatMessage(api, connection, next));
      return { error, messages };
    });
    const { here, there } = await start({ actions: [inbox, inboxOf2013] });
    const ann = await WsClient.connect(here.url);
    const bob = new HttpClient(here.url);
    await bob.id();
    await ann.say('one');
    expect((await bob.api('inboxOf2013')).body).toMatchObject({
      error: null,
      messages: [{ message: 'one', from: ann.id }],
    });
    await ann.say('two');
    bob.url = there.url;
    expect(texts((await bob.api('inbox')).body.promised)).toEqual(['two']);
    expect((await bob.api('inbox')).body).toEqual({ promised: [] });
    await ann.say('three');
    expect(texts((await bob.ok('messages')).messages)).toEqual(['three']);
    // What a socket's client hears is pushed to it.
    const cat = await WsClient.connect(there.url);
    await ann.say('four');
    expect((await cat.heard.next()).message).toBe('four');
    expect(await cat.ask('action', { params: { action: 'inbox' } })).toMatchObject({ promised: [] });
  });
});

describe('one client alone', () => {
  test.each(deployments)('is told something wherever it is, on $where', async ({ start }) => {
    const note = doing('note', ({ connection }) => connection.sendMessage('a note to oneself'));
    const { here, there } = await start({ actions: [note] });
    const ann = await WsClient.connect(there.url);
    const bob = await WsClient.connect(there.url);
    const web = new HttpClient(there.url);
    const id = await web.id();
    await here.api.connections.apply(ann.id, 'sendMessage', 'hello Ann');
    expect(await ann.heard.next()).toMatchObject({ message: 'hello Ann', from: 'earshot', context: 'user' });
    await here.api.connections.apply(id, 'sendMessage', { message: 'hello web', urgent: true });
    expect((await web.ok('messages')).messages).toMatchObject([
      { message: 'hello web', urgent: true, context: 'user' },
    ]);
    await ann.act('note');
    expect(await ann.heard.next()).toMatchObject({ message: 'a note to oneself' });
    await web.api('note');
    expect(texts((await web.ok('messages')).messages)).toEqual(['a note to oneself']);
    await expect(here.api.connections.apply('nobody', 'sendMessage', 'x')).rejects.toMatchObject({ code: 'not_found' });
    await ann.say('end');
    expect(await bob.heard.next()).toMatchObject({ message: 'end' });
    expect(bob.heard.all).toHaveLength(1);
  });

  test.each(deployments)('is given an attribute wherever it is, on $where', async ({ start }) => {
    const { here, there } = await start();
    const ann = await WsClient.connect(there.url);
    await here.api.connections.apply(ann.id, 'set', { key: 'auth', value: 'true' });
    let attributes: Parsed;
    do ({ attributes } = await ann.data('detailsView'));
    while (!('auth' in attributes));
    expect(attributes).toEqual({ auth: 'true' });
    const set = { key: 'id', value: 'x' };
    await expect(here.api.connections.apply(ann.id, 'set', set)).rejects.toThrow('id cannot be an attribute');
    await expect(here.api.connections.apply('nobody', 'set', set)).rejects.toMatchObject({ code: 'not_found' });
    await expect(here.api.connections.apply(ann.id, 'destroy' as 'set', set)).rejects.toThrow('cannot be applied');
  });
});

test('the settings have the paths of the documents', async () => {
  const general = { defaultChatRoom: 'hall', serverName: 'the house' };
  const { api } = await startServer({ config: { general, commonWeb: { httpClientMessageTTL: 1234 } } });
  expect(api.configData.general.defaultChatRoom).toBe('hall');
  expect(api.configData.general.serverName).toBe('the house');
  expect(api.configData.commonWeb.httpClientMessageTTL).toBe(1234);
  expect(api.configData.commonWeb.fingerprintOptions.onlyStaticElements).toBe(false);
  expect(api.config.redis).toMatchObject({ url: null });
  expect(api.config).toBe(api.configData);
});

describe('the authenticated room', () => {
  /** As printed in the documents, but for what TypeScript wants to know. */
  const userLogin = doing('userLogin', ({ connection }) => {
    connection.auth = 'true';
    // eslint-disable-next-line eqeqeq, @typescript-eslint/no-unnecessary-condition -- as they print it
    if (connection._original_connection != null) {
      connection._original_connection.auth = 'true';
    }
  });
  const otherSpelling = doing('otherSpelling', ({ connection }) => {
    connection._originalConnection['auth'] = 'true';
  });
  const authenticated: ChatMiddleware = {
    name: 'authenticated',
    join: (connection, room) => {
      if (room === 'SecretRoom' && connection['auth'] !== 'true') throw new Error('not authenticated');
    },
  };

  test('lets in who has logged in, over every transport and on every node', async () => {
    const { here, there } = await twoNodes({ actions: [userLogin, otherSpelling], middleware: [authenticated] });
    const ann = await WsClient.connect(here.url);
    const bob = new HttpClient(here.url);
    await bob.id();
    bob.url = there.url;
    expect(await ann.ask('roomAdd', { room: 'SecretRoom' })).toMatchObject({ error: 'Error: not authenticated' });
    expect(await bob.get('roomChange', { room: 'SecretRoom' })).toMatchObject({ status: 403 });

    expect(await ann.act('userLogin')).not.toHaveProperty('error');
    await bob.api('otherSpelling');
    bob.url = here.url;
    expect(await ann.data('roomAdd', { room: 'SecretRoom' })).toBe(true);
    expect(await bob.ok('roomChange', { room: 'SecretRoom' })).toEqual({ room: 'SecretRoom' });
    await ann.say('Hello World', { room: 'SecretRoom' });
    expect((await bob.ok('messages')).messages).toEqual([
      {
        message: 'Hello World',
        room: 'SecretRoom',
        from: ann.id,
        context: 'user',
        sentAt: expect.any(Number),
        id: expect.any(String),
      },
    ]);
  });
});
