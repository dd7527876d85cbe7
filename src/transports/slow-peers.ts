/** Cuts off peers that take nothing; one timer for all. They come back and resume, and have lost nothing. */

/** What is watched of a congested link. */
export interface Watched {
  /** Another value each time the peer has taken something. */
  readonly progress: number;
  cutOff(reason: string): void;
}

export class SlowPeers {
  readonly #congested = new Map<Watched, { since: number; progress: number }>();
  #timer: NodeJS.Timeout | undefined;

  /** @param stuck ms that a congested peer may take nothing; 0: for ever */
  constructor(readonly stuck: number) {}

  add(link: Watched): void {
    if (this.stuck === 0) return;
    this.#congested.set(link, { since: performance.now(), progress: link.progress });
    this.#timer ??= setInterval(
      () => {
        this.#look();
      },
      Math.min(1000, this.stuck),
    );
  }

  remove(link: Watched): void {
    if (!this.#congested.delete(link) || this.#congested.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const now = performance.now();
    for (const [link, state] of this.#congested) {
      const { progress } = link;
      if (progress !== state.progress) {
        state.progress = progress;
        state.since = now;
      } else if (now - state.since >= this.stuck) {
        link.cutOff('slow consumer');
      }
    }
  }
}
