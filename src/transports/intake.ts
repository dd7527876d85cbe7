/**
 * What comes in is parsed in slices, and addresses take turns. Node reads 64 KiB of a connection at a time and has all
 * of it parsed before anything else is done, of every connection that has something: a few megabytes of the smallest
 * requests, chunks or frames, over a few hundred connections, would be minutes in which nobody is answered; a large line
 * of JSON over each of them, seconds.
 */
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { networkOf } from '../core/network';
import { isOverdue } from './turns';

/** Bytes that are parsed in one go: more than most requests have, and a few milliseconds' worth of the smallest ones. */
const SLICE = 2048;

/** ms in a turn of the event loop for all that waits. */
const TURN = 10;

type Listener = (this: Socket, bytes?: Buffer) => void;

/** Most often it is one, and a list weighs more than what is in it. */
type Listeners = Listener | readonly Listener[];

const INLET = Symbol('inlet');

interface Watched extends Socket {
  [INLET]?: Inlet | undefined;
}

/** One connection: who parses what comes on it, and what of that waits. */
class Inlet {
  rest: Buffer | undefined;
  /** The peer has said all, and the parser does not know it yet. */
  ended = false;
  waiting = false;

  constructor(
    readonly socket: Watched,
    readonly address: string,
    readonly parse: Listeners,
    readonly end: Listeners,
    /** Another listener of the parser's. */
    readonly mark: Listener | undefined,
  ) {}

  /** Tells those who listen for the peer's end. */
  finish(): void {
    call(this.end, this.socket);
  }

  /** False when the connection was closed by that, or is somebody else's. */
  give(bytes: Buffer): boolean {
    call(this.parse, this.socket, bytes);
    if (!this.isOver()) return true;
    // Nobody told us of the new owner: the parser's listener is to get nothing more, and what waits has nowhere to go.
    if (this.socket[INLET] === this) letGo(this.socket);
    return false;
  }

  /**
   * Closed, or somebody else's. node:http takes all of its listeners away when a request is an upgrade: its parser may
   * be another connection's then.
   */
  isOver(): boolean {
    const { socket, mark } = this;
    return (
      socket.destroyed || socket[INLET] !== this || (mark !== undefined && socket.listenerCount('drain', mark) === 0)
    );
  }
}

/** Whose turn it is: addresses in their order, each with its connections in theirs. */
const waiting = new Map<string, Inlet[]>();
let coming = false;

/** For the connection's next owner, which is given what waits. */
export function letGo(socket: Duplex): void {
  if (!(socket instanceof Socket)) return;
  const inlet = (socket as Watched)[INLET];
  if (!inlet) return;
  (socket as Watched)[INLET] = undefined;
  socket.off('data', onData).off('end', onEnd).off('resume', onResume);
  if (inlet.ended) socket.destroy();
  else if (inlet.rest) socket.unshift(inlet.rest);
}

/**
 * node:http gives each connection methods of its own for these, by which it learns that somebody else wants the data. It
 * has learned it by ours, and takes them back only when the parser is gone: without them a connection weighs 300 bytes less.
 */
const METHODS = ['on', 'addListener', 'prependListener'] as const;

function takeBack(socket: Socket): void {
  for (const name of METHODS) Reflect.set(socket, name, Reflect.get(Socket.prototype, name));
}

/**
 * From now on, those who listen for the socket's data by now are given it in slices, and told of its end after that.
 * They may pause the socket, and are given nothing until they resume it.
 * @param parser node:http's, which gives a socket away with an upgrade
 */
export function takeTurns(socket: Socket, parser?: 'http'): void {
  const [mark] = parser === 'http' ? (socket.listeners('drain') as Listener[]) : [];
  const parse = socket.listeners('data') as Listener[];
  const end = socket.listeners('end') as Listener[];
  // Not all of them in one call: that makes a hash table of what listens to the socket, at 700 bytes for each.
  for (const listener of parse) socket.off('data', listener);
  for (const listener of end) socket.off('end', listener);
  // node:net's does nothing where a peer may close its half alone, as it may with node:http.
  if (parser === 'http' && end[0]?.name === 'onReadableStreamEnd') end.shift();
  (socket as Watched)[INLET] = new Inlet(
    socket,
    networkOf(socket.remoteAddress ?? ''),
    oneOrAll(parse),
    oneOrAll(end),
    mark,
  );
  socket.on('data', onData).on('end', onEnd).on('resume', onResume);
  if (parser === 'http') takeBack(socket);
}

function oneOrAll(listeners: readonly Listener[]): Listeners {
  const [only] = listeners;
  return only && listeners.length === 1 ? only : listeners;
}

function call(listeners: Listeners, socket: Socket, bytes?: Buffer): void {
  if (typeof listeners === 'function') listeners.call(socket, bytes);
  else for (const listener of listeners) listener.call(socket, bytes);
}

function onData(this: Watched, chunk: Buffer): void {
  const inlet = this[INLET];
  if (!inlet) return;
  if (inlet.rest) {
    inlet.rest = Buffer.concat([inlet.rest, chunk]);
  } else if (chunk.length <= SLICE && !isOverdue()) {
    inlet.give(chunk);
    return;
  } else {
    inlet.rest = chunk;
  }
  wait(inlet);
}

function onEnd(this: Watched): void {
  const inlet = this[INLET];
  if (!inlet) return;
  if (inlet.rest) inlet.ended = true;
  else inlet.finish();
}

/** The parser may go on, or wants to have more than what waits, which comes first. */
function onResume(this: Watched): void {
  const inlet = this[INLET];
  if (inlet?.rest && !this.isPaused()) wait(inlet);
}

function wait(inlet: Inlet): void {
  inlet.socket.pause();
  if (inlet.waiting) return;
  inlet.waiting = true;
  if (!coming) setImmediate(turn);
  coming = true;
  const own = waiting.get(inlet.address);
  if (own) own.push(inlet);
  else waiting.set(inlet.address, [inlet]);
}

function turn(): void {
  const until = performance.now() + TURN;
  // Whoever is put back behind the others is met again.
  for (const [address, own] of waiting) {
    const inlet = own.shift();
    // Behind the others, if it has more to come.
    waiting.delete(address);
    if (own.length > 0) waiting.set(address, own);
    if (inlet) step(inlet);
    if (performance.now() > until) break;
  }
  coming = waiting.size > 0;
  if (coming) setImmediate(turn);
}

function step(inlet: Inlet): void {
  const { socket, rest } = inlet;
  inlet.waiting = false;
  if (inlet.isOver() || !rest) return;
  inlet.rest = rest.length > SLICE ? rest.subarray(SLICE) : undefined;
  // So that it shows whether the parser pauses it.
  socket.resume();
  if (!inlet.give(rest.subarray(0, SLICE))) return;
  if (!inlet.rest) {
    if (inlet.ended) inlet.finish();
  } else if (!socket.isPaused()) {
    wait(inlet);
  }
}
