/** One open WebSocket: JSON frames, and on `/primus` what Primus' clients add to them. */
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { asChatError, ChatError } from '../protocol/errors';
import { webSocketPong } from '../protocol/frames';
import { Conversation, type ConversationOptions } from './conversation';
import type { Beginning } from './entrance';
import type { Dialect, SocketPeer } from './socket-peer';
import { Heartbeat, type Pulse } from './heartbeat';
import { parseJson } from './http/params';
import { SocketLink, type BufferLimits, type LinkOwner } from './link';
import { requestOf, type Arguments } from './request';
import type { Credential } from './resume';
import type { SlowPeers } from './slow-peers';
import { isOverdue } from './turns';

/** `native`: ping frames. `primus`: pings, pongs and a goodbye of its own, as texts. */
export type Flavour = 'native' | 'primus';

/** What the handshake tells of the other end. */
export interface Caller {
  readonly address: string;
  readonly cookie: Credential | undefined;
  readonly beginning: Beginning;
}

const dialect: Dialect = {
  type: 'websocket',
  errorOf: ({ message, code, retryAfter }, { echoed }) => {
    const error = `Error: ${message}`;
    return { status: error, error, code, retryAfter, data: echoed };
  },
};

/** ms for a close frame to arrive at a peer that may read nothing any more. */
const COURTESY = 1000;

const NO_LISTENERS = Object.freeze(Object.create(null) as object);

/**
 * ws' own object, which tells its peer what it has to say: a table of listeners would be there for every socket. Whoever
 * would listen to it by `on` would hear nothing, so that throws.
 */
export class PeerSocket extends WebSocket {
  peer: WebSocketPeer<unknown> | undefined;
  /** What every emitter of Node's keeps its listeners in: one for all, as nothing can be added to it. */
  readonly _events = NO_LISTENERS;

  override emit(event: string | symbol, ...given: unknown[]): boolean {
    const { peer } = this;
    if (event === 'message') peer?.heard(given[0] as Buffer, given[1] as boolean);
    else if (event === 'pong') peer?.answered();
    else if (event === 'ping') peer?.asked(given[0] as Buffer);
    else if (event === 'close') peer?.closed(given[0] as number);
    else if (event === 'error') this.terminate();
    return peer !== undefined;
  }
}

/** What a peer needs of its door. */
export interface PeerDoor<Api> {
  readonly options: ConversationOptions<Api> & { readonly limits: BufferLimits };
  readonly slow: SlowPeers;
  /** The peer's socket is closed. */
  left(peer: WebSocketPeer<Api>): void;
}

interface Frame {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

/** Is all that its parts ask of it, rather than give each of them a few functions: there may be a hundred thousand. */
export class WebSocketPeer<Api> implements SocketPeer, LinkOwner, Pulse {
  readonly link: SocketLink;
  readonly heartbeat: Heartbeat;
  readonly remoteIP: string;
  readonly remotePort: number;
  readonly cookie: Credential | undefined;
  readonly #conversation: Conversation<Api>;
  #paused = false;
  /** Of what has come in one read, what has to wait its turn. */
  #unread: Frame[] | undefined;
  /** It is closed, and something of what it sent before is unread. */
  #heardOut = false;

  constructor(
    readonly webSocket: PeerSocket,
    socket: Socket,
    readonly flavour: Flavour,
    readonly door: PeerDoor<Api>,
    { address, cookie, beginning }: Caller,
  ) {
    socket.setNoDelay(true);
    this.remoteIP = address;
    this.remotePort = socket.remotePort ?? 0;
    this.cookie = cookie;
    this.link = new SocketLink(socket, 'websocket', door.options.limits, door.slow, this);
    this.heartbeat = new Heartbeat(this, performance.now());
    this.#conversation = new Conversation(door.options, this, beginning);
    webSocket.peer = this as WebSocketPeer<unknown>;
  }

  get dialect(): Dialect {
    return dialect;
  }

  get unsent(): number {
    return this.link.unsent;
  }

  get progress(): number {
    return this.link.progress;
  }

  ping(): void {
    if (this.flavour === 'primus') this.link.send(JSON.stringify(`primus::ping::${String(Date.now())}`));
    else this.webSocket.ping();
  }

  terminate(): void {
    this.webSocket.terminate();
  }

  pause(paused: boolean): void {
    this.heartbeat.deaf = paused;
    this.#paused = paused;
    if (paused) {
      this.webSocket.pause();
      return;
    }
    this.webSocket.resume();
    this.#readOn();
  }

  drained(): void {
    this.#conversation.drained();
  }

  cut(reason: string): void {
    this.#conversation.end(false);
    this.webSocket.close(1013, reason);
    setTimeout(() => this.webSocket.terminate(), COURTESY).unref();
  }

  goodbye(): void {
    // A client that asked to go shall not come back by itself.
    if (this.flavour === 'primus') this.link.send(JSON.stringify('primus::server::close'));
    this.link.end();
    this.webSocket.close(1000);
  }

  closed(code: number): void {
    this.link.end();
    // 1001 is a page that goes away, and most of those are being loaded anew.
    if (code !== 1000 && code !== 1005) {
      this.#unread = undefined;
      this.#conversation.end(false);
      this.door.left(this);
    } else if (this.#unread) {
      this.#heardOut = true;
    } else {
      this.#leave();
    }
  }

  /** What it said before it went is said. */
  #leave(): void {
    void this.#conversation.settled().then(() => {
      this.#conversation.end(true);
      this.door.left(this);
    });
  }

  /** The server goes: what was asked is answered, and the client comes back, to another node. */
  restart(): void {
    const close = (): void => {
      this.#conversation.end(false);
      this.link.end();
      this.webSocket.close(1012, 'service restart');
    };
    // At once where nothing is left to answer: the process may be about to end.
    if (this.#conversation.idle) close();
    else void this.#conversation.settled().then(close);
  }

  /** A pong. */
  answered(): void {
    this.heartbeat.heard(performance.now());
  }

  /** A ping. Its pong goes the way of all answers, so that who asks and does not listen is cut off. */
  asked(data: Buffer): void {
    this.heartbeat.heard(performance.now());
    this.link.answer(webSocketPong(data));
  }

  /** One read may be eight thousand frames: so many as may wait, and for as long as nobody else is kept waiting. */
  heard(data: Buffer, isBinary: boolean): void {
    this.heartbeat.heard(performance.now());
    if (this.#paused) {
      (this.#unread ??= []).push({ data, isBinary });
      return;
    }
    this.#read(data, isBinary);
    this.#rest();
  }

  #readOn(): void {
    let at = 0;
    for (let frame = this.#unread?.[0]; frame && !this.#paused; frame = this.#unread?.[at]) {
      at += 1;
      this.#read(frame.data, frame.isBinary);
      this.#rest();
    }
    const left = this.#unread?.slice(at) ?? [];
    this.#unread = left.length > 0 ? left : undefined;
    if (this.#heardOut && !this.#unread) this.#leave();
  }

  #rest(): void {
    if (this.#paused || !isOverdue()) return;
    this.pause(true);
    setImmediate(() => this.pause(false));
  }

  #read(data: Buffer, isBinary: boolean): void {
    const conversation = this.#conversation;
    let frame: unknown;
    try {
      if (isBinary) throw new ChatError('bad_request', 'frames must be text');
      frame = parseJson(data.toString());
    } catch (error) {
      // No JSON frame, so it has no number among them; a client that counts from 1 has no request 0.
      if (this.flavour === 'native') conversation.refuse(asChatError(error), 0);
      return;
    }
    if (this.flavour === 'primus' && typeof frame === 'string' && frame.startsWith('primus::')) {
      this.#primus(frame);
      return;
    }
    const messageCount = conversation.count();
    if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) {
      conversation.refuse(new ChatError('bad_request', 'a request is a JSON object'), messageCount);
      return;
    }
    const request = requestOf(frame as Arguments);
    const params = request.event === 'say' ? conversation.sticky.matched(request.params) : request.params;
    conversation.receive(params === request.params ? request : { ...request, params }, messageCount, data.length);
  }

  #primus(frame: string): void {
    if (frame.startsWith('primus::ping::')) {
      this.heartbeat.pingsItself();
      this.link.send(JSON.stringify(frame.replace('ping', 'pong')));
    } else if (frame === 'primus::id::') {
      this.link.send(JSON.stringify(`primus::id::${this.#conversation.clientId ?? ''}`));
    }
  }
}
