/** The admin port: who may do what there, what it tells, and that nothing of it is to be had where people chat. */
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import http from 'node:http';
import path from 'node:path';
import { WebSocket } from 'ws';
import type { Parsed } from '../support/clients';
import { eventually } from '../support/eventually';
import { twoNodes } from '../support/nodes';
import { root } from '../support/documents';
import { HttpClient } from '../support/http-client';
import { startServer, type ServerUnderTest } from '../support/server';
import { tcpPeer, webSocketPeer } from '../support/peers';

const TOKEN = 'the admin has the longest token';
const PUBLISH = 'the publishers have another one';
const PATHS = ['/metrics', '/api/status', '/api/config', '/api/rooms', '/api/members', '/api/client', '/api/remove'];

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Parsed;
}

type Asked = Omit<RequestInit, 'headers'> & { readonly headers: Record<string, string> };

class Admin {
  constructor(
    readonly server: ServerUnderTest,
    readonly token?: string,
  ) {}

  async get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#ask(path, { headers });
  }

  async post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const type = { 'Content-Type': 'application/json' };
    return this.#ask(path, { method: 'POST', body: JSON.stringify(body), headers: { ...type, ...headers } });
  }

  async metric(name: string): Promise<number | undefined> {
    const line = ((await this.get('/metrics')).body as string).split('\n').find((one) => one.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  }

  async #ask(path: string, { headers, ...init }: Asked): Promise<Answer> {
    const authorization: Record<string, string> = {};
    if (this.token !== undefined) authorization['Authorization'] = `Bearer ${this.token}`;
    const url = new URL(path, this.server.admin!.url);
    const response = await fetch(url, { ...init, headers: { ...authorization, ...headers } });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json');
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  }
}

const start = (admin: object = { port: 0, token: TOKEN, publishToken: PUBLISH }): Promise<ServerUnderTest> =>
  startServer({ config: { admin } });

describe('who may', () => {
  test('there is none unless the settings say so', async () => {
    expect((await startServer()).admin).toBe(null);
  });

  test.each(PATHS)('%s is for the admin alone', async (path) => {
    const server = await start();
    for (const token of [undefined, 'a', `${TOKEN}!`, TOKEN.slice(1)]) {
      const { status, body, headers } = await new Admin(server, token).get(path);
      expect([status, body.code, headers.get('www-authenticate')]).toEqual([401, 'unauthorized', 'Bearer']);
    }
    const { status, body } = await new Admin(server, PUBLISH).get(path);
    expect([status, body.error]).toEqual([403, 'Error: this token may only publish']);
  });

  test('the token goes in no URL', async () => {
    const server = await start();
    expect((await new Admin(server).get(`/api/status?token=${TOKEN}`)).status).toBe(401);
  });

  test('on loopback without a token whoever reaches it, but no page of another site and no other host', async () => {
    const server = await start({ port: 0 });
    const admin = new Admin(server);
    expect((await admin.get('/api/status')).status).toBe(200);
    const evil = { Origin: 'https://evil.test' };
    const said = await admin.post('/api/publish', { room: 'defaultRoom', message: 'x' }, evil);
    expect([said.status, said.body.code]).toEqual([403, 'cross_site']);
    const crossSite = await admin.get('/api/status', { 'Sec-Fetch-Site': 'cross-site' });
    expect(crossSite.status).toBe(403);
    expect(await admin.metric('earshot_says_accepted_total')).toBe(0);
  });

  test('nothing of it is on the public port', async () => {
    const server = await start();
    const headers = { Authorization: `Bearer ${TOKEN}` };
    for (const path of [...PATHS, '/api/publish', '/admin/', '/admin.js', '/admin/admin.js', '/vendor/uPlot.esm.js']) {
      const response = await fetch(server.url + path, { headers });
      expect([path, response.status]).toEqual([path, 404 - (path === '/api/status' ? 204 : 0)]);
    }
    // This one is the public action, which says what a load balancer wants to know.
    const { nodes, connections } = (await (await fetch(`${server.url}/api/status`)).json()) as Record<string, unknown>;
    expect([nodes, connections]).toEqual([undefined, undefined]);
  });

  test('the methods are what they are', async () => {
    const admin = new Admin(await start(), TOKEN);
    const got = await admin.get('/api/publish');
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST']);
    expect((await admin.post('/api/rooms', {})).status).toBe(405);
    expect((await admin.get('/api/nothing')).body.code).toBe('not_found');
    expect((await admin.get('/nothing')).status).toBe(404);
  });
});

describe('publishing', () => {
  test('by another service, in its own name, once', async () => {
    const server = await start();
    const hearer = await webSocketPeer(`${server.url.replace('http', 'ws')}/chat/`);
    await hearer.inbox.next();
    const service = new Admin(server, PUBLISH);
    const message = { room: 'defaultRoom', message: { order: 7 }, from: 'billing', key: 'order 7' };
    const { status, body } = await service.post('/api/publish', message);
    expect([status, body.status, body.room]).toEqual([200, 'OK', 'defaultRoom']);
    expect((await service.post('/api/publish', message)).body.id).toBe(body.id);
    const other = await service.post('/api/publish', { ...message, from: 'weather' });
    expect(other.body.id).not.toBe(body.id);
    const last = await service.post('/api/publish', { room: 'defaultRoom', message: 'and on' });

    const heard = [await hearer.inbox.next(), await hearer.inbox.next(), await hearer.inbox.next()].map((line) =>
      JSON.parse(line),
    );
    expect(heard.map((one) => [one.message, one.from, one.id])).toEqual([
      [{ order: 7 }, 'billing', body.id],
      [{ order: 7 }, 'weather', other.body.id],
      ['and on', 'earshot', last.body.id],
    ]);
    hearer.close();
  });

  test('only to those who match', async () => {
    const server = await start({ port: 0 });
    const [one, other] = [new HttpClient(server.url), new HttpClient(server.url)];
    const { details } = await one.ok('detailsView');
    await other.ok('messages');
    await one.ok('messages');
    const match = { roomMatchKey: 'id', roomMatchValue: details.id };
    await new Admin(server).post('/api/publish', { room: 'defaultRoom', message: 'psst', ...match });
    expect((await one.ok('messages')).messages.map(({ message }: { message: string }) => message)).toEqual(['psst']);
    expect((await other.ok('messages')).messages).toEqual([]);
  });

  test.each([
    ['no room', { message: 'x' }, 400, 'room_and_message_required'],
    ['no message', { room: 'defaultRoom' }, 400, 'room_and_message_required'],
    ['null, which is no message', { room: 'defaultRoom', message: null }, 400, 'room_and_message_required'],
    ['no name of a room', { room: 'a b', message: 'x' }, 400, 'invalid_room_name'],
    ['a prototype', { room: '__proto__', message: 'x' }, 400, 'invalid_room_name'],
    ['an empty key', { room: 'defaultRoom', message: 'x', key: '' }, 400, 'invalid_parameter'],
    ['half a match', { room: 'defaultRoom', message: 'x', roomMatchKey: 'a' }, 400, 'invalid_parameter'],
    ['a room that is not there', { room: 'nowhere', message: 'x' }, 404, 'room_not_found'],
    ['too long a message', { room: 'defaultRoom', message: 'x'.repeat(20_000) }, 413, 'too_large'],
    ['too large a body', { room: 'defaultRoom', message: 'x'.repeat(70_000) }, 413, 'too_large'],
  ])('refused: %s', async (_what, body, status, code) => {
    const server = await startServer({
      config: { admin: { port: 0, token: TOKEN }, general: { createRoomsOnJoin: false } },
    });
    const answer = await new Admin(server, TOKEN).post('/api/publish', body);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });
});

describe('rooms and members', () => {
  test('are seen, by pages and by part of a name, and a member is removed', async () => {
    const server = await start({ port: 0 });
    const admin = new Admin(server);
    const client = new HttpClient(server.url);
    const { details } = await client.ok('detailsView');
    for (const room of ['tea/1', 'tea/2', 'coffee']) await client.ok('roomAdd', { room });
    expect((await admin.get('/api/rooms')).body).toEqual({
      rooms: ['coffee', 'defaultRoom', 'tea/1', 'tea/2'].map((room) => ({ room, members: 1 })),
      count: 4,
    });
    const first = (await admin.get('/api/rooms?match=TEA&limit=1')).body;
    expect(first).toEqual({ rooms: [{ room: 'tea/1', members: 1 }], count: 2, next: 'tea/1' });
    expect((await admin.get(`/api/rooms?match=TEA&limit=1&after=${first.next}`)).body.rooms[0].room).toBe('tea/2');
    expect((await admin.get('/api/rooms?limit=0')).body.code).toBe('invalid_parameter');

    const seen = (await admin.get(`/api/client?id=${details.id}`)).body;
    expect([seen.room, seen.rooms.length, seen.attributes]).toEqual(['defaultRoom', 4, {}]);
    const { members } = (await admin.get('/api/members?room=tea/1')).body;
    expect(members.map(({ id }: { id: string }) => id)).toEqual([details.id]);
    expect((await admin.post('/api/remove', { room: 'tea/1', id: details.id })).body.status).toBe('OK');
    expect((await client.ok('detailsView')).details.rooms).not.toContain('tea/1');
    expect((await admin.post('/api/remove', { room: 'tea/1', id: details.id })).body.code).toBe('not_in_room');
    expect((await admin.get('/api/members?room=never')).status).toBe(404);
    expect((await admin.get('/api/client?id=nobody')).status).toBe(404);
  });

  test('the settings, without secrets', async () => {
    const admin = new Admin(await start(), TOKEN);
    const { body } = await admin.get('/api/config');
    expect(body.config.admin).toEqual({ host: '127.0.0.1', port: 0, token: '***', publishToken: '***' });
  });
});

describe('numbers', () => {
  test('are of what has happened', async () => {
    const server = await startServer({
      config: { admin: { port: 0 }, limits: { saysPerSecond: 1 }, chat: { maxLogLength: 2 } },
    });
    const admin = new Admin(server);
    const peer = await webSocketPeer(`${server.url.replace('http', 'ws')}/chat/`);
    await peer.inbox.next();
    // Nobody follows the attic, so its log is read, and it is short.
    const late = new HttpClient(server.url);
    await late.ok('roomAdd', { room: 'attic' });
    const { cursor } = await late.ok('messages');
    const speaker = new HttpClient(server.url);
    await speaker.ok('say', { message: 'one', key: 'k' });
    await speaker.ok('say', { message: 'one', key: 'k' });
    await eventually(async () => (await speaker.get('say', { message: 'too much' })).status === 429);
    for (let count = 0; count < 3; count += 1) {
      await admin.post('/api/publish', { room: 'defaultRoom', message: count });
    }
    for (let count = 0; count < 4; count += 1) await peer.inbox.next();
    for (let count = 0; count < 5; count += 1) await admin.post('/api/publish', { room: 'attic', message: count });
    await late.ok('messages', { after: cursor });

    expect(await admin.metric('earshot_connections{transport="websocket"}')).toBe(1);
    expect(await admin.metric('earshot_says_accepted_total')).toBe(9);
    expect(await admin.metric('earshot_says_repeated_total')).toBe(1);
    expect(await admin.metric('earshot_refused_total{code="too_many_requests"}')).toBe(1);
    // Four to the WebSocket; to the late one the same four, and two of the five in the attic.
    expect(await admin.metric('earshot_deliveries_total')).toBe(10);
    expect(await admin.metric('earshot_gaps_total{reason="trimmed"}')).toBe(1);
    expect(await admin.metric('earshot_uptime_seconds')).toBeGreaterThan(0);
    peer.close();
  });

  test('every refusal is counted once, by its code, whatever door it was told at', async () => {
    const limits = { connectionsPerAddress: 12 };
    const server = await startServer({ config: { admin: { port: 0 }, limits } });
    const admin = new Admin(server);
    const refused = (code: string): Promise<number | undefined> =>
      admin.metric(`earshot_refused_total{code="${code}"}`);
    expect([await refused('already_in_room'), await refused('cross_site')]).toEqual([0, 0]);

    const client = new HttpClient(server.url);
    await client.ok('roomAdd', { room: 'tea' });
    await client.get('roomAdd', { room: 'tea' });
    await new HttpClient(server.url).get('say', { room: 'tea', message: 'x' });
    await fetch(new URL('/chat/?method=say&message=x', server.url), { headers: { 'Sec-Fetch-Site': 'cross-site' } });
    const foreign = { headers: { Host: 'elsewhere.example' } };
    await new Promise((resolve, reject) => {
      http.get(new URL('/chat/?method=roomView', server.url), foreign, resolve).on('error', reject);
    });
    const peer = await webSocketPeer(`${server.url.replace('http', 'ws')}/chat/`);
    await peer.inbox.next();
    peer.send('{"event":"roomAdd","room":"never"}');
    peer.send('{"event":"roomAdd","room":"never"}');
    peer.send('{"event":"dance"}');
    peer.send('{"event":"action","params":{"action":"nothing"}}');
    for (let count = 0; count < 4; count += 1) await peer.inbox.next();
    const upgrade = new WebSocket(`${server.url.replace('http', 'ws')}/chat/?after=x`);
    await once(upgrade, 'unexpected-response');

    const first = await tcpPeer(server.tcpPort);
    await first.inbox.next();
    first.send('roomLeave never');
    await first.inbox.next();
    // Until this address has all that it may have, whatever of it is kept alive over HTTP.
    const peers = [peer, first];
    let words = '';
    while (!words.includes('too_many_requests')) {
      const another = await tcpPeer(server.tcpPort);
      peers.push(another);
      words = await another.inbox.next();
    }

    const codes = ['cross_site', 'wrong_host', 'unknown_verb', 'unknown_action', 'session_unknown'];
    for (const code of [...codes, 'too_many_requests']) expect([code, await refused(code)]).toEqual([code, 1]);
    // One over HTTP and one over a WebSocket; a say and a leave.
    expect([await refused('already_in_room'), await refused('not_in_room')]).toEqual([2, 2]);
    for (const { close } of peers) close();
  });

  test('no metric is labelled by who or where, whatever they are called', async () => {
    const server = await start({ port: 0 });
    const client = new HttpClient(server.url);
    const { details } = await client.ok('detailsView');
    await client.ok('roomAdd', { room: 'a-room-of-its-own' });
    await client.ok('say', { room: 'a-room-of-its-own', message: 'a-word-of-its-own' });
    const { body, headers } = await new Admin(server).get('/metrics');
    expect(headers.get('content-type')).toContain('text/plain');
    expect(body).not.toMatch(/of-its-own/);
    expect(body).not.toContain(details.id);
  });

  test('every node tells of all nodes, and one that goes says so', async () => {
    const { here, there } = await twoNodes({ config: { admin: { port: 0 } } });
    const admin = new Admin(here);
    const nodes = async (): Promise<Parsed[]> => (await admin.get('/api/status')).body.nodes;
    await eventually(async () => (await nodes()).length === 2);
    const ids = (await nodes()).map(({ id }) => id).sort();
    expect(ids).toEqual([here.api.id, there.api.id].sort());
    expect((await admin.get('/api/status')).body).toMatchObject({ node: here.api.id, ready: true });
    expect(await admin.metric('earshot_redis_call_duration_seconds_count')).toBeGreaterThan(0);
    expect(await admin.metric('earshot_redis_call_duration_seconds_bucket{le="+Inf"}')).toBeGreaterThan(0);
    there.drain();
    await eventually(async () => (await nodes()).some(({ id, draining }) => id === there.api.id && draining));
  });
});

describe('the operator’s page', () => {
  test('is served without a token, under a policy that lets nothing else run', async () => {
    const admin = new Admin(await start());
    const { status, headers, body } = await admin.get('/');
    expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const policy = headers.get('content-security-policy')?.split(';') ?? [];
    expect(policy).toEqual(expect.arrayContaining(["default-src 'none'", "script-src 'self'", "style-src 'self'"]));
    expect(policy.join()).not.toMatch(/unsafe|\*/);
    expect(headers.get('set-cookie')).toBe(null);
    expect(body).not.toMatch(/ on\w+=| style=|<script>/);
    expect((await admin.get('/vendor/uPlot.esm.js')).status).toBe(200);
    for (const path of [
      '/../page/index.html',
      '/%2e%2e/page/index.html',
      '/vendor/..%2fpage%2findex.html',
      '/.%00./x',
    ]) {
      expect([400, 403, 404]).toContain(await statusOf(admin.server.admin!.port, path));
    }
  });

  test('every metric that the Grafana dashboard asks for is one', async () => {
    const dashboard = readFileSync(path.join(root, 'deploy/grafana-dashboard.json'), 'utf8');
    const server = await twoNodes({ config: { admin: { port: 0 } } });
    const { body } = await new Admin(server.here).get('/metrics');
    const named = new Set(dashboard.match(/\b(earshot|process|nodejs)_[a-z_]+/g));
    const known = new Set(
      [...(body as string).matchAll(/^# TYPE (\w+) (\w+)/gm)].flatMap(([, name = '', type]) =>
        type === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
      ),
    );
    expect(named.size).toBeGreaterThan(8);
    expect([...named].filter((name) => !known.has(name))).toEqual([]);
  });
});

/** As it is written, where fetch would tidy it up. */
function statusOf(port: number, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    http
      .get({ port, path, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
      .on('error', reject);
  });
}
