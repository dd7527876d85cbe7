/** The way out of one socket: whole frames, written at once, and no more of them than the peer takes. */
import type { Socket } from 'node:net';
import type { PushFormat } from '../core/batch';
import type { PushLink } from '../core/push';
import { tcpLine, webSocketFrame } from '../protocol/frames';

export interface BufferLimits {
  /** Bytes unsent at which pushing stops; the peer catches up from the log when it has taken them. 0: no limit. */
  readonly bufferSoft: number;
  /** Bytes unsent at which the peer is cut off: it asks and does not listen. 0: no limit. */
  readonly bufferHard: number;
  /** ms that a congested peer may take nothing. 0: no limit. */
  readonly stuck: number;
}

/** Cuts off peers that take nothing; one timer for all. */
export class SlowPeers {
  readonly #congested = new Map<SocketLink, { since: number; taken: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(readonly stuck: number) {}

  get size(): number {
    return this.#congested.size;
  }

  add(link: SocketLink): void {
    if (this.stuck === 0) return;
    this.#congested.set(link, { since: performance.now(), taken: link.taken });
    this.#timer ??= setInterval(
      () => {
        this.#look();
      },
      Math.min(1000, this.stuck),
    );
  }

  remove(link: SocketLink): void {
    if (!this.#congested.delete(link) || this.#congested.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const now = performance.now();
    for (const [link, state] of this.#congested) {
      if (link.taken > state.taken) {
        state.taken = link.taken;
        state.since = now;
      } else if (now - state.since >= this.stuck) {
        link.cutOff('slow consumer');
      }
    }
  }
}

export class SocketLink implements PushLink {
  congested = false;
  /** Set by the conversation: the peer has taken what it was sent. */
  onDrained: (() => void) | undefined;
  #written = 0;

  /** @param cut ends the socket in the way of its protocol */
  constructor(
    readonly socket: Socket,
    readonly format: PushFormat,
    readonly limits: BufferLimits,
    readonly slow: SlowPeers,
    readonly cut: (reason: string) => void,
  ) {
    socket.on('drain', () => {
      if (!this.congested) return;
      this.congested = false;
      slow.remove(this);
      this.onDrained?.();
    });
    socket.once('close', () => {
      slow.remove(this);
    });
  }

  /** Bytes that left this process. */
  get taken(): number {
    return this.#written - this.socket.writableLength;
  }

  frame(json: string): Buffer {
    return this.format === 'websocket' ? webSocketFrame(json) : tcpLine(json);
  }

  send(json: string): void {
    this.push(this.frame(json));
  }

  push(bytes: Buffer): void {
    const { socket, limits } = this;
    if (!socket.writable) return;
    this.#written += bytes.length;
    socket.write(bytes);
    const unsent = socket.writableLength;
    if (limits.bufferHard > 0 && unsent > limits.bufferHard) {
      this.cutOff('slow consumer');
    } else if (!this.congested && limits.bufferSoft > 0 && unsent > limits.bufferSoft) {
      this.congested = true;
      this.slow.add(this);
    }
  }

  cutOff(reason: string): void {
    this.slow.remove(this);
    this.cut(reason);
  }
}
