/**
 * Reading of what is not at hand: a few reads at a time on this node, and whoever asks for many waits behind its own.
 * A page of an old log costs the store a thousand times what a say does, and it does one thing after the other.
 */
import { ChatError } from '../protocol/errors';
import { networkOf } from './network';

export interface ReadTurnsOptions {
  readonly atOnce: number;
  /** Reads of one address that may wait. */
  readonly waiting: number;
}

const usual: ReadTurnsOptions = { atOnce: 8, waiting: 10_000 };

export class ReadTurns {
  /** In the order in which addresses have their turn. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #running = 0;

  constructor(readonly options: ReadTurnsOptions = usual) {}

  /**
   * @param address who asks
   * @throws ChatError too_many_requests, when as many of its reads wait as may
   */
  async run<T>(address: string, read: () => Promise<T>): Promise<T> {
    if (this.#running >= this.options.atOnce) await this.#turn(networkOf(address));
    else this.#running += 1;
    try {
      return await read();
    } finally {
      this.#next();
    }
  }

  #turn(key: string): Promise<void> {
    const own = this.#waiting.get(key) ?? [];
    if (own.length >= this.options.waiting) throw new ChatError('too_many_requests', '', 1);
    this.#waiting.set(key, own);
    return new Promise((resolve) => own.push(resolve));
  }

  /** Hands the turn on: to the address that has waited longest for one. */
  #next(): void {
    for (const [key, own] of this.#waiting) {
      this.#waiting.delete(key);
      const first = own.shift();
      if (own.length > 0) this.#waiting.set(key, own);
      if (!first) continue;
      first();
      return;
    }
    this.#running -= 1;
  }
}
