/** Whether the other end of a WebSocket still lives: pings it, and ends what does not answer. */

/** Primus' clients leave after 45 s without a ping, home routers forget a silent connection after 30. */
export const PING_EVERY = 25_000;
const ANSWER_WITHIN = 8_000;

/** What a heartbeat knows of the socket. */
export interface Pulse {
  /** Bytes that the peer has not taken yet: the ping waits behind them. */
  readonly unsent: number;
  readonly progress: number;
  ping(): void;
  terminate(): void;
}

export class Heartbeat {
  #heardAt: number;
  #pingedAt: number;
  /** The socket's progress when the answer was last waited for; undefined when none is awaited. */
  #awaited: number | undefined;
  #pingsItself = false;
  /** We read nothing at present, so its silence says nothing of it. */
  deaf = false;

  /** @param now ms, a steady clock */
  constructor(
    readonly pulse: Pulse,
    now: number,
  ) {
    this.#heardAt = whole(now);
    this.#pingedAt = whole(now);
  }

  /** Whatever comes in is an answer. */
  heard(now: number): void {
    this.#heardAt = whole(now);
    this.#awaited = undefined;
  }

  /** A client of Primus 6 or older pings itself, and takes our pings for messages. */
  pingsItself(): void {
    this.#pingsItself = true;
  }

  /** To be called every second or so. */
  look(now: number): void {
    const { pulse } = this;
    if (this.deaf) this.heard(now);
    if (this.#pingsItself) {
      if (now - this.#heardAt > 2 * PING_EVERY) pulse.terminate();
    } else if (this.#awaited === undefined) {
      if (now - this.#pingedAt >= PING_EVERY) this.#ping(now);
    } else if (now - this.#pingedAt >= ANSWER_WITHIN) {
      // A slow peer has the ping still before it; it is given the time again for as long as it takes something.
      if (pulse.unsent === 0 || pulse.progress === this.#awaited) pulse.terminate();
      else this.#await(now);
    }
  }

  #ping(now: number): void {
    this.pulse.ping();
    this.#await(now);
  }

  #await(now: number): void {
    this.#pingedAt = whole(now);
    this.#awaited = this.pulse.progress;
  }
}

/** A fraction, and what is past 2^31 ms, is an object of its own, of which there may be two hundred thousand. */
function whole(ms: number): number {
  return Math.floor(ms);
}
