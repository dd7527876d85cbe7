/** A clock by which everything takes long, and the turns of the event loop that go by meanwhile. */

export class HurriedClock {
  /** Since it was started. */
  turns = 0;
  readonly #clock: jest.SpyInstance;
  #next: NodeJS.Immediate;

  constructor() {
    // As if each look at the clock were a millisecond later than the one before.
    let now = performance.now();
    this.#clock = jest.spyOn(performance, 'now').mockImplementation(() => (now += 1));
    const counting = (): void => {
      this.turns += 1;
      this.#next = setImmediate(counting);
    };
    this.#next = setImmediate(counting);
  }

  stop(): void {
    clearImmediate(this.#next);
    this.#clock.mockRestore();
  }
}
