/** The way out of one socket: whole frames, written at once, and no more of them than the peer takes. */
import type { Socket } from 'node:net';
import type { PushFormat } from '../core/batch';
import type { PushLink } from '../core/push';
import { tcpLine, webSocketFrame } from '../protocol/frames';
import { takenFrom, type SlowPeers } from './slow-peers';

export interface BufferLimits {
  /** Bytes unsent at which pushing stops; the peer catches up from the log when it has taken them. 0: no limit. */
  readonly bufferSoft: number;
  /** Bytes unsent at which the peer is cut off: it asks and does not listen. 0: no limit. */
  readonly bufferHard: number;
  /** ms that a congested peer may take nothing. 0: no limit. */
  readonly stuck: number;
}

/** Whose link it is: the socket's peer. One object with methods, because there is one of these for every connection. */
export interface LinkOwner {
  /** Ends the socket in the way of its protocol. */
  cut(reason: string): void;
  /** The peer has taken what it was sent, and can be pushed to again. */
  drained(): void;
}

/** Bytes of answers that wait for the end of a turn. */
const TOGETHER = 16_384;

export class SocketLink implements PushLink {
  #congested = false;
  #ended = false;
  #sending: Buffer[] | undefined;
  #sendingBytes = 0;
  /** One function for all its writes, so that Node can call it once for many. */
  #taken: (() => void) | undefined;

  /** To be ended when the socket is closed. */
  constructor(
    readonly socket: Socket,
    readonly format: PushFormat,
    readonly limits: BufferLimits,
    readonly slow: SlowPeers,
    readonly owner: LinkOwner,
  ) {}

  get congested(): boolean {
    return this.#congested;
  }

  /** Bytes that are still in this process, or were when the kernel was last asked. */
  get unsent(): number {
    return this.socket.writableLength + this.#sendingBytes;
  }

  /** Another value each time the peer has taken something. */
  get progress(): number {
    return takenFrom(this.socket);
  }

  frame(json: string): Buffer {
    return this.format === 'websocket' ? webSocketFrame(json) : tcpLine(json);
  }

  /** Goes out at the end of this turn of the event loop, in one write with all that is sent or pushed until then. */
  send(json: string): void {
    this.answer(this.frame(json));
  }

  /** The same of a frame. */
  answer(bytes: Buffer): void {
    if (this.#ended) return;
    if (this.#sending) this.#sending.push(bytes);
    else this.#sending = [bytes];
    this.#sendingBytes += bytes.length;
    // What may be too much for the peer is counted at once.
    if (this.#congested || this.#sendingBytes > TOGETHER) this.flush();
    else if (this.#sending.length === 1) setImmediate(flush, this);
  }

  push(bytes: Buffer): void {
    if (!this.#sending) {
      this.#write(bytes);
      return;
    }
    this.#sending.push(bytes);
    this.#sendingBytes += bytes.length;
    this.flush();
  }

  /** What waits for the end of the turn goes out now. */
  flush(): void {
    const sending = this.#sending;
    if (!sending) return;
    const [first] = sending;
    const bytes = first && sending.length === 1 ? first : Buffer.concat(sending, this.#sendingBytes);
    this.#sending = undefined;
    this.#sendingBytes = 0;
    this.#write(bytes);
  }

  #write(bytes: Buffer): void {
    const { socket } = this;
    const { bufferSoft, bufferHard } = this.limits;
    if (this.#ended || !socket.writable) return;
    const full = bufferSoft > 0 && socket.writableLength + bytes.length > bufferSoft;
    // Not 'drain': a limit below the socket's own high-water mark would never see it.
    if (full) socket.write(bytes, (this.#taken ??= () => this.#whenTaken()));
    else socket.write(bytes);

    const unsent = socket.writableLength;
    // A catch-up may come in one large piece; what piles up behind it was asked for by a peer that does not listen.
    const piling = this.#congested || bufferSoft === 0;
    if (piling && bufferHard > 0 && unsent > bufferHard) {
      this.cutOff('slow consumer');
    } else if (!this.#congested && full && unsent > bufferSoft) {
      this.#congested = true;
      this.slow.add(this);
    }
  }

  /** Nothing more goes out: what follows a close frame, or a goodbye, would be a breach of the protocol. */
  end(): void {
    this.flush();
    this.#ended = true;
    this.slow.remove(this);
  }

  cutOff(reason: string): void {
    if (this.#ended) return;
    this.end();
    this.owner.cut(reason);
  }

  #whenTaken(): void {
    if (this.#ended || !this.#congested || this.socket.writableLength > this.limits.bufferSoft) return;
    this.#congested = false;
    this.slow.remove(this);
    this.owner.drained();
  }
}

function flush(link: SocketLink): void {
  link.flush();
}
