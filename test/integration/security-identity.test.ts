/** Nobody becomes somebody else: what others see of a client, and what a stranger can do with it. */
import { MemoryStore } from '../../src/store/memory-store';
import { usualLimits } from '../support/stores';
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { defineAction } from '../../src/kit';
import { z } from 'zod';
import { TcpClient, WsClient } from '../support/clients';
import { arrived, connected, cookieSet, HttpClient, setCookies, texts } from '../support/http-client';
import { twoNodes } from '../support/nodes';
import { OwnRedis, stopOwnRedis } from '../support/redis';
import { startServer } from '../support/server';

const broken = defineAction({
  name: 'broken',
  description: 'fails with all that it knows',
  inputs: z.object({}),
  run: ({ connection }) => {
    throw new Error(`could not serve ${JSON.stringify(connection.params)}`);
  },
});

afterEach(stopOwnRedis);

test('no token is in anything that others get, in a log line or in any command to Redis', async () => {
  // Of its own, as ioredis takes what others ask of a shared one while MONITOR begins for answers to its own commands.
  const redis = await OwnRedis.start();
  const monitor = await redis.admin.monitor();
  const commands: string[] = [];
  monitor.on('monitor', (_time: string, parts: string[]) => commands.push(parts.join(' ')));
  try {
    const config = { chat: { history: 100 }, redis: { url: redis.socket } };
    const [here, there] = [
      await startServer({ actions: [broken], config }),
      await startServer({ actions: [broken], config }),
    ];
    const eve = {
      http: await arrived(there),
      ws: await WsClient.connect(there.url),
      tcp: await TcpClient.connect(here.tcpPort),
    };
    await eve.http.stream('ndjson', { presence: true });
    await eve.ws.data('resume', { session: eve.ws.session, presence: true });
    const got: unknown[] = [];

    const byCookie = await arrived(here);
    const byBearer = await connected(here);
    const byWs = await WsClient.connect(here.url, '/chat/', {
      headers: { Cookie: `sessionID=${byCookie.cookies.get('sessionID') ?? ''}` },
    });
    const byPrimus = await WsClient.connect(here.url, '/primus');
    const byTcp = await TcpClient.connect(here.tcpPort);
    const tokens = [
      byCookie.cookies.get('sessionID') ?? '',
      byBearer.session,
      byWs.session,
      byPrimus.session,
      byTcp.session,
    ];
    for (const speaker of [byCookie, byBearer, byWs, byPrimus, byTcp]) await speaker.say('hello');
    for (const socket of [byWs, byPrimus, byTcp]) {
      got.push(await socket.ask('detailsView'), await socket.act('broken'));
      await socket.data('resume', { session: socket.session });
    }
    got.push((await byCookie.get('detailsView')).body, (await byBearer.get('detailsView')).body);
    got.push((await byCookie.api('broken')).body, (await byCookie.api('status')).body);
    got.push((await byBearer.get('nothing')).body, (await byCookie.get('roomChange', { room: 'x y' })).body);
    byTcp.abandon();
    byWs.abandon();
    got.push(
      await eve.http.ok('roomView'),
      await eve.http.ok('history', { room: 'defaultRoom' }),
      await eve.http.ok('messages'),
    );
    got.push(await eve.ws.data('roomView'), await eve.tcp.line('roomView'));
    const messages = [
      ...(await eve.ws.heard.take(5)),
      ...(await eve.tcp.heard.take(5)),
      ...(await eve.http.heard.take(5)),
    ];

    const seen = JSON.stringify([got, messages, eve.http.others.all, eve.ws.others.all, eve.tcp.received]);
    const logged = JSON.stringify(
      [here, there].map(({ log }) =>
        log.lines.map(({ data, text }) => [text, String((data as { err?: unknown }).err), data]),
      ),
    );
    expect(logged).toContain('could not serve');
    expect(commands.length).toBeGreaterThan(50);
    const everything = [seen.replaceAll(JSON.stringify(eve.tcp.session), ''), logged, commands.join('\n')];
    for (const token of tokens) {
      expect(token).toHaveLength(60);
      // Nor any part of it that would save a guesser work.
      for (const part of [token, token.slice(0, 30), token.slice(-30)]) {
        expect(everything.map((text) => text.includes(part))).toEqual([false, false, false]);
      }
    }
  } finally {
    monitor.disconnect();
  }
});

test('what everybody sees of a client is of no use to be it: not as a cookie, not as a bearer, not to resume', async () => {
  const { here, there } = await twoNodes();
  const [ann, bob] = [await arrived(here), await arrived(there)];
  const ws = await WsClient.connect(here.url);
  await ws.data('roomLeave', { room: 'defaultRoom' });
  await bob.say('for ann');
  const { members } = (await bob.ok('roomView')).roomStatus as { members: string[] };
  expect(members.sort()).toEqual([ann.is, bob.is].sort());
  const sha = createHash('sha256').update(ann.is).digest('base64url');
  const padded = ann.is.padEnd(60, 'A');
  for (const guess of [ann.is, ...members, sha, padded, `${ann.is}.${sha}`, `queue:{${ann.is}}`]) {
    const asCookie = new HttpClient(here.url);
    asCookie.headers = { Cookie: `sessionID=${guess}; chatAck=0` };
    const answer = await asCookie.get('messages');
    expect([answer.status, answer.body.messages]).toEqual([200, []]);
    expect(cookieSet(answer, 'sessionID')).not.toContain(guess);
    asCookie.headers = { Authorization: `Bearer ${guess}` };
    const asBearer = await asCookie.get('detailsView');
    expect(asBearer.body.details?.id).not.toBe(ann.is);
    for (const session of [guess, [guess], { id: guess }, guess.length]) {
      const refused = await ws.ask('resume', { session });
      expect(refused.code).toBe('session_unknown');
    }
  }
  expect(await ws.data('detailsView')).toMatchObject({ id: ws.id });
  expect(texts(await ann.ok('messages'))).toEqual(['for ann']);
});

test('a token that was planted is not adopted, and one of another deployment is as good as none', async () => {
  const [server, other] = [await startServer(), await startServer()];
  const foreign = (await arrived(other)).cookies.get('sessionID') ?? '';
  const victim = new HttpClient(server.url);
  victim.cookies.set('sessionID', foreign);
  const answer = await victim.get('detailsView');
  expect(setCookies(answer)).toHaveLength(2);
  expect(victim.cookies.get('sessionID')).toMatch(/^[A-Za-z0-9_-]{60}$/);
  expect(victim.cookies.get('sessionID')).not.toBe(foreign);
  const ws = await WsClient.connect(server.url);
  expect(await ws.ask('resume', { session: foreign })).toMatchObject({ code: 'session_unknown' });
});

test('an unknown token and one of a client that has gone are told apart by nothing but our own mark in them', async () => {
  let later = 0;
  const store = new MemoryStore(usualLimits, () => Date.now() + later);
  const server = await startServer({ store });
  const [one, other] = [await connected(server), await connected(server)];
  later = 24 * 3_600_000;
  const answers = [await one.get('detailsView'), await other.get('messages')];
  expect(answers.map(({ status, body }) => [status, body.code])).toEqual([
    [401, 'session_expired'],
    [401, 'session_expired'],
  ]);
});

test('what a connection’s requests have shown counts for its next one only while every header is the same', async () => {
  const server = await startServer();
  const [ann, bob] = [await connected(server), await connected(server)];
  const one = new HttpClient(server.url);
  const by = async (headers: Readonly<Record<string, string>>): Promise<unknown> => {
    one.headers = headers;
    const { status, body } = await one.get('detailsView');
    return status === 200 ? body.details.id : body.code;
  };
  const [isAnn, isBob] = [await ann.id(), await bob.id()];
  for (let round = 0; round < 3; round += 1) {
    expect(await by(ann.headers)).toBe(isAnn);
    expect(await by(ann.headers)).toBe(isAnn);
    expect(await by(bob.headers)).toBe(isBob);
    expect(await by({ ...ann.headers, Origin: 'https://evil.test' })).toBe('cross_site');
    expect(await by({ ...ann.headers, Origin: server.url })).toBe(isAnn);
    expect(await by({ ...ann.headers, Referer: server.url })).toBe(isAnn);
    expect(await by({ ...ann.headers, Referer: 'https://evil.test' })).toBe('cross_site');
    expect(await by({ ...ann.headers, 'Sec-Purpose': 'prefetch' })).toBe('cross_site');
    expect(await by({ ...ann.headers, 'X-Purpose': 'something' })).toBe(isAnn);
    expect(
      await by({ Authorization: ann.headers['Authorization']!.replace(/.$/, (end) => (end === 'A' ? 'B' : 'A')) }),
    ).toBe('session_unknown');
  }
  expect(one.connections).toBe(1);
});

describe('a WebSocket of another site', () => {
  const host = (port: number): string => `127.0.0.1:${port}`;
  const listed = { commonWeb: { allowedOrigins: ['https://page.example.com', 'https://*.example.org'] } };

  async function statusFor(url: string, origins: readonly string[]): Promise<number> {
    return new Promise((resolve, reject) => {
      const headers = {
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Key': Buffer.from('0123456789abcdef').toString('base64'),
        'Sec-WebSocket-Version': '13',
        Origin: origins.length === 1 ? origins[0] : [...origins],
      };
      const asked = httpRequest(`${url}/chat/`, { headers });
      asked.on('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      asked.on('upgrade', (_response, socket) => {
        socket.destroy();
        resolve(101);
      });
      asked.on('error', reject).end();
    });
  }

  test('is refused, however its origin is written, and nobody is made a client', async () => {
    const server = await startServer({ config: listed });
    const evil = [
      'http://evil.test',
      'null',
      'NULL',
      '',
      '*',
      'file://',
      `http://${host(server.port + 1)}`,
      `http://localhost:${server.port}`,
      `http://${host(server.port)}.evil.test`,
      `http://${host(server.port)}@evil.test`,
      `http://evil.test/${host(server.port)}`,
      `http://${host(server.port)}/`,
      `ws://${host(server.port)}`,
      'https://evil-page.example.com',
      'https://page.example.com.evil.test',
      'https://page.example.com.',
      'https://page.example.com:8443',
      'https://page.example.com@evil.test',
      'https://user@page.example.com',
      'http://page.example.com',
      'https://evilexample.org',
      'https://example.org',
      'https://evil.test/.example.org',
      'https://evil.test#.example.org',
      'https://evil.test?.example.org',
      'https://evil.test\\.example.org',
      'https://a.example.org.',
      'https://-.example.org.evil.test',
      'https://xn--pge-rla.example.com',
      'https://p%61ge.example.com',
      ' https://page.example.com,https://evil.test',
    ];
    for (const origin of evil) expect([origin, await statusFor(server.url, [origin])]).toEqual([origin, 403]);
    expect(await statusFor(server.url, ['https://page.example.com', 'https://evil.test'])).toBe(403);
    expect(await server.api.chatRoom.roomStatus('defaultRoom')).toMatchObject({ membersCount: 0 });
  });

  test('is let in by its exact name or its domain, in any case', async () => {
    const server = await startServer({ config: listed });
    const good = [
      `http://${host(server.port)}`,
      `HTTP://${host(server.port)}`,
      'https://page.example.com',
      'HTTPS://PAGE.example.com',
      'https://a.example.org',
      'https://a.b.example.org',
      'https://xn--bcher-kva.example.org',
    ];
    for (const origin of good) expect([origin, await statusFor(server.url, [origin])]).toEqual([origin, 101]);
  });
});
