/** What became of a reader's place: compares it with what its log holds now. The one judge of every gap. */
import { BEGINNING, compareEntryIds, entryIdParts, type EntryId } from '../protocol/entry-id';
import type { Gap, GapReason } from '../protocol/message';
import { topicSubject, type Topic } from './entry';
import type { LogState } from './store';

export interface Loss {
  readonly reason: GapReason;
  /** Entries that are gone; null where they cannot be counted. */
  readonly lost: number | null;
}

export interface Verdict {
  readonly loss: Loss | undefined;
  /** Where the reader stands when it has read none of the entries: its own place, or where it has to go on from. */
  readonly place: EntryId;
}

/**
 * @param after the reader's place
 * @param first the first entry that the log gave after it
 *
 * Two facts do the work of an epoch: `seq` has no holes, so a hole can be counted; and an entry names the one before
 * it, so a log that was rewound and gave its numbers out again is seen through.
 */
export function judge(
  after: EntryId,
  state: LogState | undefined,
  first: { readonly id: EntryId; readonly prev: EntryId } | undefined,
): Verdict {
  if (!state) {
    if (after === BEGINNING) return { loss: undefined, place: after };
    return { loss: { reason: 'reset', lost: null }, place: BEGINNING };
  }
  const place = entryIdParts(after);
  const last = entryIdParts(state.last);

  if (after !== BEGINNING) {
    if (after === state.last || first?.prev === after) return { loss: undefined, place: after };
    if (compareEntryIds(state.born, after) > 0) return { loss: { reason: 'reset', lost: null }, place: state.born };
  }
  const missedThrough = first ? entryIdParts(first.id).seq - 1 : last.seq;
  const goOn = first ? after : state.last;
  if (missedThrough > place.seq) {
    const reason = state.trimmed > place.seq ? 'trimmed' : 'expired';
    return { loss: { reason, lost: missedThrough - place.seq }, place: goOn };
  }
  if (after === BEGINNING) return { loss: undefined, place: goOn };
  return { loss: { reason: 'fork', lost: null }, place: goOn };
}

/** A loss as clients are told of it. `room` is left out for the client's own log. */
export function gapOf(topic: Topic, { reason, lost }: Loss): Gap {
  return topic.startsWith('client:') ? { reason, lost } : { room: topicSubject(topic), reason, lost };
}
