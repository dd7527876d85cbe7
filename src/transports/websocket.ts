/** The WebSocket door: who may come in, on `/chat/` and on `/primus`, and how all of them go. */
import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type Server as SocketServer, type ServerOptions } from 'ws';
import { asChatError, ChatError } from '../protocol/errors';
import type { Origins } from './address';
import { destroyOnError, leaveErrorsToOthers } from './admission';
import type { ConversationOptions } from './conversation';
import type { Guard } from './guard';
import { errorBody } from './http/reply';
import type { Identity } from './http/identity';
import { queryParams } from './http/params';
import { isAnswering } from './http/server';
import { letGo, takeTurns } from './intake';
import type { BufferLimits } from './link';
import { SlowPeers } from './slow-peers';
import { PeerSocket, WebSocketPeer, type Caller, type Flavour } from './websocket-peer';

export interface WebSocketOptions<Api> extends ConversationOptions<Api> {
  readonly guard: Guard;
  readonly origins: Origins;
  readonly identity: Identity;
  readonly limits: BufferLimits & {
    /** ms that who will resume may take to say so. 0: any time. */
    readonly handshake: number;
  };
  readonly frameBytes: number;
  readonly draining: () => boolean;
}

/** ms between looks at who still answers. */
const LOOK = 1000;

export class WebSocketDoor<Api> {
  readonly #server: SocketServer<typeof PeerSocket>;
  readonly #peers = new Set<WebSocketPeer<Api>>();
  readonly slow: SlowPeers;
  #looks: NodeJS.Timeout | undefined;

  constructor(readonly options: WebSocketOptions<Api>) {
    this.slow = new SlowPeers(options.limits.stuck);
    this.#server = new WebSocketServer({
      noServer: true,
      WebSocket: PeerSocket,
      clientTracking: false,
      // Its peer does that; for each WebSocket ws would keep a function for it.
      autoPong: false,
      maxPayload: options.frameBytes,
      // A message in thousands of fragments costs more than its bytes say.
      maxFragments: 64,
      maxBufferedChunks: 1024,
      // What is compressed cannot be made once for all, and inflating is the attacker's bargain.
      perMessageDeflate: false,
      closeTimeout: 5000,
    } as ServerOptions<typeof PeerSocket>);
  }

  get size(): number {
    return this.#peers.size;
  }

  /** Answers upgrades on the server's `/chat` and `/primus`; others are somebody else's, or nobody's. */
  attach(server: Server, paths: { readonly native: string; readonly primus: string }): void {
    server.on('upgrade', (request, socket, head) => {
      letGo(socket);
      const path = (request.url ?? '').split('?')[0]?.replace(/\/$/, '');
      const flavour: Flavour | undefined =
        path === paths.native ? 'native' : path === paths.primus ? 'primus' : undefined;
      if (flavour) this.#upgrade(request, socket, head, flavour);
      else if (server.listenerCount('upgrade') === 1) this.#refuse(socket, new ChatError('not_found', path ?? ''));
    });
  }

  /** 1012: come back, to another node; each at its own time within `spreadMs`. */
  close(spreadMs: number): void {
    for (const peer of this.#peers) {
      if (spreadMs === 0) peer.restart();
      else setTimeout(() => peer.restart(), Math.random() * spreadMs).unref();
    }
  }

  /** Whoever is still there. */
  terminate(): void {
    for (const { webSocket } of this.#peers) webSocket.terminate();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, flavour: Flavour): void {
    destroyOnError(socket);
    // node:http gives no other kind; its type leaves it open.
    if (!(socket instanceof Socket)) return;
    // What is answered still would be written among the frames.
    if (isAnswering(socket)) {
      socket.destroy();
      return;
    }
    let caller: Caller;
    try {
      const { guard, draining, rates } = this.options;
      guard.checkHost(request);
      guard.checkUpgrade(request);
      if (draining()) throw new ChatError('shutting_down', '', 1);
      caller = this.#caller(request);
      rates.newClient(caller.address);
    } catch (error) {
      this.#refuse(socket, asChatError(error));
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      this.#peers.add(new WebSocketPeer(webSocket, socket, flavour, this, caller));
      takeTurns(socket);
      leaveErrorsToOthers(socket);
      this.#looks ??= this.#look();
    });
  }

  #refuse(socket: Duplex, error: ChatError): void {
    this.options.chat.counters.refuse(error.code);
    refuse(socket, error);
  }

  left(peer: WebSocketPeer<Api>): void {
    this.#peers.delete(peer);
    if (this.#peers.size > 0) return;
    clearInterval(this.#looks);
    this.#looks = undefined;
  }

  /**
   * `?after=<cursor>` resumes whom a bearer token or our cookie names; at `?resume=true` the first frame says who it is,
   * as no token is ever read from a URL; else it is somebody new.
   * @throws ChatError session_unknown, repeated_parameter
   */
  #caller(request: IncomingMessage): Caller {
    const { guard, identity, origins, limits } = this.options;
    const { resume, after, echo, presence } = queryParams(request);
    const address = origins.address(request);
    const cookie = guard.isAnonymous(request) ? undefined : identity.fromHandshake(request);
    if (resume === 'true') return { address, cookie, beginning: { as: 'nobody', patience: limits.handshake } };
    if (after === undefined) return { address, cookie, beginning: { as: 'new', patience: 0 } };
    const session = identity.tokenOf(request);
    if (session === undefined && !cookie) throw new ChatError('session_unknown');
    return { address, cookie, beginning: { as: 'resumed', params: { session, after, echo, presence } } };
  }

  #look(): NodeJS.Timeout {
    let before = performance.now();
    return setInterval(() => {
      const now = performance.now();
      // We were held up ourselves: what they answered meanwhile is still to be read.
      const late = now - before > 3 * LOOK;
      before = now;
      for (const { heartbeat } of this.#peers) {
        if (late) heartbeat.heard(now);
        heartbeat.look(now);
      }
    }, LOOK);
  }
}

/** A refusal before there is a WebSocket is a plain HTTP answer. */
function refuse(socket: Duplex, error: ChatError): void {
  const body = errorBody(error);
  const head = [
    `HTTP/1.1 ${String(error.status)} ${STATUS_CODES[error.status] ?? 'Refused'}`,
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${String(Buffer.byteLength(body))}`,
    ...(error.retryAfter === undefined ? [] : [`Retry-After: ${String(error.retryAfter)}`]),
  ];
  // The server keeps its side open until we close it: a peer that never ends its own would stay.
  socket.once('finish', () => socket.destroy());
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
