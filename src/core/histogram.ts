/** How long something took, sorted into few fixed classes: cheap to count, and what two looks differ by is a histogram too. */

export interface HistogramReading {
  /** How many fell into each class; the last one has no upper bound. */
  readonly counts: readonly number[];
  /** ms */
  readonly sum: number;
}

export class Histogram {
  readonly #counts: number[];
  #sum = 0;

  /** @param bounds upper ends of the classes, ms, ascending */
  constructor(readonly bounds: readonly number[]) {
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(ms: number): void {
    let index = 0;
    while (ms > (this.bounds[index] ?? Infinity)) index += 1;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#sum += ms;
  }

  read(): HistogramReading {
    return { counts: [...this.#counts], sum: this.#sum };
  }
}
