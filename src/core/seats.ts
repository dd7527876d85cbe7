/** Many who come and go, hundreds of thousands of times a minute: a list from which anybody is taken at once. */

export interface Seated {
  /** Its place in the list that it is in; -1 in none. The list's to write. */
  seat: number;
}

const NOBODY: never[] = [];

/**
 * Not a Set. One to which things are added and from which they are deleted makes itself a new table over and over, and
 * V8 lets each old one refer to the next: once such a table has grown old, all that was in any later one stays until
 * the whole heap is looked through. With long-polls that was every poll's request and answer.
 */
export class Seats<T extends Seated> {
  #members: T[] = NOBODY;

  get size(): number {
    return this.#members.length;
  }

  /** A copy, in no order that means anything: they may come and go meanwhile. */
  all(): T[] {
    return this.#members.slice();
  }

  has(one: T): boolean {
    return this.#members[one.seat] === one;
  }

  /** False when it was there. */
  add(one: T): boolean {
    if (this.has(one)) return false;
    one.seat = this.#members.length;
    // Most lists have one member: a list that grows makes room for sixteen more.
    if (one.seat === 0) this.#members = [one];
    else this.#members.push(one);
    return true;
  }

  /** False when it was not there. */
  remove(one: T): boolean {
    if (!this.has(one)) return false;
    const last = this.#members.pop();
    if (last && last !== one) {
      last.seat = one.seat;
      this.#members[one.seat] = last;
    }
    one.seat = -1;
    return true;
  }
}
