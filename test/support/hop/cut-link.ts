/** A raw TCP link that ends after so many bytes or so much time, in the middle of whatever is on it then. */
import { createConnection, type Socket } from 'node:net';

export interface Cut {
  /** Bytes of ours that still arrive, and of the answer. */
  readonly sent: number;
  readonly received: number;
  readonly ms: number;
  /** By a reset instead of an end. */
  readonly rudely: boolean;
}

/** What reads the bytes; false when it has all it wanted. */
export type Take = (bytes: Buffer) => boolean;

export class CutLink {
  readonly #socket: Socket;
  #sent = 0;
  #received = 0;
  readonly ended: Promise<void>;

  constructor(
    port: number,
    readonly cut: Cut,
    begin: (link: CutLink) => Take,
  ) {
    const socket = createConnection({ port, host: '127.0.0.1', noDelay: true });
    this.#socket = socket;
    const timer = setTimeout(() => this.end(), cut.ms);
    let take: Take | undefined;
    socket.on('connect', () => (take = begin(this)));
    socket.on('data', (bytes) => {
      const left = cut.received - this.#received;
      this.#received += bytes.length;
      const goesOn = take?.(left < bytes.length ? bytes.subarray(0, left) : bytes) ?? false;
      if (!goesOn || left <= bytes.length) this.end();
    });
    socket.on('error', () => undefined);
    socket.on('end', () => socket.destroy());
    this.ended = new Promise((resolve) => {
      socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  write(bytes: string | Buffer): void {
    const all = Buffer.from(bytes as string);
    const left = this.cut.sent - this.#sent;
    this.#sent += all.length;
    if (left >= all.length) this.#socket.write(all);
    else if (left > 0) this.#socket.write(all.subarray(0, left), () => this.end());
    else this.end();
  }

  end(): void {
    if (this.#socket.destroyed) return;
    if (this.cut.rudely) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }
}
