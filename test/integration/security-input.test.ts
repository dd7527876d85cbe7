/** Whatever is sent: any text arrives as it was, any name means nothing, and what does not fit is refused in bytes. */
import { createConnection } from 'node:net';
import fc from 'fast-check';
import { Keys } from '../../src/store/redis/keys';
import { createLogger } from '../../src/logger';
import { TcpClient, WsClient, type Parsed } from '../support/clients';
import { heapInUse } from '../support/collected';
import { arrived, connected, HttpClient } from '../support/http-client';
import { randomFrom, seedOfRun } from '../support/random';
import { startServer, type ServerUnderTest } from '../support/server';
import { storeSettings } from '../support/store-settings';
import { ways } from '../support/transports';

const seed = seedOfRun();

/** Texts that some part on the way could take for its own. */
const hostile = [
  '\n\nevent: say\ndata: {"message":"forged"}\n\n',
  '\r\n{"message":"forged","context":"user"}\r\n',
  'a\rb\u2028c\u2029d\u0085e',
  '\u0000\u0001\u001b[31m\u007f',
  "'; redis.call('FLUSHALL') --\r\n$5\r\nhello\r\n",
  '*1\r\n$8\r\nFLUSHALL\r\n',
  '1\n5-1\n5-0\n\nforged',
  '"primus::ping::1"',
  '{"__proto__":{"polluted":1}}',
  '%00%ff%F0%9F',
  '\u202egnp.exe',
  '𝄞🏳️‍🌈e\u0301é',
  '{}{}}}{',
  '</script><script>alert(1)</script>',
  '\ufeffwith a mark\ufffd',
  ' leading, trailing and    inner ',
];

describe.each(storeSettings)('on %s', (_name, settings) => {
  test(`any text is heard byte for byte by every way, whichever way it was said (SEED=${seed})`, async () => {
    const server = await startServer({ config: settings() });
    const chatters = await Promise.all(ways.map((way) => way.connect(server)));
    const random = randomFrom(seed);
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 300 });
    const said = [...hostile, ...fc.sample(text, { numRuns: 60, seed })];
    for (const message of said) {
      const speaker = Math.floor(random() * chatters.length);
      await chatters[speaker]!.say(message);
      for (const [index, chatter] of chatters.entries()) {
        if (index === speaker) continue;
        expect([ways[index]!.name, (await chatter.next()).message]).toEqual([ways[index]!.name, message]);
      }
    }
  }, 60_000);

  test('by GET and by a TCP line as well, as far as a line can hold it', async () => {
    const server = await startServer({ config: settings() });
    const [ann, bob, cat] = [
      await arrived(server),
      await TcpClient.connect(server.tcpPort),
      await WsClient.connect(server.url),
    ];
    for (const message of hostile) {
      await ann.ok('say', { message });
      expect((await cat.heard.next()).message).toBe(message);
      if (/[\n\r]/.test(message) || message.startsWith('{')) continue;
      await bob.line(`say ${message}`);
      expect((await cat.heard.next()).message).toBe(message);
    }
  });
});

describe('names that every object answers to', () => {
  const names = [...Object.getOwnPropertyNames(Object.prototype), 'prototype', 'then', 'length', 'name'];

  async function untouched(server: ServerUnderTest): Promise<void> {
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(
      [...names].filter((name) => !['prototype', 'then', 'length', 'name'].includes(name)).sort(),
    );
    const [ann, bob] = [await arrived(server), await WsClient.connect(server.url)];
    await ann.say('still here');
    expect((await bob.heard.next()).message).toBe('still here');
    expect(server.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
  }

  test('mean nothing over HTTP, wherever they stand', async () => {
    const server = await startServer({ config: { chat: { history: 5 } } });
    const client = await connected(server);
    const known = new Set([200, 400, 403, 404, 409]);
    for (const name of names) {
      const bodies = [
        { method: name },
        { method: 'roomAdd', room: name },
        { method: 'roomView', room: name },
        { method: 'roomLeave', room: name },
        { method: 'say', message: 'x', room: name },
        { method: 'say', message: 'x', key: name },
        { method: 'say', message: { [name]: { polluted: 1 } } },
        { method: 'say', message: 'x', roomMatchKey: name, roomMatchValue: 'function Object() { [native code] }' },
        { method: 'messages', after: { [name]: '1-1' } },
        { method: 'messages', after: name },
        { method: 'roomView', cursor: name },
        { method: 'history', room: 'defaultRoom', before: name },
        { method: 'detailsView', [name]: { polluted: 1 } },
      ];
      for (const body of bodies) {
        const answer = await client.request('POST', '/chat/', body);
        expect([body, known.has(answer.status)]).toEqual([body, true]);
      }
      for (const path of [
        `/api/${name}`,
        `/api?action=${name}`,
        `/chat/?${name}=1`,
        `/chat/?method=say&${name}[polluted]=1`,
        `/chat/${name}`,
      ]) {
        expect([path, known.has((await client.request('GET', path)).status)]).toEqual([path, true]);
      }
      const raw = `{"method":"detailsView","${name}":{"polluted":1},"__proto__":{"polluted":1}}`;
      expect((await client.request('POST', '/chat/', JSON.parse(raw))).status).toBe(200);
    }
    await untouched(server);
  });

  test.each(['/chat/', '/primus'])('mean nothing on %s', async (path) => {
    const server = await startServer({ config: { chat: { history: 5 } } });
    const client = await WsClient.connect(server.url, path);
    for (const name of names) {
      const frames = [
        `{"event":"${name}"}`,
        `{"${name}":{"polluted":1},"event":"detailsView"}`,
        ...['roomAdd', 'roomView', 'roomLeave', 'roomChange', 'listenToRoom', 'silenceRoom', 'history'].map(
          (event) => `{"event":"${event}","room":"${name}"}`,
        ),
        `{"event":"say","message":"x","room":"${name}"}`,
        `{"event":"say","message":{"${name}":{"polluted":1}}}`,
        `{"event":"say","message":"x","roomMatchKey":"${name}","roomMatchValue":"x"}`,
        `{"event":"paramAdd","key":"${name}","value":{"polluted":1}}`,
        `{"event":"paramView","key":"${name}"}`,
        `{"event":"paramsView"}`,
        `{"event":"paramDelete","key":"${name}"}`,
        `{"event":"resume","session":"${name}","after":{"${name}":"1-1"}}`,
        `{"event":"action","params":{"action":"${name}"}}`,
        `{"event":"action","params":{"action":"status","${name}":{"polluted":1}}}`,
        `{"event":"action","params":"${name}"}`,
      ];
      for (const frame of frames) client.socket.send(frame);
      const responses = await client.responses.take(frames.length);
      expect(responses.map(({ messageCount }) => messageCount as number).sort((a, b) => a - b)[0]).toBeGreaterThan(0);
    }
    await untouched(server);
  });

  test('mean nothing over TCP', async () => {
    const server = await startServer({ config: { chat: { history: 5 } } });
    const client = await TcpClient.connect(server.tcpPort);
    for (const name of names) {
      const lines = [
        name,
        `roomAdd ${name}`,
        `roomView ${name}`,
        `roomChange ${name}`,
        `roomAdd defaultRoom`,
        `say ${name} x`,
        `paramAdd ${name}=polluted`,
        `paramAdd roomMatchKey=${name}`,
        `paramAdd roomMatchValue=x`,
        'say defaultRoom x',
        'paramsDelete',
        `paramView ${name}`,
        `resume ${name} ${name}`,
        `history ${name}`,
        `{"action":"${name}","params":{"${name}":{"polluted":1}}}`,
        `{"event":"${name}","${name}":1}`,
        `{"__proto__":{"polluted":1},"action":"status","params":{"__proto__":{"polluted":1}}}`,
      ];
      client.write(`${lines.join('\n')}\n`);
      await client.responses.take(lines.length);
      client.write(`roomLeave ${name}\n`);
      await client.responses.take(1);
    }
    await untouched(server);
  });
});

test('JSON that is nested without end is refused wherever it stands, and the server lives', async () => {
  const server = await startServer();
  const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
  const http = await arrived(server);
  const sockets = [
    await WsClient.connect(server.url),
    await WsClient.connect(server.url, '/primus'),
    await TcpClient.connect(server.tcpPort),
  ];
  for (const levels of [101, 1000, 5000, 30_000]) {
    const body = `{"method":"say","message":${deep(levels)}}`;
    const answer = await fetch(`${server.url}/chat/`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body,
    });
    expect([answer.status, await answer.json()]).toEqual([400, expect.objectContaining({ code: 'invalid_json' })]);
    const frames = [
      `{"event":"nothing","x":${deep(levels)}}`,
      `{"event":"say","message":${deep(levels)}}`,
      `{"event":"say","message":"x","key":${deep(levels)}}`,
      `{"event":"paramAdd","key":"k","value":${deep(levels)}}`,
      `{"event":"detailsView","messageId":${deep(levels)}}`,
      `{"event":"action","params":{"action":"nothing","x":${deep(levels)}}}`,
      `{"event":"resume","session":"x","after":{"a":${deep(levels)}}}`,
    ];
    for (const socket of sockets) {
      for (const frame of frames) {
        if (socket instanceof WsClient) socket.socket.send(frame);
        else socket.write(`${frame}\n`);
      }
      expect(await socket.data('detailsView')).toMatchObject({ id: socket.id });
    }
  }
  const message = JSON.parse(deep(98)) as unknown;
  await http.say(message);
  expect((await sockets[0]!.heard.next()).message).toEqual(message);
  expect(server.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
});

describe('sizes are bytes, the same by every way', () => {
  const limits = { messageBytes: 1000, bodyBytes: 2000, frameBytes: 2000, lineBytes: 2000 };
  const fits = 'é'.repeat(500);
  const over = `${fits}a`;

  test('a message that just fits is heard, one byte more is too_large, and the connection goes on', async () => {
    const server = await startServer({ config: { limits } });
    const [http, listener] = [await arrived(server), await WsClient.connect(server.url)];
    const sockets = [
      await WsClient.connect(server.url),
      await WsClient.connect(server.url, '/primus'),
      await TcpClient.connect(server.tcpPort),
    ];
    const heard = async (): Promise<void> => {
      expect((await listener.heard.next()).message).toBe(fits);
    };
    expect((await http.get('say', { message: fits })).status).toBe(200);
    await heard();
    expect((await http.post('say', { message: fits })).status).toBe(200);
    await heard();
    expect((await http.get('say', { message: over })).body.code).toBe('too_large');
    expect((await http.post('say', { message: over })).status).toBe(413);
    for (const socket of sockets) {
      await socket.say(fits);
      await heard();
      expect(await socket.ask('say', { message: over })).toMatchObject({ code: 'too_large' });
      expect(await socket.data('detailsView')).toMatchObject({ id: socket.id });
    }
    const tcp = sockets[2] as TcpClient;
    expect(await tcp.line(`say ${fits}`)).toMatchObject({ status: 'OK' });
    await heard();
    expect(await tcp.line(`say ${over}`)).toMatchObject({ code: 'too_large' });
  });

  test('a body, a frame and a line that just fit are read; one byte more ends it as the transport does', async () => {
    const server = await startServer({ config: { limits } });
    const padded = (json: string, bytes: number): string =>
      json.replace('"pad":""', `"pad":"${'p'.repeat(bytes - json.length)}"`);
    const http = await arrived(server);
    const body = '{"method":"detailsView","pad":""}';
    expect((await http.request('POST', '/chat/', JSON.parse(padded(body, 2000)))).status).toBe(200);
    expect((await http.request('POST', '/chat/', JSON.parse(padded(body, 2001)))).status).toBe(413);
    expect((await http.get('detailsView')).status).toBe(200);

    const frame = '{"event":"detailsView","pad":""}';
    for (const path of ['/chat/', '/primus']) {
      const ws = await WsClient.connect(server.url, path);
      ws.socket.send(padded(frame, 2000));
      expect(await ws.responses.next()).toMatchObject({ status: 'OK' });
      ws.socket.send(padded(frame, 2001));
      expect(await ws.closed).toMatchObject({ code: 1009 });
    }
    const tcp = await TcpClient.connect(server.tcpPort);
    expect(await tcp.line(padded(frame, 2000))).toMatchObject({ status: 'OK' });
    tcp.write(padded(frame, 2001) + '\n');
    expect(await tcp.responses.next()).toMatchObject({ code: 'too_large' });
    await tcp.closed;
  });

  test('a request has a hundred parameters; with one more it is refused, and answered as what it was, by every way', async () => {
    const server = await startServer();
    /** So many members, these ones included. */
    const filled = (given: object, count: number): Record<string, unknown> => ({
      ...given,
      ...Object.fromEntries(
        Array.from({ length: count - Object.keys(given).length }, (_, nth) => [`p${String(nth)}`, 'x']),
      ),
    });
    const text = 'a request has 100 parameters at most';
    const http = await arrived(server);
    const say = { method: 'say', message: 'hello' };
    for (const verb of ['GET', 'POST'] as const) {
      const status = async (count: number): Promise<unknown[]> => {
        const { method, ...params } = filled(say, count) as Record<string, string>;
        const answer = verb === 'GET' ? await http.get(method!, params) : await http.post(method!, params);
        return [answer.status, answer.body.error];
      };
      expect(await status(100)).toEqual([200, undefined]);
      expect(await status(102)).toEqual([400, `Error: ${text}`]);
    }

    const event = { event: 'say', message: 'hello', messageId: 'mine' };
    const action = (count: number): Record<string, unknown> => ({
      event: 'action',
      messageId: 'mine',
      params: filled({ action: 'status' }, count),
    });
    const [ws, primus] = [await WsClient.connect(server.url), await WsClient.connect(server.url, '/primus')];
    const tcp = await TcpClient.connect(server.tcpPort);
    for (const socket of [ws, primus, tcp]) {
      const answer = (frame: Record<string, unknown>): Promise<Parsed> => {
        socket.send(frame);
        return socket.responses.next();
      };
      const refusal = { code: 'bad_request', messageId: 'mine' };
      expect(await answer(filled(event, 100))).toMatchObject({ status: 'OK', messageId: 'mine' });
      const refused = await answer(filled(event, 101));
      expect(refused).toMatchObject({ ...refusal, error: socket === tcp ? text : `Error: ${text}` });
      if (socket !== tcp) expect(refused).toMatchObject({ data: {} });
      expect(await answer(action(100))).toMatchObject({ messageId: 'mine', uptime: expect.any(Number) });
      expect(await answer(action(101))).toMatchObject({ ...refusal, error: text });
      expect(await answer(filled({ event: 'paramAdd', key: 'k', value: 'v' }, 101))).toMatchObject({
        code: 'bad_request',
      });
      expect(await answer({ event: 'paramsView' })).toMatchObject({ data: {} });
    }
    const bare = { action: 'status', messageId: 'mine', params: filled({}, 101) };
    expect(await tcp.line(JSON.stringify(bare))).toMatchObject({ code: 'bad_request', messageId: 'mine', error: text });
  });

  test('a room name has 100 characters, a key 64, the address and the headers 16 KiB', async () => {
    const server = await startServer();
    const [http, ws, tcp] = [
      await arrived(server),
      await WsClient.connect(server.url),
      await TcpClient.connect(server.tcpPort),
    ];
    for (const room of ['é'.repeat(100), '𠜎'.repeat(100)]) {
      expect((await http.get('roomAdd', { room })).status).toBe(200);
      expect((await ws.ask('roomAdd', { room })).status).toBe('OK');
      expect((await tcp.line(`roomAdd ${room}`)).status).toBe('OK');
      const longer = `${room}a`;
      expect((await http.get('roomAdd', { room: longer })).body.code).toBe('invalid_room_name');
      expect((await ws.ask('roomAdd', { room: longer })).code).toBe('invalid_room_name');
      expect((await tcp.line(`roomAdd ${longer}`)).code).toBe('invalid_room_name');
    }
    for (const [key, code] of [
      ['k'.repeat(64), undefined],
      ['k'.repeat(65), 'invalid_parameter'],
    ] as const) {
      expect((await http.get('say', { message: 'x', key })).body.code).toBe(code);
      expect((await ws.ask('say', { message: 'x', key })).code).toBe(code);
      expect((await tcp.line(JSON.stringify({ event: 'say', message: 'x', key }))).code).toBe(code);
    }
    const status = async (bytes: number): Promise<string> => {
      const socket = createConnection(server.port, '127.0.0.1');
      socket.write(`GET /livez?${'x'.repeat(bytes)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      let text = '';
      for await (const piece of socket.setEncoding('utf8')) text += String(piece);
      return text.slice(9, 12);
    };
    expect([await status(15_000), await status(17_000)]).toEqual(['200', '431']);
  });
});

/** The slot of a key in a Redis Cluster: CRC16 (XMODEM) of what is in its first braces (Redis Cluster specification). */
function slotOf(key: string): number {
  const open = key.indexOf('{');
  const close = key.indexOf('}', open + 1);
  let crc = 0;
  for (const byte of Buffer.from(open >= 0 && close > open + 1 ? key.slice(open + 1, close) : key)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff;
  }
  return crc % 16_384;
}

describe('rooms in Redis', () => {
  const keys = new Keys('p:');
  const rooms = [
    'a',
    'a:b',
    'b',
    'a:members',
    '{a}',
    'a}',
    '}{',
    'a}{b',
    'room:a',
    '%7b',
    '{',
    '*',
    '?',
    '[a]',
    'x'.repeat(100),
    '~',
    '#',
    '+',
    '=',
  ];

  test('are told apart by the slot that Redis would choose', () => {
    // The specification's own examples.
    expect([slotOf('123456789'), slotOf('foo{}{bar}') === slotOf('foo'), slotOf('foo{bar}{zap}')]).toEqual([
      0x31c3,
      false,
      slotOf('bar'),
    ]);
  });

  test('have keys of their own, all of a room in one slot, whatever a name holds', () => {
    const name = fc.oneof(
      fc.constantFrom(...rooms),
      fc.string({
        unit: fc.constantFrom('a', ':', '{', '}', '%', '7', 'b', 'é', '*', ' ', '\n', '\u202e'),
        minLength: 1,
        maxLength: 8,
      }),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter((text) => text.isWellFormed()),
    );
    fc.assert(
      fc.property(name, name, (one, other) => {
        const own = [...keys.room(one), keys.log(`room:${one}`).once('c:k'), keys.log(`presence:${one}`).log];
        expect(new Set(own.map((key) => slotOf(key))).size).toBe(1);
        expect(own.every((key) => key.startsWith('p:{'))).toBe(true);
        if (one === other) return;
        const others = new Set([...keys.room(other), ...keys.client(other), ...keys.client(one)]);
        expect(own.filter((key) => others.has(key))).toEqual([]);
      }),
      { numRuns: 2000, seed },
    );
  });

  test('a name in another form of Unicode is the same room, and what is no name is none', async () => {
    const server = await startServer();
    const [ann, bob] = [await arrived(server), await WsClient.connect(server.url)];
    await ann.ok('roomAdd', { room: 'cafe\u0301' });
    expect(await bob.data('roomAdd', { room: 'caf\u00e9' })).toBe(true);
    await bob.say('here', { room: 'cafe\u0301' });
    expect((await ann.ok('roomView', { room: 'caf\u00e9' })).roomStatus.membersCount).toBe(2);
    for (const room of [
      'a}{b',
      '*',
      'a\nb',
      'a b',
      '\u202egnp',
      'good\u3164',
      'x'.repeat(10_000),
      'a\u0000b',

      'a,b',
      "a'b",
      '"',
      '<b>',
      '$(x)',
      'a\\b',
      'a%00',
    ]) {
      expect((await bob.ask('roomAdd', { room })).code).toBe('invalid_room_name');
    }
  });
});

describe('of a large request nothing stays but the word that is kept', () => {
  const TIMES = 80;
  type Asking = (server: ServerUnderTest) => Promise<(nth: number) => Promise<unknown>>;

  const post =
    (path: string, body: (nth: number) => string): Asking =>
    async (server) => {
      const { headers } = await connected(server);
      return async (nth) => {
        const filling = 'x'.repeat(30_000);
        const response = await fetch(server.url + path, {
          method: 'POST',
          headers: { ...headers, 'Content-Type': 'application/x-www-form-urlencoded' },
          body: `${body(nth)}&filling=${filling}`,
        });
        return response.json();
      };
    };
  const get =
    (query: (nth: number) => string): Asking =>
    async (server) => {
      const client = await connected(server);
      return async (nth) => {
        const filling = 'x'.repeat(12_000);
        return (await client.request('GET', `/chat/?${query(nth)}&filling=${filling}`)).body;
      };
    };
  const line =
    (text: (nth: number, filling: string) => string): Asking =>
    async (server) => {
      const client = await TcpClient.connect(server.tcpPort);
      return (nth) => client.line(text(nth, ' '.repeat(30_000)));
    };

  const askings: readonly [string, Asking][] = [
    ['a room in a form', post('/chat/?method=roomAdd', (nth) => `room=a-name-of-a-room-${nth}`)],
    ['a room in a query', get((nth) => `method=roomAdd&room=a-name-of-a-room-${nth}`)],
    [
      'what a message is matched by',
      post(
        '/chat/?method=say',
        (nth) => `room=defaultRoom&message=x&roomMatchKey=an-attribute-of-it&roomMatchValue=and-its-value-${nth}`,
      ),
    ],
    ['a room in a line', line((nth, filling) => `roomAdd a-name-of-a-room-${nth}${filling}`)],
    ['a parameter in a line', line((nth, filling) => `paramAdd the-name-of-one-${nth}${filling}=x`)],
  ];

  test.each(askings)('%s', async (_name, asking) => {
    const server = await startServer({ config: { limits: { roomsPerClient: 0 } } });
    const ask = await asking(server);
    for (let nth = 0; nth < 20; nth += 1) await ask(1000 + nth);
    const before = heapInUse();
    for (let nth = 0; nth < TIMES; nth += 1) expect(await ask(nth)).toMatchObject({ status: 'OK' });
    expect((heapInUse() - before) / TIMES).toBeLessThan(8000);
  });
});

test('what a client names itself, its rooms and its words makes one line of a log at most, and forges none', async () => {
  const lines: string[] = [];
  const logger = createLogger({ level: 'debug', destination: { write: (line) => void lines.push(line) } });
  const server = await startServer({ logger });
  const evil = 'a\n{"level":"error","msg":"forged"}\r\n\u001b[31m\u2028';
  const ws = await WsClient.connect(server.url, '/chat/', {
    headers: { 'User-Agent': 'x"}{', 'X-Forwarded-For': 'evil' },
  });
  await ws.ask('roomAdd', { room: evil });
  await ws.ask(evil, { messageId: evil });
  await ws.say(evil);
  const http = new HttpClient(server.url);
  await http.get('roomAdd', { room: evil });
  await http.get(evil);
  await http.api(encodeURIComponent(evil));
  ws.socket.send(evil);
  await server.close();
  for (const line of lines) {
    expect([line.at(-1), /[\p{Cc}]/u.test(line.slice(0, -1))]).toEqual(['\n', false]);
    expect((JSON.parse(line) as { msg: string }).msg).not.toBe('forged');
  }
});
