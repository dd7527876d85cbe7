/** The list that readers of a log and waiting polls sit in: like a Set, but for the order. */
import fc from 'fast-check';
import { Seats, type Seated } from '../../src/core/seats';

interface Named extends Seated {
  readonly name: number;
}

test('holds what a Set holds, however they come and go', () => {
  const step = fc.record({ adds: fc.boolean(), who: fc.nat(7) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const people: Named[] = Array.from({ length: 8 }, (_, name) => ({ name, seat: -1 }));
      const seats = new Seats<Named>();
      const model = new Set<Named>();
      for (const { adds, who } of steps) {
        const one = people[who]!;
        if (adds) {
          seats.add(one);
          model.add(one);
        } else {
          expect(seats.remove(one)).toBe(model.delete(one));
        }
        expect(seats.size).toBe(model.size);
        expect(people.filter((each) => seats.has(each))).toEqual(people.filter((each) => model.has(each)));
        expect(seats.all().sort((a, b) => a.name - b.name)).toEqual([...model].sort((a, b) => a.name - b.name));
      }
    }),
  );
});

test('a copy stays as it was while they come and go', () => {
  const people: Named[] = Array.from({ length: 3 }, (_, name) => ({ name, seat: -1 }));
  const seats = new Seats<Named>();
  for (const one of people) seats.add(one);
  const copy = seats.all();
  seats.remove(people[0]!);
  expect(copy).toEqual(people);
  expect(people[0]!.seat).toBe(-1);
});
