/** earshot inside somebody's own Express application, and as a server of its own; and that nothing of it stays behind. */
import http from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import cookieParser from 'cookie-parser';
import express, { type Express } from 'express';
import { actions, createChat, createServer, MemoryStore, type MountedChat } from '../../src';
import { connected, HttpClient } from '../support/http-client';
import { KeptLog } from '../support/logger';
import { WsClient } from '../support/clients';

const config = { commonWeb: { httpClientMessageTTL: 60_000 } };
const running: { readonly server: http.Server; readonly chat: MountedChat }[] = [];

afterEach(async () => {
  for (const { server, chat } of running.splice(0)) {
    await chat.close();
    server.closeAllConnections();
    server.close();
    if (server.listening) await once(server, 'close');
  }
});

async function mount(build: (app: Express, chat: MountedChat) => void): Promise<{ url: string; chat: MountedChat }> {
  const chat = await createChat({ actions, config, logger: new KeptLog() });
  const app = express();
  build(app, chat);
  const server = http.createServer(app);
  running.push({ server, chat });
  chat.attach(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, chat };
}

/** Says and hears over all that is mounted. */
async function works(url: string): Promise<void> {
  const ann = new HttpClient(url);
  const bob = await WsClient.connect(url);
  const cid = await WsClient.connect(url, '/primus');
  const id = await ann.id();
  await ann.say({ any: ['json'] });
  for (const client of [bob, cid])
    expect(await client.heard.next()).toMatchObject({ message: { any: ['json'] }, from: id });
  await bob.say('back');
  expect((await ann.ok('messages', { wait: 5 })).messages).toMatchObject([{ message: 'back', from: bob.id }]);
  expect(await ann.get('say')).toMatchObject({ status: 400, body: { code: 'message_required' } });
}

test('an application mounts it: routers, and sockets on its server', async () => {
  const { url } = await mount((app, chat) => {
    app.use('/chat', chat.router);
    app.use('/api', chat.apiRouter);
    app.get('/', (_request, response) => void response.send('my page'));
  });
  await works(url);
  expect((await new HttpClient(url).api('status')).body).toMatchObject({ nodeStatus: 'Node Healthy' });
  expect(await (await fetch(url)).text()).toBe('my page');
});

test('the application may have parsed bodies and cookies already', async () => {
  const { url } = await mount((app, chat) => {
    app.use(express.json(), express.urlencoded({ extended: true }), cookieParser('its own secret'));
    app.use('/chat', chat.router);
  });
  await works(url);
  const form = await fetch(`${url}/chat/`, {
    method: 'POST',
    body: new URLSearchParams({ method: 'say', message: 'form' }),
  });
  expect(await form.json()).toMatchObject({ status: 'OK' });
});

test('what a middleware of the application makes of the same headers counts, with every request of a connection', async () => {
  const bearers: string[] = [];
  const { url } = await mount((app, chat) => {
    app.use('/chat', (request, _response, next) => {
      const bearer = bearers.shift();
      if (bearer !== undefined) request.headers.authorization = `Bearer ${bearer}`;
      next();
    });
    app.use('/chat', chat.router);
  });
  const [ann, bob] = [await connected({ url }), await connected({ url })];
  const [isAnn, isBob] = [await ann.id(), await bob.id()];
  const one = new HttpClient(url);
  bearers.push(ann.session, ann.session, bob.session, ann.session);
  expect([await one.id(), await one.id(), await one.id(), await one.id()]).toEqual([isAnn, isAnn, isBob, isAnn]);
  expect(one.connections).toBe(1);
});

test('the application’s own upgrades, and a bearer of its own, stay its own', async () => {
  const { url } = await mount((app, chat) => {
    app.use('/chat', chat.router);
  });
  const { server } = running.at(-1)!;
  server.on('upgrade', (request, socket) => {
    if (request.url === '/mine') socket.end('HTTP/1.1 418 Mine\r\nContent-Length: 0\r\n\r\n');
  });
  await works(url);
  await expect(WsClient.connect(url, '/mine')).rejects.toThrow('418');
  const ann = new HttpClient(url);
  ann.headers = { Authorization: 'Bearer of-the-application' };
  expect(await ann.get('detailsView')).toMatchObject({ status: 200 });
});

test('two chats in one application are two worlds', async () => {
  const other = await createChat({ actions, config, logger: new KeptLog() });
  const { url, chat } = await mount((app, mounted) => {
    app.use('/chat', mounted.router);
    app.use('/other', other.router);
  });
  const ann = await WsClient.connect(url);
  await other.api.chatRoom.broadcast(null, 'defaultRoom', 'there');
  await chat.api.chatRoom.broadcast(null, 'defaultRoom', 'here');
  expect(await ann.heard.next()).toMatchObject({ message: 'here' });
  const response = await fetch(`${url}/other/?method=detailsView`);
  expect(response.status).toBe(200);
  await other.close();
});

test('HTTP chat is opt-in in a library', async () => {
  const chat = await createChat({ actions, logger: new KeptLog() });
  const app = express().use('/chat', chat.router);
  const server = http.createServer(app).listen(0, '127.0.0.1');
  running.push({ server, chat });
  await once(server, 'listening');
  const answer = await new HttpClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).get('roomView');
  expect(answer).toMatchObject({ status: 403, body: { error: 'Error: chatting via web clients is not enabled' } });
});

test('websockets can be left out', async () => {
  const chat = await createChat({
    actions,
    config: { servers: { websocket: { enable: false } } },
    logger: new KeptLog(),
  });
  const server = http.createServer(express().use('/chat', chat.router)).listen(0, '127.0.0.1');
  running.push({ server, chat });
  chat.attach(server);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await expect(WsClient.connect(`http://127.0.0.1:${port}`)).rejects.toThrow();
});

describe('closing', () => {
  /** What keeps this process alive, by kind. */
  const handles = (): string[] =>
    process.getActiveResourcesInfo().filter((kind) => /TCP|Timeout|Server|Pipe/.test(kind));

  test('a mounted chat leaves nothing behind, and its application’s server to itself', async () => {
    const { url, chat } = await mount((app, mounted) => {
      app.use('/chat', mounted.router);
      app.get('/', (_request, response) => void response.send('still here'));
    });
    const ann = await WsClient.connect(url);
    await chat.close();
    await ann.closed;
    expect(await (await fetch(url)).text()).toBe('still here');
    await expect(WsClient.connect(url)).rejects.toThrow('503');
    await chat.close();
  });

  test('a server leaves no handle behind', async () => {
    const before = handles();
    const store = new MemoryStore({ messageTTL: 1000, maxLogLength: 10, logKeep: 1000 });
    const servers = { web: { port: 0 }, socket: { enable: true, port: 0 } };
    const server = await createServer({ actions, config: { ...config, servers }, store, logger: new KeptLog() });
    const ann = await WsClient.connect(server.url.replace(/\/$/, ''));
    const bob = new HttpClient(server.url.replace(/\/$/, ''));
    await bob.stream('sse');
    await ann.say('hello');
    await bob.heard.next();
    await Promise.all([server.close(), server.close()]);
    await ann.closed;
    bob.abandon();
    while (handles().length > before.length) await new Promise((resolve) => setImmediate(resolve));
    expect(handles().length).toBeLessThanOrEqual(before.length);
  });

  test('a port that is taken is told, and nothing stays open', async () => {
    const servers = { web: { port: 0 } };
    const first = await createServer({ actions, config: { servers }, logger: new KeptLog() });
    const before = handles().length;
    const again = { ...config, servers: { web: { port: first.port } } };
    await expect(createServer({ actions, config: again, logger: new KeptLog() })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
    while (handles().length > before) await new Promise((resolve) => setImmediate(resolve));
    await first.close();
  });
});
