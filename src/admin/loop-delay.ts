/** What the event loop was late by, over the last one or two windows: nobody who asks takes it from others who do. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** ms between two looks. */
const RESOLUTION = 20;
/** ms. Prometheus asks every 15 s or 60 s. */
const WINDOW = 60_000;

/** Seconds by quantile; 1 is the most. */
export type Late = Readonly<Record<'0.5' | '0.99' | '1', number>>;

export class LoopDelay {
  /** Of this window so far. */
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION });
  #before: Late = { '0.5': 0, '0.99': 0, '1': 0 };
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#histogram.enable();
    this.#timer = setInterval(() => {
      this.#before = this.#now();
      this.#histogram.reset();
    }, WINDOW).unref();
  }

  /** The worse of both windows. */
  get late(): Late {
    const [now, before] = [this.#now(), this.#before];
    return {
      '0.5': Math.max(now['0.5'], before['0.5']),
      '0.99': Math.max(now['0.99'], before['0.99']),
      '1': Math.max(now['1'], before['1']),
    };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#histogram.disable();
  }

  #now(): Late {
    const seconds = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - RESOLUTION / 1000);
    const histogram = this.#histogram;
    return {
      '0.5': seconds(histogram.percentile(50)),
      '0.99': seconds(histogram.percentile(99)),
      '1': seconds(histogram.max),
    };
  }
}
