/** Places in logs, as the cursor that a client is given and gives back. */
import { decodeCursor, encodeCursor } from '../protocol/cursor';
import { BEGINNING, parseEntryId, type EntryId } from '../protocol/entry-id';
import { ChatError } from '../protocol/errors';
import { parseRoomName } from '../protocol/room';
import type { Chat } from './chat';
import { presenceTopic, roomTopic, type Topic } from './entry';
import type { Session } from './session';

type Marks = Pick<Chat, 'tokens'>;

/** The client's own log is left out while nothing was ever told to it alone: so clients of one room share a cursor. */
export function cursorOf({ tokens }: Marks, places: ReadonlyMap<Topic, EntryId>): string {
  const marked: { mark: string; at: EntryId }[] = [];
  for (const [topic, at] of places) {
    if (at !== BEGINNING || !topic.startsWith('client:')) marked.push({ mark: tokens.mark(topic), at });
  }
  return encodeCursor(marked);
}

/** Cursors read lately: clients of one room who have heard the same bring the same. */
const read = new Map<string, ReadonlyMap<string, EntryId>>();
const READ = 64;

function decoded(cursor: string): ReadonlyMap<string, EntryId> {
  let marked = read.get(cursor);
  if (!marked) {
    marked = decodeCursor(cursor);
    if (read.size >= READ) read.clear();
    read.set(cursor, marked);
  }
  return marked;
}

/**
 * The places that a cursor gives in the logs that this client hears; of other logs it may speak, and is not listened to.
 * A client may also write them itself: `{"<room>":"<id>"}`.
 * @throws ChatError invalid_parameter
 */
export function placesOf(
  { tokens }: Marks,
  session: Session,
  after: string | Readonly<Record<string, unknown>>,
): Map<Topic, EntryId> {
  const places = new Map<Topic, EntryId>();
  if (typeof after !== 'string') {
    for (const [room, place] of Object.entries(after)) {
      if (typeof place !== 'string' || !parseEntryId(place)) {
        throw new ChatError('invalid_parameter', 'after must be a cursor, or name an id for each room');
      }
      places.set(roomTopic(parseRoomName(room)), place);
    }
    return places;
  }
  const marked = decoded(after);
  // In the order in which they are most likely; who has found all of them need not ask for the marks of the rest.
  const take = (topic: Topic): void => {
    const place = places.size < marked.size ? marked.get(tokens.mark(topic)) : undefined;
    if (place !== undefined) places.set(topic, place);
  };
  for (const room of session.rooms.keys()) take(roomTopic(room));
  take(session.topic);
  for (const room of session.rooms.keys()) take(presenceTopic(room));
  return places;
}
