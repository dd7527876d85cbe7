/** Cuts off peers that take nothing; one timer for all. They come back and resume, and have lost nothing. */
import type { Socket } from 'node:net';

/**
 * Bytes that the peer has taken, or the kernel for it: it only grows. Node tells of a write only when all of it is gone,
 * which takes a slow peer of a large one minutes; and its `bytesWritten` has what waits in this process as well.
 */
export function takenFrom(socket: Socket): number {
  type Handle = { readonly bytesWritten?: number; readonly writeQueueSize?: number };
  const { _handle } = socket as { _handle?: Handle | null };
  return (_handle?.bytesWritten ?? 0) - (_handle?.writeQueueSize ?? 0);
}

/** What is watched of a congested link. */
export interface Watched {
  /** Another value each time the peer has taken something. */
  readonly progress: number;
  cutOff(reason: string): void;
}

/** Looks within the time. So many that one look too late, of a process that was held up, does not count for the time. */
const LOOKS = 5;

export class SlowPeers {
  readonly #congested = new Map<Watched, { looks: number; progress: number }>();
  #timer: NodeJS.Timeout | undefined;

  /** @param stuck ms that a congested peer may take nothing; 0: for ever */
  constructor(readonly stuck: number) {}

  add(link: Watched): void {
    if (this.stuck === 0) return;
    this.#congested.set(link, { looks: 0, progress: link.progress });
    this.#timer ??= setInterval(() => {
      this.#look();
    }, this.stuck / LOOKS);
  }

  remove(link: Watched): void {
    if (!this.#congested.delete(link) || this.#congested.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Counts looks, not time: while this process stands still, nobody could have taken what it did not write. */
  #look(): void {
    for (const [link, state] of this.#congested) {
      const { progress } = link;
      if (progress !== state.progress) {
        state.progress = progress;
        state.looks = 0;
      } else {
        state.looks += 1;
        // It came in between two looks: the first of them is less than one of its own.
        if (state.looks > LOOKS) link.cutOff('slow consumer');
      }
    }
  }
}
