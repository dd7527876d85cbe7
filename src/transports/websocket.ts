/** The WebSocket door: JSON frames on `/chat/`, and the same on `/primus` with what Primus's clients add to it. */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import cookieParser from 'cookie-parser';
import { WebSocketServer, type WebSocket } from 'ws';
import { asChatError, ChatError } from '../protocol/errors';
import type { Origins } from './address';
import { Conversation, type ConversationOptions, type Dialect, type SocketRequest } from './conversation';
import type { Guard } from './guard';
import { errorBody } from './http/reply';
import type { Identity } from './http/identity';
import { parseJson } from './http/params';
import { SlowPeers, SocketLink, type BufferLimits } from './link';

export interface WebSocketOptions<Api> extends ConversationOptions<Api> {
  readonly guard: Guard;
  readonly origins: Origins;
  readonly identity: Identity;
  readonly limits: BufferLimits;
  readonly frameBytes: number;
  readonly draining: () => boolean;
}

type Flavour = 'native' | 'primus';

/** Seconds between pings, and how long an answer may take: shorter than the 30 s after which home routers forget. */
const PING_EVERY = 25_000;
const PONG_WITHIN = 8_000;

const dialect: Dialect = {
  type: 'websocket',
  errorOf: (error, { echoed }) => ({
    status: `Error: ${error.message}`,
    error: `Error: ${error.message}`,
    code: error.code,
    ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
    data: echoed,
  }),
};

export class WebSocketDoor<Api> {
  readonly #server: WebSocketServer;
  readonly #peers = new Set<SocketPeerState<Api>>();
  readonly #slow: SlowPeers;
  readonly #cookies = cookieParser();
  #pings: NodeJS.Timeout | undefined;

  constructor(readonly options: WebSocketOptions<Api>) {
    this.#slow = new SlowPeers(options.limits.stuck);
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: options.frameBytes,
      // A message in thousands of fragments costs more than its bytes say.
      maxFragments: 64,
      maxBufferedChunks: 1024,
      // What is compressed cannot be made once for all, and inflating is the attacker's bargain.
      perMessageDeflate: false,
      closeTimeout: 5000,
    } as ConstructorParameters<typeof WebSocketServer>[0]);
  }

  get size(): number {
    return this.#peers.size;
  }

  /** Answers upgrades on the server's `/chat` and `/primus`; others are somebody else's, or nobody's. */
  attach(server: Server, paths: { readonly native: string; readonly primus: string }): void {
    server.on('upgrade', (request, socket, head) => {
      const path = (request.url ?? '').split('?')[0]?.replace(/\/$/, '');
      const flavour: Flavour | undefined =
        path === paths.native ? 'native' : path === paths.primus ? 'primus' : undefined;
      if (flavour) this.#upgrade(request, socket, head, flavour);
      else if (server.listenerCount('upgrade') === 1) refuse(socket, new ChatError('not_found', path ?? ''));
    });
  }

  /** 1012: come back, to another node; each at its own time within `spreadMs`. */
  close(spreadMs: number): void {
    clearInterval(this.#pings);
    for (const peer of this.#peers) {
      const close = (): void => {
        peer.socket.close(1012, 'service restart');
      };
      if (spreadMs === 0) close();
      else setTimeout(close, Math.random() * spreadMs).unref();
    }
  }

  /** Whoever is still there. */
  terminate(): void {
    for (const { socket } of this.#peers) socket.terminate();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, flavour: Flavour): void {
    socket.on('error', () => socket.destroy());
    try {
      const { guard, draining } = this.options;
      guard.checkHost(request);
      guard.checkUpgrade(request);
      if (draining()) throw new ChatError('shutting_down', '', 1);
    } catch (error) {
      refuse(socket, asChatError(error));
      return;
    }
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      this.#open(request, webSocket, socket as Socket, flavour);
    });
  }

  #open(request: IncomingMessage, webSocket: WebSocket, socket: Socket, flavour: Flavour): void {
    const { options } = this;
    socket.setNoDelay(true);
    const link = new SocketLink(socket, 'websocket', options.limits, this.#slow, (reason) => {
      // The peer may read nothing any more: the close frame is a courtesy, and the socket goes soon after it.
      webSocket.close(1013, reason);
      setTimeout(() => {
        webSocket.terminate();
      }, 1000).unref();
    });
    const cookies = this.#cookiesOf(request);
    const conversation = new Conversation(options, link, dialect, {
      remoteIP: options.origins.address(request),
      remotePort: socket.remotePort ?? 0,
      cookieId: options.identity.cookieId(cookies),
      goodbye: () => {
        // A client that asked to go shall not come back by itself.
        if (flavour === 'primus') link.send(JSON.stringify('primus::server::close'));
        webSocket.close(1000);
      },
      pause: (paused) => {
        if (paused) webSocket.pause();
        else webSocket.resume();
      },
    });
    const peer = new SocketPeerState(webSocket, link, conversation, flavour);
    this.#peers.add(peer);
    this.#pings ??= setInterval(() => {
      for (const each of this.#peers) each.ping();
    }, PONG_WITHIN);

    webSocket.on('error', () => webSocket.terminate());
    webSocket.on('pong', () => {
      peer.answered();
    });
    webSocket.on('message', (data: Buffer, isBinary: boolean) => {
      peer.read(data, isBinary);
    });
    webSocket.on('close', (code: number) => {
      this.#peers.delete(peer);
      if (this.#peers.size === 0) {
        clearInterval(this.#pings);
        this.#pings = undefined;
      }
      conversation.end(code === 1000 || code === 1001 || code === 1005);
    });
  }

  #cookiesOf(request: IncomingMessage): unknown {
    const carrier = { headers: request.headers } as IncomingMessage & { cookies?: unknown };
    this.#cookies(carrier as never, {} as never, () => undefined);
    return carrier.cookies;
  }
}

/** One open WebSocket: what comes in, and whether it still answers. */
class SocketPeerState<Api> {
  #pingedAt: number | undefined;
  #heardAt = performance.now();
  /** A client of Primus 6 or older pings itself, and takes our pings for messages. */
  #pingsItself = false;

  constructor(
    readonly socket: WebSocket,
    readonly link: SocketLink,
    readonly conversation: Conversation<Api>,
    readonly flavour: Flavour,
  ) {}

  answered(): void {
    this.#pingedAt = undefined;
    this.#heardAt = performance.now();
  }

  ping(): void {
    const now = performance.now();
    if (this.#pingedAt !== undefined && now - this.#pingedAt >= PONG_WITHIN) {
      this.socket.terminate();
      return;
    }
    if (this.#pingedAt !== undefined || now - this.#heardAt < PING_EVERY - PONG_WITHIN) return;
    if (this.#pingsItself) {
      // Its own pings come every 25 s; without them it is gone.
      if (now - this.#heardAt > 2 * PING_EVERY) this.socket.terminate();
      return;
    }
    this.#pingedAt = now;
    if (this.flavour === 'primus') this.link.send(JSON.stringify(`primus::ping::${String(Date.now())}`));
    else this.socket.ping();
  }

  read(data: Buffer, isBinary: boolean): void {
    this.answered();
    const { conversation, flavour } = this;
    let frame: unknown;
    try {
      if (isBinary) throw new ChatError('bad_request', 'frames must be text');
      frame = parseJson(data.toString());
    } catch (error) {
      if (flavour === 'native') conversation.refuse(asChatError(error), conversation.count());
      return;
    }
    if (flavour === 'primus' && typeof frame === 'string' && frame.startsWith('primus::')) {
      this.#primus(frame);
      return;
    }
    const messageCount = conversation.count();
    if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) {
      conversation.refuse(new ChatError('bad_request', 'a request is a JSON object'), messageCount);
      return;
    }
    conversation.receive(requestOf(frame as Record<string, unknown>), messageCount);
  }

  #primus(frame: string): void {
    if (frame.startsWith('primus::ping::')) {
      this.#pingsItself = true;
      this.link.send(JSON.stringify(frame.replace('ping', 'pong')));
    } else if (frame === 'primus::id::') {
      this.link.send(JSON.stringify(`primus::id::${this.conversation.sessionId ?? ''}`));
    }
  }
}

/** `{"event":"roomAdd","room":"x","messageId":7}`; an action has its parameters, and its name, in `params`. */
export function requestOf(frame: Readonly<Record<string, unknown>>): SocketRequest {
  const { event, messageId, params, ...rest } = frame;
  const { room: _room, ...echoed } = rest;
  const name = typeof event === 'string' ? event : event === undefined ? 'undefined' : 'unknown';
  if (name !== 'action')
    return { event: name, params: rest, messageId, echoed: params === undefined ? echoed : { ...echoed, params } };
  const own = typeof params === 'object' && params !== null ? (params as Record<string, unknown>) : {};
  return { event: 'action', params: own, messageId: messageId ?? own['messageId'], echoed };
}

/** A refusal before there is a WebSocket is a plain HTTP answer. */
function refuse(socket: Duplex, error: ChatError): void {
  const body = errorBody(error);
  const retry = error.retryAfter === undefined ? '' : `Retry-After: ${String(error.retryAfter)}\r\n`;
  socket.end(
    `HTTP/1.1 ${String(error.status)} Refused\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n${retry}` +
      `Content-Length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`,
  );
}
