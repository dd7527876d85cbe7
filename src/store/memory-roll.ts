/** The members of a room in the order of their ids, as a Redis sorted set of equal scores keeps them: in short runs. */

/** Ids of one run; a longer one is cut in two. */
const LONGEST_RUN = 1024;

export class Roll {
  /** Each sorted, none empty, each before the next. */
  readonly #runs: string[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Nothing for one who is there. */
  add(id: string): void {
    const index = Math.max(0, this.#runOf(id));
    const run = this.#runs[index];
    if (!run) {
      this.#runs.push([id]);
      this.#size += 1;
      return;
    }
    const at = placeOf(run, id);
    if (run[at] === id) return;
    run.splice(at, 0, id);
    this.#size += 1;
    if (run.length > LONGEST_RUN) this.#runs.splice(index + 1, 0, run.splice(run.length / 2));
  }

  /** Nothing for one who is not there. */
  delete(id: string): void {
    const index = this.#runOf(id);
    const run = this.#runs[index];
    if (!run) return;
    const at = placeOf(run, id);
    if (run[at] !== id) return;
    run.splice(at, 1);
    this.#size -= 1;
    if (run.length === 0) this.#runs.splice(index, 1);
  }

  /** @param after the last id of the page before; '' for the first page */
  page(after: string, limit: number): string[] {
    const page: string[] = [];
    let index = Math.max(0, this.#runOf(after));
    for (let run = this.#runs[index]; run && page.length < limit; run = this.#runs[(index += 1)]) {
      let from = placeOf(run, after);
      if (run[from] === after) from += 1;
      page.push(...run.slice(from, from + limit - page.length));
    }
    return page;
  }

  /** The last run that begins with this id or before it; -1 when all begin after it. */
  #runOf(id: string): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#runs[middle]?.[0] ?? '') <= id) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Where an id is in a run, or would be. */
function placeOf(run: readonly string[], id: string): number {
  let low = 0;
  let high = run.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((run[middle] ?? '') < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
