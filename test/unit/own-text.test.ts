/** Texts that are kept, and what they were cut out of. */
import { ownText } from '../../src/protocol/own-text';
import { parseAnnouncement } from '../../src/store/redis/announcement';
import { heapInUse } from '../support/collected';

const FILLING = 20_000;
const TIMES = 100;

/** Bytes that each of many results keeps. */
function keptBy(make: (nth: number) => unknown): number {
  const kept: unknown[] = [];
  const before = heapInUse();
  for (let nth = 0; nth < TIMES; nth += 1) kept.push(make(nth));
  const after = heapInUse();
  expect(kept).toHaveLength(TIMES);
  return (after - before) / TIMES;
}

test.each(['', 'short', 'a text of some length', 'žluťoučký kůň 🐎', '\u0000\u2028"'])('%j stays as it is', (text) => {
  const whole = `${'x'.repeat(1000)}${text}`;
  expect(ownText(whole.slice(1000), whole)).toBe(text);
  expect(ownText(text, text)).toBe(text);
});

test('what is cut out of a large text does not keep it', () => {
  const cut = (nth: number, own: boolean): string => {
    const whole = Buffer.from(`the-number-is-${nth} ${'x'.repeat(FILLING)}`).toString();
    const text = whole.slice(0, whole.indexOf(' '));
    return own ? ownText(text, whole) : text;
  };
  expect(keptBy((nth) => cut(nth, true))).toBeLessThan(2000);
  // So that the figure means something.
  expect(keptBy((nth) => cut(nth, false))).toBeGreaterThan(FILLING * 0.9);
});

test.each([
  ['one entry', (id: string, data: string) => ['1', id, '1399437579346-1', '', data]],
  ['several entries', (id: string, data: string) => ['1', 'entries', '1399437579346-1', id, '', data]],
])('the id of an announcement of %s does not keep what was said', (_what, lines) => {
  const idOf = (nth: number): string => {
    const id = `1399437579346-2`;
    const said = parseAnnouncement(Buffer.from(lines(id, `${nth}${'x'.repeat(FILLING)}`).join('\n')).toString());
    if (said?.kind !== 'entries') throw new Error('it was not understood');
    expect(said.entries[0]!.id).toBe(id);
    return said.entries[0]!.id;
  };
  expect(keptBy(idOf)).toBeLessThan(2000);
});
