/** A map for what most have one of: like a Map, but that whoever goes through it sees it as it was. */
import fc from 'fast-check';
import { Few } from '../../src/core/few';

test('holds what a Map holds, in its order, however often it is changed', () => {
  const step = fc.record({ sets: fc.boolean(), key: fc.constantFrom('', 'a', 'b', 'c'), value: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const few = new Few<number>();
      const model = new Map<string, number>();
      for (const { sets, key, value } of steps) {
        if (sets) {
          few.set(key, value);
          model.set(key, value);
        } else {
          expect(few.delete(key)).toBe(model.delete(key));
        }
        expect(few.size).toBe(model.size);
        expect([...few]).toEqual([...model]);
        expect(few.keys()).toEqual([...model.keys()]);
        for (const one of ['', 'a', 'b', 'c']) {
          expect(few.get(one)).toBe(model.get(one));
          expect(few.has(one)).toBe(model.has(one));
        }
      }
    }),
  );
});

test('what is no key is not there', () => {
  const few = new Few<number>();
  const nothing = undefined as unknown as string;
  expect(few.has(nothing)).toBe(false);
  expect(few.delete(nothing)).toBe(false);
});

test.each([[['a']], [['a', 'b', 'c']]])('%p may go while somebody goes through them', (keys) => {
  const few = new Few<number>();
  for (const key of keys) few.set(key, 1);
  const seen: string[] = [];
  for (const [key] of few) {
    seen.push(key);
    for (const other of keys) few.delete(other);
    few.set('another', 2);
  }
  expect(seen).toEqual(keys);
  expect([...few]).toEqual([['another', 2]]);
});
