import { RateLimit, Rates } from '../../src/core/rate';

const clock = { now: 0 };
const limit = (perSecond: number, burst: number): RateLimit => new RateLimit(perSecond, burst, () => clock.now);

beforeEach(() => {
  clock.now = 0;
});

test('a burst goes through, the next is refused with the time to wait, and time gives it back', () => {
  const says = limit(2, 4);
  for (let index = 0; index < 4; index += 1) says.take('ann');
  expect(() => says.take('ann')).toThrow(
    expect.objectContaining({ code: 'too_many_requests', status: 429, retryAfter: 1 }),
  );
  clock.now = 499;
  expect(() => says.take('ann')).toThrow('too many requests');
  clock.now = 500;
  says.take('ann');
  expect(() => says.take('ann')).toThrow('too many requests');
});

test('the time to wait is told in whole seconds, as Retry-After wants it', () => {
  const slow = limit(0.1, 1);
  slow.take('ann');
  expect(() => slow.take('ann')).toThrow(expect.objectContaining({ retryAfter: 10 }));
  clock.now = 5500;
  expect(() => slow.take('ann')).toThrow(expect.objectContaining({ retryAfter: 5 }));
});

test('one bucket is not another’s', () => {
  const says = limit(1, 1);
  says.take('ann');
  says.take('bob');
  expect(() => says.take('ann')).toThrow('too many requests');
});

test('no more than the burst is saved up, also when the bucket was forgotten in between', () => {
  const says = limit(1, 3);
  says.take('ann');
  clock.now = 60_000;
  says.take('bob');
  for (let index = 0; index < 3; index += 1) says.take('ann');
  expect(() => says.take('ann')).toThrow('too many requests');
});

test('what is given back was not taken: neither here nor in the sums that nodes share', () => {
  const rooms = limit(0.5, 500);
  rooms.takenSince(0);
  rooms.take('ann', 500);
  expect(() => rooms.take('ann')).toThrow(expect.objectContaining({ retryAfter: 2 }));
  rooms.giveBack('ann');
  rooms.take('ann');
  expect(() => rooms.take('ann')).toThrow('too many requests');
  expect(rooms.takenSince(10)).toEqual(new Map([['ann', 500]]));
  rooms.giveBack('ann', 2);
  expect(rooms.takenSince(10)).toEqual(new Map([['ann', -2]]));
  rooms.giveBack('ann', 10_000);
  rooms.take('ann', 500);
  expect(() => rooms.take('ann')).toThrow('too many requests');
});

test('0 turns it off', () => {
  const off = limit(0, 0);
  for (let index = 0; index < 10_000; index += 1) off.take('ann');
  off.giveBack('ann');
  expect(off.size).toBe(0);
});

test('a say counts for the client and for its address', () => {
  const rates = new Rates({
    saysPerSecond: 1,
    saysPerSecondPerAddress: 2,
    bytesPerSecondPerAddress: 0,
    joinsPerSecond: 1,
    joinsPerSecondPerAddress: 2,
    newClientsPerSecondPerAddress: 1,
    newRoomsPerSecondPerAddress: 0,
  });
  rates.say('ann', 'here');
  rates.say('ann', 'here');
  expect(() => rates.say('ann', 'here')).toThrow('too many requests');
  rates.say('bob', 'here');
  rates.say('bob', 'here');
  expect(() => rates.say('eve', 'here')).toThrow('too many requests');
  rates.say('eve', 'there');
  for (let index = 0; index < 10; index += 1) rates.join('ann', 'here');
  expect(() => rates.join('ann', 'here')).toThrow('too many requests');
  for (let index = 0; index < 10; index += 1) rates.join('bob', 'here');
  expect(() => rates.join('eve', 'here')).toThrow('too many requests');
  for (let index = 0; index < 4; index += 1) rates.newClient('here');
  expect(() => rates.newClient('here')).toThrow('too many requests');
});

test('what is said counts by its bytes for the address, and nothing is too large for ever', () => {
  const rates = new Rates(
    {
      saysPerSecond: 0,
      saysPerSecondPerAddress: 0,
      bytesPerSecondPerAddress: 100,
      joinsPerSecond: 0,
      joinsPerSecondPerAddress: 0,
      newClientsPerSecondPerAddress: 0,
      newRoomsPerSecondPerAddress: 0,
    },
    () => clock.now,
  );
  rates.words(700, 'here');
  expect(() => rates.words(300, 'here')).toThrow(expect.objectContaining({ code: 'too_many_requests', retryAfter: 2 }));
  rates.words(100, 'here');
  rates.words(5000, 'there');
  expect(() => rates.words(1, 'there')).toThrow('too many requests');
  clock.now = 8000;
  rates.words(5000, 'there');
});

test('an IPv6 subscriber is one address, whichever of its own it uses', () => {
  const settings = {
    saysPerSecond: 0,
    newRoomsPerSecondPerAddress: 0,
    saysPerSecondPerAddress: 0,
    bytesPerSecondPerAddress: 0,
    joinsPerSecond: 0,
    joinsPerSecondPerAddress: 0,
  };
  const rates = new Rates({ ...settings, newClientsPerSecondPerAddress: 1 });
  for (let index = 0; index < 4; index += 1) rates.newClient(`2001:db8::${index}`);
  expect(() => rates.newClient('2001:db8::ffff')).toThrow('too many requests');
  rates.newClient('2001:db8:0:1::1');
});

test('buckets are bounded, whatever comes in their names', () => {
  const says = limit(1, 2);
  for (let index = 0; index < 100_500; index += 1) says.take(`client ${index}`);
  expect(says.size).toBe(100_000);
  clock.now = 10_000;
  says.take('ann');
  expect(says.size).toBe(1);
});

test('a flood of others does not fill the bucket of who has emptied it', () => {
  const says = limit(1, 4);
  for (let index = 0; index < 4; index += 1) says.take('eve');
  says.leave('bob', -4);
  for (let index = 0; index < 100_000; index += 1) says.take(`other ${index}`);
  expect(() => says.take('eve')).toThrow('too many requests');
  expect(() => says.take('bob')).toThrow(expect.objectContaining({ retryAfter: 5 }));
  clock.now = 1500;
  says.take('eve');
  for (let index = 0; index < 100_000; index += 1) says.take(`another ${index}`);
  expect(says.size).toBe(100_000);
  expect(() => says.take('eve')).toThrow('too many requests');
});

test('the fullest make room, and the emptiest stay, whoever came first', () => {
  const joins = limit(1, 10);
  for (let index = 0; index < 50_000; index += 1) joins.take(`empty ${index}`, 10);
  for (let index = 0; index < 50_000; index += 1) joins.take(`full ${index}`);
  for (let index = 0; index < 50_000; index += 1) joins.take(`new ${index}`, 5);
  const refused = (who: string, count: number): number => {
    let refusals = 0;
    for (let index = 0; index < 50_000; index += 500) {
      try {
        joins.take(`${who} ${index}`, count);
      } catch {
        refusals += 1;
      }
    }
    return refusals;
  };
  expect(refused('empty', 1)).toBe(100);
  expect(refused('new', 6)).toBe(100);
  expect(refused('full', 10)).toBe(0);
});
