/** What a client is given of its logs in one answer, and how much that is. */
import type { EntryId } from '../protocol/entry-id';
import type { Gap } from '../protocol/message';
import type { LogEntry } from './batch';
import type { Topic } from './entry';
import { hears, type Heard, type Listener } from './hear';

/** What one answer may weigh, so that no client's backlog fills the memory: the rest comes with the next. */
export const PAGE_BYTES = 1024 * 1024;

/** One answer's worth; shared by all who are given the same. */
export class Page {
  /** What is made of it for a transport, each at most once: see `made`. */
  readonly #made = new Map<string, unknown>();

  /**
   * @param gaps told before what follows them
   * @param from where the reader stands before the first thing heard, what is lost behind it
   * @param places where it stands after the page; of a client's own log only when something was in it
   */
  constructor(
    readonly heard: readonly Heard[],
    readonly gaps: readonly Gap[],
    readonly from: ReadonlyMap<Topic, EntryId>,
    readonly places: ReadonlyMap<Topic, EntryId>,
  ) {}

  get isEmpty(): boolean {
    return this.heard.length === 0 && this.gaps.length === 0;
  }

  /** A form of this page, made by whoever asks first; the same page is the same in it for everybody. */
  made<T>(form: string, make: (page: Page) => T): T {
    let made = this.#made.get(form) as T | undefined;
    if (made === undefined) {
      made = make(this);
      this.#made.set(form, made);
    }
    return made;
  }
}

/** The first of them, in which there is as much to hear as goes into one page. */
export function fitting(entries: readonly LogEntry[], limit: number, listener: Listener): readonly LogEntry[] {
  let bytes = 0;
  let count = 0;
  for (const [index, entry] of entries.entries()) {
    if (!hears(entry, listener)) continue;
    bytes += entry.json.length;
    // The first always goes, however large it is.
    if (count === limit || (count > 0 && bytes > PAGE_BYTES)) return entries.slice(0, index);
    count += 1;
  }
  return entries;
}
