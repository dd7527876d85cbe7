/** Going through a table over and over, a part of it at a time. */

/**
 * So that a look at thousands holds nobody up, and looking costs next to nothing where there is nothing else to do: no
 * copy of the table is made, and its place in there is kept from one turn to the next.
 */
export class Rounds<V> {
  #rest: Iterator<V>;
  /** Turns of this round that are to come. */
  #left = 0;
  #looked = 0;

  /** @param turns in how many of them everything is looked at once */
  constructor(
    readonly all: ReadonlyMap<unknown, V>,
    readonly turns: number,
  ) {
    this.#rest = all.values();
  }

  /** The next part. What is gone by then, by `look` too, is passed over; what has come is looked at in this round. */
  turn(look: (one: V) => void): void {
    if (this.#left === 0) {
      this.#rest = this.all.values();
      this.#left = this.turns;
      this.#looked = 0;
    }
    // As many may have gone as have been looked at: with the last turn comes whoever is left.
    const share = this.#left === 1 ? Infinity : Math.ceil((this.all.size - this.#looked) / this.#left);
    this.#left -= 1;
    for (let nth = 0; nth < share; nth += 1) {
      const next = this.#rest.next();
      if (next.done) return;
      this.#looked += 1;
      look(next.value);
    }
  }
}
