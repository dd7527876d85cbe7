/** Polls that wait: one list and one timer for all of them, woken by the logs they read. */

/** A poll that waits; each of its ends is the same answer, with or without messages. */
export interface Parked {
  readonly client: string;
  /** By the steady clock. */
  readonly deadline: number;
  /** Answer now, with whatever there is. */
  finish(why: 'time' | 'superseded' | 'shutdown'): void;
}

const SWEEP = 100;

export class Parking {
  readonly #parked = new Set<Parked>();
  readonly #ofClient = new Map<string, Parked[]>();
  #timer: NodeJS.Timeout | undefined;

  /** @param perClient polls that one client may have waiting on this node; the oldest is finished for the next. 0: any. */
  constructor(readonly perClient: number) {}

  get size(): number {
    return this.#parked.size;
  }

  park(poll: Parked): void {
    const before = this.#ofClient.get(poll.client) ?? [];
    const oldest = this.perClient > 0 && before.length >= this.perClient ? before[0] : undefined;
    if (oldest) {
      this.leave(oldest);
      oldest.finish('superseded');
    }
    this.#parked.add(poll);
    const own = this.#ofClient.get(poll.client);
    if (own) own.push(poll);
    else this.#ofClient.set(poll.client, [poll]);
    this.#timer ??= setInterval(() => {
      this.#sweep();
    }, SWEEP);
  }

  leave(poll: Parked): void {
    if (!this.#parked.delete(poll)) return;
    const own = this.#ofClient.get(poll.client) ?? [];
    if (own.length > 1) own.splice(own.indexOf(poll), 1);
    else this.#ofClient.delete(poll.client);
    if (this.#parked.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** The server goes: everybody is answered at once, and comes back to another node with the cursor. */
  close(): void {
    for (const poll of [...this.#parked]) {
      this.leave(poll);
      poll.finish('shutdown');
    }
  }

  #sweep(): void {
    const now = performance.now();
    for (const poll of [...this.#parked]) {
      if (poll.deadline > now) continue;
      this.leave(poll);
      poll.finish('time');
    }
  }
}
