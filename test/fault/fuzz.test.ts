/** Bytes that no client would send, at a server in a process of its own: it lives, and who behaves is served throughout. */
import { createConnection, type Socket } from 'node:net';
import { once } from 'node:events';
import { Command, type Listening } from '../support/command';
import { GoodClient } from '../support/good-client';
import { eventually } from '../support/eventually';
import { note } from '../support/measured';
import { randomFrom, seedOfRun } from '../support/random';

const seed = seedOfRun();
/** Byte streams for each port: `npm run fuzz` sends ten thousand. */
const streams = Number(process.env['FUZZ'] ?? 200);
const AT_ONCE = 25;

const env = {
  EARSHOT_LIMITS_NEW_CLIENTS_PER_SECOND_PER_ADDRESS: '0',
  EARSHOT_LIMITS_SAYS_PER_SECOND: '0',
  EARSHOT_LIMITS_CONNECTIONS_PER_ADDRESS: '0',
  EARSHOT_LIMITS_HANDSHAKE: '2000',
};

interface Target {
  readonly command: Command;
  readonly at: Listening;
  readonly good: GoodClient;
}

async function target(): Promise<Target> {
  const command = new Command(['--port', '0', '--socket-port', '0'], env);
  const at = await command.listening();
  const good = await GoodClient.meet(at);
  good.start();
  return { command, at, good };
}

async function unharmed({ command, at, good }: Target, what: string): Promise<void> {
  const { count, p99, most } = await good.stop();
  note(`${what}: the good client's ${count} messages, p99 ${p99} ms, at most ${most} ms`);
  expect(count).toBeGreaterThan(0);
  const answer = await fetch(`${at.url}/livez`);
  expect(answer.status).toBe(200);
  // The same process, which never had to say that something should not have happened.
  expect(command.stderr.split('\n').filter((line) => line.includes('"level":"error"'))).toEqual([]);
  command.signal('SIGTERM');
  expect(await command.ended).toBe(0);
}

const key = Buffer.from('0123456789abcdef').toString('base64');
const handshake = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`;

/** A client's frame, masked unless said otherwise. */
function frame(options: { first: number; payload?: Buffer; masked?: boolean; length?: Buffer }): Buffer {
  const { first, payload = Buffer.alloc(0), masked = true } = options;
  const flag = masked ? 0x80 : 0;
  const length =
    options.length ??
    (payload.length < 126
      ? Buffer.from([flag | payload.length])
      : Buffer.from([flag | 126, payload.length >> 8, payload.length & 0xff]));
  const mask = masked ? Buffer.from([1, 2, 3, 4]) : Buffer.alloc(0);
  const bytes = masked ? payload.map((byte, index) => byte ^ mask[index % 4]!) : payload;
  return Buffer.concat([Buffer.from([first]), length, mask, bytes]);
}
const text = (json: string): Buffer => frame({ first: 0x81, payload: Buffer.from(json) });

const corpora: Readonly<Record<string, readonly (string | Buffer)[]>> = {
  HTTP: [
    'GET /chat/?method=roomView HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'GET /chat/?method=messages&wait=1&after=AX9mGkQnYbJAZ3e0k9xKQA HTTP/1.1\r\nHost: localhost\r\nCookie: sessionID=x; chatAck=1; __room=a.b\r\n\r\n',
    'POST /chat/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 33\r\n\r\n{"method":"say","message":"fuzz"}',
    'POST /api?action=chat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nmetho\r\n8\r\nd=detail\r\n0\r\n\r\n',
    'GET /chat/?method=messages&stream=sse HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n',
    'OPTIONS /chat/ HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\nGET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n',
  ],
  WebSocket: [
    Buffer.concat([
      Buffer.from(handshake('/chat/')),
      text('{"event":"roomAdd","room":"x","messageId":7}'),
      text('{"event":"say","message":"fuzz"}'),
    ]),
    Buffer.concat([
      Buffer.from(handshake('/primus')),
      text('"primus::ping::1"'),
      text('"primus::id::"'),
      text('{"event":"roomView"}'),
    ]),
    Buffer.concat([
      Buffer.from(handshake('/chat/')),
      text('{"event":"resume","session":"x","after":{"a":"1-1"}}'),
      frame({ first: 0x89, payload: Buffer.from('p') }),
      frame({ first: 0x88 }),
    ]),
    Buffer.concat([
      Buffer.from(handshake('/chat/')),
      frame({ first: 0x01, payload: Buffer.from('{"event":') }),
      frame({ first: 0x80, payload: Buffer.from('"detailsView"}') }),
    ]),
    Buffer.concat([
      Buffer.from(handshake('/chat/')),
      text('{"event":"action","params":{"action":"chat","method":"messages"}}'),
    ]),
  ],
  TCP: [
    'roomAdd x\r\nsay x hello\r\nroomView x\r\nroomLeave x\r\nquit\r\n',
    'paramAdd k=v\nparamsView\nparamDelete k\nparamsDelete\n',
    '{"event":"say","message":"fuzz","key":"k"}\n{"action":"status","params":{"a":[1,{"b":null}]}}\n',
    'resume x y\nhistory x 5\ndocumentation\ndetailsView\nstatus\n',
    'listenToRoom a\nsilenceRoom a\nroomChange b\n\n\n\u{1d11e}\n',
    Buffer.from('fff4fffd06', 'hex'),
  ],
};

const nasty = [0x00, 0x0a, 0x0d, 0x20, 0x22, 0x7b, 0x7f, 0x80, 0xc0, 0xed, 0xff].map((byte) => Buffer.from([byte]));

/** Flips, cuts, doubles, inserts and joins; now and then pure noise. */
function mutated(corpus: readonly (string | Buffer)[], random: () => number): Buffer {
  const upTo = (most: number): number => Math.floor(random() * most);
  const pick = (): Buffer => Buffer.from(corpus[upTo(corpus.length)]!);
  const noise = (length: number): Buffer => Buffer.from(Array.from({ length }, () => upTo(256)));
  if (random() < 0.1) return noise(1 + upTo(2000));
  let bytes = pick();
  for (let turns = 1 + upTo(6); turns > 0; turns -= 1) {
    const at = upTo(bytes.length);
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
    const kind = upTo(7);
    if (kind === 0 && after.length > 0) after[0]! ^= 1 << upTo(8);
    bytes = [
      () => bytes,
      () => Buffer.concat([before, nasty[upTo(nasty.length)]!, after]),
      () => Buffer.concat([before, noise(upTo(40)), after]),
      () => Buffer.concat([before, after.subarray(upTo(30))]),
      () => Buffer.concat([before, pick(), after]),
      () => Buffer.concat([before, after, after]),
      () => Buffer.concat([before, Buffer.alloc(upTo(3000), nasty[upTo(nasty.length)]), after]),
    ][kind]!();
  }
  return bytes;
}

/** In random pieces, ended politely, cut or reset, at some point. */
async function pour(port: number, bytes: Buffer, random: () => number): Promise<void> {
  const socket = createConnection({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => undefined).resume();
  const closed = once(socket, 'close').catch(() => undefined);
  for (let at = 0; at < bytes.length && !socket.destroyed;) {
    const size = random() < 0.5 ? bytes.length : 1 + Math.floor(random() * 200);
    socket.write(bytes.subarray(at, at + size));
    at += size;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const end = random();
  if (end < 0.4) socket.end();
  else if (end < 0.7) socket.resetAndDestroy();
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 20))]);
  socket.destroy();
}

describe.each(Object.keys(corpora))('the %s port', (port) => {
  test(`takes ${streams} random and mutated byte streams (SEED=${seed})`, async () => {
    const under = await target();
    const { at } = under;
    const random = randomFrom(seed);
    let left = streams;
    const worker = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await pour(port === 'TCP' ? at.tcpPort : at.port, mutated(corpora[port]!, random), random);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    await unharmed(under, `${streams} streams at ${port}`);
  }, 600_000);
});

/** Bytes out; all that comes back until the server closes, or for as long as it is open. */
class Raw {
  received = Buffer.alloc(0);
  readonly closed: Promise<unknown>;

  private constructor(readonly socket: Socket) {
    socket.on('data', (bytes) => (this.received = Buffer.concat([this.received, bytes]))).on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.once('close', resolve));
  }

  static async to(port: number): Promise<Raw> {
    const raw = new Raw(createConnection({ port, host: '127.0.0.1', noDelay: true }));
    await once(raw.socket, 'connect');
    return raw;
  }

  async upgraded(): Promise<void> {
    this.socket.write(handshake('/chat/'));
    await eventually(() => this.received.includes('"welcome"'));
    this.received = Buffer.alloc(0);
  }

  /** Of the last frame, a close with its code. */
  get closeCode(): number | undefined {
    const at = this.received.lastIndexOf(0x88);
    return at >= 0 && this.received.length >= at + 4 ? this.received.readUInt16BE(at + 2) : undefined;
  }
}

const oneByte = Buffer.from([0x80]);
const frames: readonly (readonly [string, Buffer, number])[] = [
  ['unmasked', frame({ first: 0x81, payload: Buffer.from('{}'), masked: false }), 1002],
  ['with a reserved bit, as of compression', frame({ first: 0xc1, payload: Buffer.from('{}') }), 1002],
  ['with the other reserved bits', frame({ first: 0xb1, payload: Buffer.from('{}') }), 1002],
  ['of an unknown kind', frame({ first: 0x83 }), 1002],
  ['of an unknown kind of control', frame({ first: 0x8b }), 1002],
  ['a ping of 126 bytes', frame({ first: 0x89, payload: Buffer.alloc(126) }), 1002],
  ['a ping in pieces', frame({ first: 0x09 }), 1002],
  ['a continuation of nothing', frame({ first: 0x80, payload: Buffer.from('{}') }), 1002],
  ['a text within a text', Buffer.concat([frame({ first: 0x01 }), frame({ first: 0x81 })]), 1002],
  ['no UTF-8', frame({ first: 0x81, payload: Buffer.from([0x22, 0xff, 0x22]) }), 1007],
  ['a surrogate in UTF-8', frame({ first: 0x81, payload: Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]) }), 1007],
  [
    'no UTF-8 over two frames',
    Buffer.concat([
      frame({ first: 0x01, payload: Buffer.from([0xe2, 0x82]) }),
      frame({ first: 0x80, payload: oneByte.subarray(0, 0) }),
    ]),
    1007,
  ],
  ['a close of one byte', frame({ first: 0x88, payload: Buffer.from([3]) }), 1002],
  ['a close with a code that is never sent', frame({ first: 0x88, payload: Buffer.from([0x03, 0xed]) }), 1002],
  ['a close whose reason is no UTF-8', frame({ first: 0x88, payload: Buffer.from([0x03, 0xe8, 0xff]) }), 1007],
  ['that says it is a terabyte', frame({ first: 0x81, length: Buffer.from([0xff, 0, 0, 1, 0, 0, 0, 0, 0]) }), 1009],
  [
    'that says it is more than numbers can be',
    frame({ first: 0x81, length: Buffer.from([0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255]) }),
    1009,
  ],
  [
    'in 1,000 empty fragments',
    Buffer.concat([frame({ first: 0x01 }), ...Array.from({ length: 1000 }, () => frame({ first: 0x00 }))]),
    1008,
  ],
];

test('frames that no WebSocket may send are answered by the right close code, and harm nobody', async () => {
  const under = await target();
  for (const [what, bytes, code] of frames) {
    const raw = await Raw.to(under.at.port);
    await raw.upgraded();
    raw.socket.write(bytes);
    await raw.closed;
    expect([what, raw.closeCode]).toEqual([what, code]);
  }
  await unharmed(under, `${frames.length} kinds of frames`);
});

test('a flood of pings whose answers nobody reads is not answered into memory', async () => {
  const under = await target();
  const before = under.command.residentBytes;
  const raw = await Raw.to(under.at.port);
  await raw.upgraded();
  raw.socket.pause();
  const pings = Buffer.concat(
    Array.from({ length: 500 }, () => frame({ first: 0x89, payload: Buffer.alloc(125, 'p') })),
  );
  for (let sent = 0; sent < 100_000_000 && !raw.socket.destroyed; sent += pings.length) {
    if (!raw.socket.write(pings)) {
      await Promise.race([once(raw.socket, 'drain').catch(() => undefined), raw.closed]);
    }
  }
  const growth = (under.command.residentBytes - before) / 1e6;
  note(`100 MB of pings, unread: the server grew by ${Math.round(growth)} MB`);
  expect(growth).toBeLessThan(60);
  raw.socket.destroy();
  await unharmed(under, 'a flood of pings');
}, 120_000);

const inside = 'GET /chat/?method=say&message=smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n';
const post = (headers: string, body: string): string =>
  `POST /chat/?method=roomView HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n\r\n${body}`;
const smuggling: readonly (readonly [string, string])[] = [
  ['a length and chunks', post(`Content-Length: 6\r\nTransfer-Encoding: chunked`, `0\r\n\r\n${inside}`)],
  ['chunks and a length', post(`Transfer-Encoding: chunked\r\nContent-Length: 6`, `0\r\n\r\n${inside}`)],
  ['two lengths', post('Content-Length: 5\r\nContent-Length: 0', inside)],
  ['a list of lengths', post('Content-Length: 0, 5', inside)],
  ['a length with a sign', post('Content-Length: +0', inside)],
  ['a length below nothing', post('Content-Length: -1', inside)],
  ['a length in hex', post('Content-Length: 0x0', inside)],
  ['a space before the colon', post('Transfer-Encoding : chunked', `0\r\n\r\n${inside}`)],
  ['an encoding nobody knows', post('Transfer-Encoding: xchunked', `0\r\n\r\n${inside}`)],
  ['chunked, not last', post('Transfer-Encoding: chunked, identity', `0\r\n\r\n${inside}`)],
  ['a folded header', post('X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 0', inside)],
  ['a line feed alone', post('X: a\nTransfer-Encoding: chunked', `0\r\n\r\n${inside}`)],
  ['a carriage return alone', post('X: a\rTransfer-Encoding: chunked', `0\r\n\r\n${inside}`)],
  ['a chunk size that is none', post('Transfer-Encoding: chunked', `zz\r\n${inside}`)],
  ['a chunk size that overflows', post('Transfer-Encoding: chunked', `fffffffffffffffff\r\n${inside}`)],
  ['a chunk that is longer than it says', post('Transfer-Encoding: chunked', `1\r\nab\r\n0\r\n\r\n${inside}`)],
  ['a NUL in a header', post('X: a\0b', inside)],
  ['two hosts', post('Host: evil.test\r\nConnection: close\r\nContent-Length: 0', '')],
];

test('what one proxy could read as two requests is refused whole, and what is in it is said by nobody', async () => {
  const under = await target();
  for (const [what, bytes] of smuggling) {
    const raw = await Raw.to(under.at.port);
    raw.socket.write(bytes);
    await raw.closed;
    const answer = raw.received.toString();
    expect([what, answer.slice(0, 12), answer.match(/HTTP\/1\.1 /g)?.length]).toEqual([what, 'HTTP/1.1 400', 1]);
  }
  const heard = JSON.stringify(under.good.ears.map((ear) => ear.heard.all));
  await unharmed(under, `${smuggling.length} shapes of smuggling`);
  expect(heard).toContain('good ');
  expect(heard).not.toContain('smuggled');
});
