/** The time limits of connections, by one timer for all of them. */
import { Socket } from 'node:net';
import { Wheel, type Timed } from '../../core/wheel';
import { takenFrom } from '../slow-peers';

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
  /** Bytes that had come and gone when it began. */
  moved = 0;

  constructor(readonly socket: Limited) {}
}

/**
 * Node makes a timer with each `setTimeout` of a socket, and its HTTP server calls that with each request and again with
 * each answer. The last one stays with the connection, be it cleared: 240 bytes of it. Here what comes and goes is looked
 * at when the time is over: whoever took or sent anything meanwhile has as much time again.
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
      if (typeof ms !== 'number' || !(ms >= 0 && ms < Infinity)) return refused(this, ms);
      if (callback && ms > 0) this.once('timeout', callback);
      else if (callback) this.off('timeout', callback);
      set(this, Math.ceil(ms));
      return this;
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
    const wasTimed = Boolean(socket.timeout);
    socket.timeout = ms;
    const limit = socket[LIMIT];
    if (ms > 0) this.#begin(limit ?? (socket[LIMIT] = new Limit(socket)), ms);
    // node:http does so between two requests, and the next limit comes at once.
    else if (limit && wasTimed) limit.end = 0;
    else this.#drop(socket);
  }

  #begin(limit: Limit, ms: number): void {
    limit.end = Math.ceil(performance.now() + ms);
    limit.moved = movedOf(limit.socket);
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
    const { socket, end } = limit;
    if (end > performance.now()) {
      this.#place(limit);
    } else if (end > 0 && socket.timeout && movedOf(socket) !== limit.moved) {
      this.#begin(limit, socket.timeout);
    } else {
      socket[LIMIT] = undefined;
      if (end > 0 && movedOf(socket) === limit.moved) socket.emit('timeout');
    }
  }

  #drop(socket: Limited): void {
    const limit = socket[LIMIT];
    if (!limit) return;
    this.#wheel.remove(limit);
    socket[LIMIT] = undefined;
  }
}

/** What is no time is Node's to refuse, which notes it before it does. */
function refused(socket: Limited, ms: number): Socket {
  const { timeout } = socket;
  try {
    return Socket.prototype.setTimeout.call(socket, ms);
  } finally {
    socket.timeout = timeout;
  }
}

function movedOf(socket: Socket): number {
  return socket.bytesRead + takenFrom(socket);
}
