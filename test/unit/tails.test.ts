/** What a node keeps of the logs that are followed here: how much of them, for how long, and what it knows by that. */
import { BEGINNING } from '../../src/protocol/entry-id';
import { ReadTurns } from '../../src/core/read-turns';
import type { Topic } from '../../src/core/entry';
import type { Watcher } from '../../src/core/followed';
import type { Follower, Slice } from '../../src/core/store';
import type { Reader, Tail } from '../../src/core/tail';
import { Tails, type TailsOptions } from '../../src/core/tails';
import { ChatError } from '../../src/protocol/errors';
import { tell, told } from '../contract/store/given';
import { limits } from '../support/core';
import { eventually } from '../support/eventually';
import { OverheardStore } from '../support/overheard-store';
import { KeptLog } from '../support/logger';

/** Counts what it is asked for, can be away, and can be heard nothing of. */
class CountingStore extends OverheardStore {
  reads = 0;
  /** Each time the topics whose ends were asked for. */
  readonly asked: Topic[][] = [];
  away = false;
  silent = false;

  protected override overheard(follower: Follower): Partial<Follower> {
    return {
      entry: (entry) => {
        if (!this.silent) follower.entry(entry);
      },
    };
  }

  override read(...asked: Parameters<OverheardStore['read']>): Promise<Slice> {
    this.reads += 1;
    return this.away ? Promise.reject(new ChatError('store_unavailable')) : super.read(...asked);
  }

  override ends(topics: readonly Topic[]): ReturnType<OverheardStore['ends']> {
    this.asked.push([...topics]);
    return super.ends(topics);
  }
}

const reader = (wake: () => void = () => undefined): Reader => ({ seat: -1, wake });

async function followed(tails: Tails, topic: Topic, by = reader()): Promise<Tail> {
  const tail = await tails.acquire(topic);
  tail.add(by);
  return tail;
}
const opened: Tails[] = [];
let store: CountingStore;

beforeEach(() => {
  store = new CountingStore(limits);
});

afterEach(() => {
  for (const tails of opened.splice(0)) tails.close();
});

function tailsOf(options: Partial<TailsOptions> = {}): Tails {
  const tails = new Tails({
    store,
    logger: new KeptLog(),
    reads: new ReadTurns(),
    keepMs: 60_000,
    checkMs: 60_000,
    ...options,
  });
  opened.push(tails);
  return tails;
}

/** Said in the room, and heard of by its tail. */
async function said(tail: Tail, count: number, text: (nth: number) => string = String): Promise<string[]> {
  const ids: string[] = [];
  for (let nth = 0; nth < count; nth += 1) ids.push(await told(store, 'room:x', text(nth)));
  await eventually(() => tail.last === ids.at(-1));
  return ids;
}

/** Whether the tail serves from memory what follows a place. */
async function isWarm(tail: Tail, after: string): Promise<boolean> {
  const before = store.reads;
  await tail.batch(after, { remoteIP: '192.0.2.1' });
  return store.reads === before;
}

test('a tail holds 1,024 entries and up to a quarter more; who stands further back is served from the store', async () => {
  const tail = await followed(tailsOf(), 'room:x');
  const ids = await said(tail, 1280);
  expect(await isWarm(tail, ids[0]!)).toBe(true);
  const more = await said(tail, 1);
  expect(await isWarm(tail, ids[256]!)).toBe(true);
  expect(await isWarm(tail, ids[255]!)).toBe(false);
  expect(tail.last).toBe(more[0]);
});

test('a tail of long texts holds half of two million characters when they become more, the newest one always', async () => {
  const tail = await followed(tailsOf(), 'room:x');
  const ids = await said(tail, 30, () => 'x'.repeat(100_000));
  const warm: boolean[] = [];
  for (const id of ids) warm.push(await isWarm(tail, id));
  const held = warm.filter(Boolean).length;
  expect(held).toBeGreaterThanOrEqual(10);
  expect(held).toBeLessThanOrEqual(21);
  expect(warm.at(-1)).toBe(true);
  // Those that are held are the newest.
  expect(warm).toEqual([...Array<boolean>(30 - held).fill(false), ...Array<boolean>(held).fill(true)]);
  const [giant] = await said(tail, 1, () => 'y'.repeat(3_000_000));
  expect(await isWarm(tail, ids.at(-1)!)).toBe(true);
  expect(tail.last).toBe(giant);
});

test('what entries are matched by counts as what they say does', async () => {
  const tail = await followed(tailsOf(), 'room:x');
  const match = { key: 'id', value: 'x'.repeat(100_000) };
  const ids: string[] = [];
  for (let nth = 0; nth < 30; nth += 1) {
    const appended = await tell(store, 'room:x', { data: 'a', speaker: '', match });
    if ('id' in appended) ids.push(appended.id);
  }
  await eventually(() => tail.last === ids.at(-1));
  const warm: boolean[] = [];
  for (const id of ids) warm.push(await isWarm(tail, id));
  expect(warm.filter(Boolean).length).toBeGreaterThanOrEqual(10);
  expect(warm.filter(Boolean).length).toBeLessThanOrEqual(21);
});

test('a reader is woken once for all that came in one turn; a thousand readers in slices, and none that has gone', async () => {
  const tails = tailsOf();
  const woken: number[] = [];
  let inFirstSlice = 0;
  const readers = Array.from({ length: 1000 }, (_, nth) => reader(() => woken.push(nth)));
  readers[0] = reader(() => {
    woken.push(0);
    setImmediate(() => {
      inFirstSlice = woken.length;
      tails.release(tail!, readers[999]);
    });
  });
  const [tail] = await Promise.all(readers.map((each) => followed(tails, 'room:x', each)));
  expect(tail!.readers).toBe(1000);
  await Promise.all(['a', 'b', 'c'].map((text) => told(store, 'room:x', text)));
  await eventually(() => woken.length >= 999);
  expect(inFirstSlice).toBe(25);
  expect(woken).toEqual(Array.from({ length: 999 }, (_, nth) => nth));
});

test('what comes during a wave is told to those who are still to be woken, and to the others by one more wave', async () => {
  const tails = tailsOf();
  const seen = Array.from({ length: 120 }, (): string[] => []);
  const comes = ['b', 'c', 'd'];
  const readers = seen.map((places, nth) =>
    reader(() => {
      places.push(tail!.last);
      // In the first slice: what is said now is there by the next one.
      if (nth === 0) for (const text of comes.splice(0)) void told(store, 'room:x', text);
    }),
  );
  const [tail] = await Promise.all(readers.map((each) => followed(tails, 'room:x', each)));
  const first = await told(store, 'room:x', 'a');
  await eventually(() => seen.every((places) => places.length === 2));
  const last = tail!.last;
  expect(seen[0]).toEqual([first, last]);
  expect(seen[119]).toEqual([last, last]);
});

test('what was not announced is found by the next look that the store answers, and readers are woken for it', async () => {
  const tails = tailsOf();
  let wakes = 0;
  const tail = await followed(
    tails,
    'room:x',
    reader(() => (wakes += 1)),
  );
  const [first] = await said(tail, 1);
  await eventually(() => wakes === 1);
  store.silent = true;
  const second = await told(store, 'room:x', 'unheard of');
  store.away = true;
  const before = store.reads;
  tails.check();
  await eventually(() => store.reads > before);
  expect(tail.last).toBe(first);
  store.away = false;
  tails.check();
  await eventually(() => wakes === 2);
  expect(tail.last).toBe(second);
});

test('a log that could not be read is followed anew by the next who comes', async () => {
  const tails = tailsOf();
  store.away = true;
  await expect(followed(tails, 'room:x')).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(tails.size).toBe(0);
  expect(tails.warm('room:x')).toBeUndefined();
  store.away = false;
  const tail = await followed(tails, 'room:x');
  expect(tails.warm('room:x')).toBe(tail);
  expect(tails.size).toBe(1);
});

test('who stands at the beginning of a log is never served from memory, where what was trimmed is not known', async () => {
  const tail = await followed(tailsOf(), 'room:x');
  await said(tail, 3);
  expect(await isWarm(tail, BEGINNING)).toBe(false);
});

test('entries older than the TTL are not given out, though nothing has trimmed them here', async () => {
  const tail = await followed(tailsOf({ keepMs: 100 }), 'room:x');
  const [first, second] = await said(tail, 3);
  expect(await isWarm(tail, second!)).toBe(true);
  const saidAt = performance.now();
  await eventually(() => performance.now() - saidAt > 100);
  expect(await isWarm(tail, first!)).toBe(false);
});

test('the busiest rooms are those in which most was said since the last look, then those with most hearers', async () => {
  const tails = tailsOf();
  for (const [room, hearers] of [
    ['a', 1],
    ['b', 3],
    ['c', 2],
    ['d', 1],
  ] as const) {
    for (let nth = 0; nth < hearers; nth += 1) await followed(tails, `room:${room}`);
  }
  await followed(tails, 'client:c1');
  const names = (most: number): [string, number, number][] =>
    tails.look(most).busiest.map(({ room, said: count, hearers }) => [room, count, hearers]);
  // Nothing is known of before the first look.
  expect(names(2)).toEqual([
    ['b', 0, 3],
    ['c', 0, 2],
  ]);
  for (const room of ['d', 'd', 'a'] as const) {
    const id = await told(store, `room:${room}`, 'x');
    await eventually(() => tails.warm(`room:${room}`)?.last === id);
  }
  expect(tails.look(3)).toEqual({
    rooms: 4,
    busiest: [
      { room: 'd', said: 2, hearers: 1 },
      { room: 'a', said: 1, hearers: 1 },
      { room: 'b', said: 0, hearers: 3 },
    ],
  });
  expect(names(1)).toEqual([['b', 0, 3]]);
});

describe("a client's own log", () => {
  class Watching implements Watcher {
    begins = 0;
    begun(): void {
      this.begins += 1;
    }
    changed(): void {
      // Of the record; the log is what is looked at here.
    }
    stale(): void {
      // Nor this.
    }
  }

  test('has no tail while nothing is in it; its watcher is told once when there is', async () => {
    const tails = tailsOf();
    const watching = new Watching();
    await tails.watch('client:c1', watching);
    expect(tails.isSilent('client:c1')).toBe(true);
    expect(tails.warm('client:c1')).toBeUndefined();
    expect(watching.begins).toBe(0);

    const first = await own('a');
    expect(watching.begins).toBe(1);
    expect(tails.isSilent('client:c1')).toBe(false);
    const tail = await followed(tails, 'client:c1');
    await eventually(() => tail.last === first);
    expect((await tail.batch(BEGINNING, { remoteIP: '192.0.2.1' })).entries.map(({ id }) => id)).toEqual([first]);
    const second = await own('b');
    await eventually(() => tail.last === second);
    expect(watching.begins).toBe(1);
  });

  test('that was spoken in before has a tail from the first on', async () => {
    await own('a');
    const tails = tailsOf();
    const watching = new Watching();
    await tails.watch('client:c1', watching);
    expect([watching.begins, tails.isSilent('client:c1')]).toEqual([1, false]);
  });

  test('has one for who stands in it; its watcher is told', async () => {
    const tails = tailsOf();
    const watching = new Watching();
    await tails.watch('client:c1', watching);
    const before = store.reads;
    const tail = await followed(tails, 'client:c1');
    expect([watching.begins, tail.last, store.reads - before]).toEqual([1, BEGINNING, 0]);
    const first = await own('a');
    await eventually(() => tail.last === first);
  });

  test.each(['the next look at all logs', 'the next look at its end'])(
    'whose beginning was not announced is found by %s',
    async (by) => {
      const tails = tailsOf(by === 'the next look at its end' ? { checkMs: 50 } : {});
      const watching = new Watching();
      await tails.watch('client:c1', watching);
      store.silent = true;
      const first = await own('a');
      expect(watching.begins).toBe(0);
      if (by === 'the next look at all logs') tails.check();
      await eventually(() => watching.begins === 1);
      await eventually(() => tails.warm('client:c1')?.last === first);
    },
  );

  test('is let go of some time after its watcher went, and only by that one', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    try {
      const tails = tailsOf({ lingerMs: 3000, checkMs: 2000 });
      const [former, watching] = [new Watching(), new Watching()];
      await tails.watch('client:c1', former);
      tails.unwatch('client:c1', former);
      await tails.watch('client:c1', watching);
      tails.unwatch('client:c1', former);
      jest.advanceTimersByTime(10_000);
      expect(tails.size).toBe(1);
      tails.unwatch('client:c1', watching);
      jest.advanceTimersByTime(6000);
      expect(tails.size).toBe(0);
      await own('a');
      expect(watching.begins).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });

  async function own(text: string): Promise<string> {
    await store.writeClient('c1', {}, { ttlMs: 60_000, create: true });
    return told(store, 'client:c1', text);
  }
});

test('every log’s end is asked for once in each interval, a tenth of them at a time', async () => {
  const topics = Array.from({ length: 25 }, (_, nth): Topic => `room:${String(nth)}`);
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  try {
    const tails = tailsOf({ checkMs: 5000 });
    for (const topic of topics) await followed(tails, topic);
    for (let interval = 0; interval < 2; interval += 1) {
      store.asked.length = 0;
      for (let look = 0; look < 10; look += 1) {
        jest.advanceTimersByTime(500);
        await new Promise(setImmediate);
      }
      expect(store.asked.flat().sort()).toEqual([...topics].sort());
      expect(Math.max(...store.asked.map(({ length }) => length))).toBe(3);
    }
  } finally {
    jest.useRealTimers();
  }
});

test('nothing is followed any more once it is closed', async () => {
  const tails = tailsOf();
  tails.close();
  await expect(tails.acquire('room:x')).rejects.toMatchObject({ code: 'shutting_down' });
  expect(tails.size).toBe(0);
});

test('what is followed is let go of some time after its last reader, and not while there is one', async () => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
  try {
    const tails = tailsOf({ lingerMs: 3000, checkMs: 2000 });
    const [one, other] = [reader(), reader()];
    const tail = await followed(tails, 'room:x', one);
    expect(tails.acquireWarm('room:x')).toBe(tail);
    tail.add(other);
    tails.release(tail, one);
    jest.advanceTimersByTime(10_000);
    expect(tails.size).toBe(1);
    tails.release(tail, other);
    jest.advanceTimersByTime(2000);
    expect(tails.size).toBe(1);
    jest.advanceTimersByTime(4000);
    expect(tails.size).toBe(0);
    expect(tails.acquireWarm('room:x')).toBeUndefined();
  } finally {
    jest.useRealTimers();
  }
});
