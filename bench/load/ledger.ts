/** Checks that every hearer hears every message once and in the same order, and tells when all have heard one. */
import { publisherOf, sequenceOf, type Mark } from './marks';

export class Ledger {
  /** The room's order, as whoever was first heard it. */
  readonly #order: Mark[] = [];
  /** How many hearers have heard the message at this place. */
  readonly #heardBy: number[] = [];
  readonly #places: Int32Array;
  /** What the next message of each publisher must be. */
  readonly #next: number[];
  readonly #known = new Map<Mark, number>();
  #lastMarks: readonly Mark[] = [];
  #lastPlace = -1;
  deliveries = 0;
  /** Reads that brought them: how many came together. */
  reads = 0;
  doubled = 0;
  missing = 0;
  reordered = 0;

  /** @param complete called when the last hearer has heard a message */
  constructor(
    readonly hearers: number,
    publishers: number,
    readonly complete: (mark: Mark) => void,
  ) {
    this.#places = new Int32Array(hearers);
    this.#next = Array.from({ length: publishers }, () => 0);
  }

  heard(hearer: number, marks: readonly Mark[]): void {
    const place = this.#places[hearer]!;
    this.reads += 1;
    // The same list at the same place was compared already; most hearers get the very same bytes.
    const compared = marks === this.#lastMarks && place === this.#lastPlace;
    if (!compared && !this.#compare(hearer, marks)) return;
    this.#lastMarks = marks;
    this.#lastPlace = place;
    this.#places[hearer] = place + marks.length;
    for (let index = place; index < place + marks.length; index += 1) this.#count(index);
    this.deliveries += marks.length;
  }

  /** What each publisher said so far must have been heard by all: what is not is missing. */
  close(said: readonly number[]): void {
    const total = said.reduce((sum, count) => sum + count, 0);
    for (const place of this.#places) this.missing += Math.max(0, total - place);
  }

  #compare(hearer: number, marks: readonly Mark[]): boolean {
    const place = this.#places[hearer]!;
    for (const [index, mark] of marks.entries()) {
      const expected = this.#order[place + index];
      if (expected === mark) continue;
      if (expected === undefined && this.#enter(mark)) continue;
      this.#wrong(hearer, marks, index);
      return false;
    }
    return true;
  }

  /** The first to hear it; its publisher's own order must hold. */
  #enter(mark: Mark): boolean {
    const publisher = publisherOf(mark);
    if (sequenceOf(mark) !== this.#next[publisher]) return false;
    this.#next[publisher] = sequenceOf(mark) + 1;
    this.#known.set(mark, this.#order.length);
    this.#order.push(mark);
    this.#heardBy.push(0);
    return true;
  }

  #count(index: number): void {
    const count = this.#heardBy[index]! + 1;
    this.#heardBy[index] = count;
    if (count === this.hearers) this.complete(this.#order[index]!);
  }

  /** Takes what came one by one, and counts what is wrong with it. */
  #wrong(hearer: number, marks: readonly Mark[], from: number): void {
    let place = this.#places[hearer]!;
    for (const [index, mark] of marks.entries()) {
      if (index >= from && this.#order[place] !== mark) {
        const known = this.#known.get(mark);
        if (known === undefined && this.#order[place] === undefined && this.#enter(mark)) {
          // Heard first here, behind something wrong.
        } else if (known === undefined) {
          this.reordered += 1;
          continue;
        } else if (known < place) {
          this.doubled += 1;
          continue;
        } else {
          this.missing += known - place;
          place = known;
        }
      }
      this.#count(place);
      this.deliveries += 1;
      place += 1;
    }
    this.#places[hearer] = place;
  }
}
