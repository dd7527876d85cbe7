/** How many may be connected, in all and from one address; who is one too many is told so, and goes. */
import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ChatError } from '../protocol/errors';
import type { Counters } from '../core/counters';
import { networkOf } from '../core/network';

/** Seconds after which somebody else may have gone. */
const RETRY = 5;
/** ms that a peer has to read why it is refused. */
const COURTESY = 1000;
/** Refusals being read at a time: in a flood the rest is cut without a word. */
const TOLD_AT_ONCE = 1000;

/** ms between looks at what is unsent. */
const LOOK = 1000;

export interface AdmissionLimits {
  /** Of all doors together. 0: any number. */
  readonly connections: number;
  /** Bytes unsent to all peers of one address at which those with most are cut off. 0: any number. */
  readonly unsentPerAddress: number;
}

export class Admission {
  #open = 0;
  #told = 0;
  /** Those that a bound for an address is meant for: not what a proxy passes on. */
  readonly #ofAddress = new Map<string, Set<Socket>>();
  #looking: NodeJS.Timeout | undefined;

  /** @param counters where clients of the chat are refused */
  constructor(
    readonly limits: AdmissionLimits,
    readonly counters?: Counters,
  ) {}

  /**
   * Stands before what the server does with a connection, TLS and HTTP included: who is to go is not read.
   * @param perAddress 0: any number
   * @param farewell what the door says to whom it refuses
   */
  guard(server: Server, perAddress: number, farewell: (error: ChatError) => string): void {
    const behind = server.listeners('connection') as ((socket: Socket) => void)[];
    server.removeAllListeners('connection');
    server.on('connection', (socket) => {
      if (!this.#admits(socket, perAddress, farewell)) return;
      for (const listener of behind) listener.call(server, socket);
    });
  }

  /** Counts the socket until it closes, or refuses it. */
  #admits(socket: Socket, perAddress: number, farewell: (error: ChatError) => string): boolean {
    socket.on('error', destroyIt);
    const { connections } = this.limits;
    const address = networkOf(socket.remoteAddress ?? '');
    const own = this.#ofAddress.get(address) ?? new Set();
    const full = connections > 0 && this.#open >= connections;
    if (full || (perAddress > 0 && own.size >= perAddress)) {
      const error = new ChatError(full ? 'capacity' : 'too_many_requests', '', RETRY);
      this.counters?.refuse(error.code);
      this.#refuse(socket, farewell(error));
      return false;
    }
    this.#open += 1;
    socket.on('close', this.#left);
    if (perAddress > 0) this.#watch(socket, address, own);
    return true;
  }

  readonly #left = (): void => {
    this.#open -= 1;
  };

  #watch(socket: Socket, address: string, own: Set<Socket>): void {
    own.add(socket);
    this.#ofAddress.set(address, own);
    if (this.limits.unsentPerAddress > 0) this.#looking ??= setInterval(this.#look, LOOK).unref();
    socket.once('close', () => {
      own.delete(socket);
      if (own.size === 0) this.#ofAddress.delete(address);
      if (this.#ofAddress.size > 0) return;
      clearInterval(this.#looking);
      this.#looking = undefined;
    });
  }

  /** Each peer may be slow within its bounds; a thousand slow ones of one address are an attack. */
  readonly #look = (): void => {
    for (const sockets of this.#ofAddress.values()) {
      let unsent = 0;
      for (const { writableLength } of sockets) unsent += writableLength;
      if (unsent <= this.limits.unsentPerAddress) continue;
      for (const socket of [...sockets].sort((a, b) => b.writableLength - a.writableLength)) {
        unsent -= socket.writableLength;
        socket.destroy();
        if (unsent <= this.limits.unsentPerAddress) break;
      }
    }
  };

  #refuse(socket: Socket, text: string): void {
    if (this.#told >= TOLD_AT_ONCE) {
      socket.destroy();
      return;
    }
    this.#told += 1;
    // Read and thrown away: what is left unread would turn our FIN into a reset, which takes our words back.
    socket.resume();
    socket.once('end', () => socket.destroy());
    socket.end(text);
    const timer = setTimeout(() => socket.destroy(), COURTESY);
    socket.once('close', () => {
      clearTimeout(timer);
      this.#told -= 1;
    });
  }
}

/** As a listener: one for all sockets. */
export function destroyIt(this: Duplex): void {
  this.destroy();
}
