/** Many deadlines and one timer for all of them, which looks only at those whose time has come. */
import { Seats, type Seated } from './seats';

export interface Timed extends Seated {
  /** ms, by the steady clock; stays as it is while this is in a wheel. Whole ms: a fraction is an object of its own. */
  readonly deadline: number;
}

/** Slots, of which each has one tick's deadlines; who waits for longer than all of them is looked at once in each lap. */
const SLOTS = 1024;

/**
 * A hashed timing wheel (Varghese, Lauck 1987): where thousands wait, a look at all of them with each tick is most of what
 * a server with nothing to do does.
 */
export class Wheel<T extends Timed> {
  readonly #slots: (Seats<T> | undefined)[] = Array.from({ length: SLOTS });
  #size = 0;
  /** That of the last look, which is looked at again: some of its deadlines may have been later. */
  #tick = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param tickMs between looks: nobody is found later than that
   * @param due told of each whose deadline has come; it is out of the wheel by then
   */
  constructor(
    readonly tickMs: number,
    readonly due: (one: T) => void,
  ) {}

  get size(): number {
    return this.#size;
  }

  add(one: T): void {
    const now = performance.now();
    // Its tick may not come any more.
    if (one.deadline <= now) {
      this.due(one);
      return;
    }
    if (!(this.#slots[this.#slotOf(one)] ??= new Seats()).add(one)) return;
    this.#size += 1;
    if (this.#timer) return;
    this.#tick = this.#tickAt(now);
    this.#timer = setInterval(() => {
      this.#look();
    }, this.tickMs).unref();
  }

  /** False when it was not there. */
  remove(one: T): boolean {
    if (!this.#slots[this.#slotOf(one)]?.remove(one)) return false;
    this.#size -= 1;
    if (this.#size > 0) return true;
    clearInterval(this.#timer);
    this.#timer = undefined;
    return true;
  }

  /** A copy, in no order that means anything. */
  all(): T[] {
    return this.#slots.flatMap((slot) => slot?.all() ?? []);
  }

  /** This process may have been held up: all slots since the last look are looked at. */
  #look(): void {
    const now = performance.now();
    const last = this.#tickAt(now);
    for (let tick = Math.max(this.#tick, last - SLOTS + 1); tick <= last; tick += 1) {
      const slot = this.#slots[tick % SLOTS];
      if (!slot || slot.size === 0) continue;
      // A copy: they leave, and some may be put back.
      for (const one of slot.all()) if (one.deadline <= now && this.remove(one)) this.due(one);
    }
    this.#tick = last;
  }

  #tickAt(ms: number): number {
    return Math.floor(ms / this.tickMs);
  }

  #slotOf({ deadline }: T): number {
    return this.#tickAt(deadline) % SLOTS;
  }
}
