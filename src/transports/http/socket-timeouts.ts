/** The time limits of connections, by one timer for all of them. */
import { Socket } from 'node:net';
import { Wheel, type Timed } from '../../core/wheel';

/** On a socket: its time limit. */
const LIMIT = Symbol('limit');

interface Limited extends Socket {
  timeout?: number;
  [LIMIT]?: Limit | undefined;
}

/** How long nothing may go on over a connection. */
class Limit implements Timed {
  seat = -1;
  deadline = 0;
  /** When its time is over, by the steady clock; later than the deadline when it was put off since. 0: never. */
  end = 0;
  /** Bytes that had come and gone when it was set. */
  bytes = 0;

  constructor(readonly socket: Limited) {}
}

/** Node's own; a timer for each. */
function setNodes(socket: Socket, ms: number, callback?: () => void): Socket {
  return Socket.prototype.setTimeout.call(socket, ms, callback);
}

/**
 * Node makes a timer with each `setTimeout` of a socket, and its HTTP server calls that with each request and again with
 * each answer. The last one stays with the connection, be it cleared: 240 bytes of it.
 */
export class SocketTimeouts {
  readonly #wheel: Wheel<Limit>;
  /** As functions that are told by `this` which socket is meant: one of each for all. */
  readonly #setTimeout: (this: Limited, ms: number, callback?: () => void) => Socket;
  readonly #closed: (this: Limited) => void;

  /** @param tickMs by how much a time limit may be exceeded */
  constructor(tickMs: number) {
    this.#wheel = new Wheel(tickMs, (limit) => this.#look(limit));
    const set = (socket: Limited, ms: number): void => this.#set(socket, ms);
    const drop = (socket: Limited): void => this.#drop(socket);

    this.#setTimeout = function (ms, callback) {
      if (this.destroyed) return this;
      if (callback === undefined && Number.isInteger(ms) && ms >= 0) {
        set(this, ms);
        return this;
      }
      // What is rarely asked for is Node's: a listener, a part of a millisecond, and what is no time.
      drop(this);
      return setNodes(this, ms, callback);
    };
    this.#closed = function () {
      drop(this);
    };
  }

  /**
   * From now on the socket's `setTimeout`, whoever calls it, is by this timer. Until then it has `ms` for its first byte;
   * 0 for ever.
   */
  take(socket: Limited, ms: number): void {
    socket.setTimeout = this.#setTimeout;
    socket.on('close', this.#closed);
    // Not as its `timeout`: how long it takes from its first byte on is looked at by others.
    if (ms > 0) this.#begin((socket[LIMIT] = new Limit(socket)), ms);
  }

  #set(socket: Limited, ms: number): void {
    const before = socket.timeout;
    socket.timeout = ms;
    const limit = socket[LIMIT];
    if (ms > 0) {
      // It may have a timer of Node's.
      if (!limit && before) setNodes(socket, 0);
      this.#begin(limit ?? (socket[LIMIT] = new Limit(socket)), ms);
    } else if (limit && before) {
      // node:http does so between two requests, and the next limit comes at once.
      limit.end = 0;
    } else {
      this.#drop(socket);
      if (before) setNodes(socket, 0);
    }
  }

  #begin(limit: Limit, ms: number): void {
    limit.end = Math.ceil(performance.now() + ms);
    limit.bytes = bytesOf(limit.socket);
    // Most often it is put off only, which is found out when its time would have been over.
    if (limit.seat !== -1 && limit.deadline <= limit.end) return;
    this.#wheel.remove(limit);
    this.#place(limit);
  }

  #place(limit: Limit): void {
    limit.deadline = limit.end;
    this.#wheel.add(limit);
  }

  /** Its time has come, as far as is known. */
  #look(limit: Limit): void {
    const { socket, end, bytes } = limit;
    if (end > performance.now()) {
      this.#place(limit);
      return;
    }
    socket[LIMIT] = undefined;
    if (end > 0) over(socket, bytes);
  }

  #drop(socket: Limited): void {
    const limit = socket[LIMIT];
    if (!limit) return;
    this.#wheel.remove(limit);
    socket[LIMIT] = undefined;
  }
}

/** Where something came or went meanwhile, or is still to be taken, Node's own timer goes on: it sees each byte of that. */
function over(socket: Limited, bytes: number): void {
  if (bytesOf(socket) > bytes || socket.writableLength > 0) setNodes(socket, socket.timeout ?? 0);
  else socket.emit('timeout');
}

function bytesOf({ bytesRead, bytesWritten }: Socket): number {
  return bytesRead + bytesWritten;
}
