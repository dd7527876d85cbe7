/** How many may be connected, in all and from one address; who is one too many is told so, and goes. */
import type { Server, Socket } from 'node:net';
import { ChatError } from '../protocol/errors';
import { networkOf } from '../core/network';

/** Seconds after which somebody else may have gone. */
const RETRY = 5;
/** ms that a peer has to read why it is refused. */
const COURTESY = 1000;
/** Refusals being read at a time: in a flood the rest is cut without a word. */
const TOLD_AT_ONCE = 1000;

export class Admission {
  #open = 0;
  #told = 0;
  readonly #ofAddress = new Map<string, number>();

  /** @param connections of all doors together; 0: any number */
  constructor(readonly connections: number) {}

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
    socket.on('error', () => socket.destroy());
    const address = networkOf(socket.remoteAddress ?? '');
    const own = (this.#ofAddress.get(address) ?? 0) + 1;
    const full = this.connections > 0 && this.#open >= this.connections;
    if (full || (perAddress > 0 && own > perAddress)) {
      this.#refuse(socket, farewell(new ChatError(full ? 'capacity' : 'too_many_requests', '', RETRY)));
      return false;
    }
    this.#open += 1;
    this.#ofAddress.set(address, own);
    socket.once('close', () => {
      this.#open -= 1;
      const left = (this.#ofAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#ofAddress.set(address, left);
      else this.#ofAddress.delete(address);
    });
    return true;
  }

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
