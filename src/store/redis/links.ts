/** The links to Redis as an operator sees them: made in time or told in one line, and their loss told once. */
import type { Logger } from '../../core/logger';
import { disconnect, type Client } from './connect';

/** Waiting longer would not help. */
const FINAL = /WRONGPASS|NOAUTH|NOPERM|invalid password|invalid username-password/i;

export class Link {
  #lastError = 'no answer';
  #wasReady = false;
  #lost = false;
  #closed = false;
  #abandon: (() => void) | undefined;

  constructor(
    readonly client: Client,
    /** Where it leads to, without any password. */
    readonly address: string,
    readonly logger: Logger,
  ) {
    client.on('error', (error: Error) => {
      this.#lastError = plain(error);
      logger.debug({ redis: address, err: error }, 'the link to Redis failed');
    });
    client.on('close', () => {
      if (this.#lost || this.#closed || !this.#wasReady) return;
      this.#lost = true;
      logger.warn({ redis: address }, 'the link to Redis is lost');
    });
    client.on('ready', () => {
      this.#wasReady = true;
      if (this.#lost) logger.info({ redis: address }, 'the link to Redis is back');
      this.#lost = false;
    });
  }

  get lastError(): string {
    return this.#lastError;
  }

  close(): void {
    this.#closed = true;
    this.#abandon?.();
    disconnect(this.client);
  }

  /** Rejects with one line for the operator. */
  open(withinMs: number): Promise<void> {
    const { client } = this;
    return new Promise((resolve, reject) => {
      const end = (error?: Error): void => {
        clearTimeout(timer);
        this.#abandon = undefined;
        client.off('ready', ready).off('error', failed);
        if (error) reject(error);
        else resolve();
      };
      const refused = (why: string): void => end(new Error(`cannot reach Redis at ${this.address}: ${why}`));
      const ready = (): void => end();
      const failed = (error: Error): void => {
        if (FINAL.test(error.message)) refused(plain(error));
      };
      const timer = setTimeout(() => refused(`${this.#lastError} (tried for ${withinMs / 1000} s)`), withinMs);
      this.#abandon = () => refused('given up');
      client.on('ready', ready).on('error', failed);
      // It goes on trying by itself, so its first failure says nothing yet.
      client.connect().catch(() => undefined);
    });
  }
}

/** On one line, and no more than an operator needs; several addresses tried are an AggregateError without a message. */
function plain(error: Error): string {
  const text = error.message || (error as NodeJS.ErrnoException).code || error.name;
  return text.replace(/\s+/g, ' ').slice(0, 200);
}
