/** Announcements come twice, late, in another order, or are none: they only wake, so nobody is given anything but the log. */
import { Redis } from 'ioredis';
import { freshPrefix, sharedRedis } from '../support/redis';
import { randomFrom, seedOfRun } from '../support/random';
import { closeStores } from '../support/stores';
import { endTrials, nobodyTold, Trial } from '../support/trial';

const seed = seedOfRun();
const RUBBISH = [
  '',
  'rubbish',
  '1\n',
  '1\nmoved\n',
  '1\n9-9\n9-9\n\n{}',
  '2\nmoved',
  '1\nchanged\n-1',
  '\u0000'.repeat(9000),
];

let saboteurs: Redis[] = [];
afterEach(async () => {
  await endTrials();
  await closeStores();
  for (const saboteur of saboteurs) saboteur.disconnect();
  saboteurs = [];
});

test(`doubled, swapped, late and malformed, SEED=${seed}`, async () => {
  const random = randomFrom(seed);
  const prefix = freshPrefix();
  const [hearing, speaking] = (saboteurs = [new Redis(sharedRedis()), new Redis(sharedRedis())]) as [Redis, Redis];
  const mine = new Map<string, number>();
  const held: string[] = [];
  let malformed = 0;
  const publish = (channel: string, text: string): void => {
    mine.set(text, (mine.get(text) ?? 0) + 1);
    void speaking.publish(channel, text).catch(() => undefined);
  };
  hearing.on('message', (channel: string, text: string) => {
    const own = mine.get(text) ?? 0;
    if (own > 0) {
      mine.set(text, own - 1);
      return;
    }
    held.push(text);
    if (random() < 0.3) publish(channel, text);
    if (random() < 0.3) publish(channel, held.splice(Math.floor(random() * held.length), 1)[0] ?? text);
    if (random() < 0.2) {
      malformed += 1;
      publish(channel, RUBBISH[Math.floor(random() * RUBBISH.length)] ?? '');
    }
  });
  await hearing.subscribe(`${prefix}{room:defaultRoom}:log`);
  const trial = await Trial.start('announcements doubled, swapped, late, malformed', 'given once, in order', {
    redis: { url: sharedRedis() },
    prefix,
  });
  await trial.goesOn(300);
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
  expect(malformed).toBeGreaterThan(0);
  expect(trial.stores.every((store) => store.figures.malformed > 0)).toBe(true);
});
