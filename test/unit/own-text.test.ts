/** Texts that are kept, and what they were cut out of. */
import type { IncomingMessage } from 'node:http';
import { ownText } from '../../src/protocol/own-text';
import { bodyParams } from '../../src/transports/http/params';
import { parseAnnouncement } from '../../src/store/redis/announcement';
import { heapInUse } from '../support/collected';

const FILLING = 20_000;
/** Enough of them that what else the process keeps meanwhile, such as code made faster, is little for each. */
const TIMES = 500;

/** Bytes that each of many results keeps. */
function keptBy(make: (nth: number) => unknown): number {
  const kept: unknown[] = [];
  for (let nth = 0; nth < TIMES; nth += 1) make(nth);
  const before = heapInUse();
  for (let nth = 0; nth < TIMES; nth += 1) kept.push(make(nth));
  const after = heapInUse();
  expect(kept).toHaveLength(TIMES);
  return (after - before) / TIMES;
}

test.each(['', 'short', 'a text of some length', 'žluťoučký kůň 🐎', '\u0000\u2028"'])('%j stays as it is', (text) => {
  const whole = `${'x'.repeat(1000)}${text}`;
  expect(ownText(whole.slice(1000), whole.length)).toBe(text);
  expect(ownText(text, text.length)).toBe(text);
});

test('what is cut out of a large text does not keep it', () => {
  const cut = (nth: number, own: boolean): string => {
    const whole = Buffer.from(`the-number-is-${nth} ${'x'.repeat(FILLING)}`).toString();
    const text = whole.slice(0, whole.indexOf(' '));
    return own ? ownText(text, whole.length) : text;
  };
  expect(keptBy((nth) => cut(nth, true))).toBeLessThan(2000);
  // So that the figure means something.
  expect(keptBy((nth) => cut(nth, false))).toBeGreaterThan(FILLING * 0.9);
});

test.each([
  ['as long as it says', (whole: string) => ({ 'content-length': String(whole.length) })],
  ['of unknown length', () => ({ 'transfer-encoding': 'chunked' })],
])('what an application around us has made of a form does not keep the form, %s', (_what, headersOf) => {
  const roomOf = (nth: number): unknown => {
    const whole = Buffer.from(`room=the-name-of-a-room-${nth}&filling=${'x'.repeat(FILLING)}`).toString();
    const room = whole.slice('room='.length, whole.indexOf('&'));
    const headers = { 'content-type': 'application/x-www-form-urlencoded', ...headersOf(whole) };
    const params = bodyParams({ headers } as unknown as IncomingMessage, { room, filling: '' });
    expect(params['room']).toBe(`the-name-of-a-room-${nth}`);
    return params['room'];
  };
  expect(keptBy(roomOf)).toBeLessThan(4000);
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
