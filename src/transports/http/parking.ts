/** Polls that wait: each is answered when its time has come, if nothing came for it before. */
import { Wheel, type Timed } from '../../core/wheel';

/** A poll that waits; each of its ends is the same answer, with or without messages. */
export interface Parked extends Timed {
  /** Answer now, with whatever there is. */
  finish(why: 'time' | 'superseded' | 'shutdown'): void;
}

/** ms that an answer may be late. */
const TICK = 100;

export class Parking {
  readonly #waiting = new Wheel<Parked>(TICK, (poll) => {
    poll.finish('time');
  });
  #closed = false;

  /** @param perClient polls that one client may have waiting on this node; the oldest is finished for the next. 0: any. */
  constructor(readonly perClient: number) {}

  get size(): number {
    return this.#waiting.size;
  }

  /** @param before the same client's, oldest first */
  park(poll: Parked, before: readonly Parked[]): void {
    if (this.perClient > 0 && before.length >= this.perClient) before[0]?.finish('superseded');
    if (this.#closed) poll.finish('shutdown');
    else this.#waiting.add(poll);
  }

  leave(poll: Parked): void {
    this.#waiting.remove(poll);
  }

  /** The server goes: everybody is answered at once, and comes back to another node with the cursor. So is who comes late. */
  close(): void {
    this.#closed = true;
    for (const poll of this.#waiting.all()) poll.finish('shutdown');
  }
}
