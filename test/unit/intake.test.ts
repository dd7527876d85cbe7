/** What comes in over real sockets, and how much of it at a time whoever parses it is given. */
import http from 'node:http';
import net from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { takeTurns } from '../../src/transports/intake';
import { eventually } from '../support/eventually';

const SLICE = 2048;

interface Parsed {
  readonly socket: net.Socket;
  readonly slices: Buffer[];
  ended: boolean;
}

let server: net.Server;
let parsed: Parsed[];
/** What the parser does with a slice. */
let parse: (connection: Parsed, slice: Buffer) => void;
const clients: net.Socket[] = [];

beforeEach(async () => {
  parsed = [];
  parse = () => undefined;
  server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const connection: Parsed = { socket, slices: [], ended: false };
    parsed.push(connection);
    socket.on('error', () => undefined);
    socket.on('data', (slice: Buffer) => {
      connection.slices.push(Buffer.from(slice));
      parse(connection, slice);
    });
    socket.on('end', () => {
      connection.ended = true;
      socket.end();
    });
    takeTurns(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const { socket } of parsed) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

function connect(localAddress = '127.0.0.1'): net.Socket {
  const { port } = server.address() as net.AddressInfo;
  const client = net.connect({ port, host: '127.0.0.1', localAddress, allowHalfOpen: true });
  client.on('error', () => undefined);
  clients.push(client);
  return client;
}

/** No two pieces of it are alike. */
function numbered(bytes: number): Buffer {
  const all = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) all.writeUInt32BE(at, at);
  return all;
}

function busy(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until) continue;
}

test('all of it comes, in order, in slices, and its end after that', async () => {
  const said = numbered(300_001);
  connect().end(said);
  await eventually(() => parsed[0]?.ended);
  expect(Buffer.concat(parsed[0]!.slices).equals(said)).toBe(true);
  expect(Math.max(...parsed[0]!.slices.map(({ length }) => length))).toBeLessThanOrEqual(SLICE);
});

test('a parser that pauses is given nothing until it resumes, and then all of the rest', async () => {
  const said = numbered(100_000);
  parse = ({ socket, slices }) => {
    if (slices.length === 3) socket.pause();
  };
  connect().end(said);
  await eventually(() => parsed[0]?.slices.length === 3);
  // Whatever else comes meanwhile is done by now.
  const others = connect();
  others.end(numbered(100_000));
  await eventually(() => parsed[1]?.slices.length === 3);
  parsed[1]!.socket.resume();
  await eventually(() => parsed[1]?.ended);
  expect(parsed[0]!.slices.length).toBe(3);
  expect(parsed[0]!.ended).toBe(false);
  parsed[0]!.socket.resume();
  await eventually(() => parsed[0]?.ended);
  expect(Buffer.concat(parsed[0]!.slices).equals(said)).toBe(true);
});

test('what takes long to parse leaves room for everything else', async () => {
  parse = () => {
    busy(2);
  };
  const many = Array.from({ length: 20 }, () => connect());
  await eventually(() => parsed.length === 20);
  // 32 slices each: 1.3 s of work, all of which is there when the first is looked at.
  for (const client of many) client.write(numbered(65_536));
  await eventually(() => parsed.some(({ slices }) => slices.length > 0));
  await sleep(1);
  const slices = (): number => parsed.reduce((all, each) => all + each.slices.length, 0);
  expect(slices()).toBeLessThan(320);
  await eventually(() => slices() >= 640);
});

test('an address with many connections waits as long for its turn as one with one', async () => {
  const order: number[] = [];
  parse = (connection) => {
    busy(1);
    order.push(parsed.indexOf(connection));
  };
  const many = Array.from({ length: 30 }, () => connect('127.0.0.2'));
  await eventually(() => parsed.length === 30);
  const one = connect('127.0.0.3');
  await eventually(() => parsed.length === 31);
  for (const client of many) client.write(numbered(65_536));
  await eventually(() => order.length > 0);
  one.write(numbered(20_480));
  await eventually(() => order.filter((index) => index === 30).length === 10);
  // Each of its ten slices came after one of the others', and not after one of each of the thirty.
  const last = order.lastIndexOf(30);
  const first = order.indexOf(30);
  expect(last - first).toBeLessThanOrEqual(2 * 10);
});

test('no more than a read or two waits for its turn, though the parser asks for more', async () => {
  let most = 0;
  parse = ({ socket, slices }) => {
    busy(0.1);
    most = Math.max(most, socket.bytesRead - slices.reduce((all, { length }) => all + length, 0));
    // As node:http does when a body was read: the socket reads on.
    process.nextTick(() => socket.resume());
  };
  connect().end(numbered(2_000_000));
  await eventually(() => parsed[0]?.ended);
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(4 * 65_536);
});

test("node:http's connections have the methods of all sockets, and answer as before", async () => {
  const methods: unknown[] = [];
  const web = http.createServer((_request, response) => response.end('here'));
  web.on('connection', (socket) => {
    methods.push(socket.on);
    takeTurns(socket, 'http');
    methods.push(socket.on, socket.addListener, socket.prependListener);
  });
  try {
    await once(web.listen(0, '127.0.0.1'), 'listening');
    const { port } = web.address() as net.AddressInfo;
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('here');
    const { on, addListener, prependListener } = net.Socket.prototype as unknown as Record<string, unknown>;
    expect(methods.slice(1)).toEqual([on, addListener, prependListener]);
    // Were it not so without us, there would be nothing to take back.
    expect(methods[0]).not.toBe(on);
  } finally {
    web.closeAllConnections();
    web.close();
  }
});
