/** The place of one entry in a log: `<ms>-<seq>`, as a Redis Stream names it. */

/** `<ms>-<seq>`: milliseconds since 1970 by the store's clock, and a number that grows by exactly 1 per entry. */
export type EntryId = string;

/** Before everything a log may hold; a reader that starts here has no place that could have been lost. */
export const BEGINNING: EntryId = '0-0';

export interface EntryIdParts {
  readonly ms: number;
  readonly seq: number;
}

/** What a cursor has room for: the year 10889. */
const MOST_MS = 2 ** 48 - 1;
const PATTERN = /^(0|[1-9]\d{0,14})-(0|[1-9]\d{0,15})$/;

export function parseEntryId(text: string): EntryIdParts | undefined {
  const found = PATTERN.exec(text);
  if (!found) return undefined;
  const ms = Number(found[1]);
  const seq = Number(found[2]);
  return ms <= MOST_MS && Number.isSafeInteger(seq) ? { ms, seq } : undefined;
}

/** For ids that the store gave: those are well formed, or the store is broken. */
export function entryIdParts(id: EntryId): EntryIdParts {
  const dash = id.indexOf('-');
  return { ms: Number(id.slice(0, dash)), seq: Number(id.slice(dash + 1)) };
}

export function formatEntryId(ms: number, seq: number): EntryId {
  // Joined, it is one text. Added up it would be a tree of five, and it is kept with every message and every member.
  return [ms, seq].join('-');
}

/** Negative when `a` comes first, 0 when they are the same place, positive when `b` comes first. */
export function compareEntryIds(a: EntryId, b: EntryId): number {
  if (a === b) return 0;
  const dash = a.indexOf('-');
  const otherDash = b.indexOf('-');
  // Numbers without leading zeros: the one with more digits is the greater, and of as many they compare as texts.
  if (dash !== otherDash) return dash - otherDash;
  if (a.length === b.length) return a < b ? -1 : 1;
  for (let at = 0; at < dash; at += 1) {
    const difference = a.charCodeAt(at) - b.charCodeAt(at);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
