/** The text that is said: 120 characters that begin with who said it and which of its messages it is. */

/** Messages a publisher may say in one run. */
const PER_PUBLISHER = 100_000_000;
const TILDE = 0x7e;
const ZERO = 0x30;
/** `~pp.ssssssss~` */
const MARK_LENGTH = 13;
const TEXT_LENGTH = 120;
const PADDING =
  'The quick brown fox jumps over the lazy dog, and says so to everybody who is in earshot of it, every time it does so. '
    .padEnd(TEXT_LENGTH, '.')
    .slice(0, TEXT_LENGTH - MARK_LENGTH);

/** One message of one publisher, as a number. */
export type Mark = number;

export function markOf(publisher: number, sequence: number): Mark {
  return publisher * PER_PUBLISHER + sequence;
}

export function publisherOf(mark: Mark): number {
  return Math.floor(mark / PER_PUBLISHER);
}

export function sequenceOf(mark: Mark): number {
  return mark % PER_PUBLISHER;
}

export function textOf(publisher: number, sequence: number): string {
  return `~${String(publisher).padStart(2, '0')}.${String(sequence).padStart(8, '0')}~${PADDING}`;
}

/** Every mark in a range of bytes, in order. */
export function scanMarks(bytes: Buffer, from: number, to: number, marks: Mark[]): void {
  for (let at = from; at < to; at += 1) {
    if (bytes[at] !== TILDE) continue;
    const publisher = numberAt(bytes, at + 1, 2);
    const sequence = numberAt(bytes, at + 4, 8);
    if (at + MARK_LENGTH > to || bytes[at + MARK_LENGTH - 1] !== TILDE) throw new Error('a message is cut in two');
    marks.push(markOf(publisher, sequence));
    at += TEXT_LENGTH - 1;
  }
}

function numberAt(bytes: Buffer, at: number, digits: number): number {
  let value = 0;
  for (let index = at; index < at + digits; index += 1) value = value * 10 + (bytes[index] ?? ZERO) - ZERO;
  return value;
}
