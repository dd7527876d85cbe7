/** What the generator asks of every kind of client, and what they have in common. */
import type { Mark } from './marks';

export interface Target {
  readonly port: number;
  /** Of the TCP server. */
  readonly tcpPort?: number | undefined;
}

/** Called with the messages in the order heard. Whoever gets the same bytes is given the same list. */
export type Ear = (marks: readonly Mark[]) => void;

export interface Link {
  /** All of them in one write. */
  say(texts: readonly string[]): void;
  close(): void;
}

/** Connects and comes into the room; resolves when it hears all that is said from then on. */
export type Wire = (target: Target, room: string, ear: Ear) => Promise<Link>;

interface Read<T> {
  readonly taken: number;
  readonly value: T;
}

/** Reads bytes once that many connections get alike: comparing them costs a tenth of reading them. */
export class Alike<T> {
  #bytes = Buffer.alloc(0);
  #read: Read<T> | undefined;

  constructor(readonly parse: (bytes: Buffer) => Read<T>) {}

  read(bytes: Buffer): Read<T> {
    if (this.#read && bytes.length === this.#bytes.length && bytes.equals(this.#bytes)) return this.#read;
    this.#bytes = Buffer.from(bytes);
    this.#read = this.parse(this.#bytes);
    return this.#read;
  }
}

export function failing(reject: (error: Error) => void, what: string): () => void {
  return () => {
    reject(new Error(`${what} was closed before it was ready`));
  };
}
