/**
 * The limits of all nodes together: about once a second each node tells the store what was taken here, and hears what
 * is left of it. No request waits for that, so over n nodes at most n bursts come at once, and then the rate of one; or of
 * n, for those who are not among the thousand that take most.
 */
import type { Logger } from './logger';
import type { Rates } from './rate';
import type { Store } from './store';

export interface SharedRatesOptions {
  readonly rates: Rates;
  readonly store: Pick<Store, 'tally'>;
  readonly logger: Logger;
  /** ms */
  readonly every?: number;
}

/** Of each limit; who takes less than a thousand others is no danger, and is measured by its own node. */
const HEAVIEST = 1000;

export class SharedRates {
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(readonly options: SharedRatesOptions) {}

  start(): void {
    if (!this.options.store.tally) return;
    for (const limit of this.options.rates.limits.values()) limit.takenSince(0);
    this.#again();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async round(): Promise<void> {
    const { rates, store, logger } = this.options;
    const rounds = [...rates.limits].map(async ([name, limit]) => {
      const taken = limit.perSecond === 0 ? undefined : limit.takenSince(HEAVIEST);
      if (!taken || taken.size === 0) return;
      const left = await store.tally?.(name, limit, taken);
      for (const [key, tokens] of left ?? []) limit.leave(key, tokens);
    });
    for (const result of await Promise.allSettled(rounds)) {
      // Each node goes on by its own measure.
      if (result.status === 'rejected') logger.debug({ err: result.reason as unknown }, 'rates were not shared');
    }
  }

  #again(): void {
    if (this.#closed) return;
    // Not all nodes at one instant.
    const wait = (this.options.every ?? 1000) * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => void this.round().then(() => this.#again()), wait);
    this.#timer.unref();
  }
}
