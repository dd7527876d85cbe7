/** Where a reader stands in the logs of its rooms: what it gives, where it came in, or where the log ends now. */
import { BEGINNING, compareEntryIds, entryIdParts, type EntryId } from '../protocol/entry-id';
import { ChatError } from '../protocol/errors';
import { presenceTopic, roomTopic, type Topic } from './entry';
import type { ReadTurns } from './read-turns';
import type { Session } from './session';
import type { Store } from './store';
import type { Tails } from './tails';
import type { Loss } from './verdict';

export interface StandingParts {
  readonly store: Store;
  readonly tails: Tails;
  readonly reads: ReadTurns;
}

export class Standing {
  constructor(readonly parts: StandingParts) {}

  /**
   * Where a client goes on in a room: the place it gives, but nothing from before it came. What lies between is told
   * when it was lost, and is none of its business when it was not there.
   */
  async placeIn(
    session: Session,
    room: string,
    given: EntryId | undefined,
  ): Promise<{ place: EntryId; loss: Loss | undefined }> {
    const floor = session.rooms.get(room)?.floor;
    if (floor === undefined) throw new ChatError('not_in_room', room);
    if (given === undefined) {
      // No place though it was here before: what it had not read has gone with its record.
      return { place: floor, loss: session.revived && { reason: session.revived, lost: null } };
    }
    if (compareEntryIds(given, floor) >= 0) return { place: given, loss: undefined };
    if (given === BEGINNING) return { place: await this.#anewIn(roomTopic(room), floor), loss: undefined };
    const reason = await this.#lossBefore(session, room, given);
    return { place: floor, loss: reason && { reason, lost: null } };
  }

  /**
   * The same in the room's presence log. What was lost with the room is told by its own log; who gives no place hears
   * from now on.
   */
  async presencePlaceIn(session: Session, room: string, given: EntryId | undefined): Promise<EntryId> {
    const floor = session.rooms.get(room)?.presenceFloor;
    if (floor === undefined) throw new ChatError('not_in_room', room);
    if (given === undefined) return this.endOf(presenceTopic(room));
    if (given === BEGINNING) return this.#anewIn(presenceTopic(room), floor);
    return compareEntryIds(given, floor) >= 0 ? given : floor;
  }

  /** The places after everything that these logs hold now: one look at the store for all that are not at hand. */
  async ends(topics: readonly Topic[], address: string): Promise<Map<Topic, EntryId>> {
    const cold = topics.filter((topic) => !this.parts.tails.warm(topic));
    const read = cold.length > 0 ? await this.parts.reads.run(address, () => this.parts.store.ends(cold)) : [];
    const ends = new Map(cold.map((topic, index) => [topic, read[index] ?? BEGINNING]));
    return new Map(topics.map((topic) => [topic, ends.get(topic) ?? this.parts.tails.warm(topic)?.last ?? BEGINNING]));
  }

  /** The place after everything that a log holds now. */
  async endOf(topic: Topic): Promise<EntryId> {
    const warm = this.parts.tails.warm(topic);
    if (warm) return warm.last;
    const { state } = await this.parts.store.read(topic, BEGINNING, 0);
    return state?.last ?? BEGINNING;
  }

  // --- inside ---

  /** Only a reset leads to the beginning, and has been told: the new log is heard from its birth, if there is one yet. */
  async #anewIn(topic: Topic, floor: EntryId): Promise<EntryId> {
    const { state } = await this.parts.store.read(topic, BEGINNING, 0);
    if (!state) return BEGINNING;
    return compareEntryIds(state.born, floor) > 0 ? state.born : floor;
  }

  /** How what lies between a place and the client's coming into the room was lost to it; undefined when it was not there. */
  async #lossBefore(session: Session, room: string, given: EntryId): Promise<'expired' | 'reset' | undefined> {
    if (session.revived === 'expired') return entryIdParts(given).ms < session.connectedAt ? 'expired' : undefined;
    const remade = session.revived ?? (await this.parts.store.membership(room, session.id))?.afterReset;
    if (!remade) return undefined;
    const { state } = await this.parts.store.read(roomTopic(room), given, 0);
    return state && compareEntryIds(state.born, given) <= 0 ? undefined : 'reset';
  }
}
