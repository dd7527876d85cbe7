/** Going round a table: each round everybody once, however they come and go meanwhile. */
import fc from 'fast-check';
import { Rounds } from '../../src/core/rounds';

function tableOf(size: number): Map<number, number> {
  return new Map(Array.from({ length: size }, (_, nth) => [nth, nth]));
}

/** Those looked at in each turn of a round. */
function roundOf(rounds: Rounds<number>, look: (one: number) => void = () => undefined): number[][] {
  return Array.from({ length: rounds.turns }, () => {
    const looked: number[] = [];
    rounds.turn((one) => {
      looked.push(one);
      look(one);
    });
    return looked;
  });
}

test.each([0, 1, 3, 10, 11, 99, 100, 1003])(
  'of %i everybody is looked at once a round, an even share a turn',
  (size) => {
    const rounds = new Rounds(tableOf(size), 10);
    for (let round = 0; round < 3; round += 1) {
      const turns = roundOf(rounds);
      expect(Math.max(...turns.map(({ length }) => length))).toBe(Math.ceil(size / 10));
      expect(turns.flat()).toEqual([...tableOf(size).values()]);
    }
  },
);

test('who was there all the time is looked at once, and nobody who is gone', () => {
  const step = fc.record({ adds: fc.boolean(), who: fc.nat(40) });
  const steps = fc.array(fc.array(step, { maxLength: 8 }), { minLength: 12, maxLength: 12 });
  fc.assert(
    fc.property(fc.nat(40), steps, (size, all) => {
      const table = tableOf(size);
      const rounds = new Rounds(table, 4);
      for (let round = 0; round < 3; round += 1) {
        const looked: number[] = [];
        const stayed = new Set(table.keys());
        for (let turn = 0; turn < 4; turn += 1) {
          rounds.turn((one) => {
            expect(table.has(one)).toBe(true);
            looked.push(one);
          });
          for (const { adds, who } of all[round * 4 + turn]!) {
            if (adds) table.set(who, who);
            else if (table.delete(who)) stayed.delete(who);
          }
        }
        for (const one of stayed) expect(looked.filter((other) => other === one)).toEqual([one]);
      }
    }),
  );
});

test.each([
  ['all', 0],
  ['the first half', 500],
  ['the last half', -500],
])('those looked at may be taken away by that, be it %s, and no turn gets more than its share', (_, kept) => {
  const table = tableOf(1000);
  const goes = (one: number): boolean => (kept < 0 ? one >= 1000 + kept : one < 1000 - kept);
  const turns = roundOf(new Rounds(table, 10), (one) => {
    if (goes(one)) table.delete(one);
  });
  expect(turns.flat()).toEqual([...tableOf(1000).values()]);
  expect(Math.max(...turns.map(({ length }) => length))).toBe(100);
  expect(table.size).toBe(Math.abs(kept));
});
