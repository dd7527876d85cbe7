/** Polls that wait: each is answered when its time has come, and is not looked at before. */
import fc from 'fast-check';
import { Parking, type Parked } from '../../src/transports/http/parking';

class Poll implements Parked {
  seat = -1;
  ended: string | undefined;
  looks = 0;
  readonly since = performance.now();
  readonly #deadline: number;

  constructor(
    readonly parking: Parking,
    readonly wait: number,
  ) {
    this.#deadline = Math.ceil(this.since + wait);
  }

  get deadline(): number {
    this.looks += 1;
    return this.#deadline;
  }

  /** ms for which it has waited longer than it was to. */
  get late(): number {
    return performance.now() - this.#deadline;
  }

  finish(why: string): void {
    expect(this.ended).toBeUndefined();
    if (why === 'time') expect(this.late).toBeGreaterThanOrEqual(0);
    this.parking.leave(this);
    this.ended = why;
  }
}

/** ms between looks. */
const TICK = 100;
/** ms in which every slot of the wheel has come by. */
const LAP = 1024 * TICK;

let parking: Parking;

beforeEach(() => {
  jest.useFakeTimers();
  parking = new Parking(2);
});
afterEach(() => {
  jest.restoreAllMocks();
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

test.each([1, 50, 99, 100, 101, 999, 25_000, 60_000, LAP - 1, LAP, 250_000])(
  'one that waits %i ms is answered then, a tenth of a second late at most',
  (wait) => {
    for (const phase of [0, 1, 37, 99]) {
      jest.advanceTimersByTime(phase);
      const poll = park(wait);
      jest.advanceTimersByTime(wait - 1);
      expect(poll.ended).toBeUndefined();
      jest.advanceTimersByTime(TICK);
      expect(poll.ended).toBe('time');
    }
  },
);

test('however they come and go, nobody is answered early, or late, or forgotten', () => {
  const step = fc.oneof(
    fc.record({ does: fc.constant('park' as const), ms: fc.integer({ min: 0, max: 600 }) }),
    fc.record({ does: fc.constant('leave' as const), ms: fc.nat(20) }),
    fc.record({ does: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 250 }) }),
    fc.record({ does: fc.constant('stall' as const), ms: fc.integer({ min: 1, max: 2000 }) }),
  );
  const steady = performance.now.bind(performance);
  let stalled = 0;
  jest.spyOn(performance, 'now').mockImplementation(() => steady() + stalled);
  fc.assert(
    fc.property(fc.nat(TICK), fc.array(step, { maxLength: 60 }), (phase, steps) => {
      jest.advanceTimersByTime(phase);
      // The looks go on in the rhythm of the first, and not of those who come later.
      const all = [park(20_000)];
      for (const { does, ms } of steps) {
        if (does === 'park') {
          all.push(park(ms));
        } else if (does === 'leave') {
          const poll = all[ms];
          if (poll?.ended === undefined) poll?.finish('left');
        } else if (does === 'pass') {
          jest.advanceTimersByTime(ms);
        } else {
          stalled += ms;
        }
        const waiting = all.filter(({ ended }) => ended === undefined);
        expect(parking.size).toBe(waiting.length);
        if (does === 'pass' && ms >= TICK) expect(waiting.filter(({ late }) => late > TICK)).toEqual([]);
      }
      for (const poll of all) if (poll.ended === undefined) poll.finish('left');
    }),
  );
});

test('who comes between two looks has nobody else passed over', () => {
  jest.advanceTimersByTime(TICK - (performance.now() % TICK) + 50);
  // Looks come 100 ms after this, in the middle of a slot's time.
  park(10_000);
  const poll = park(130);
  jest.advanceTimersByTime(160);
  expect(poll.ended).toBeUndefined();
  park(5000);
  jest.advanceTimersByTime(40);
  expect(poll.ended).toBe('time');
});

test('nobody is looked at before its time, also when the wheel has gone round', () => {
  const lasting = park(250_000);
  jest.advanceTimersByTime(LAP + 10_000);
  const waiting = Array.from({ length: 500 }, () => park(60_000));
  for (const poll of waiting) poll.looks = 0;
  jest.advanceTimersByTime(59_800);
  expect(waiting.filter(({ looks }) => looks > 0)).toEqual([]);
  jest.advanceTimersByTime(300);
  expect(waiting.every(({ ended }) => ended === 'time')).toBe(true);
  expect(lasting.ended).toBeUndefined();
});

test('a time that is past ends it at once', () => {
  const poll = park(0);
  expect(poll.ended).toBe('time');
  expect(parking.size).toBe(0);
});

test.each([30_500, LAP, LAP + 5000, 3_600_000])(
  'a process that was held up for %i ms answers all whose time came meanwhile with its next look',
  (stall) => {
    const all = Array.from({ length: LAP / TICK }, (_, slot) => park((slot + 1) * TICK));
    const now = performance.now() + stall;
    jest.spyOn(performance, 'now').mockReturnValue(now);
    jest.advanceTimersByTime(TICK);
    const due = all.filter(({ since, wait }) => since + wait <= now);
    expect(due.length).toBe(Math.min(all.length, stall / TICK));
    expect(all.filter(({ ended }) => ended === 'time')).toEqual(due);
  },
);

test('who goes is not answered, and who comes after nobody was there has all of its time', () => {
  const first = park(500);
  jest.advanceTimersByTime(250);
  parking.leave(first);
  expect(jest.getTimerCount()).toBe(0);
  jest.advanceTimersByTime(120_000);
  const next = park(500);
  jest.advanceTimersByTime(499);
  expect(next.ended).toBeUndefined();
  jest.advanceTimersByTime(TICK);
  expect(next.ended).toBe('time');
  expect(first.ended).toBeUndefined();
});

test('of one client’s the oldest is finished for one too many', () => {
  const [first, second] = [park(5000), park(5000)];
  park(5000, [first, second]);
  expect([first, second].map(({ ended }) => ended)).toEqual(['superseded', undefined]);
  expect(parking.size).toBe(2);
});

test('the server goes: who waits is answered, and who comes then does not wait', () => {
  const waiting = [park(5000), park(60_000)];
  parking.close();
  expect([...waiting, park(5000)].map(({ ended }) => ended)).toEqual(['shutdown', 'shutdown', 'shutdown']);
});
