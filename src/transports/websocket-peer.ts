/** One open WebSocket: JSON frames, and on `/primus` what Primus' clients add to them. */
import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { asChatError, ChatError } from '../protocol/errors';
import { Conversation, type Beginning, type ConversationOptions, type Dialect } from './conversation';
import { Heartbeat } from './heartbeat';
import { parseJson } from './http/params';
import { SocketLink, type BufferLimits } from './link';
import { requestOf, type Arguments } from './request';
import type { Credential } from './resume';
import type { SlowPeers } from './slow-peers';

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

export class WebSocketPeer<Api> {
  readonly heartbeat: Heartbeat;
  readonly #link: SocketLink;
  readonly #conversation: Conversation<Api>;

  constructor(
    readonly webSocket: WebSocket,
    socket: Socket,
    readonly flavour: Flavour,
    options: ConversationOptions<Api> & { readonly limits: BufferLimits },
    slow: SlowPeers,
    { address, cookie, beginning }: Caller,
  ) {
    socket.setNoDelay(true);
    const link = new SocketLink(socket, 'websocket', options.limits, slow, (reason) => {
      this.#conversation.end(false);
      webSocket.close(1013, reason);
      setTimeout(() => webSocket.terminate(), COURTESY).unref();
    });
    this.#link = link;
    this.heartbeat = new Heartbeat(
      {
        get unsent() {
          return link.unsent;
        },
        get progress() {
          return link.progress;
        },
        ping: () => this.#ping(),
        terminate: () => webSocket.terminate(),
      },
      performance.now(),
    );
    this.#conversation = new Conversation(options, link, dialect, {
      remoteIP: address,
      remotePort: socket.remotePort ?? 0,
      cookie,
      beginning,
      goodbye: () => {
        // A client that asked to go shall not come back by itself.
        if (flavour === 'primus') link.send(JSON.stringify('primus::server::close'));
        link.end();
        webSocket.close(1000);
      },
      pause: (paused) => {
        this.heartbeat.deaf = paused;
        if (paused) webSocket.pause();
        else webSocket.resume();
      },
    });

    webSocket.on('error', () => webSocket.terminate());
    webSocket.on('pong', () => this.heartbeat.heard(performance.now()));
    webSocket.on('message', (data: Buffer, isBinary: boolean) => {
      this.heartbeat.heard(performance.now());
      this.#read(data, isBinary);
    });
    webSocket.on('close', (code: number) => {
      // 1001 is a page that goes away, and most of those are being loaded anew.
      this.#conversation.end(code === 1000 || code === 1005);
    });
  }

  /** The server goes: what was asked is answered, and the client comes back, to another node. */
  restart(): void {
    const close = (): void => {
      this.#conversation.end(false);
      this.#link.end();
      this.webSocket.close(1012, 'service restart');
    };
    // At once where nothing is left to answer: the process may be about to end.
    if (this.#conversation.idle) close();
    else void this.#conversation.settled().then(close);
  }

  #ping(): void {
    if (this.flavour === 'primus') this.#link.send(JSON.stringify(`primus::ping::${String(Date.now())}`));
    else this.webSocket.ping();
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
    const said = request.event === 'say' ? { params: conversation.sticky.matched(request.params) } : {};
    conversation.receive({ ...request, ...said }, messageCount, data.length);
  }

  #primus(frame: string): void {
    if (frame.startsWith('primus::ping::')) {
      this.heartbeat.pingsItself();
      this.#link.send(JSON.stringify(frame.replace('ping', 'pong')));
    } else if (frame === 'primus::id::') {
      this.#link.send(JSON.stringify(`primus::id::${this.#conversation.clientId ?? ''}`));
    }
  }
}
