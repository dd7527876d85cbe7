/** Whether there are as many rooms as there may be, by a clock that the test turns. */
import { RoomCount } from '../../src/core/room-count';
import { ChatError } from '../../src/protocol/errors';
import { KeptLog } from '../support/logger';

function counted(most: number) {
  const store = {
    rooms: 0,
    away: false,
    looks: 0,
    countRooms(): Promise<number> {
      store.looks += 1;
      return store.away ? Promise.reject(new ChatError('store_unavailable')) : Promise.resolve(store.rooms);
    },
  };
  const clock = { now: 0 };
  const logger = new KeptLog();
  return { store, clock, logger, count: new RoomCount({ store, most, logger, now: () => clock.now }) };
}

const arrived = (): Promise<void> => new Promise(setImmediate);

test('the store is looked at once a second at most, and nobody waits for its answer', async () => {
  const { store, clock, count } = counted(3);
  store.rooms = 3;
  expect(count.full).toBe(false);
  await arrived();
  expect(count.full).toBe(true);
  store.rooms = 2;
  clock.now = 999;
  expect(count.full).toBe(true);
  await arrived();
  expect([count.full, store.looks]).toEqual([true, 1]);
  clock.now = 1000;
  expect(count.full).toBe(true);
  await arrived();
  expect([count.full, store.looks]).toEqual([false, 2]);
});

test('where any number is allowed nobody looks', () => {
  const { store, count } = counted(0);
  store.rooms = 1_000_000;
  expect([count.full, store.looks]).toEqual([false, 0]);
});

test('a store that is away leaves it at what was last known', async () => {
  const { store, clock, count, logger } = counted(3);
  store.rooms = 5;
  expect(count.full).toBe(false);
  await arrived();
  store.away = true;
  clock.now = 5000;
  expect(count.full).toBe(true);
  await arrived();
  expect(count.full).toBe(true);
  expect(logger.lines.map(({ text }) => text)).toEqual(['the rooms were not counted']);
});
