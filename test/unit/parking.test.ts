/** Polls that wait: each is answered when its time has come, and is not looked at before. */
import { Parking, type Parked } from '../../src/transports/http/parking';

class Poll implements Parked {
  seat = -1;
  ended: { readonly why: string; readonly after: number } | undefined;
  looks = 0;
  readonly #since = performance.now();
  readonly #deadline: number;

  constructor(
    readonly parking: Parking,
    readonly wait: number,
  ) {
    this.#deadline = Math.ceil(this.#since + wait);
  }

  get deadline(): number {
    this.looks += 1;
    return this.#deadline;
  }

  finish(why: string): void {
    this.parking.leave(this);
    this.ended = { why, after: performance.now() - this.#since };
  }
}

let parking: Parking;

beforeEach(() => {
  jest.useFakeTimers();
  parking = new Parking(2);
});
afterEach(() => {
  parking.close();
  expect(parking.size).toBe(0);
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

function park(wait: number, before: readonly Poll[] = []): Poll {
  const poll = new Poll(parking, wait);
  parking.park(poll, before);
  return poll;
}

test.each([1, 50, 99, 100, 101, 999, 25_000, 60_000, 102_399, 102_400, 250_000])(
  'one that waits %i ms is answered then, a tenth of a second late at most',
  (wait) => {
    for (const phase of [0, 1, 37, 99]) {
      jest.advanceTimersByTime(phase);
      const poll = park(wait);
      jest.advanceTimersByTime(wait - 1);
      expect(poll.ended).toBeUndefined();
      jest.advanceTimersByTime(102);
      expect(poll.ended?.why).toBe('time');
      expect(poll.ended?.after).toBeGreaterThanOrEqual(wait);
      expect(poll.ended?.after).toBeLessThanOrEqual(wait + 102);
    }
  },
);

test('nobody is looked at before its time', () => {
  const waiting = Array.from({ length: 500 }, () => park(60_000));
  for (const poll of waiting) poll.looks = 0;
  jest.advanceTimersByTime(59_800);
  expect(waiting.filter(({ looks }) => looks > 0)).toEqual([]);
  jest.advanceTimersByTime(302);
  expect(waiting.every(({ ended }) => ended?.why === 'time')).toBe(true);
});

test('a time that is past ends it at once', () => {
  const poll = park(0);
  expect(poll.ended?.why).toBe('time');
  expect(parking.size).toBe(0);
});

test('a process that was held up answers all whose time came meanwhile with its next look', () => {
  const all = Array.from({ length: 60 }, (_, second) => park((second + 1) * 1000));
  const held = jest.spyOn(performance, 'now').mockReturnValue(performance.now() + 30_500);
  jest.advanceTimersByTime(100);
  expect(all.filter(({ ended }) => ended).length).toBe(30);
  held.mockReturnValue(performance.now() + 3_600_000);
  jest.advanceTimersByTime(100);
  expect(all.filter(({ ended }) => ended).length).toBe(60);
  held.mockRestore();
});

test('who goes is not answered, and who comes after nobody was there has all of its time', () => {
  const first = park(500);
  jest.advanceTimersByTime(250);
  parking.leave(first);
  expect(jest.getTimerCount()).toBe(0);
  jest.advanceTimersByTime(120_000);
  const next = park(500);
  jest.advanceTimersByTime(499);
  expect(next.ended).toBeUndefined();
  jest.advanceTimersByTime(102);
  expect(next.ended?.why).toBe('time');
  expect(first.ended).toBeUndefined();
});

test('of one client’s the oldest is finished for one too many; the others at the end', () => {
  const [first, second] = [park(5000), park(5000)];
  const third = park(5000, [first, second]);
  expect(first.ended?.why).toBe('superseded');
  expect(parking.size).toBe(2);
  parking.close();
  expect([second, third].map(({ ended }) => ended?.why)).toEqual(['shutdown', 'shutdown']);
});
