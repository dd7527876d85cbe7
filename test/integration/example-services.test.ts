/** Examples of programs around the chat: an application with sessions that has it inside, a worker that speaks to it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { start, type Application } from '../../examples/express-sessions';
import { Publisher } from '../../examples/worker';
import { WsClient } from '../support/clients';
import { HttpClient } from '../support/http-client';
import { startServer } from '../support/server';

const root = path.join(__dirname, '../..');
const PUBLISH = 'the publishers have a token';

describe('express-sessions', () => {
  let application: Application;
  let url: string;
  beforeEach(async () => {
    application = await start(0);
    url = `http://127.0.0.1:${application.port}`;
  });
  afterEach(() => application.close());

  const login = (client: HttpClient, user: string): Promise<unknown> => client.request('POST', '/login', { user });
  const ticketOf = async (client: HttpClient): Promise<string> =>
    (await client.request('GET', '/ticket')).body.ticket as string;

  test('who is logged in there is somebody here, over HTTP and WebSocket', async () => {
    const ann = new HttpClient(url);
    expect(await ann.request('GET', '/ticket')).toMatchObject({ status: 401 });
    expect(await ann.get('roomAdd', { room: 'members' })).toMatchObject({ status: 403 });
    await login(ann, 'ann');
    expect(await ann.api('introduce', { ticket: await ticketOf(ann) })).toMatchObject({ body: { user: 'ann' } });
    await ann.ok('roomAdd', { room: 'members' });

    const bobsBrowser = new HttpClient(url);
    await login(bobsBrowser, 'bob');
    const bob = await WsClient.connect(url);
    expect(await bob.act('introduce', { ticket: await ticketOf(bobsBrowser) })).toMatchObject({ user: 'bob' });
    await bob.data('roomAdd', { room: 'members' });
    await bob.say('hello', { room: 'members' });
    const { messages } = await ann.ok('messages', { wait: 5 });
    expect(messages).toMatchObject([{ room: 'members', message: { user: 'bob', text: 'hello' } }]);
  });

  test('a ticket is taken once, and nobody makes one up', async () => {
    const ann = new HttpClient(url);
    await login(ann, 'ann');
    const ticket = await ticketOf(ann);
    await ann.api('introduce', { ticket });
    const eve = new HttpClient(url);
    for (const tried of [ticket, 'a', '__proto__']) {
      expect(await eve.api('introduce', { ticket: tried })).toMatchObject({ status: 403 });
    }
    await eve.ok('say', { message: 'hello' });
    expect((await ann.ok('messages')).messages).toMatchObject([{ message: { user: 'a guest', text: 'hello' } }]);
  });
});

describe('worker', () => {
  test('says it once, though the answers are lost on the way', async () => {
    const server = await startServer({
      config: { admin: { port: 0, token: 'a token for the admin', publishToken: PUBLISH } },
    });
    const ann = await WsClient.connect(server.url);
    // It is asked, does what it is asked, and nobody hears so.
    let lost = 0;
    const lossy = http.createServer((request, response) => {
      const passed = http.request(
        {
          port: server.admin!.port,
          path: request.url,
          method: request.method,
          headers: { ...request.headers, host: 'localhost' },
        },
        (answer) => {
          if (lost < 2) {
            lost += 1;
            answer.resume();
            request.socket.destroy();
          } else {
            response.writeHead(answer.statusCode ?? 0, answer.headers);
            answer.pipe(response);
          }
        },
      );
      request.pipe(passed);
    });
    lossy.listen(0, '127.0.0.1');
    await once(lossy, 'listening');
    const { port } = lossy.address() as AddressInfo;
    const publisher = new Publisher({ url: `http://127.0.0.1:${port}/`, token: PUBLISH });
    const id = await publisher.publish({ room: 'defaultRoom', message: { build: 7 }, from: 'ci' });
    await publisher.publish({ room: 'defaultRoom', message: 'and on' });
    lossy.close();
    lossy.closeAllConnections();
    expect(lost).toBe(2);
    const heard = [await ann.heard.next(), await ann.heard.next()];
    expect(heard).toMatchObject([{ id, message: { build: 7 }, from: 'ci' }, { message: 'and on' }]);
  });

  test('what is refused is not tried again', async () => {
    const server = await startServer({ config: { admin: { port: 0 } } });
    const publisher = new Publisher({ url: server.admin!.url });
    await expect(publisher.publish({ room: 'a b', message: 'x' })).rejects.toThrow('a room name is');
  });

  test('runs as a program: a line is a message', async () => {
    const server = await startServer({ config: { admin: { port: 0 } } });
    const ann = await WsClient.connect(server.url);
    const program = spawn(process.execPath, ['--import', 'tsx', 'examples/worker.ts', 'defaultRoom'], {
      cwd: root,
      env: { PATH: process.env['PATH'], EARSHOT_ADMIN_URL: server.admin!.url },
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    const ended = once(program, 'exit');
    program.stdin.end('one\ntwo\n');
    expect(await ended).toEqual([0, null]);
    expect([await ann.heard.next(), await ann.heard.next()]).toMatchObject([{ message: 'one' }, { message: 'two' }]);
  });
});
