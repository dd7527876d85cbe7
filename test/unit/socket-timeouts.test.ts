/** Time limits of connections: real sockets, and a clock that stands still until it is moved. */
import { once } from 'node:events';
import net from 'node:net';
import { SocketTimeouts } from '../../src/transports/http/socket-timeouts';
import { eventually } from '../support/eventually';

/** ms between looks. */
const TICK = 100;
/** ms for the first byte. */
const FIRST = 1000;

let server: net.Server;
let timeouts: SocketTimeouts;
const clients: net.Socket[] = [];

beforeEach(async () => {
  jest.useFakeTimers({
    doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'setTimeout', 'clearTimeout', 'Date'],
  });
  timeouts = new SocketTimeouts(TICK);
  server = net.createServer((socket) => {
    timeouts.take(socket, FIRST);
    socket.on('error', () => undefined).resume();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await new Promise((resolve) => server.close(resolve));
  // Who has closed is waited for no more.
  await eventually(() => jest.getTimerCount() === 0);
  jest.useRealTimers();
});

/** The two ends of a connection, and how often its time was over. */
async function connection(): Promise<{ client: net.Socket; socket: net.Socket; over: () => number }> {
  const accepted = once(server, 'connection') as Promise<[net.Socket]>;
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1').on('error', () => undefined);
  clients.push(client);
  const [socket] = await accepted;
  let times = 0;
  socket.on('timeout', () => (times += 1));
  return { client, socket, over: () => times };
}

/** Node's own timer of a socket, if it has one. */
function ownTimer(socket: net.Socket): unknown {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'timeout');
  return symbol && (Reflect.get(socket, symbol) as unknown);
}

async function exchange(client: net.Socket, socket: net.Socket): Promise<void> {
  const { bytesRead } = socket;
  client.write('x');
  await eventually(() => socket.bytesRead > bytesRead);
}

test('who says nothing has its time, and no more', async () => {
  const { over } = await connection();
  jest.advanceTimersByTime(FIRST - 1);
  expect(over()).toBe(0);
  jest.advanceTimersByTime(TICK);
  expect(over()).toBe(1);
});

test('of who has begun to say something, others decide how long it may take', async () => {
  const { client, socket, over } = await connection();
  await exchange(client, socket);
  jest.advanceTimersByTime(10 * FIRST);
  expect(over()).toBe(0);
  expect(jest.getTimerCount()).toBe(0);
});

test('a time limit is told once, after its time, without a timer of Node’s', async () => {
  const { socket, over } = await connection();
  expect(socket.setTimeout(5000)).toBe(socket);
  expect(socket.timeout).toBe(5000);
  jest.advanceTimersByTime(4999);
  expect(over()).toBe(0);
  expect(ownTimer(socket)).toBeNull();
  jest.advanceTimersByTime(TICK);
  expect(over()).toBe(1);
  jest.advanceTimersByTime(20_000);
  expect(over()).toBe(1);
  expect(jest.getTimerCount()).toBe(0);
});

test('it can be put off', async () => {
  const { socket, over } = await connection();
  socket.setTimeout(5000);
  for (let times = 0; times < 3; times += 1) {
    jest.advanceTimersByTime(4000);
    socket.setTimeout(5000);
  }
  jest.advanceTimersByTime(4999);
  expect(over()).toBe(0);
  jest.advanceTimersByTime(TICK);
  expect(over()).toBe(1);
});

test('it can be brought forward', async () => {
  const { socket, over } = await connection();
  // The limit for the first byte is past by then.
  socket.setTimeout(120_000);
  jest.advanceTimersByTime(2 * FIRST);
  socket.setTimeout(60_000);
  socket.setTimeout(300);
  jest.advanceTimersByTime(299);
  expect(over()).toBe(0);
  jest.advanceTimersByTime(TICK);
  expect(over()).toBe(1);
  expect(jest.getTimerCount()).toBe(0);
  jest.advanceTimersByTime(240_000);
  expect(over()).toBe(1);
});

test('it can be taken away, and set again', async () => {
  const { socket, over } = await connection();
  socket.setTimeout(300);
  socket.setTimeout(0);
  expect(socket.timeout).toBe(0);
  jest.advanceTimersByTime(60_000);
  expect(over()).toBe(0);
  expect(jest.getTimerCount()).toBe(0);
  socket.setTimeout(300);
  socket.setTimeout(0);
  socket.setTimeout(5000);
  jest.advanceTimersByTime(4999);
  expect(over()).toBe(0);
  jest.advanceTimersByTime(TICK);
  expect(over()).toBe(1);
});

test('a socket whose first byte is not to be waited for by this is left at once', async () => {
  const { socket, over } = await connection();
  socket.setTimeout(0);
  expect(jest.getTimerCount()).toBe(0);
  jest.advanceTimersByTime(10 * FIRST);
  expect(over()).toBe(0);
});

test.each(['comes', 'goes'])('whoever something %s from or to has as much time again, each time', async (which) => {
  const { client, socket, over } = await connection();
  const move = (): Promise<void> =>
    which === 'comes' ? exchange(client, socket) : new Promise((resolve) => socket.write('x', () => resolve()));
  socket.setTimeout(5000);
  for (let times = 0; times < 3; times += 1) {
    await move();
    jest.advanceTimersByTime(5000 + TICK);
    expect(over()).toBe(0);
  }
  expect(socket.timeout).toBe(5000);
  jest.advanceTimersByTime(5000 + TICK);
  expect(over()).toBe(1);
});

test('of a write that is not taken, each piece that is counts; what waits does not', async () => {
  const { client, socket, over } = await connection();
  client.pause();
  socket.write(Buffer.alloc(32 * 1_048_576));
  await eventually(() => socket.writableLength > 0);
  socket.setTimeout(5000);
  let taken = 0;
  client.on('data', ({ length }) => (taken += length));
  client.resume();
  await eventually(() => taken > 8 * 1_048_576);
  client.pause();
  jest.advanceTimersByTime(5000 + TICK);
  expect(over()).toBe(0);
  // What the kernel has room for goes still.
  await eventually(() => {
    const before = over();
    jest.advanceTimersByTime(5000 + TICK);
    return before === 0 && over() === 1;
  });
  expect(socket.writableLength).toBeGreaterThan(0);
});

test('what comes makes up for nothing that waits to be taken', async () => {
  const { client, socket, over } = await connection();
  client.pause();
  socket.setTimeout(5000);
  socket.write(Buffer.alloc(16 * 1_048_576));
  await eventually(() => socket.writableLength > 0);
  const waiting = (Reflect.get(socket, '_handle') as { readonly writeQueueSize: number }).writeQueueSize;
  expect(waiting).toBeGreaterThan(0);
  client.write(Buffer.alloc(waiting));
  await eventually(() => socket.bytesRead === waiting);
  jest.advanceTimersByTime(5000 + TICK);
  expect(over()).toBe(0);
});

test('a listener comes and goes with it, as Node says; what is no time is refused', async () => {
  const { socket, over } = await connection();
  const listener = jest.fn();
  socket.setTimeout(300.5, listener);
  expect(socket.timeout).toBe(301);
  jest.advanceTimersByTime(300);
  expect(listener).not.toHaveBeenCalled();
  jest.advanceTimersByTime(1 + TICK);
  expect(listener).toHaveBeenCalledTimes(1);
  expect(over()).toBe(1);
  socket.setTimeout(300, listener);
  socket.setTimeout(0, listener);
  expect(socket.listeners('timeout')).not.toContain(listener);
  socket.setTimeout(5000);
  for (const ms of [-1, NaN, Infinity]) expect(() => socket.setTimeout(ms)).toThrow('out of range');
  expect(() => socket.setTimeout('1' as unknown as number)).toThrow('number');
  expect(socket.timeout).toBe(5000);
  jest.advanceTimersByTime(5000 + TICK);
  expect(over()).toBe(2);
  expect(ownTimer(socket)).toBeNull();
});

test('a closed one waits for nothing, nor does a timer keep the process', async () => {
  const { socket } = await connection();
  socket.setTimeout(5000);
  socket.destroy();
  await once(socket, 'close');
  expect(jest.getTimerCount()).toBe(0);
  socket.setTimeout(5000);
  expect(jest.getTimerCount()).toBe(0);
});
