/** Polls that wait: one list and one timer for all of them, woken by the logs they read. */
import { Seats, type Seated } from '../../core/seats';

/** A poll that waits; each of its ends is the same answer, with or without messages. */
export interface Parked extends Seated {
  /** By the steady clock. */
  readonly deadline: number;
  /** Answer now, with whatever there is. */
  finish(why: 'time' | 'superseded' | 'shutdown'): void;
}

const SWEEP = 100;

export class Parking {
  readonly #parked = new Seats<Parked>();
  #timer: NodeJS.Timeout | undefined;

  /** @param perClient polls that one client may have waiting on this node; the oldest is finished for the next. 0: any. */
  constructor(readonly perClient: number) {}

  get size(): number {
    return this.#parked.size;
  }

  /** @param before the same client's, oldest first */
  park(poll: Parked, before: readonly Parked[]): void {
    if (this.perClient > 0 && before.length >= this.perClient) before[0]?.finish('superseded');
    this.#parked.add(poll);
    this.#timer ??= setInterval(() => {
      this.#sweep();
    }, SWEEP);
  }

  leave(poll: Parked): void {
    if (!this.#parked.remove(poll) || this.#parked.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** The server goes: everybody is answered at once, and comes back to another node with the cursor. */
  close(): void {
    for (const poll of this.#parked.all()) poll.finish('shutdown');
  }

  #sweep(): void {
    const now = performance.now();
    for (const poll of this.#parked.all()) if (poll.deadline <= now) poll.finish('time');
  }
}
