/** Cuts off peers that take nothing; one timer for all. They come back and resume, and have lost nothing. */

/** What is watched of a congested link. */
export interface Watched {
  /** Another value each time the peer has taken something. */
  readonly progress: number;
  cutOff(reason: string): void;
}

export class SlowPeers {
  readonly #congested = new Map<Watched, { since: number; progress: number }>();
  readonly #every: number;
  #timer: NodeJS.Timeout | undefined;
  #lookedAt = 0;

  /** @param stuck ms that a congested peer may take nothing; 0: for ever */
  constructor(readonly stuck: number) {
    this.#every = Math.min(1000, stuck);
  }

  add(link: Watched): void {
    if (this.stuck === 0) return;
    const now = performance.now();
    this.#congested.set(link, { since: now, progress: link.progress });
    if (this.#timer) return;
    this.#lookedAt = now;
    this.#timer = setInterval(() => {
      this.#look();
    }, this.#every);
  }

  remove(link: Watched): void {
    if (!this.#congested.delete(link) || this.#congested.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const now = performance.now();
    // We were held up ourselves, and wrote nothing meanwhile that anybody could have taken.
    const late = now - this.#lookedAt > 3 * this.#every;
    this.#lookedAt = now;
    for (const [link, state] of this.#congested) {
      const { progress } = link;
      if (late || progress !== state.progress) {
        state.progress = progress;
        state.since = now;
      } else if (now - state.since >= this.stuck) {
        link.cutOff('slow consumer');
      }
    }
  }
}
