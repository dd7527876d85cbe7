/** A real browser, somebody's cookies, and the page of another site that tries everything it can to speak with them. */
import http, { type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import express from 'express';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { actions, createChat, type MountedChat } from '../../src';
import { launchChromium } from '../support/chromium';
import { TcpClient, WsClient, type Parsed } from '../support/clients';
import { eventually } from '../support/eventually';
import { KeptLog } from '../support/logger';
import { note } from '../support/measured';
import { startServer, stopServers } from '../support/server';

let browser: Browser;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  // Names that are no loopback's: to a browser a site like any other, of plain HTTP.
  browser = await launchChromium('--host-resolver-rules=MAP *.test 127.0.0.1');
});
afterAll(() => browser.close());
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  await stopServers();
});

/** What came to the server, by the way's name in its address. */
interface Came {
  readonly way: string;
  readonly method: string;
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
}

interface Victim {
  readonly url: string;
  readonly port: number;
  readonly chat: MountedChat;
  readonly came: readonly Came[];
}

/** A chat like any other, in front of which somebody writes down what comes. */
async function victim(host: string): Promise<Victim> {
  const came: Came[] = [];
  const keep = (url: string, { method = '', headers }: IncomingMessage, status: number): void => {
    const way = /[?&]way=([\w-]+)/.exec(url)?.[1];
    if (way !== undefined) came.push({ way, method, status, headers });
  };
  const chat = await createChat({
    actions,
    config: { commonWeb: { httpClientMessageTTL: 60_000, allowedHosts: [host, '127.0.0.1'] } },
    logger: new KeptLog(),
  });
  const app = express();
  app.use((request, response, next) => {
    response.once('finish', () => keep(request.originalUrl, request, response.statusCode));
    next();
  });
  app.get('/', (_request, response) => void response.send('<!doctype html><title>the chat</title>'));
  app.use('/chat', chat.router);
  app.use('/api', chat.apiRouter);
  const server = http.createServer(app);
  server.on('upgrade', (request, socket) => socket.once('close', () => keep(request.url ?? '', request, NaN)));
  chat.attach(server);
  const port = await listening(server, () => chat.close());
  return { url: `http://${host}:${port}`, port, chat, came };
}

/** Another site. */
async function attacker(host: string): Promise<string> {
  const script = readFileSync(path.join(__dirname, 'attacker.js'), 'utf8');
  const server = http.createServer((request, response) => {
    const [where = '', given = ''] = (request.url ?? '').split('?');
    response.setHeader('Content-Type', where === '/attacker.js' ? 'text/javascript' : 'text/html');
    if (where === '/attacker.js') response.end(script);
    else if (where === '/page') response.end(decodeURIComponent(given));
    else if (where === '/report') {
      response.setHeader('Content-Security-Policy', `img-src 'none'; report-uri ${decodeURIComponent(given)}`);
      response.end('<img src="/x">');
    } else response.end('<!doctype html><body><script src="/attacker.js"></script>');
  });
  const port = await listening(server, () => Promise.resolve());
  return `http://${host}:${port}/`;
}

async function listening(server: net.Server, first: () => Promise<void>): Promise<number> {
  closing.push(async () => {
    await first();
    if (server instanceof http.Server) server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function newContext(): Promise<BrowserContext> {
  const context = await browser.newContext();
  closing.push(() => context.close());
  return context;
}

/** What our own page asks, as it would. */
async function ask(page: Page, query: string, init = ''): Promise<{ status: number; body: Parsed }> {
  return page.evaluate(
    `fetch('/chat/?${query}'${init}).then(async (r) => ({ status: r.status, body: await r.json() }))`,
  );
}

/** What each may do besides: a preflight is asked, and answered without permission. */
const preflighted = new Set(['fetch-post-json', 'fetch-x-chat', 'fetch-bearer']);
const upgrades = new Set(['websocket', 'primus']);

describe.each([
  ['a site of its own, where browsers say what kind of request it is', '127.0.0.1', 'localhost'],
  ['another name over plain HTTP, where they do not', 'chat.test', 'evil.test'],
])('%s', (_what, host, evil) => {
  test('says nothing, joins nothing, moves no place and takes no cookie; our own page does all that', async () => {
    const { url, port, chat, came } = await victim(host);
    const context = await newContext();
    const own = await context.newPage();
    await own.goto(url);
    const me = (await ask(own, 'method=detailsView')).body.details as { id: string };
    await ask(own, 'method=detailsView');
    const listener = await WsClient.connect(`http://127.0.0.1:${port}`);
    await listener.say('for the victim');
    const before = await context.cookies(url);
    expect(before.map(({ name }) => name).sort()).toEqual(['chatAck', 'sessionID']);

    const elsewhere = await attacker(evil);
    const page = await context.newPage();
    await page.goto(elsewhere);
    const names: string[] = await page.evaluate(`attack(${JSON.stringify(url)})`);
    const arrived = (): Set<string> => new Set(came.map(({ way }) => way));
    const missing = (): string[] => names.filter((name) => !arrived().has(name));
    await eventually(() => missing().length === 0, 20_000).catch(() => undefined);
    expect(missing()).toEqual([]);

    const leaving: string[] = await page.evaluate('Object.keys(leave)');
    for (const way of leaving) {
      await page.goto(elsewhere);
      await page.evaluate(`void leave[${JSON.stringify(way)}](${JSON.stringify(url)})`);
      await page.waitForURL(`**way=${way}**`);
      await eventually(() => arrived().has(way));
    }

    const wrong = came.filter(({ way, method, status }) => {
      if (preflighted.has(way)) return !(method === 'OPTIONS' && status === 204);
      return status !== 403 && !upgrades.has(way);
    });
    expect(wrong.map(({ way, method, status }) => [way, method, status])).toEqual([]);
    expect(await chat.api.chatRoom.list()).toEqual(['defaultRoom']);
    expect(await chat.api.chatRoom.roomStatus('defaultRoom')).toMatchObject({ membersCount: 2 });
    expect(await context.cookies(url)).toEqual(before);
    const queue = await ask(own, 'method=messages');
    expect(queue.body.messages.map(({ message }: { message: string }) => message)).toEqual(['for the victim']);

    // The listener has heard none of them, though it hears what our own page says by every way that a page of ours has.
    await ask(own, 'method=say&message=by%20GET');
    await ask(own, 'method=say', `, { method: 'POST', body: new URLSearchParams({ message: 'by a form' }) }`);
    await ask(
      own,
      'x=y',
      `, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"method":"say","message":"by JSON"}' }`,
    );
    expect((await listener.heard.take(3)).map(({ message }) => message)).toEqual(['by GET', 'by a form', 'by JSON']);
    expect((await ask(own, 'method=detailsView')).body.details).toMatchObject({ id: me.id, rooms: ['defaultRoom'] });
    const stream = `new Promise((resolve) => {
      const source = new EventSource('/chat/?method=messages');
      source.addEventListener('say', ({ data }) => (source.close(), resolve(JSON.parse(data).message)));
    })`;
    const heard = own.evaluate(stream);
    // It starts at the client's place: heard, whether the stream or the word is first.
    await listener.say('by a stream');
    expect(await heard).toBe('by a stream');
    const socket = `new Promise((resolve, reject) => {
      const socket = new WebSocket(location.href.replace('http', 'ws') + 'chat/');
      socket.onmessage = ({ data }) => resolve(JSON.parse(data).context);
      socket.onerror = reject;
    })`;
    expect(await own.evaluate(socket)).toBe('api');

    const withCookie = came.filter(({ headers }) => headers.cookie?.includes('sessionID')).map(({ way }) => way);
    const unmarked = came.filter(({ headers }) => !headers.origin && !headers.referer && !headers['sec-fetch-site']);
    note(
      `${host}: ${names.length + leaving.length} ways refused; with its cookie came ${withCookie.join(', ')}; ` +
        `with no mark at all ${unmarked.map(({ way }) => way).join(', ') || 'none'}`,
    );
  });
});

test.each([
  ['another port of this host, with its visitor’s cookie', '127.0.0.1', true],
  ['another site, where nobody is known yet', 'localhost', false],
])('speculation rules of a page on %s say nothing, and make nobody', async (_what, evil, known) => {
  const { url, port, chat, came } = await victim('127.0.0.1');
  const context = await newContext();
  if (known) await (await context.newPage()).goto(`${url}/chat/?method=detailsView`);
  const before = await context.cookies(url);
  const listener = await WsClient.connect(`http://127.0.0.1:${port}`);
  const page = await context.newPage();
  for (const kind of ['prefetch', 'prerender']) {
    await page.goto(await attacker(evil));
    await page.evaluate(`lookAhead(${JSON.stringify(url)}, ${JSON.stringify(kind)})`);
    const { status, headers } = await eventually(() => came.find(({ way }) => way === kind));
    const { cookie = '', origin, referer, 'sec-fetch-site': site } = headers;
    // But for its purpose it is as an address that was typed.
    expect([kind, status, site, origin, referer]).toEqual([kind, 403, 'none', undefined, undefined]);
    expect([kind, cookie.includes('sessionID')]).toEqual([kind, known]);
  }
  expect(await context.cookies(url)).toEqual(before);
  expect(await chat.api.chatRoom.roomStatus('defaultRoom')).toMatchObject({ membersCount: known ? 2 : 1 });
  const speaker = await WsClient.connect(`http://127.0.0.1:${port}`);
  await speaker.say('after both');
  expect((await listener.heard.next()).message).toBe('after both');
});

test('a port of plain lines is no way in either', async () => {
  const { tcpPort } = await startServer();
  const listener = await TcpClient.connect(tcpPort);
  /** The first words of connections; those that are not closed yet are open. */
  const came: string[] = [];
  let open = 0;
  const relay = net.createServer((from) => {
    const to = net.connect(tcpPort, '127.0.0.1');
    let spoke = false;
    // A browser also makes connections in advance, and says nothing over them.
    from.once('data', (bytes) => {
      spoke = true;
      open += 1;
      came.push(bytes.toString('latin1').split(' ')[0] ?? '');
    });
    from.pipe(to).pipe(from);
    for (const socket of [from, to]) socket.on('error', () => socket.destroy());
    to.once('close', () => {
      if (spoke) open -= 1;
      from.destroy();
    });
  });
  const port = await listening(relay, () => Promise.resolve());
  const context = await newContext();
  const page = await context.newPage();
  await page.goto(await attacker('localhost'));
  await page.evaluate(`attackLines(${port})`);
  // Of each kind one at least: forms and fetches, and the first bytes of TLS.
  await eventually(() => ['GET', 'POST'].every((verb) => came.includes(verb)) && came.some(isHandshake));
  await eventually(() => open === 0);
  const speaker = await TcpClient.connect(tcpPort);
  await speaker.line('say after all of them');
  expect((await listener.heard.next()).message).toBe('after all of them');
});

/** RFC 8446: a record of the kind `handshake`. */
function isHandshake(words: string): boolean {
  return words.startsWith('\x16\x03');
}
