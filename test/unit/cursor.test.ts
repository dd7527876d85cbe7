import fc from 'fast-check';
import { CURSOR_MAX_LENGTH, decodeCursor, encodeCursor, type Place } from '../../src/protocol/cursor';
import { compareEntryIds, entryIdParts, formatEntryId, parseEntryId } from '../../src/protocol/entry-id';

const mark = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const id = fc
  .tuple(fc.nat({ max: 2 ** 48 - 1 }), fc.nat({ max: Number.MAX_SAFE_INTEGER }))
  .map(([ms, seq]) => formatEntryId(ms, seq));
const places = fc.uniqueArray(fc.record<Place>({ mark, at: id }), { maxLength: 101, selector: (place) => place.mark });

describe('a cursor', () => {
  test('gives back every place that was put into it', () => {
    fc.assert(
      fc.property(places, (given) => {
        const read = decodeCursor(encodeCursor(given));
        expect([...read].sort()).toEqual(given.map(({ mark, at }) => [mark, at]).sort());
      }),
    );
  });

  test('is the same text for the same places, in whatever order', () => {
    fc.assert(
      fc.property(places, (given) => {
        expect(encodeCursor([...given].reverse())).toBe(encodeCursor(given));
      }),
    );
  });

  test('is URL-safe, and at most 4 KiB for 50 rooms with their presence and the client’s own log', () => {
    const all = Array.from({ length: 101 }, (_, index) => ({
      mark: Buffer.from(`mark${String(index).padStart(4, '0')}`).toString('latin1'),
      at: formatEntryId(2 ** 48 - 1, Number.MAX_SAFE_INTEGER),
    }));
    const text = encodeCursor(all);
    expect(text.length).toBeLessThanOrEqual(CURSOR_MAX_LENGTH);
    expect(encodeURIComponent(text)).toBe(text);
  });

  test('that is none of ours is refused, whatever it is', () => {
    const bad = [
      '',
      '*',
      'AQ==',
      'Ag',
      'AQAA',
      'x'.repeat(CURSOR_MAX_LENGTH + 1),
      encodeCursor([{ mark: '12345678', at: '1-1' }]).slice(0, -1),
    ];
    for (const text of bad) expect(() => decodeCursor(text)).toThrow('after is not a cursor');
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          for (const at of decodeCursor(text).values()) expect(parseEntryId(at)).toBeDefined();
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_parameter' });
        }
      }),
    );
  });

  test('of a number that no log can reach is refused', () => {
    const bytes = Buffer.concat([
      Buffer.from([1]),
      Buffer.alloc(8),
      Buffer.alloc(6),
      Buffer.alloc(8, 0xff),
      Buffer.from([1]),
    ]);
    expect(() => decodeCursor(bytes.toString('base64url'))).toThrow('after is not a cursor');
  });
});

describe('an entry id', () => {
  test.each([
    '',
    '1',
    '1-',
    '-1',
    '01-1',
    '1-01',
    '1-1-1',
    'a-1',
    '1-1 ',
    '9007199254740993-1',
    '281474976710656-1',
    '1-9999999999999999',
  ])('%j is none', (text) => {
    expect(parseEntryId(text)).toBeUndefined();
  });

  test('comes before another by time, then by number', () => {
    const near = fc.tuple(fc.integer({ min: 98, max: 101 }), fc.integer({ min: 8, max: 101 }));
    const nearby = near.map(([ms, seq]) => formatEntryId(ms, seq));
    fc.assert(
      fc.property(fc.oneof(fc.tuple(id, id), fc.tuple(nearby, nearby)), ([a, b]) => {
        const [left, right] = [entryIdParts(a), entryIdParts(b)];
        const expected = Math.sign(left.ms - right.ms) || Math.sign(left.seq - right.seq);
        expect(Math.sign(compareEntryIds(a, b))).toBe(expected);
      }),
    );
  });

  test('is read back as it was written', () => {
    expect(parseEntryId('1399437579346-57')).toEqual({ ms: 1399437579346, seq: 57 });
    expect(entryIdParts('1399437579346-57')).toEqual({ ms: 1399437579346, seq: 57 });
  });
});
