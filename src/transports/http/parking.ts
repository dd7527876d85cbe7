/** Polls that wait: one timer for all of them, which looks only at those whose time has come; woken by the logs they read. */
import { Seats, type Seated } from '../../core/seats';

/** A poll that waits; each of its ends is the same answer, with or without messages. */
export interface Parked extends Seated {
  /** ms, by the steady clock. */
  readonly deadline: number;
  /** Answer now, with whatever there is. */
  finish(why: 'time' | 'superseded' | 'shutdown'): void;
}

/** ms between looks. */
const TICK = 100;
/** Ticks, of which each has a slot. Longer together than any wait: who waits longer is looked at once in each lap. */
const SLOTS = 1024;

/**
 * A hashed timing wheel (Varghese, Lauck 1987): where thousands wait, a look at all of them with each tick is most of what
 * a server with nothing to do does.
 */
export class Parking {
  readonly #wheel: (Seats<Parked> | undefined)[] = Array.from({ length: SLOTS });
  #size = 0;
  /** That of the last look, which is looked at again: some of its polls may have had later deadlines. */
  #tick = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param perClient polls that one client may have waiting on this node; the oldest is finished for the next. 0: any. */
  constructor(readonly perClient: number) {}

  get size(): number {
    return this.#size;
  }

  /** @param before the same client's, oldest first */
  park(poll: Parked, before: readonly Parked[]): void {
    if (this.perClient > 0 && before.length >= this.perClient) before[0]?.finish('superseded');
    if (this.#closed) {
      poll.finish('shutdown');
      return;
    }
    const now = performance.now();
    // Its tick may not come any more.
    if (poll.deadline <= now) {
      poll.finish('time');
      return;
    }
    if (!(this.#wheel[slotOf(poll)] ??= new Seats()).add(poll)) return;
    this.#size += 1;
    if (this.#timer) return;
    this.#tick = tickAt(now);
    this.#timer = setInterval(() => {
      this.#look();
    }, TICK);
  }

  leave(poll: Parked): void {
    if (!this.#wheel[slotOf(poll)]?.remove(poll)) return;
    this.#size -= 1;
    if (this.#size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** The server goes: everybody is answered at once, and comes back to another node with the cursor. So is who comes late. */
  close(): void {
    this.#closed = true;
    for (const slot of this.#wheel) for (const poll of slot?.all() ?? []) poll.finish('shutdown');
  }

  /** This process may have been held up: all slots since the last look are looked at. */
  #look(): void {
    const now = performance.now();
    const last = tickAt(now);
    for (let tick = Math.max(this.#tick, last - SLOTS + 1); tick <= last; tick += 1) {
      const slot = this.#wheel[tick % SLOTS];
      if (!slot || slot.size === 0) continue;
      // A copy: who is answered leaves.
      for (const poll of slot.all()) if (poll.deadline <= now) poll.finish('time');
    }
    this.#tick = last;
  }
}

function tickAt(ms: number): number {
  return Math.floor(ms / TICK);
}

function slotOf({ deadline }: Parked): number {
  return tickAt(deadline) % SLOTS;
}
