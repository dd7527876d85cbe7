/** Going round a table: each round everybody once, however they come and go meanwhile. */
import fc from 'fast-check';
import { Rounds } from '../../src/core/rounds';

function tableOf(size: number): Map<number, number> {
  return new Map(Array.from({ length: size }, (_, nth) => [nth, nth]));
}

test.each([0, 1, 3, 10, 11, 99, 100, 1003])(
  'of %i everybody is looked at once a round, an even share a turn',
  (size) => {
    const rounds = new Rounds(tableOf(size), 10);
    for (let round = 0; round < 3; round += 1) {
      const looked: number[] = [];
      for (let turn = 0; turn < 10; turn += 1) {
        const before = looked.length;
        rounds.turn((one) => looked.push(one));
        expect(looked.length - before).toBeLessThanOrEqual(Math.ceil(size / 10));
      }
      expect(looked).toEqual([...tableOf(size).values()]);
    }
  },
);

test('who was there all the time is looked at once, whoever else comes and goes', () => {
  const step = fc.record({ adds: fc.boolean(), who: fc.nat(40) });
  fc.assert(
    fc.property(
      fc.nat(40),
      fc.array(fc.array(step, { maxLength: 8 }), { minLength: 12, maxLength: 12 }),
      (size, steps) => {
        const table = tableOf(size);
        const rounds = new Rounds(table, 4);
        for (let round = 0; round < 3; round += 1) {
          const looked: number[] = [];
          const stayed = new Set(table.keys());
          for (let turn = 0; turn < 4; turn += 1) {
            rounds.turn((one) => looked.push(one));
            for (const { adds, who } of steps[round * 4 + turn]!) {
              if (adds) table.set(who, who);
              else if (table.delete(who)) stayed.delete(who);
            }
          }
          for (const one of stayed) expect(looked.filter((other) => other === one)).toEqual([one]);
        }
      },
    ),
  );
});

test('who is looked at may be taken away by that', () => {
  const table = tableOf(100);
  const rounds = new Rounds(table, 10);
  let looked = 0;
  for (let turn = 0; turn < 10; turn += 1) {
    rounds.turn((one) => {
      looked += 1;
      table.delete(one);
    });
  }
  expect(looked).toBe(100);
  expect(table.size).toBe(0);
});
