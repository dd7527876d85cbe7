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
  expect(jest.getTimerCount()).toBe(0);
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

/** Node's own timer of a socket, if it has one that runs. */
function ownTimer(socket: net.Socket): number | undefined {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'timeout');
  const timer = symbol && (Reflect.get(socket, symbol) as { _idleTimeout: number } | null);
  return timer && timer._idleTimeout > 0 ? timer._idleTimeout : undefined;
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
  expect(ownTimer(socket)).toBeUndefined();
});

test('a time limit is told once, after its time, without a timer of Node’s', async () => {
  const { socket, over } = await connection();
  expect(socket.setTimeout(5000)).toBe(socket);
  expect(socket.timeout).toBe(5000);
  jest.advanceTimersByTime(4999);
  expect(over()).toBe(0);
  expect(ownTimer(socket)).toBeUndefined();
  jest.advanceTimersByTime(TICK);
  expect(over()).toBe(1);
  jest.advanceTimersByTime(20_000);
  expect(over()).toBe(1);
});

test('it can be put off, brought forward and taken away', async () => {
  const { socket, over } = await connection();
  socket.setTimeout(5000);
  jest.advanceTimersByTime(4000);
  socket.setTimeout(5000);
  jest.advanceTimersByTime(4999);
  expect(over()).toBe(0);
  socket.setTimeout(60_000);
  socket.setTimeout(300);
  jest.advanceTimersByTime(299);
  expect(over()).toBe(0);
  jest.advanceTimersByTime(TICK);
  expect(over()).toBe(1);
  socket.setTimeout(300);
  socket.setTimeout(0);
  expect(socket.timeout).toBe(0);
  jest.advanceTimersByTime(60_000);
  expect(over()).toBe(1);
  socket.setTimeout(300);
  jest.advanceTimersByTime(300 + TICK);
  expect(over()).toBe(2);
});

test.each(['comes', 'goes'])(
  'where something %s meanwhile, Node’s own timer goes on, until the next',
  async (which) => {
    const { client, socket, over } = await connection();
    socket.setTimeout(5000);
    if (which === 'comes') {
      await exchange(client, socket);
    } else {
      await new Promise((resolve) => socket.write('x', resolve));
      expect(socket.writableLength).toBe(0);
    }
    jest.advanceTimersByTime(5000 + TICK);
    expect(over()).toBe(0);
    expect(ownTimer(socket)).toBe(5000);
    socket.setTimeout(300);
    expect(ownTimer(socket)).toBeUndefined();
    jest.advanceTimersByTime(300 + TICK);
    expect(over()).toBe(1);
  },
);

test('where something waits to be taken, Node’s own timer goes on', async () => {
  const { client, socket, over } = await connection();
  client.pause();
  socket.write(Buffer.alloc(32 * 1_048_576));
  await eventually(() => socket.writableLength > 0);
  socket.setTimeout(5000);
  jest.advanceTimersByTime(5000 + TICK);
  expect(over()).toBe(0);
  expect(ownTimer(socket)).toBe(5000);
  socket.setTimeout(0);
  expect(ownTimer(socket)).toBeUndefined();
});

test('with a listener of its own, or a part of a millisecond, it is Node’s', async () => {
  const { socket, over } = await connection();
  const listener = jest.fn();
  socket.setTimeout(60_000, listener);
  expect(ownTimer(socket)).toBe(60_000);
  expect(socket.listeners('timeout')).toHaveLength(2);
  socket.setTimeout(250.5);
  expect(ownTimer(socket)).toBe(250.5);
  expect(() => socket.setTimeout(-1)).toThrow('out of range');
  expect(() => socket.setTimeout('1' as unknown as number)).toThrow('number');
  socket.setTimeout(0);
  jest.advanceTimersByTime(120_000);
  expect(over()).toBe(0);
});

test('a closed one waits for nothing', async () => {
  const { socket } = await connection();
  socket.setTimeout(5000);
  socket.destroy();
  await once(socket, 'close');
  expect(jest.getTimerCount()).toBe(0);
  socket.setTimeout(5000);
  expect(jest.getTimerCount()).toBe(0);
});
