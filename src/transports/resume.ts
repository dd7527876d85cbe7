/** Finding the client that a connection was before, on whatever transport and node, and the place where it goes on. */
import { ChatError } from '../protocol/errors';
import { BEGINNING, type EntryId } from '../protocol/entry-id';
import type { Chat } from '../core/chat';
import type { Peer } from '../core/connection';
import { cursorOf, placesOf } from '../core/cursors';
import { roomTopic, type Topic } from '../core/entry';
import type { HeardRoom, Session } from '../core/session';
import { given, type Arguments } from './request';

/** A token of ours, as read from a handshake's cookie. */
export interface Credential {
  readonly id: string;
  /** ms since 1970. */
  readonly issuedAt: number;
}

export interface Resumed {
  readonly session: Session;
  readonly places: ReadonlyMap<Topic, EntryId>;
  readonly cursor: string;
  /** Its rooms, in which it is held by this connection already. */
  readonly held: ReadonlyMap<string, HeardRoom>;
}

/**
 * @param cookie the client behind the handshake's cookie, meant where no `session` is given
 * @throws ChatError session_unknown, session_expired, invalid_parameter
 */
export async function findResumed(
  chat: Chat,
  params: Arguments,
  cookie: Credential | undefined,
  peerOf: (id: string) => Peer,
): Promise<Resumed> {
  const after = afterOf(params);
  const session = await sessionOf(chat, given(params, 'session'), cookie, peerOf);
  // The rooms' rules are asked again: who was banned meanwhile does not come back in by a cursor.
  const who = chat.connection(session, peerOf(session.id));
  // From before: where a socket that it had lets go of it after it has come in, that is seen.
  const held = new Map(session.rooms);
  try {
    for (const [room, heard] of held) await chat.memberships.rejoin(who, room, heard);
    const places = after === undefined ? await placesKept(chat, session) : placesOf(chat, session, after);
    const cursor = typeof after === 'string' ? after : cursorOf(chat, started(session, places));
    return { session, places, cursor, held };
  } catch (error) {
    // It has come into some, and nobody will be there to let go of it.
    void chat.holding.part(session);
    throw error;
  }
}

/** Read fresh: a poll may have moved them, or a socket that ended, on this node or another. */
async function placesKept(chat: Chat, session: Session): Promise<ReadonlyMap<Topic, EntryId>> {
  const record = await chat.store.client(session.id);
  return record?.places ?? session.places;
}

/** Where each room's reader will stand: a room without a place is heard from its join on. */
function started(session: Session, places: ReadonlyMap<Topic, EntryId>): ReadonlyMap<Topic, EntryId> {
  const all = new Map<Topic, EntryId>();
  const own = session.topic;
  all.set(own, places.get(own) ?? BEGINNING);
  for (const [room, { floor }] of session.rooms) all.set(roomTopic(room), places.get(roomTopic(room)) ?? floor);
  return all;
}

async function sessionOf(
  chat: Chat,
  token: unknown,
  cookie: Credential | undefined,
  peerOf: (id: string) => Peer,
): Promise<Session> {
  if (token === undefined) {
    if (!cookie) throw new ChatError('invalid_parameter', 'session is required to resume');
    const known = await chat.sessions.load(cookie.id);
    // As over HTTP: who keeps its token in a cookie goes on under its id, and is told what it has lost.
    return known ?? chat.welcome(cookie.id, peerOf(cookie.id), await chat.lostHow(cookie.issuedAt));
  }
  const reading = typeof token === 'string' ? chat.tokens.read(token) : undefined;
  if (reading?.outcome !== 'ours') throw new ChatError('session_unknown');
  const known = await chat.sessions.load(reading.id);
  if (known) return known;
  if ((await chat.lostHow(reading.issuedAt)) === 'expired') throw new ChatError('session_expired');
  return chat.welcome(reading.id, peerOf(reading.id), 'reset');
}

function afterOf(params: Arguments): string | Arguments | undefined {
  const after = given(params, 'after');
  if (after === undefined || after === '') return undefined;
  if (typeof after === 'string') return after;
  if (typeof after === 'object' && after !== null && !Array.isArray(after)) return after as Arguments;
  throw new ChatError('invalid_parameter', 'after must be a cursor, or name an id for each room');
}
