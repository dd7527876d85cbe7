import { Rates } from '../../src/core/rate';
import { SharedRates } from '../../src/core/shared-rates';
import type { Store } from '../../src/core/store';
import { KeptLog } from '../support/logger';

type Tally = NonNullable<Store['tally']>;

const clock = { now: 0 };
beforeEach(() => {
  clock.now = 0;
});

/** What Redis does, on the test's clock. */
function shared(): Tally {
  const full = new Map<string, number>();
  return (name, { perSecond, burst }, taken) => {
    const left = new Map<string, number>();
    for (const [key, count] of taken) {
      const at = Math.max(full.get(`${name} ${key}`) ?? 0, clock.now) + (count * 1000) / perSecond;
      full.set(`${name} ${key}`, at);
      left.set(key, burst - ((at - clock.now) * perSecond) / 1000);
    }
    return Promise.resolve(left);
  };
}

function nodeOn(tally: Tally): { rates: Rates; sharing: SharedRates } {
  const rates = new Rates(
    {
      saysPerSecond: 10,
      saysPerSecondPerAddress: 0,
      bytesPerSecondPerAddress: 0,
      joinsPerSecond: 1,
      joinsPerSecondPerAddress: 0,
      newClientsPerSecondPerAddress: 5,
      newRoomsPerSecondPerAddress: 0.01,
    },
    () => clock.now,
  );
  for (const limit of rates.limits.values()) limit.takenSince(0);
  return { rates, sharing: new SharedRates({ rates, store: { tally }, logger: new KeptLog() }) };
}

function asManyAsGo(act: () => void): number {
  for (let count = 0; ; count += 1) {
    try {
      act();
    } catch {
      return count;
    }
  }
}

test.each([1, 2, 5])('%d nodes give n bursts at most, and then the rate of one', async (count) => {
  const tally = shared();
  const nodes = Array.from({ length: count }, () => nodeOn(tally));
  const seconds = 30;
  let said = 0;
  for (let second = 0; second <= seconds; second += 1) {
    // All that any node gives, in every tenth of a second; then each hears of the others.
    for (let tenth = 0; tenth < 10; tenth += 1) {
      for (const { rates } of nodes) said += asManyAsGo(() => rates.say('eve', '192.0.2.1'));
      clock.now += 100;
    }
    for (const { sharing } of nodes) await sharing.round();
  }
  const [burst, rate] = [20, 10];
  expect(said).toBeLessThanOrEqual(count * burst + rate * (seconds + 1) + count * rate);
  expect(said).toBeGreaterThanOrEqual(burst + rate * (seconds - 2));
});

test('who has taken all of it on one node is refused by the next one once that has heard, and comes back by time', async () => {
  const tally = shared();
  const [one, other] = [nodeOn(tally), nodeOn(tally)];
  expect(asManyAsGo(() => one.rates.say('eve', 'x'))).toBe(20);
  await one.sharing.round();
  other.rates.say('eve', 'x');
  await other.sharing.round();
  const refusal = expect.objectContaining({ code: 'too_many_requests', retryAfter: 1 });
  expect(() => other.rates.say('eve', 'x')).toThrow(refusal);
  other.rates.say('bob', 'x');
  clock.now += 1000;
  expect(asManyAsGo(() => other.rates.say('eve', 'x'))).toBe(9);
});

test('a client that wanders without hurry is never refused', async () => {
  const tally = shared();
  const nodes = [nodeOn(tally), nodeOn(tally), nodeOn(tally)];
  for (let turn = 0; turn < 600; turn += 1) {
    nodes[turn % 3]!.rates.say('ann', 'x');
    clock.now += 100;
    if (turn % 10 === 0) for (const { sharing } of nodes) await sharing.round();
  }
});

test('a room that was there already is nothing that others hear of', async () => {
  const tally = shared();
  const [one, other] = [nodeOn(tally), nodeOn(tally)];
  for (let nth = 0; nth < 100; nth += 1) one.rates.newRoom('x')();
  const giveBack = one.rates.newRoom('x');
  await one.sharing.round();
  giveBack();
  await one.sharing.round();
  await other.sharing.round();
  expect(asManyAsGo(() => other.rates.newRoom('x'))).toBe(10);
  await other.sharing.round();
  one.rates.newRoom('x');
  await one.sharing.round();
  expect(asManyAsGo(() => one.rates.newRoom('x'))).toBe(0);
});

test('of a crowd the heaviest are shared', async () => {
  const seen: number[] = [];
  const { rates, sharing } = nodeOn((_name, _limit, taken) => {
    seen.push(taken.size, taken.get('eve') ?? 0);
    return Promise.resolve(new Map());
  });
  for (let nth = 0; nth < 3000; nth += 1) rates.say(`client ${nth}`, 'x');
  for (let nth = 0; nth < 5; nth += 1) rates.say('eve', 'x');
  await sharing.round();
  expect(seen).toEqual([1000, 5]);
  await sharing.round();
  expect(seen).toEqual([1000, 5]);
});

test('without its store a node goes on by its own measure', async () => {
  const { rates, sharing } = nodeOn(() => Promise.reject(new Error('away')));
  expect(asManyAsGo(() => rates.say('eve', 'x'))).toBe(20);
  await sharing.round();
  expect(asManyAsGo(() => rates.say('eve', 'x'))).toBe(0);
  clock.now += 1000;
  expect(asManyAsGo(() => rates.say('eve', 'x'))).toBe(10);
});
