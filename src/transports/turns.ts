/** Work that is done one after the other, in the order it came; says when too much of it waits. */

/** Requests read and not yet done at which reading stops, and their bytes. */
const MANY = 256;
const MANY_BYTES = 1_048_576;

/** ms for which requests are done without a look at what else there is to do. */
const SLICE = 10;
/** By the steady clock: when the first request of this turn of the event loop was begun. */
let begun: number | undefined;

/**
 * What waits on promises alone goes before everything else: a few hundred sockets with a few hundred requests each, none
 * of which needs the store, would keep everybody else waiting until all of them are answered.
 */
export function isOverdue(): boolean {
  const now = performance.now();
  if (begun !== undefined) return now - begun > SLICE;
  begun = now;
  setImmediate(() => {
    begun = undefined;
  });
  return false;
}

const DONE = Promise.resolve();

/** Work that waits, or is being done: how much of what waits it is. */
export interface Turn {
  count: number;
  bytes: number;
}

export class Turns {
  #last = DONE;
  /** The last one that was added, until it is begun. */
  #open: Turn | undefined;
  #waiting = 0;
  #bytes = 0;
  #paused = false;

  /** @param reader its `pause` is called with true when so much waits that no more should come, with false when half of it is done */
  constructor(readonly reader: { pause(paused: boolean): void }) {}

  get idle(): boolean {
    return this.#waiting === 0;
  }

  /** Everything that came so far is done. */
  get done(): Promise<void> {
    return this.#last;
  }

  /**
   * @param work never rejects: whoever asked is told what went wrong by the work itself
   * @param bytes that it keeps in memory until it is done
   */
  add(work: () => Promise<void>, bytes = 0): Turn {
    const turn: Turn = { count: 0, bytes: 0 };
    this.#open = turn;
    this.#count(turn, bytes);
    const begin = (): Promise<void> => {
      if (this.#open === turn) this.#open = undefined;
      return work();
    };
    const inTime = (): Promise<void> => (isOverdue() ? new Promise(setImmediate).then(begin) : begin());
    this.#last = this.#last.then(inTime).then(() => {
      this.#waiting -= turn.count;
      this.#bytes -= turn.bytes;
      // Most sockets are idle most of the time: one promise is enough for all of them.
      if (this.#waiting === 0) this.#last = DONE;
      this.#look();
    });
    return turn;
  }

  /** One more request for work that has not begun, to be done with it. False: too late, or something was added behind it. */
  extend(turn: Turn, bytes: number): boolean {
    if (this.#open !== turn) return false;
    this.#count(turn, bytes);
    return true;
  }

  #count(turn: Turn, bytes: number): void {
    turn.count += 1;
    turn.bytes += bytes;
    this.#waiting += 1;
    this.#bytes += bytes;
    this.#look();
  }

  #look(): void {
    const full = this.#waiting >= MANY || this.#bytes >= MANY_BYTES;
    const halfDone = this.#waiting <= MANY / 2 && this.#bytes <= MANY_BYTES / 2;
    if (this.#paused ? !halfDone : !full) return;
    this.#paused = !this.#paused;
    this.reader.pause(this.#paused);
  }
}
