/** The live end of one log on this node: its newest entries, decoded once, and the readers that follow it. */
import { BEGINNING, compareEntryIds, entryIdParts, type EntryId } from '../protocol/entry-id';
import { Batch, LogEntry } from './batch';
import type { Entry, Topic } from './entry';
import type { Logger } from './logger';
import type { ReadTurns } from './read-turns';
import { Seats, type Seated } from './seats';
import type { Store } from './store';
import { judge } from './verdict';

/** Somebody who stands somewhere in one log; `wake` says that there may be more, no matter how often. */
export interface Reader extends Seated {
  wake(): void;
}

/** Entries kept in memory; whoever stands further back is served from the store. */
const RING_ENTRIES = 1024;
/** Characters of them: the same text is held once more for each kind of socket that it went out to. */
const RING_LENGTH = 2_097_152;
/** One answer's worth: more is fetched when the peer has taken this. */
export const BATCH_ENTRIES = 512;
/** Places whose batches are remembered between two entries. */
const BATCHES = 256;
/**
 * Readers woken in one turn, so that a wave over 10,000 polls leaves room for everybody else; and so few that what is said
 * meanwhile goes out together with more: with 50, a tenth less of it does.
 */
const WAVE = 25;

/** Asks the store once and judges the place; the way to read a log that nobody follows here. */
export async function readBatch(store: Store, topic: Topic, after: EntryId, limit = BATCH_ENTRIES): Promise<Batch> {
  const slice = await store.read(topic, after, limit);
  const { loss, place } = judge(after, slice.state, slice.entries[0]);
  const entries = slice.entries.map((entry) => new LogEntry(topic, entry));
  // The store may give fewer than asked for, where they are large.
  const last = entries.at(-1);
  return new Batch(entries, loss, last?.id ?? place, last !== undefined && last.id !== slice.state?.last);
}

/** The same for all tails of a node. */
export interface TailOptions {
  readonly store: Store;
  readonly logger: Logger;
  readonly reads: ReadTurns;
  /** ms that the ring may hold an entry: the message TTL, 0 for no limit. */
  readonly keepMs: number;
}

/** Frozen: nobody's entries are to come into everybody's. */
const SILENT = Object.freeze<LogEntry[]>([]) as LogEntry[];

type Batches = Map<EntryId, Batch | Promise<Batch>>;

export class Tail {
  /** Replaced where it is `SILENT`: many logs are followed in which nothing is said. */
  #ring: LogEntry[] = SILENT;
  #ringLength = 0;
  /** The place right before the ring's first entry. */
  #start: EntryId = BEGINNING;
  #startSeq = 0;
  /** What the log is known to end with. */
  #last: EntryId = BEGINNING;
  #batches: Batches | undefined;
  readonly #readers = new Seats<Reader>();
  #waving = false;
  /** Something came since the wave began. */
  #moved = false;
  #catchingUp = false;
  #again = false;
  /** The log's last number when that was last looked at; undefined before the first time. */
  #lookedAt: number | undefined;

  constructor(
    readonly topic: Topic,
    readonly options: TailOptions,
  ) {}

  get last(): EntryId {
    return this.#last;
  }

  get readers(): number {
    return this.#readers.size;
  }

  /** How much was said since this was last asked: a log's numbers have no holes. */
  look(): number {
    const { seq } = entryIdParts(this.#last);
    const said = Math.max(0, seq - (this.#lookedAt ?? seq));
    this.#lookedAt = seq;
    return said;
  }

  add(reader: Reader): void {
    this.#readers.add(reader);
  }

  remove(reader: Reader): void {
    this.#readers.remove(reader);
  }

  /** @param last what the log ended with once it was followed: what the ring does not know of is found by the chain */
  start(last: EntryId): void {
    if (this.#last === BEGINNING) this.#restart(last);
    // An announcement came first, or another look that knew less.
    else if (last !== this.#last) this.check();
  }

  /**
   * What follows a place: at once when the ring holds it, else from the store, once for all who ask the same.
   * Rejects with a ChatError when the store cannot be read.
   * @param who whoever asks: by their address it waits its turn where it has to be read, and only then is that looked up
   */
  batch(after: EntryId, who: { readonly remoteIP: string }): Batch | Promise<Batch> {
    const batches = (this.#batches ??= new Map<EntryId, Batch | Promise<Batch>>());
    const known = batches.get(after);
    if (known) return known;
    const batch = this.#fromRing(after) ?? this.#fromStore(after, who.remoteIP, batches);
    if (batches.size >= BATCHES) batches.clear();
    batches.set(after, batch);
    return batch;
  }

  #fromRing(after: EntryId): Batch | undefined {
    if (after === this.#last) return new Batch([], undefined, after, false);
    if (after === BEGINNING) return undefined;
    this.#forgetOld();
    const index = entryIdParts(after).seq - this.#startSeq;
    const place = index === 0 ? this.#start : this.#ring[index - 1]?.id;
    if (place !== after) return undefined;
    const entries = this.#ring.slice(index, index + BATCH_ENTRIES);
    const last = entries.at(-1);
    return last && new Batch(entries, undefined, last.id, last.id !== this.#last);
  }

  #fromStore(after: EntryId, address: string, batches: Batches): Promise<Batch> {
    const reading = this.options.reads.run(address, () => readBatch(this.options.store, this.topic, after));
    reading.then(
      (batch) => {
        // Kept for those who come in the same wave and no longer: it may hold 512 entries that the ring does not.
        batches.set(after, batch);
        setImmediate(() => batches.delete(after));
      },
      () => batches.delete(after),
    );
    return reading;
  }

  // --- what the store announces ---

  entry(entry: Entry): void {
    if (entry.prev === this.#last && !this.#catchingUp) {
      this.#push(new LogEntry(this.topic, entry));
      this.#wave();
    } else if (this.#catchingUp || compareEntryIds(entry.id, this.#last) > 0 || !this.#has(entry.id)) {
      this.check();
    }
  }

  /** Looks whether the log goes on behind what is known; costs one read. */
  check(): void {
    this.#again = true;
    if (!this.#catchingUp) void this.#catchUp();
  }

  /** Reads the log from where the ring ends until nothing is missing. */
  async #catchUp(): Promise<void> {
    this.#catchingUp = true;
    while (this.#again) {
      this.#again = false;
      let batch: Batch;
      try {
        batch = await readBatch(this.options.store, this.topic, this.#last);
      } catch (error) {
        // The next head check, or the link's coming back, tries again; the readers keep their places.
        this.options.logger.debug({ topic: this.topic, err: error }, 'a log could not be read');
        continue;
      }
      const goOn = batch.entries[0]?.prev ?? batch.end;
      // Not where the ring ends: nobody may be served from entries that the log does not hold any more.
      if (goOn !== this.#last) this.#restart(goOn);
      for (const entry of batch.entries) this.#push(entry);
      if (batch.more) this.#again = true;
      if (batch.loss !== undefined || batch.entries.length > 0) this.#wave();
    }
    // In the same turn as the last look at it: whoever asks later begins anew.
    this.#catchingUp = false;
  }

  #push(entry: LogEntry): void {
    if (this.#ring === SILENT) this.#ring = [entry];
    else this.#ring.push(entry);
    this.#ringLength += lengthOf(entry);
    this.#last = entry.id;
    this.#batches = undefined;
    if (this.#ring.length > RING_ENTRIES * 1.25) this.#drop(this.#ring.length - RING_ENTRIES);
    // Down to half of it, so that not every entry that comes moves all the others.
    if (this.#ringLength > RING_LENGTH) this.#drop(this.#countOf(this.#ringLength - RING_LENGTH / 2));
  }

  #drop(count: number): void {
    const dropped = this.#ring[count - 1];
    if (!dropped) return;
    this.#start = dropped.id;
    this.#startSeq = dropped.seq;
    for (const entry of this.#ring.slice(0, count)) this.#ringLength -= lengthOf(entry);
    this.#ring = this.#ring.slice(count);
  }

  /** How many of the oldest entries are so long together; never the newest one. */
  #countOf(length: number): number {
    let count = 0;
    let left = length;
    for (const entry of this.#ring.slice(0, -1)) {
      if (left <= 0) break;
      left -= lengthOf(entry);
      count += 1;
    }
    return count;
  }

  #forgetOld(): void {
    const { keepMs } = this.options;
    if (keepMs === 0) return;
    const oldest = performance.now() - keepMs;
    let count = 0;
    while ((this.#ring[count]?.receivedAt ?? Infinity) < oldest) count += 1;
    if (count > 0) this.#drop(count);
  }

  #restart(at: EntryId): void {
    this.#ring = SILENT;
    this.#ringLength = 0;
    this.#start = at;
    this.#startSeq = entryIdParts(at).seq;
    this.#last = at;
    this.#batches = undefined;
  }

  #has(id: EntryId): boolean {
    const { seq } = entryIdParts(id);
    return this.#ring[seq - this.#startSeq - 1]?.id === id || id === this.#start;
  }

  /** Wakes the readers once for all that comes until they are woken; one wave after the other. */
  #wave(): void {
    this.#moved = true;
    if (this.#waving) return;
    this.#waving = true;
    setImmediate(Tail.#wakes, this);
  }

  /** One function for all tails, of which there may be a hundred thousand. */
  static readonly #wakes = (tail: Tail): void => {
    tail.#moved = false;
    tail.#wake(tail.#readers.all(), 0);
  };

  #wake(readers: readonly Reader[], from: number): void {
    const to = Math.min(from + WAVE, readers.length);
    for (let index = from; index < to; index += 1) {
      const reader = readers[index];
      if (reader && this.#readers.has(reader)) reader.wake();
    }
    if (to < readers.length) {
      setImmediate(() => this.#wake(readers, to));
      return;
    }
    this.#waving = false;
    if (this.#moved) this.#wave();
  }
}

/** What it is matched by is held as well, and may be as long as what is said. */
function lengthOf({ json, match }: LogEntry): number {
  return json.length + (match?.value.length ?? 0);
}
