/** One raw TCP connection of the generator: all of them read into one buffer, so that reading costs it little. */
import net from 'node:net';

const shared = Buffer.allocUnsafe(512 * 1024);

/** Takes what it can of the bytes and says how many that was. */
export type Consume = (bytes: Buffer) => number;

export class RawSocket {
  readonly socket: net.Socket;
  #rest: Buffer | undefined;
  consume: Consume = (bytes) => bytes.length;
  onClose: (() => void) | undefined;
  closed = false;

  constructor(port: number, onConnect: () => void) {
    this.socket = net.connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: shared,
        callback: (count, buffer) => {
          this.#read((buffer as Buffer).subarray(0, count));
          return true;
        },
      },
    });
    this.socket.once('connect', onConnect);
    this.socket.on('error', () => this.socket.destroy());
    this.socket.once('close', () => {
      this.closed = true;
      this.onClose?.();
    });
  }

  write(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  close(): void {
    this.onClose = undefined;
    this.socket.resetAndDestroy();
  }

  #read(chunk: Buffer): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    const taken = this.consume(bytes);
    // A copy: the buffer is everybody's.
    this.#rest = taken < bytes.length ? Buffer.from(bytes.subarray(taken)) : undefined;
  }
}
