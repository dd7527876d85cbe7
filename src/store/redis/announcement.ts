/** What goes over a channel of Redis: a hint, read as if a stranger had sent it. */
import type { Entry, NewEntry } from '../../core/entry';
import { parseEntryId } from '../../protocol/entry-id';

export type Announcement =
  | { readonly kind: 'entry'; readonly entry: Entry }
  /** The log moved; it must be read to know how. */
  | { readonly kind: 'moved' }
  /** The record of the client whose channel it is. */
  | { readonly kind: 'changed'; readonly version: number };

/** The whole of an announcement that tells nothing. `1` is the version of this form. */
export const MOVED = '1\nmoved';

/** More than any message that the limits let through becomes; what is longer is not ours. */
const MAX_LENGTH = 4 * 1024 * 1024;
const CHANGED = /^1\nchanged\n([1-9]\d{0,14})$/;

/**
 * An entry is announced as `1`, id, prev, tag and data, with line feeds between: the scripts put it together.
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

  const idEnd = text.indexOf('\n', 2);
  const prevEnd = idEnd < 0 ? -1 : text.indexOf('\n', idEnd + 1);
  const tagEnd = prevEnd < 0 ? -1 : text.indexOf('\n', prevEnd + 1);
  if (tagEnd < 0) return undefined;
  const id = text.slice(2, idEnd);
  const prev = text.slice(idEnd + 1, prevEnd);
  if (!follows(id, prev)) return undefined;
  const tag = parseTag(text.slice(prevEnd + 1, tagEnd));
  if (!tag) return undefined;
  return { kind: 'entry', entry: { id, prev, data: text.slice(tagEnd + 1), ...tag } };
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
