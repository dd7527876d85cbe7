/** Who speaks through the API: a connection, what stands for one, or the server itself. */
import { ChatError } from '../protocol/errors';
import { parseRoomName } from '../protocol/room';
import type { Chat } from '../core/chat';
import type { Said } from '../core/saying';
import { matchOf } from '../core/client';
import type { ChatConnection } from '../core/connection';
import type { Match } from '../core/entry';
import { textOf } from '../transports/request';

/** `{room, public: {id}}` and `{room, id}` speak in that room by that name. */
export interface MockConnection {
  readonly room?: string | null;
  readonly id?: string | number;
  readonly public?: { readonly id: string | number };
  readonly params?: Readonly<Record<string, unknown>>;
}

export type SpeakingConnection = ChatConnection | MockConnection;

/** @throws ChatError room_and_message_required, room_not_found, dropped, or what an `onSayReceive` hook says */
export async function speak(
  chat: Chat,
  connection: SpeakingConnection | null,
  room: string,
  message: unknown,
): Promise<Said> {
  if (!room || message === undefined || message === null || message === '')
    throw new ChatError('room_and_message_required');
  const match = matchIn(connection?.params);
  const name = parseRoomName(room);
  if (connection && isReal(connection)) return chat.saying.broadcast(name, message, { connection, match });
  const from = nameOf(connection);
  return chat.saying.broadcast(name, message, { ...(from === undefined ? {} : { from }), match });
}

/** Where it speaks that names no room: a real connection where it is, the others in the default room. */
export function roomOf(chat: Chat, connection: SpeakingConnection | null): string {
  const room = connection?.room ?? (connection && isReal(connection) ? null : chat.settings.defaultRoom);
  if (room === null) throw new ChatError('room_required');
  return room;
}

function isReal(connection: SpeakingConnection): connection is ChatConnection {
  return 'sendMessage' in connection && 'type' in connection;
}

function nameOf(connection: MockConnection | null): string | undefined {
  const id = connection?.public?.id ?? connection?.id;
  return id === undefined ? undefined : String(id);
}

/** As one, or fail: a filter that is not understood must not become none. @throws ChatError invalid_parameter */
function matchIn(params: Readonly<Record<string, unknown>> = {}): Match | undefined {
  return matchOf(textOf(params, 'roomMatchKey'), textOf(params, 'roomMatchValue'));
}
