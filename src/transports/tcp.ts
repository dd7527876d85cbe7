/** The TCP door: lines in, lines out, for `nc`, devices and ActionHero's node clients. */
import net from 'node:net';
import tls from 'node:tls';
import { asChatError, ChatError } from '../protocol/errors';
import { LineSplitter, LineTooLong } from '../protocol/lines';
import { parseTcpLine, type TcpRequest } from '../protocol/tcp-request';
import { Conversation, SaidWords, type ConversationOptions, type Dialect, type SocketRequest } from './conversation';
import { parseJson } from './http/params';
import { SlowPeers, SocketLink, type BufferLimits } from './link';
import { requestOf } from './websocket';

export interface TcpOptions<Api> extends ConversationOptions<Api> {
  readonly limits: BufferLimits;
  readonly lineBytes: number;
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly tls: { readonly cert: string; readonly key: string } | null;
}

const KEEP_ALIVE = 25_000;

/** A browser that was made to post here: its words must not become ours. */
const HTTP_LINE = /^[A-Z]+ \S* HTTP\/\d/;

/** Ctrl-D as some terminals send it, and telnet's interrupt. */
const END_BYTES: readonly string[] = ['04', 'fff4fffd06'];

const dialect: Dialect = {
  type: 'socket',
  errorOf: (error) => ({
    error: error.message,
    code: error.code,
    ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
  }),
};

export class TcpDoor<Api> {
  readonly server: net.Server;
  readonly #open = new Map<net.Socket, Conversation<Api>>();
  readonly #ofAddress = new Map<string, number>();
  readonly #slow: SlowPeers;

  constructor(readonly options: TcpOptions<Api>) {
    this.#slow = new SlowPeers(options.limits.stuck);
    const accept = (socket: net.Socket): void => {
      this.#accept(socket);
    };
    // Half-open, because `printf … | nc` closes its side first and still wants its answers.
    this.server = options.tls
      ? tls.createServer({ ...options.tls, allowHalfOpen: true }, accept)
      : net.createServer({ allowHalfOpen: true }, accept);
    if (options.tls) this.server.on('tlsClientError', (_error: Error, socket: tls.TLSSocket) => socket.destroy());
    if (options.connections > 0) this.server.maxConnections = options.connections;
  }

  get size(): number {
    return this.#open.size;
  }

  async listen(port: number, host: string): Promise<net.AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
    return this.server.address() as net.AddressInfo;
  }

  /** Everybody is told, and ended; ActionHero's clients come back when they are ended by FIN, and only then. */
  close(): void {
    this.server.close();
    for (const [socket, conversation] of this.#open) {
      conversation.link.send(JSON.stringify({ status: 'Bye!', context: 'api' }));
      conversation.end(false);
      socket.end();
    }
  }

  terminate(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }

  #accept(socket: net.Socket): void {
    socket.on('error', () => socket.destroy());
    const remoteIP = socket.remoteAddress ?? '';
    if (!this.#admit(socket, remoteIP)) return;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE);

    const link = new SocketLink(socket, 'tcp', this.options.limits, this.#slow, () => {
      socket.end();
      setTimeout(() => socket.destroy(), 1000).unref();
    });
    const conversation = new Conversation(this.options, link, dialect, {
      remoteIP,
      remotePort: socket.remotePort ?? 0,
      cookieId: undefined,
      goodbye: () => socket.end(),
      pause: (paused) => {
        if (paused) socket.pause();
        else socket.resume();
      },
    });
    this.#open.set(socket, conversation);

    const lines = new LineSplitter(this.options.lineBytes);
    let first = true;
    socket.on('data', (chunk: Buffer) => {
      if (END_BYTES.includes(chunk.toString('hex'))) {
        conversation.receive({ event: 'quit', params: {}, messageId: undefined, echoed: {} }, conversation.count());
        return;
      }
      try {
        for (const line of lines.push(chunk)) {
          if (first && line !== undefined && HTTP_LINE.test(line)) {
            conversation.end(true);
            socket.destroy();
            return;
          }
          first = false;
          this.#read(line, conversation);
        }
      } catch (error) {
        if (!(error instanceof LineTooLong)) throw error;
        socket.pause();
        const limit = String(this.options.lineBytes);
        const text = `data length is too big (${limit} bytes at most)`;
        link.send(JSON.stringify({ error: text, code: 'too_large', context: 'response' }));
        conversation.end(true);
        socket.end();
        // What it goes on sending is read by nobody; the wait lets it read the line above first.
        setTimeout(() => socket.destroy(), 1000).unref();
      }
    });
    socket.on('end', () => {
      void conversation.settled().then(() => {
        conversation.end(true);
        socket.end();
      });
    });
    socket.on('close', (hadError) => {
      this.#open.delete(socket);
      conversation.end(!hadError && socket.readableEnded);
    });
  }

  #read(line: string | undefined, conversation: Conversation<Api>): void {
    if (line?.trim() === '') return;
    const messageCount = conversation.count();
    if (line === undefined) {
      conversation.refuse(new ChatError('invalid_encoding'), messageCount);
      return;
    }
    let request: SocketRequest;
    try {
      request = socketRequest(parseTcpLine(line), conversation);
    } catch (error) {
      conversation.refuse(asChatError(error), messageCount);
      return;
    }
    conversation.receive(request, messageCount);
  }

  #admit(socket: net.Socket, address: string): boolean {
    const { connectionsPerAddress } = this.options;
    const open = (this.#ofAddress.get(address) ?? 0) + 1;
    if (connectionsPerAddress > 0 && open > connectionsPerAddress) {
      socket.destroy();
      return false;
    }
    this.#ofAddress.set(address, open);
    socket.once('close', () => {
      const left = (this.#ofAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#ofAddress.set(address, left);
      else this.#ofAddress.delete(address);
    });
    return true;
  }
}

/** A line as a request, with the sticky parameters that apply to it as they are now. */
function socketRequest<Api>(parsed: TcpRequest, conversation: Conversation<Api>): SocketRequest {
  const sticky = conversation.params;
  const messageId = sticky['messageId'];
  switch (parsed.kind) {
    case 'json': {
      const value = parseJson(parsed.text);
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ChatError('invalid_json');
      const frame = value as Record<string, unknown>;
      const request = requestOf('event' in frame ? frame : actionFrame(frame));
      return { ...request, messageId: request.messageId ?? messageId };
    }
    case 'say': {
      const { roomMatchKey, roomMatchValue } = sticky;
      const words = new SaidWords(parsed.first, parsed.rest, parsed.whole);
      const params = { words, roomMatchKey, roomMatchValue };
      return { event: 'say', params, messageId, echoed: {} };
    }
    case 'verb':
      return { event: parsed.verb, params: parsed.params, messageId, echoed: {} };
    case 'action':
      return { event: 'action', params: { ...sticky, action: parsed.name }, messageId, echoed: {} };
  }
}

/** ActionHero's JSON line: `{"action":"x","params":{…}}`. */
function actionFrame({ action, params, messageId }: Record<string, unknown>): Record<string, unknown> {
  const own = typeof params === 'object' && params !== null ? params : {};
  return { event: 'action', params: { ...own, action }, messageId };
}
