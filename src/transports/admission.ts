/** How many may be connected, in all and from one address; who is one too many is told so, and goes. */
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { ChatError } from '../protocol/errors';
import type { Counters } from '../core/counters';
import { networkOf } from '../core/network';
import { Seats, type Seated } from '../core/seats';
import { letGo } from './intake';

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

/** Where connections are a proxy's, who is in them is known by each request. */
export interface ForwardedOptions {
  /** 0: any number. */
  readonly perAddress: number;
  readonly addressOf: (request: IncomingMessage) => string;
  /** Answers a request that is one too many. */
  readonly refuse: (response: ServerResponse, error: ChatError) => void;
  /** The same to an upgrade. */
  readonly farewell: (error: ChatError) => string;
}

/** A connection, or one request of a proxy's connection for as long as it is answered. */
type Held = Pick<Socket | ServerResponse, 'writableLength' | 'destroy' | 'on'> & { [PLACE]?: Place | undefined };

/** What one address has open. */
interface Share {
  readonly address: string;
  readonly all: Seats<Place>;
}

/** What is open, among the others of its address. */
interface Place extends Seated {
  readonly held: Held;
  readonly share: Share;
}

/** On each of them, so that one listener serves all: two closures for each were 400 bytes of every connection. */
const PLACE = Symbol('place');
type Upgrade = (request: IncomingMessage, socket: Socket, head: Buffer) => void;

export class Admission {
  #open = 0;
  #told = 0;
  /** Those that a bound for an address is meant for: of what a proxy passes on, the requests and not its connections. */
  readonly #shares = new Map<string, Share>();
  readonly #connectionClosed: (this: Held) => void;
  readonly #heldClosed: (this: Held) => void;
  #looking: NodeJS.Timeout | undefined;

  /** @param counters where clients of the chat are refused */
  constructor(
    readonly limits: AdmissionLimits,
    readonly counters?: Counters,
  ) {
    const heldClosed = (held: Held): void => this.#closed(held);
    const connectionClosed = (held: Held): void => {
      this.#open -= 1;
      this.#closed(held);
    };
    this.#heldClosed = function () {
      heldClosed(this);
    };
    this.#connectionClosed = function () {
      connectionClosed(this);
    };
  }

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

  /**
   * Stands before what the server does with requests and upgrades, all of which it knows how to answer by now: requests
   * under way and upgraded sockets are counted as connections of the address that they are for.
   */
  guardForwarded(server: HttpServer, options: ForwardedOptions): void {
    const { addressOf, perAddress, refuse, farewell } = options;
    const full = (address: string): ChatError | undefined =>
      perAddress > 0 && this.#countOf(address) >= perAddress
        ? new ChatError('too_many_requests', '', RETRY)
        : undefined;

    const answering = server.listeners('request') as ((request: IncomingMessage, response: ServerResponse) => void)[];
    server.removeAllListeners('request');
    server.on('request', (request, response) => {
      const address = networkOf(addressOf(request));
      const error = full(address);
      if (error) {
        refuse(response, error);
        return;
      }
      this.#watch(response, address);
      response.on('close', this.#heldClosed);
      for (const listener of answering) listener.call(server, request, response);
    });

    const upgrading = server.listeners('upgrade') as Upgrade[];
    server.removeAllListeners('upgrade');
    // Without a listener Node answers upgrades as the requests that they are.
    if (upgrading.length === 0) return;
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      letGo(socket);
      const address = networkOf(addressOf(request));
      const error = full(address);
      if (error) {
        this.counters?.refuse(error.code);
        this.#refuse(socket, farewell(error));
        return;
      }
      this.#watch(socket, address);
      socket.on('close', this.#heldClosed);
      for (const listener of upgrading) listener.call(server, request, socket, head);
    });
  }

  /** Counts the socket until it closes, or refuses it. */
  #admits(socket: Socket, perAddress: number, farewell: (error: ChatError) => string): boolean {
    destroyOnError(socket);
    const { connections } = this.limits;
    const address = networkOf(socket.remoteAddress ?? '');
    const full = connections > 0 && this.#open >= connections;
    if (full || (perAddress > 0 && this.#countOf(address) >= perAddress)) {
      const error = new ChatError(full ? 'capacity' : 'too_many_requests', '', RETRY);
      this.counters?.refuse(error.code);
      this.#refuse(socket, farewell(error));
      return false;
    }
    this.#open += 1;
    if (perAddress > 0) this.#watch(socket, address);
    socket.on('close', this.#connectionClosed);
    return true;
  }

  #countOf(address: string): number {
    return this.#shares.get(address)?.all.size ?? 0;
  }

  #watch(held: Held, address: string): void {
    const share = this.#shares.get(address) ?? { address, all: new Seats() };
    const place = { held, share, seat: -1 };
    share.all.add(place);
    held[PLACE] = place;
    this.#shares.set(address, share);
    if (this.limits.unsentPerAddress > 0) this.#looking ??= setInterval(this.#look, LOOK).unref();
  }

  #closed(held: Held): void {
    const place = held[PLACE];
    if (!place) return;
    const { share } = place;
    held[PLACE] = undefined;
    share.all.remove(place);
    if (share.all.size === 0) this.#shares.delete(share.address);
    if (this.#shares.size > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  /** Each peer may be slow within its bounds; a thousand slow ones of one address are an attack. */
  readonly #look = (): void => {
    for (const { all } of this.#shares.values()) {
      const open = all.all().map(({ held }) => held);
      let unsent = 0;
      for (const { writableLength } of open) unsent += writableLength;
      if (unsent <= this.limits.unsentPerAddress) continue;
      for (const held of open.sort((a, b) => b.writableLength - a.writableLength)) {
        unsent -= held.writableLength;
        held.destroy();
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

/** An error ends the socket; said once, whichever of its owners say it. */
export function destroyOnError(socket: Duplex): void {
  if (!socket.listeners('error').includes(destroyIt)) socket.on('error', destroyIt);
}

/** From now on, another of its owners ends it: two listeners weigh more than one. */
export function leaveErrorsToOthers(socket: Duplex): void {
  if (socket.listenerCount('error') > 1) socket.off('error', destroyIt);
}

function destroyIt(this: Duplex): void {
  this.destroy();
}
