/** Bytes in, whole lines out, however the bytes are cut. */
import fc from 'fast-check';
import { LineSplitter, LineTooLong } from '../../src/protocol/lines';
import { collect } from '../support/collected';

/** All lines of all chunks; an error stands for itself, and ends it. */
function linesOf(chunks: readonly Buffer[], maxBytes = 0): (string | undefined | LineTooLong)[] {
  const splitter = new LineSplitter(maxBytes);
  const lines: (string | undefined | LineTooLong)[] = [];
  try {
    for (const chunk of chunks) for (const line of splitter.push(chunk)) lines.push(line);
  } catch (error) {
    lines.push(error as LineTooLong);
  }
  return lines;
}

const bytes = (text: string): Buffer => Buffer.from(text);
/** The bytes, one by one. */
const singly = (buffer: Buffer): Buffer[] => [...buffer].map((byte) => Buffer.of(byte));

test.each([
  ['a line', 'one\n', ['one']],
  ['several', 'one\ntwo\nthree\n', ['one', 'two', 'three']],
  ['CRLF', 'one\r\ntwo\r\n', ['one', 'two']],
  ['both kinds', 'one\r\ntwo\nthree\r\n', ['one', 'two', 'three']],
  ['empty ones', '\n\r\n\n', ['', '', '']],
  ['a CR inside is text', 'one\rtwo\r\r\n', ['one\rtwo\r']],
  ['what has no end is no line', 'one\ntwo', ['one']],
  ['other line ends are text', 'a\u2028b\u2029c\u0085d\u000be\n', ['a\u2028b\u2029c\u0085d\u000be']],
  ['NUL is text', 'a\0b\n', ['a\0b']],
  ['a byte-order mark is none of it', '\ufeffsay hi\n', ['say hi']],
])('%s', (_what, text, lines) => {
  expect(linesOf([bytes(text)])).toEqual(lines);
  expect(linesOf(singly(bytes(text)))).toEqual(lines);
});

test('a line that is not valid UTF-8 is told apart, and those around it are whole', () => {
  const wrong = Buffer.concat([bytes('a\n'), Buffer.of(0xff, 0x0a), Buffer.of(0xc3, 0x0a), bytes('ü\n')]);
  expect(linesOf([wrong])).toEqual(['a', undefined, undefined, 'ü']);
  expect(linesOf(singly(wrong))).toEqual(['a', undefined, undefined, 'ü']);
});

describe('a limit', () => {
  test('counts the bytes of the line, not its end', () => {
    for (const end of ['\n', '\r\n']) {
      for (const cut of [singly, (all: Buffer) => [all]]) {
        expect(linesOf(cut(bytes(`12345${end}`)), 5)).toEqual(['12345']);
        expect(linesOf(cut(bytes(`123456${end}`)), 5)).toEqual([new LineTooLong()]);
        expect(linesOf(cut(bytes(`1234ü${end}`)), 5)).toEqual([new LineTooLong()]);
      }
    }
  });

  test('is for one line, not for all', () => {
    expect(linesOf([bytes('12345\n'.repeat(100))], 5)).toHaveLength(100);
    expect(linesOf(singly(bytes('12345\n'.repeat(100))), 5)).toHaveLength(100);
  });

  test('lets the lines before be had', () => {
    expect(linesOf([bytes('one\ntwo\n123456\nfour\n')], 5)).toEqual(['one', 'two', new LineTooLong()]);
  });

  test('needs no line end to be found', () => {
    expect(linesOf([bytes('1234567')], 5)).toEqual([new LineTooLong()]);
    expect(linesOf(singly(bytes('1234567')), 5)).toEqual([new LineTooLong()]);
  });
});

/** Bytes with many line ends, broken and whole characters among them. */
const stream = fc
  .array(
    fc.oneof(fc.constantFrom('\n', '\r\n', '\r', 'ü', '\u{1d11e}', ''), fc.string(), fc.uint8Array({ maxLength: 3 })),
  )
  .map((parts) => Buffer.concat(parts.map((part) => Buffer.from(part as string))));

test('any way of cutting gives the same lines', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(40)), fc.nat(12), (all, sizes, maxBytes) => {
      const chunks: Buffer[] = [];
      let at = 0;
      for (const size of sizes) {
        chunks.push(all.subarray(at, at + size));
        at += size;
      }
      chunks.push(all.subarray(at));
      // A last line without an end may be known to be too long or not yet, by one byte that could be its CR.
      const ended = [...chunks, Buffer.from('\n')];
      expect(linesOf(ended, maxBytes)).toEqual(linesOf([Buffer.concat(ended)], maxBytes));
    }),
  );
});

test('lines without an end inside come back as they were', () => {
  const line = fc.string({ unit: 'grapheme' }).filter((text) => !/[\r\n]/.test(text) && !text.startsWith('\ufeff'));
  fc.assert(
    fc.property(fc.array(line), fc.constantFrom('\n', '\r\n'), (lines, end) => {
      expect(linesOf([bytes(lines.map((text) => text + end).join(''))])).toEqual(lines);
    }),
  );
});

test('a line that comes byte by byte does not keep what each byte came in', () => {
  const splitter = new LineSplitter(65_536);
  collect();
  const before = process.memoryUsage().arrayBuffers;
  for (let nth = 0; nth < 1000; nth += 1) {
    expect([...splitter.push(Buffer.from(new ArrayBuffer(65_536), 0, 1).fill('a'))]).toEqual([]);
  }
  collect();
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(30_000_000);
  expect([...splitter.push(Buffer.from('\n'))]).toEqual(['a'.repeat(1000)]);
});
