/** A bounded, expiring log in memory: what a Redis Stream is to the Redis store. */
import type { Entry, NewEntry } from '../core/entry';
import type { LogState, Slice, StoreLimits } from '../core/store';
import { compareEntryIds, entryIdParts, formatEntryId, type EntryId } from '../protocol/entry-id';
import { bytesOf, type Budget } from './memory-budget';

export class MemoryLog {
  /** Dropped entries leave from the front; `#first` skips them until enough have gone to be worth moving the rest. */
  #entries: Entry[] = [];
  #first = 0;
  #last: EntryId;
  #lastMs: number;
  #lastSeq = 0;
  #trimmed = 0;
  readonly #born: EntryId;

  constructor(
    readonly limits: StoreLimits,
    readonly now: () => number,
    readonly budget: Budget,
  ) {
    this.#lastMs = now();
    this.#born = formatEntryId(this.#lastMs, 0);
    this.#last = this.#born;
  }

  get state(): LogState {
    return { last: this.#last, born: this.#born, trimmed: this.#trimmed };
  }

  get spokenIn(): boolean {
    return this.#lastSeq > 0;
  }

  append({ data, speaker, match }: NewEntry): Entry {
    const prev = this.#last;
    this.#lastMs = Math.max(this.now(), this.#lastMs);
    this.#lastSeq += 1;
    this.#last = formatEntryId(this.#lastMs, this.#lastSeq);
    // One shape for all of them.
    const stored: Entry = { id: this.#last, prev, data, speaker, match };
    this.#entries.push(stored);
    this.budget.add(weightOf(stored));
    this.expire();
    if (this.#entries.length - this.#first > this.limits.maxLogLength) {
      this.#dropTo(this.#entries.length - this.limits.maxLogLength);
      this.#trimmed = this.#lastSeq - this.limits.maxLogLength;
    }
    return stored;
  }

  read(after: EntryId, limit: number): Slice {
    this.expire();
    if (limit === 0) return { entries: [], state: this.state };
    const start = this.#indexAfter(after);
    return { entries: this.#entries.slice(start, start + limit), state: this.state };
  }

  history(before: EntryId | undefined, limit: number): Entry[] {
    this.expire();
    let end = this.#entries.length;
    if (before !== undefined) {
      end = this.#indexAfter(before);
      if (this.#entries[end - 1]?.id === before) end -= 1;
    }
    return this.#entries.slice(Math.max(this.#first, end - limit), Math.max(this.#first, end));
  }

  /** The index of the first entry after a place, by halving: ids only grow. */
  #indexAfter(after: EntryId): number {
    const place = entryIdParts(after);
    const known = this.#entries.at(-1);
    if (known !== undefined && compareEntryIds(known.id, after) <= 0) return this.#entries.length;
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.#entries[middle];
      const { ms, seq } = entryIdParts(entry?.id ?? after);
      if (ms < place.ms || (ms === place.ms && seq <= place.seq)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Lets go of what is older than it may be. */
  expire(): void {
    if (this.limits.messageTTL === 0) return;
    const oldest = this.now() - this.limits.messageTTL;
    let first = this.#first;
    while (first < this.#entries.length && entryIdParts(this.#entries[first]?.id ?? '').ms < oldest) first += 1;
    this.#dropTo(first);
  }

  /** The log is over: nothing of it is held any more. */
  release(): void {
    this.#dropTo(this.#entries.length);
  }

  #dropTo(first: number): void {
    if (first === this.#first) return;
    for (const entry of this.#entries.slice(this.#first, first)) this.budget.add(-weightOf(entry));
    this.#first = first;
    if (first < this.#entries.length && (first <= 64 || first * 2 <= this.#entries.length)) return;
    this.#entries = this.#entries.slice(first);
    this.#first = 0;
  }
}

/** What an entry costs besides its text. */
const ENTRY = 250;

function weightOf({ data, match }: Entry): number {
  return ENTRY + bytesOf(data) + (match ? bytesOf(match.value) : 0);
}
