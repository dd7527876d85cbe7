/** The message as clients see it, and how its text is put together around the id that only the store can give. */
import type { EntryId } from './entry-id';

/** What a client hears. `room` is absent in a direct message; from/sentAt/id are the server's word. */
export interface Message {
  readonly message: unknown;
  readonly room?: string;
  readonly from: string;
  readonly context: 'user';
  /** ms since 1970, the store's clock. */
  readonly sentAt: number;
  /** `<ms>-<seq>`; `seq` grows by exactly 1 per message in a room. */
  readonly id: EntryId;
}

/** What a room tells of a place that could not be read any more. Told once, in order, before what follows it. */
export interface Gap {
  /** Absent for the client's own direct messages. */
  readonly room?: string;
  readonly reason: GapReason;
  /** Messages that are gone; null where it cannot be known. */
  readonly lost: number | null;
}

/**
 * trimmed: the log was full. expired: older than the TTL. reset: the log began anew. fork: the log goes on, but from
 * before the reader's place (a failover that lost its tail).
 */
export type GapReason = 'trimmed' | 'expired' | 'reset' | 'fork';

/**
 * The stored text: a JSON object without its end, because `sentAt` and `id` are the store's to give.
 * So a message is turned into JSON once, at its speaker's node, and is never parsed again on its way.
 */
export function encodeStored(message: { message: unknown; room?: string; from: string; context?: string }): string {
  const text = JSON.stringify({
    message: message.message,
    room: message.room,
    from: message.from,
    context: message.context ?? 'user',
  });
  return text.slice(0, -1);
}

/**
 * A direct message: a plain object goes as it is (ActionHero's `sendMessage`), anything else becomes `message`.
 * An object that brings its own `id`, `sentAt` or a `context` that is no text is stored whole and gets none of ours.
 */
export function encodeDirect(value: unknown, from: string): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return encodeStored({ message: value, from });
  }
  const { context = 'user', ...rest } = value as Record<string, unknown>;
  const text = JSON.stringify({ from, ...rest, context });
  return typeof context !== 'string' || 'id' in value || 'sentAt' in value ? text : text.slice(0, -1);
}

export function encodePresence(event: 'join' | 'leave', room: string, id: string): string {
  return JSON.stringify({ context: 'presence', event, room, id }).slice(0, -1);
}

/** The whole JSON text of an entry. A stored text that ends in `}` is whole already, see encodeDirect. */
export function completeStored(data: string, ms: number, id: EntryId): string {
  return data.endsWith('}') ? data : `${data},"sentAt":${String(ms)},"id":"${id}"}`;
}

export function completePresence(data: string, ms: number): string {
  return `${data},"at":${String(ms)}}`;
}
