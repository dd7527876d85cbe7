/** The way out of one socket: when it is full, when it is free again, and who is cut off. */
import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { SocketLink, type BufferLimits } from '../../src/transports/link';
import { SlowPeers } from '../../src/transports/slow-peers';
import { Turns } from '../../src/transports/turns';
import { eventually } from '../support/eventually';

let server: Server;
let sockets: Socket[] = [];

beforeEach(async () => {
  server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  server.close();
});

const none: BufferLimits = { bufferSoft: 0, bufferHard: 0, stuck: 0 };

/** A link to a peer that reads nothing until it is told to. */
async function linked(limits: Partial<BufferLimits>) {
  const connected = once(server, 'connection') as Promise<[Socket]>;
  const peer = createConnection((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = await connected;
  sockets.push(peer, socket);
  const cuts: string[] = [];
  const all = { ...none, ...limits };
  let drained = 0;
  const owner = { cut: (reason: string) => cuts.push(reason), drained: () => (drained += 1) };
  const link = new SocketLink(socket, 'tcp', all, new SlowPeers(all.stuck), owner);
  socket.on('close', () => link.end());
  let read = 0;
  peer.on('data', (chunk) => (read += chunk.length));
  peer.pause();
  return { link, peer, cuts, read: () => read, drained: () => drained };
}

const piece = Buffer.alloc(10_000, 'x');

/** As a pusher does: until the link says that it is enough. */
function fill(link: SocketLink): number {
  let bytes = 0;
  for (; !link.congested; bytes += piece.length) link.push(piece);
  return bytes;
}

test.each([1000, 15_000, 100_000, 1_048_576])(
  'is congested right above a soft limit of %d, and free again when it was taken',
  async (soft) => {
    const { link, peer, drained, read } = await linked({ bufferSoft: soft });
    const bytes = fill(link);
    expect(link.unsent).toBeGreaterThan(soft);
    // Whatever the kernel took: we hold no more than the limit and the write that went over it.
    expect(link.unsent).toBeLessThanOrEqual(soft + piece.length);
    expect(drained()).toBe(0);
    peer.resume();
    await eventually(() => !link.congested);
    expect(drained()).toBe(1);
    await eventually(() => read() === bytes);
    expect(link.unsent).toBe(0);
  },
);

test('fills and drains again and again', async () => {
  const { link, peer, drained } = await linked({ bufferSoft: 5000 });
  for (let round = 1; round <= 5; round += 1) {
    peer.pause();
    fill(link);
    peer.resume();
    await eventually(() => drained() === round && !link.congested);
  }
});

test('one large push is no reason to cut a peer off, what piles up behind it is', async () => {
  const { link, cuts } = await linked({ bufferSoft: 1000, bufferHard: 50_000 });
  link.push(Buffer.alloc(20_000_000, 'x'));
  expect(link.congested).toBe(true);
  expect(cuts).toEqual([]);
  link.send('{"an":"answer"}');
  expect(cuts).toEqual(['slow consumer']);
});

test('without a soft limit the hard one holds alone', async () => {
  const { link, cuts } = await linked({ bufferHard: 50_000 });
  for (let bytes = 0; bytes < 20_000_000 && cuts.length === 0; bytes += piece.length) link.push(piece);
  expect(cuts).toEqual(['slow consumer']);
  expect(link.congested).toBe(false);
});

test('progress is seen when the peer takes something of a large write, and only then', async () => {
  const { link, peer, read } = await linked({ bufferSoft: 1000 });
  const bytes = 50_000_000;
  link.push(Buffer.alloc(bytes, 'x'));
  // Until the kernel's own buffers are full, it is the kernel that takes.
  let before = NaN;
  await eventually(() => Object.is(before, (before = link.progress)));
  peer.on('data', () => {
    if (read() > 10_000_000) peer.pause();
  });
  peer.resume();
  await eventually(() => link.progress > before);
  // The write as a whole is still to be taken: Node's own count does not see that anything was.
  expect(link.unsent).toBe(bytes);
});

describe('of congested peers', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  function watched() {
    const cuts: string[] = [];
    return { progress: 0, cuts, cutOff: (reason: string) => cuts.push(reason) };
  }

  test('one that takes nothing for the time is cut off, one that takes something is not', () => {
    const slow = new SlowPeers(5000);
    const [stuck, sipping] = [watched(), watched()];
    slow.add(stuck);
    slow.add(sipping);
    for (let second = 1; second <= 6; second += 1) {
      expect(stuck.cuts).toEqual([]);
      sipping.progress += 1;
      jest.advanceTimersByTime(1000);
    }
    expect(stuck.cuts).toEqual(['slow consumer']);
    slow.remove(stuck);
    jest.advanceTimersByTime(5000);
    expect(sipping.cuts).toEqual([]);
    jest.advanceTimersByTime(1000);
    expect(sipping.cuts).toEqual(['slow consumer']);
    slow.remove(sipping);
    expect(jest.getTimerCount()).toBe(0);
  });

  test('none is cut off because we were held up ourselves', () => {
    const slow = new SlowPeers(5000);
    const stuck = watched();
    slow.add(stuck);
    jest.advanceTimersByTime(2000);
    // A process that stands still for longer than the limit: when it goes on, its timer fires once.
    jest.setSystemTime(Date.now() + 60_000);
    jest.runOnlyPendingTimers();
    expect(stuck.cuts).toEqual([]);
    slow.remove(stuck);
  });

  test('without a time for it nobody is watched', () => {
    const slow = new SlowPeers(0);
    slow.add(watched());
    expect(jest.getTimerCount()).toBe(0);
  });
});

test('after its end nothing goes out, and nobody is cut off any more', async () => {
  const { link, peer, cuts, read } = await linked({ bufferSoft: 1000 });
  link.send('{}');
  link.end();
  link.send('{"too":"late"}');
  link.cutOff('too late');
  link.socket.end();
  peer.resume();
  await once(peer, 'end');
  expect(read()).toBe('{}\r\n'.length);
  expect(cuts).toEqual([]);
});

test('turns are taken one after the other, and reading rests while too many wait', async () => {
  const rests: boolean[] = [];
  const turns = new Turns({ pause: (paused) => rests.push(paused) });
  const done: number[] = [];
  let let1stGo = (): void => {};
  const gate = new Promise<void>((resolve) => (let1stGo = resolve));
  for (let nth = 0; nth < 300; nth += 1) {
    turns.add(async () => {
      if (nth === 0) await gate;
      done.push(nth);
    });
  }
  expect(rests).toEqual([true]);
  expect(turns.idle).toBe(false);
  let1stGo();
  await turns.done;
  expect(done).toEqual(Array.from({ length: 300 }, (_, nth) => nth));
  await eventually(() => turns.idle);
  expect(rests).toEqual([true, false]);
});

test('reading rests as well while what waits is large', async () => {
  const rests: boolean[] = [];
  const turns = new Turns({ pause: (paused) => rests.push(paused) });
  for (let nth = 0; nth < 20; nth += 1) turns.add(() => Promise.resolve(), 65_536);
  expect(rests).toEqual([true]);
  await turns.done;
  await eventually(() => turns.idle);
  expect(rests).toEqual([true, false]);
});
