/** Which texts are names of rooms: letters that can be seen, in one form, and a few marks. */
import { parseRoomName, roomNameOrUndefined } from '../../src/protocol/room';

test.each([
  ['lobby', 'lobby'],
  ['_.:@/#+~=-9', '_.:@/#+~=-9'],
  ['cafe\u0301', 'caf\u00e9'],
  ['\uc0ac\ub791\ubc29', '\uc0ac\ub791\ubc29'],
  // Hangul that is written in its parts is put together.
  ['\u1112\u1161\u11ab', '\ud55c'],
  ['\u{1d11e}'.normalize() + 'x', undefined],
  ['\u{20000}'.repeat(100), '\u{20000}'.repeat(100)],
  ['x'.repeat(101), undefined],
  ['', undefined],
  ['a b', undefined],
  ['__proto__', undefined],
  ['constructor', undefined],
  ['prototype', undefined],
  ['\ud800', undefined],
  [7, undefined],
  [undefined, undefined],
])('%j is the room %j', (text, room) => {
  expect(roomNameOrUndefined(text)).toBe(room);
});

/** Unicode has them as letters (the first four), or as nothing to be seen. */
test.each([
  ['HANGUL CHOSEONG FILLER', '\u115f'],
  ['HANGUL JUNGSEONG FILLER', '\u1160'],
  ['HANGUL FILLER', '\u3164'],
  ['HALFWIDTH HANGUL FILLER', '\uffa0'],
  ['SOFT HYPHEN', '\u00ad'],
  ['COMBINING GRAPHEME JOINER', '\u034f'],
  ['KHMER VOWEL INHERENT AQ', '\u17b4'],
  ['MONGOLIAN VOWEL SEPARATOR', '\u180e'],
  ['ZERO WIDTH SPACE', '\u200b'],
  ['ZERO WIDTH JOINER', '\u200d'],
  ['RIGHT-TO-LEFT OVERRIDE', '\u202e'],
  ['WORD JOINER', '\u2060'],
  ['VARIATION SELECTOR-16', '\ufe0f'],
  ['ZERO WIDTH NO-BREAK SPACE', '\ufeff'],
  ['TAG LATIN SMALL LETTER A', '\u{e0061}'],
])('a name with %s in it is none, as it looks like another', (_name, character) => {
  for (const text of [character, `lobby${character}`, `lob${character}by`, `${character}lobby`]) {
    expect(() => parseRoomName(text)).toThrow(expect.objectContaining({ code: 'invalid_room_name' }));
  }
});
