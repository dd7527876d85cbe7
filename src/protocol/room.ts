/** Which texts name a room. */
import { ChatError } from './errors';

/** The names that JavaScript objects answer to by themselves; no room and no attribute is called so. */
const RESERVED: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

const ROOM = /^[\p{L}\p{N}_.:@/#+~=-]{1,100}$/u;
/** Some letters are not to be seen, as the Hangul filler: two rooms would look alike. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;

/**
 * The room's name in NFC, 1-100 code points of letters, digits and `_ . : @ / # + ~ = -`.
 * @throws ChatError `invalid_room_name`
 */
export function parseRoomName(text: unknown): string {
  const room = roomNameOrUndefined(text);
  if (room === undefined) throw new ChatError('invalid_room_name');
  return room;
}

/** The same without a throw, for text that need not be a room's name (the first word of a TCP `say`). */
export function roomNameOrUndefined(text: unknown): string | undefined {
  if (typeof text !== 'string' || text.length > 400 || !text.isWellFormed()) return undefined;
  const room = text.normalize('NFC');
  return ROOM.test(room) && !INVISIBLE.test(room) && !RESERVED.has(room) ? room : undefined;
}

export function isReservedName(name: string): boolean {
  return RESERVED.has(name);
}
