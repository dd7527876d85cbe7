/** Clients of every socket the server has, as somebody without a library would write them. */
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import tls from 'node:tls';
import { WebSocket, type ClientOptions } from 'ws';
import { Inbox } from './inbox';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- what the wire brings; expect() is its check
export type Parsed = any;
export type Frame = Readonly<Record<string, unknown>>;

const open = new Set<{ abandon(): void }>();

afterEach(() => {
  for (const client of open) client.abandon();
  open.clear();
});

/** What WebSocket and TCP clients have in common: JSON comes, and some of it answers what was asked. */
abstract class SocketClient {
  /** Messages, direct ones included. */
  readonly heard = new Inbox<Parsed>('message');
  readonly responses = new Inbox<Parsed>('response');
  /** Gaps, presence, words of the server. */
  readonly others = new Inbox<Parsed>('other frame');
  readonly welcome = new Inbox<Parsed>('welcome');
  /** The parsed welcome. */
  greeting: Parsed;

  constructor() {
    open.add(this);
  }

  abstract send(frame: Frame): void;
  abstract abandon(): void;

  get id(): string {
    return this.greeting.id as string;
  }

  get session(): string {
    return this.greeting.session as string;
  }

  protected receive(frame: Parsed): void {
    if (typeof frame === 'object' && frame !== null && 'welcome' in frame) this.welcome.put(frame);
    else if (frame?.context === 'user') this.heard.put(frame);
    else if (frame?.context === 'response') this.responses.put(frame);
    else this.others.put(frame);
  }

  protected ended(why: string): void {
    for (const inbox of [this.heard, this.responses, this.others, this.welcome]) inbox.end(why);
  }

  protected async welcomed(): Promise<this> {
    this.greeting = await this.welcome.next();
    return this;
  }

  /** Asks with a messageId of its own, and answers the response to that. */
  async ask(event: string, rest: Frame = {}): Promise<Parsed> {
    const messageId = `ask ${String(++asked)}`;
    this.send({ event, ...rest, messageId });
    return this.responses.next((response) => response.messageId === messageId);
  }

  /** The `data` of an answer that must be OK. */
  async data(event: string, rest: Frame = {}): Promise<Parsed> {
    const response = await this.ask(event, rest);
    if (response.status !== 'OK') throw new Error(`${event} was refused: ${JSON.stringify(response)}`);
    return response.data;
  }

  async say(message: unknown, rest: Frame = {}): Promise<Parsed> {
    return this.data('say', { message, ...rest });
  }

  async act(action: string, params: Frame = {}): Promise<Parsed> {
    return this.ask('action', { params: { ...params, action } });
  }
}

let asked = 0;

export class WsClient extends SocketClient {
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  /** Primus' own words. */
  readonly primus = new Inbox<string>('frame of Primus');

  private constructor(readonly socket: WebSocket) {
    super();
    socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as unknown;
      if (typeof frame === 'string' && frame.startsWith('primus::ping::')) this.send(frame.replace('ping', 'pong'));
      else if (typeof frame === 'string') this.primus.put(frame);
      else this.receive(frame);
    });
    socket.on('error', (error) => this.ended(String(error)));
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => {
        this.ended(`closed with ${String(code)}`);
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  /** @param url of the server, `http://…`; `path` is `/chat/` or `/primus` */
  static async connect(url: string, path = '/chat/', options: ClientOptions = {}): Promise<WsClient> {
    const socket = new WebSocket(`${url.replace('http', 'ws')}${path}`, { perMessageDeflate: false, ...options });
    return new WsClient(socket).welcomed();
  }

  /** A socket that says at once that it will resume, and is nobody until it does. */
  static async nobody(url: string): Promise<WsClient> {
    const client = new WsClient(new WebSocket(`${url.replace('http', 'ws')}/chat/?resume=true`));
    await once(client.socket, 'open');
    return client;
  }

  send(frame: unknown): void {
    this.socket.send(JSON.stringify(frame));
  }

  abandon(): void {
    this.socket.terminate();
  }
}

export class TcpClient extends SocketClient {
  readonly closed: Promise<void>;
  /** The peer has ended its side. */
  readonly finished: Promise<void>;
  /** Every line as it came, without its end. */
  readonly lines = new Inbox<string>('line');
  /** All bytes as they came. */
  received = '';
  #rest = '';

  constructor(readonly socket: Socket) {
    super();
    socket.setEncoding('utf8').on('data', (text: string) => {
      this.received += text;
      const lines = (this.#rest + text).split('\r\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) {
        this.lines.put(line);
        this.receive(JSON.parse(line));
      }
    });
    socket.on('error', (error) => this.ended(String(error)));
    this.finished = new Promise((resolve) => socket.once('end', resolve));
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.ended('closed');
        resolve();
      });
    });
  }

  /** @param first a line that is sent at once, and not only after the welcome */
  static async connect(port: number, first?: string): Promise<TcpClient> {
    const client = new TcpClient(createConnection({ port, host: '127.0.0.1', noDelay: true }));
    if (first !== undefined) client.write(`${first}\n`);
    return client.welcomed();
  }

  static async connectTls(port: number, ca: string): Promise<TcpClient> {
    return new TcpClient(tls.connect({ port, host: '127.0.0.1', ca, servername: 'localhost' })).welcomed();
  }

  send(frame: Frame): void {
    this.write(`${JSON.stringify(frame)}\n`);
  }

  /** Bytes as they are. */
  write(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  /** One line, and the next response. */
  async line(text: string): Promise<Parsed> {
    this.write(`${text}\r\n`);
    return this.responses.next();
  }

  abandon(): void {
    this.socket.destroy();
  }
}
