/** The store in memory as every store, and that memory has an end. */
import { MemoryStore } from '../../src/store/memory-store';
import { storeContract } from '../contract/store';
import { enter, joined, tell, texts, told, web } from '../contract/store/given';
import { memoryStore, usualLimits } from '../support/stores';

storeContract('MemoryStore', memoryStore);

describe('what it may hold', () => {
  const clock = { now: 1_000_000 };
  const limits = { messageTTL: 1000, maxLogLength: 1000, logKeep: 5000, bytes: 100_000 };
  const bigTalk = 'x'.repeat(10_000);

  async function filled(store: MemoryStore): Promise<void> {
    for (let nth = 0; nth < 20 && store.held < limits.bytes; nth += 1) await told(store, 'room:x', bigTalk);
  }

  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  async function open(): Promise<MemoryStore> {
    const store = new MemoryStore(limits, () => clock.now);
    await store.open();
    return store;
  }

  /** And the store has had time to notice. */
  function later(ms: number): void {
    clock.now += ms;
    jest.advanceTimersByTime(2000);
  }

  test('a full one refuses whatever would grow, and lets go all the same', async () => {
    const store = await open();
    await joined(store, 'x', 'ann');
    await store.writeClient('ann', { room: 'x' }, { ttlMs: 60_000, create: true });
    await tell(store, 'room:x', { data: 'said once', speaker: 'ann' }, { key: 'ann:k', member: 'ann' });
    await filled(store);
    const full = { code: 'store_full', status: 507 };
    await expect(tell(store, 'room:x', 'a')).rejects.toMatchObject(full);
    await expect(tell(store, 'room:y', 'a')).rejects.toMatchObject(full);
    await expect(enter(store, 'y', 'bob')).rejects.toMatchObject(full);
    await expect(store.writeClient('bob', {}, { ttlMs: 1000, create: true })).rejects.toMatchObject(full);
    expect(await store.rooms()).toEqual(['x']);

    const again = await tell(store, 'room:x', { data: 'said once', speaker: 'ann' }, { key: 'ann:k', member: 'ann' });
    expect(again.outcome).toBe('repeated');
    expect(await store.writeClient('ann', { room: null }, { ttlMs: 60_000, create: true })).toMatchObject({
      version: 2,
    });
    expect(await store.renewClient('ann', 60_000)).toBe(2);
    expect(await store.leave('x', 'ann')).toMatchObject({ client: 'ann' });
    expect(await store.removeRoom('x')).toEqual([]);
    expect((await tell(store, 'room:y', 'a')).outcome).toBe('appended');
  });

  test('what is too old makes room, also where nobody asks', async () => {
    const store = await open();
    await joined(store, 'x', 'ann');
    await filled(store);
    later(1001);
    expect(store.held).toBeLessThan(20_000);
    await told(store, 'room:x', 'a');
  });

  test('it is empty again when everything is over, however it came to its end', async () => {
    const store = await open();
    const empty = store.held;
    await joined(store, 'x', 'ann', { holders: [web(100)] });
    await joined(store, 'z', 'ann', { listening: true });
    await store.writeClient(
      'ann',
      { rooms: new Map([['x', null]]), attributes: new Map([['a', bigTalk]]) },
      { ttlMs: 500, create: true },
    );
    await store.writeClient('bob', { attributes: new Map([['a', bigTalk]]) }, { ttlMs: 500, create: true });
    await told(store, 'client:ann', 'a word');
    await told(store, 'client:bob', 'a word');
    await filled(store);
    await store.writeClient('ann', { attributes: new Map([['a', null]]) }, { ttlMs: 500, create: true });
    await store.removeClient('bob');
    await store.removeRoom('z');
    later(200);
    await store.sweep('x');
    later(limits.logKeep + 20_000);
    expect(await store.rooms()).toEqual([]);
    expect(store.held).toBe(empty);
  });

  test('a log that is too long lets go as well', async () => {
    const store = new MemoryStore({ ...limits, maxLogLength: 3 }, () => clock.now);
    for (let nth = 0; nth < 50; nth += 1) await told(store, 'room:x', bigTalk);
    expect(store.held).toBeLessThan(80_000);
  });

  test('a text outside Latin-1 is twice as large in here', async () => {
    const [plain, wide] = [await open(), await open()];
    await told(plain, 'room:x', 'é'.repeat(5000));
    await told(wide, 'room:x', '中'.repeat(5000));
    expect(wide.held - plain.held).toBe(5000);
  });

  test('a match is held as well, and let go of with its entry', async () => {
    const [plain, matched] = [await open(), await open()];
    await told(plain, 'room:x', 'a');
    const match = { key: 'id', value: 'x'.repeat(5000) };
    await tell(matched, 'room:x', { data: 'a', speaker: '', match });
    expect(matched.held - plain.held).toBe(5000);
    for (const store of [plain, matched]) await store.removeRoom('x');
    later(20_000);
    expect(matched.held).toBe(plain.held);
  });
});

test('a clock that goes back holds no message up, and their order is kept', async () => {
  let now = 2_000_000;
  const store = new MemoryStore(usualLimits, () => now);
  const first = await told(store, 'room:x', 'a');
  now -= 3_600_000;
  expect(await told(store, 'room:x', 'b')).toBe('2000000-2');
  expect(await texts(store, 'room:x', first)).toEqual(['b']);
});
