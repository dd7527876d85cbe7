/** Work that is done one after the other, in the order it came; says when too much of it waits. */

/** Requests read and not yet done at which reading stops. */
const MANY = 256;

export class Turns {
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  /** @param pause called with true when so much waits that no more should come, with false when half of it is done */
  constructor(readonly pause: (paused: boolean) => void) {}

  get idle(): boolean {
    return this.#waiting === 0;
  }

  /** Everything that came so far is done. */
  get done(): Promise<void> {
    return this.#last;
  }

  /** @param work never rejects: whoever asked is told what went wrong by the work itself */
  add(work: () => Promise<void>): void {
    this.#waiting += 1;
    if (this.#waiting === MANY) this.pause(true);
    this.#last = this.#last.then(work).finally(() => {
      this.#waiting -= 1;
      if (this.#waiting === MANY / 2) this.pause(false);
    });
  }
}
