/** Says every few seconds something to itself: whether Redis takes writes, and whether what is announced is heard. */
import type { StoreHealth } from '../../core/store';
import { ChatError } from '../../protocol/errors';

export interface ProbeOptions {
  /** Writes and announces the text. */
  readonly send: (text: string) => Promise<unknown>;
  readonly everyMs: number;
}

export class Probe {
  #count = 0;
  /** By the steady clock. */
  #answeredAt = 0;
  #heardAt = 0;
  #failure = '';
  #timer: NodeJS.Timeout | undefined;
  #onHeard: (() => void) | undefined;

  constructor(readonly options: ProbeOptions) {}

  /** Resolves when the first one was answered and heard. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#say(), this.options.everyMs);
    this.#timer.unref();
    const heard = new Promise<void>((resolve) => (this.#onHeard = resolve));
    await this.#say();
    await heard;
  }

  heard(text: string): void {
    if (text !== String(this.#count)) return;
    this.#heardAt = performance.now();
    this.#onHeard?.();
  }

  health(): StoreHealth {
    const oldest = performance.now() - 2 * this.options.everyMs;
    if (this.#failure !== '') return { ready: false, reason: this.#failure };
    if (this.#answeredAt < oldest) return { ready: false, reason: 'Redis does not answer' };
    if (this.#heardAt < oldest) return { ready: false, reason: 'Redis answers, but its announcements do not arrive' };
    return { ready: true, reason: '' };
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #say(): Promise<void> {
    this.#count += 1;
    try {
      await this.options.send(String(this.#count));
      this.#failure = '';
      this.#answeredAt = performance.now();
    } catch (error) {
      // What a say is told of its outcome is no news of the store's health: that it did not answer is.
      const silent = error instanceof ChatError && error.code === 'outcome_unknown';
      this.#failure = silent ? 'Redis does not answer in time' : error instanceof Error ? error.message : String(error);
    }
  }
}
