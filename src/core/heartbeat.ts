/** Tells the other nodes how this one is, through the store: a record that dies with the node. */
import type { Logger } from './logger';
import type { Store } from './store';

export interface HeartbeatOptions {
  readonly store: Store;
  readonly logger: Logger;
  readonly node: string;
  /** What is told; anything that JSON can hold. */
  readonly describe: () => object;
  /** ms */
  readonly every?: number;
}

const EVERY = 2000;
/** A node that has told nothing for so many beats is gone. */
const BEATS = 5;

export class Heartbeat {
  readonly #every: number;
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> | undefined;
  #closed = false;

  constructor(readonly options: HeartbeatOptions) {
    this.#every = options.every ?? EVERY;
  }

  start(): void {
    void this.beat();
    this.#timer = setTimeout(
      () => {
        if (!this.#closed) this.start();
      },
      this.#every * (0.9 + Math.random() * 0.2),
    );
    this.#timer.unref();
  }

  /** Now, also out of turn: a node that begins to go says so at once. A store that is away costs the node its beat only. */
  beat(): Promise<void> {
    this.#beating ??= this.#tell().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #tell(): Promise<void> {
    const { store, node, describe, logger } = this.options;
    try {
      await store.beat(node, JSON.stringify(describe()), BEATS * this.#every);
    } catch (error) {
      logger.debug({ err: error }, 'the heartbeat was not written');
    }
  }
}
