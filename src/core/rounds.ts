/** Going through a table over and over, a part of it at a time. */

/**
 * So that a look at thousands holds nobody up, and looking costs next to nothing where there is nothing else to do: no
 * copy of the table is made, and its place in there is kept from one turn to the next.
 */
export class Rounds<V> {
  #rest: Iterator<V> | undefined;
  /** Turns of this round that are to come. */
  #left = 0;
  /** Looked at in this round. */
  #looked = 0;
  /** An even share of what there was when the round began: where many go meanwhile, the last turn would get the rest. */
  #share = 0;

  /** @param turns in how many of them everything is looked at once */
  constructor(
    readonly all: ReadonlyMap<unknown, V>,
    readonly turns: number,
  ) {}

  /** The next part. What is gone by then, by `look` too, is passed over; what has come is for this round or the next. */
  turn(look: (one: V) => void): void {
    if (this.#left === 0) {
      this.#rest = this.all.values();
      this.#left = this.turns;
      this.#looked = 0;
      this.#share = Math.ceil(this.all.size / this.turns);
    }
    const share = Math.max(this.#share, Math.ceil((this.all.size - this.#looked) / this.#left));
    // With the last turn comes whoever is left.
    const most = this.#left === 1 ? Infinity : share;
    this.#left -= 1;
    for (let nth = 0; nth < most; nth += 1) {
      const next = this.#rest?.next();
      if (!next || next.done) return;
      this.#looked += 1;
      look(next.value);
    }
  }
}
