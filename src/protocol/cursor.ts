/** The cursor: places in many logs, packed into one opaque, URL-safe text. It is a bookmark and grants nothing. */
import { ChatError } from './errors';
import { entryIdParts, formatEntryId, type EntryId } from './entry-id';

/** 8 bytes of a keyed hash, as a latin1 text: what stands for a topic in a cursor, so that it names no room. */
export type TopicMark = string;

export interface Place {
  readonly mark: TopicMark;
  readonly at: EntryId;
}

const VERSION = 1;
const MARK_BYTES = 8;
const MS_BYTES = 6;
/** At most 4 KiB, however many rooms a client hears. */
export const CURSOR_MAX_LENGTH = 4096;

/** Places in the same logs give the same text, whatever their order. */
export function encodeCursor(places: readonly Place[]): string {
  const sorted = places.length > 1 ? [...places].sort((a, b) => (a.mark < b.mark ? -1 : 1)) : places;
  const bytes = Buffer.allocUnsafe(1 + sorted.length * (MARK_BYTES + MS_BYTES + 8));
  bytes[0] = VERSION;
  let at = 1;
  for (const place of sorted) {
    const { ms, seq } = entryIdParts(place.at);
    at += bytes.write(place.mark, at, MARK_BYTES, 'latin1');
    at = bytes.writeUIntBE(ms, at, MS_BYTES);
    let rest = seq;
    while (rest >= 0x80) {
      bytes[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    bytes[at++] = rest;
  }
  return bytes.toString('base64url', 0, at);
}

/** @throws ChatError `invalid_parameter` when the text is no cursor of ours */
export function decodeCursor(text: string): Map<TopicMark, EntryId> {
  const places = new Map<TopicMark, EntryId>();
  if (text.length > CURSOR_MAX_LENGTH || !/^[A-Za-z0-9_-]+$/.test(text)) throw invalid();
  const bytes = Buffer.from(text, 'base64url');
  if (bytes[0] !== VERSION) throw invalid();
  let at = 1;
  while (at < bytes.length) {
    if (at + MARK_BYTES + MS_BYTES >= bytes.length) throw invalid();
    const mark = bytes.toString('latin1', at, at + MARK_BYTES);
    const ms = bytes.readUIntBE(at + MARK_BYTES, MS_BYTES);
    at += MARK_BYTES + MS_BYTES;
    let seq = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined) throw invalid();
      seq += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(seq)) throw invalid();
      if (byte < 0x80) break;
      scale *= 0x80;
      if (scale > 2 ** 49) throw invalid();
    }
    places.set(mark, formatEntryId(ms, seq));
  }
  return places;
}

function invalid(): ChatError {
  return new ChatError('invalid_parameter', 'after is not a cursor');
}
