/** What a node tells the others of itself, through the store. */
import { Heartbeat } from '../../src/core/heartbeat';
import { ChatError } from '../../src/protocol/errors';
import { MemoryStore } from '../../src/store/memory-store';
import { limits } from '../support/core';
import { KeptLog } from '../support/logger';

class Beats extends MemoryStore {
  readonly told: [string, string, number][] = [];
  away = false;

  override beat(node: string, text: string, ttlMs: number): Promise<void> {
    if (this.away) return Promise.reject(new ChatError('store_unavailable'));
    this.told.push([node, text, ttlMs]);
    return Promise.resolve();
  }
}

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

function beating() {
  const store = new Beats(limits);
  const logger = new KeptLog();
  let clients = 0;
  const describe = (): object => ({ clients: (clients += 1) });
  return { store, logger, heartbeat: new Heartbeat({ store, logger, node: 'n1', describe, every: 1000 }) };
}

test('at once, and then about every so often; it is known for five beats', async () => {
  const { store, heartbeat } = beating();
  heartbeat.start();
  await jest.advanceTimersByTimeAsync(0);
  expect(store.told).toEqual([['n1', '{"clients":1}', 5000]]);
  await jest.advanceTimersByTimeAsync(899);
  expect(store.told).toHaveLength(1);
  await jest.advanceTimersByTimeAsync(10_000);
  // Up to a tenth sooner or later, so that not all nodes tell at one instant.
  expect(store.told.length).toBeGreaterThanOrEqual(10);
  expect(store.told.length).toBeLessThanOrEqual(13);
  heartbeat.close();
  const { length } = store.told;
  await jest.advanceTimersByTimeAsync(10_000);
  expect(store.told).toHaveLength(length);
});

test('out of turn when asked; whoever asks meanwhile waits for the same beat', async () => {
  const { store, heartbeat } = beating();
  await Promise.all([heartbeat.beat(), heartbeat.beat()]);
  expect(store.told).toHaveLength(1);
  await heartbeat.beat();
  expect(store.told).toHaveLength(2);
});

test('a store that is away costs the node that beat only', async () => {
  const { store, logger, heartbeat } = beating();
  store.away = true;
  await heartbeat.beat();
  expect(logger.lines.map(({ text }) => text)).toEqual(['the heartbeat was not written']);
  store.away = false;
  await heartbeat.beat();
  expect(store.told).toHaveLength(1);
});
