/** One open TCP socket: lines in, lines out, and an end that loses nothing of what was answered. */
import type { Socket } from 'node:net';
import { asChatError, ChatError } from '../protocol/errors';
import { LineSplitter, LineTooLong } from '../protocol/lines';
import { parseTcpLine, type TcpRequest } from '../protocol/tcp-request';
import { Conversation, type ConversationOptions } from './conversation';
import type { Beginning } from './entrance';
import type { Dialect, SocketPeer } from './socket-peer';
import { parseJson } from './http/params';
import { SocketLink, type BufferLimits, type LinkOwner } from './link';
import { hasTooMany, requestOf, SaidWords, tooMuch, type SocketRequest } from './request';
import type { SlowPeers } from './slow-peers';
import type { StickyParams } from './sticky';
import { isOverdue } from './turns';

const dialect: Dialect = {
  type: 'socket',
  errorOf: ({ message, code, retryAfter }) => ({ error: message, code, retryAfter }),
};

/** A browser that was made to post here: its words must not become ours. */
const HTTP_LINE = /^[A-Z]+ \S* HTTP\/\d/;

/**
 * The first byte of TLS (RFC 8446, 5.1). A browser sends it where a page asks for `https:` here, with a session ticket
 * in it that is the page's server's to write: in plain lines.
 */
const TLS_HANDSHAKE = 0x16;

/** Ctrl-D as some terminals send it, and telnet's interrupt. */
const END_BYTES = [Buffer.from('04', 'hex'), Buffer.from('fff4fffd06', 'hex')];
const QUIT: SocketRequest = { event: 'quit', params: {}, messageId: undefined, echoed: {} };

/** ms in which a line that was sent with the connection has come: time enough, and too little for anybody to notice. */
const FIRST_LINE = 20;

/** ms that a peer has to read our last words and close its side, and one that reads nothing. */
const FAREWELL = 5000;
const COURTESY = 1000;

const BEGINNING: Beginning = { as: 'new', patience: FIRST_LINE };

export class TcpPeer<Api> implements SocketPeer, LinkOwner {
  readonly link: SocketLink;
  readonly remotePort: number;
  readonly #conversation: Conversation<Api>;
  readonly #lines: LineSplitter;
  #first = true;
  /** The peer has said all that it will; it may listen still. */
  #ended = false;
  /** Of what has come, those that are not looked at yet. Nothing more comes until they are. */
  #unread: Iterator<string | undefined, void> | undefined;
  /** What still comes in is taken and thrown away: unread, it would turn our FIN into a reset. */
  #deaf = false;

  constructor(
    readonly socket: Socket,
    readonly remoteIP: string,
    readonly options: ConversationOptions<Api> & { readonly limits: BufferLimits; readonly lineBytes: number },
    slow: SlowPeers,
  ) {
    this.#lines = new LineSplitter(options.lineBytes);
    this.remotePort = socket.remotePort ?? 0;
    this.link = new SocketLink(socket, 'tcp', options.limits, slow, this);
    this.#conversation = new Conversation(options, this, BEGINNING);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('end', () => {
      this.#ended = true;
      if (!this.#unread) this.#heardOut();
    });
    socket.on('close', () => {
      this.link.end();
      this.#conversation.end(false);
    });
  }

  get dialect(): Dialect {
    return dialect;
  }

  /** Only a handshake brings one. */
  get cookie(): undefined {
    return undefined;
  }

  drained(): void {
    this.#conversation.drained();
  }

  cut(): void {
    this.#conversation.end(false);
    this.#end(COURTESY);
  }

  goodbye(): void {
    this.#end(FAREWELL);
  }

  pause(paused: boolean): void {
    if (paused && !this.#deaf) {
      this.socket.pause();
      return;
    }
    this.socket.resume();
    if (this.#unread) this.#readOn();
  }

  /** The server goes: what was asked is answered, and the client told. */
  restart(): void {
    const close = (): void => {
      this.link.send(JSON.stringify({ status: 'Bye!', context: 'api' }));
      this.#conversation.end(false);
      this.#end(FAREWELL);
    };
    // At once where nothing is left to answer: the process may be about to end.
    if (this.#conversation.idle) close();
    else void this.#conversation.settled().then(close);
  }

  #heardOut(): void {
    void this.#conversation.settled().then(() => {
      this.#conversation.end(true);
      this.#end(FAREWELL);
    });
  }

  #end(withinMs: number): void {
    this.#deaf = true;
    this.#unread = undefined;
    this.link.end();
    this.socket.resume();
    this.socket.end();
    setTimeout(() => this.socket.destroy(), withinMs).unref();
  }

  #read(chunk: Buffer): void {
    if (this.#deaf) return;
    if (this.#first && chunk[0] === TLS_HANDSHAKE) {
      this.#conversation.end(true);
      this.#end(COURTESY);
      return;
    }
    if (END_BYTES.some((bytes) => bytes.equals(chunk))) {
      this.#conversation.receive(QUIT, 0, 0);
      return;
    }
    this.#unread = this.#lines.push(chunk);
    this.#readOn();
  }

  /** A chunk may be tens of thousands of lines: so many as may wait, and for as long as nobody else is kept waiting. */
  #readOn(): void {
    try {
      while (this.#unread && !this.socket.isPaused()) {
        const { done, value: line } = this.#unread.next();
        if (done) {
          this.#unread = undefined;
          if (this.#ended) this.#heardOut();
          return;
        }
        if (this.#first && line !== undefined && HTTP_LINE.test(line)) {
          this.#conversation.end(true);
          this.#end(COURTESY);
          return;
        }
        this.#first = false;
        this.#line(line);
        if (!this.socket.isPaused() && isOverdue()) {
          this.pause(true);
          setImmediate(() => this.pause(false));
          return;
        }
      }
    } catch (error) {
      if (!(error instanceof LineTooLong)) throw error;
      this.#unread = undefined;
      this.#deaf = true;
      const limit = `data length is too big (${String(this.options.lineBytes)} bytes at most)`;
      this.#conversation.refuse(new ChatError('too_large', limit), this.#conversation.count());
      void this.#conversation.settled().then(() => {
        this.#conversation.end(false);
        this.#end(COURTESY);
      });
    }
  }

  #line(line: string | undefined): void {
    if (line?.trim() === '') return;
    const conversation = this.#conversation;
    const messageCount = conversation.count();
    try {
      if (line === undefined) throw new ChatError('invalid_encoding');
      const request = requestFrom(parseTcpLine(line), conversation.sticky);
      conversation.receive(request, messageCount, line.length);
    } catch (error) {
      conversation.refuse(asChatError(error), messageCount);
    }
  }
}

/** A line as a request, with the sticky parameters that apply to it as they are now. */
function requestFrom(parsed: TcpRequest, sticky: StickyParams): SocketRequest {
  const messageId = sticky.ahead('messageId');
  switch (parsed.kind) {
    case 'json': {
      const request = requestOfJson(parsed.text);
      return { ...request, messageId: request.messageId ?? messageId };
    }
    case 'say': {
      const words = new SaidWords(parsed.first, parsed.rest, parsed.whole);
      return { event: 'say', params: sticky.matched({ words }), messageId, echoed: {} };
    }
    case 'verb':
      return { event: parsed.verb, params: parsed.params, messageId, echoed: {} };
    case 'action':
      return { event: 'action', params: { ...sticky.allAhead(), action: parsed.name }, messageId, echoed: {} };
  }
}

/** `{"event":…}` as on WebSocket, or ActionHero's `{"action":"x","params":{…}}`. */
function requestOfJson(text: string): SocketRequest {
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ChatError('invalid_json');
  const frame = value as Record<string, unknown>;
  const { action, params, messageId } = frame;
  if ('event' in frame) return requestOf(frame);
  if (hasTooMany(frame) || hasTooMany(params)) return tooMuch('action', messageId);
  const own = typeof params === 'object' && params !== null ? params : {};
  return requestOf({ event: 'action', params: { ...own, action }, messageId });
}
