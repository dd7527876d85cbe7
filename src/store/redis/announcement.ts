/** What goes over a channel of Redis: a hint, read as if a stranger had sent it. */
import type { Entry, NewEntry } from '../../core/entry';
import { parseEntryId } from '../../protocol/entry-id';
import { ownText } from '../../protocol/own-text';

export type Announcement =
  /** At least one; each follows the one before it. */
  | { readonly kind: 'entries'; readonly entries: readonly Entry[] }
  /** The log moved; it must be read to know how. */
  | { readonly kind: 'moved' }
  /** The record of the client whose channel it is. */
  | { readonly kind: 'changed'; readonly version: number };

/** The whole of an announcement that tells nothing. `1` is the version of this form. */
export const MOVED = '1\nmoved';

/** More than any message that the limits let through becomes; what is longer is not ours. */
const MAX_LENGTH = 4 * 1024 * 1024;
const CHANGED = /^1\nchanged\n([1-9]\d{0,14})$/;

const ENTRIES = '1\nentries\n';
/** In one announcement. */
export const MOST_ENTRIES = 64;

/**
 * An entry is announced as `1`, id, prev, tag and data, with line feeds between: the scripts put it together. Several, of
 * which none has a line feed in its data, as `1`, `entries`, the place before them, then id, tag and data of each.
 * The tag is a line of JSON, since only the data may hold anything: `["speaker"]`, `["speaker","key","value"]` or nothing.
 */
export function encodeTag({ speaker, match }: NewEntry): string {
  if (match) return JSON.stringify([speaker, match.key, match.value]);
  return speaker === '' ? '' : JSON.stringify([speaker]);
}

/** Undefined for what is no announcement of this version. */
export function parseAnnouncement(text: string): Announcement | undefined {
  if (text.length > MAX_LENGTH || !text.startsWith('1\n')) return undefined;
  if (text === MOVED) return { kind: 'moved' };
  const changed = CHANGED.exec(text);
  if (changed) return { kind: 'changed', version: Number(changed[1]) };
  if (text.startsWith(ENTRIES)) return parseEntries(text);

  const idEnd = text.indexOf('\n', 2);
  const prevEnd = idEnd < 0 ? -1 : text.indexOf('\n', idEnd + 1);
  const tagEnd = prevEnd < 0 ? -1 : text.indexOf('\n', prevEnd + 1);
  if (tagEnd < 0) return undefined;
  // Where a log ends is known for as long as somebody follows it.
  const id = ownText(text.slice(2, idEnd), text.length);
  const entry = entryOf(id, text.slice(idEnd + 1, prevEnd), text.slice(prevEnd + 1, tagEnd), text.slice(tagEnd + 1));
  return entry && { kind: 'entries', entries: [entry] };
}

function parseEntries(text: string): Announcement | undefined {
  const lines = text.slice(ENTRIES.length).split('\n', 3 * MOST_ENTRIES + 2);
  if (lines.length > 3 * MOST_ENTRIES + 1) return undefined;
  const entries: Entry[] = [];
  let [before = ''] = lines;
  for (let at = 1; at < lines.length; at += 3) {
    const [cutId = '', tag = '', data] = lines.slice(at, at + 3);
    const id = ownText(cutId, text.length);
    const entry = data === undefined ? undefined : entryOf(id, before, tag, data);
    if (!entry) return undefined;
    entries.push(entry);
    before = id;
  }
  return entries.length > 0 ? { kind: 'entries', entries } : undefined;
}

function entryOf(id: string, prev: string, tag: string, data: string): Entry | undefined {
  if (!follows(id, prev)) return undefined;
  const said = parseTag(tag);
  return said && { id, prev, data, ...said };
}

function follows(id: string, prev: string): boolean {
  const here = parseEntryId(id);
  const before = parseEntryId(prev);
  return here !== undefined && before !== undefined && here.seq === before.seq + 1 && here.ms >= before.ms;
}

function parseTag(text: string): Pick<NewEntry, 'speaker' | 'match'> | undefined {
  if (text === '') return { speaker: '' };
  let tag: unknown;
  try {
    tag = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(tag) || !tag.every((part): part is string => typeof part === 'string')) return undefined;
  const [speaker, key, value] = tag;
  if (speaker !== undefined && tag.length === 1) return { speaker };
  if (speaker === undefined || key === undefined || value === undefined || tag.length !== 3) return undefined;
  return { speaker, match: { key, value } };
}
