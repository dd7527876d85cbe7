import * as fc from 'fast-check';
import { Roll } from '../../src/store/memory-roll';

/** Long enough for several runs, short enough to come again. */
const id = fc.integer({ min: 0, max: 6000 }).map((number) => number.toString(36).padStart(3, '0'));

test('lists who is there in the order of their ids, page by page, whoever comes and goes', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(id, { minLength: 3000, maxLength: 5000 }),
      fc.array(fc.record({ id, adds: fc.boolean() }), { maxLength: 3000 }),
      fc.integer({ min: 1, max: 1500 }),
      (first, changes, limit) => {
        const roll = new Roll();
        const expected = new Set<string>(first);
        for (const each of first) roll.add(each);
        for (const { id: each, adds } of changes) {
          roll[adds ? 'add' : 'delete'](each);
          expected[adds ? 'add' : 'delete'](each);
        }
        expect(roll.size).toBe(expected.size);
        const listed: string[] = [];
        for (let page = roll.page('', limit); page.length > 0; page = roll.page(listed.at(-1)!, limit)) {
          expect(page.length).toBeLessThanOrEqual(limit);
          listed.push(...page);
        }
        expect(listed).toEqual([...expected].sort());
      },
    ),
    { numRuns: 20 },
  );
});

test('is empty when all have gone', () => {
  const roll = new Roll();
  const ids = Array.from({ length: 3000 }, (_, index) => `id${index}`);
  for (const each of ids) roll.add(each);
  for (const each of ids) roll.delete(each);
  expect(roll.size).toBe(0);
  expect(roll.page('', 10)).toEqual([]);
  roll.add('back');
  expect(roll.page('', 10)).toEqual(['back']);
});

test('a page begins after one who has gone meanwhile', () => {
  const roll = new Roll();
  for (const each of ['a', 'c', 'e']) roll.add(each);
  roll.delete('c');
  expect(roll.page('c', 10)).toEqual(['e']);
  expect(roll.page('e', 10)).toEqual([]);
});
