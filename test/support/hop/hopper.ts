/** A reader that is never long anywhere: any transport, any node, cut at any byte, going on by what came whole. */
import { AnswerReader, clientFrame, FrameReader, Splitter } from './wire';
import { CutLink, type Cut, type Take } from './cut-link';
import type { Ear, Ledger } from './ledger';

/** Where a node listens. */
export interface NodeAddress {
  readonly port: number;
  readonly tcpPort: number;
}

export interface HopperOptions {
  readonly ledger: Ledger;
  readonly random: () => number;
  /** Another one each time, as a load balancer without stickiness would choose. */
  readonly node: () => NodeAddress;
  readonly session: string;
}

type Frame = Readonly<Record<string, unknown>>;

/** Where the reader is: the cursor that came last, and the last message of each room, which says the same. */
class Bookmark {
  /** Undefined once messages came behind it that brought no cursor of their own. */
  cursor: string | undefined;
  readonly places = new Map<string, string>();

  constructor(cursor: string) {
    this.cursor = cursor;
  }

  heard({ room, id, context }: Frame): void {
    if (context !== 'user' || typeof room !== 'string') return;
    this.places.set(room, String(id));
    this.cursor = undefined;
  }

  /** As JSON has it: the cursor, or the places by room. */
  get after(): unknown {
    return this.cursor ?? Object.fromEntries(this.places);
  }
}

const HEADS = 400;

export class Hopper {
  readonly #ear: Ear;
  readonly #mark: Bookmark;
  /** Ended by the node's answer to it, and what that was. */
  #refused = false;

  constructor(
    readonly name: string,
    cursor: string,
    readonly options: HopperOptions,
  ) {
    this.#ear = options.ledger.ear(name);
    this.#mark = new Bookmark(cursor);
  }

  async hop(): Promise<void> {
    const ways = [this.#poll, this.#poll, this.#sse, this.#ndjson, this.#webSocket, this.#primus, this.#tcp];
    const way = ways[Math.floor(this.options.random() * ways.length)] ?? this.#poll;
    this.#refused = false;
    this.#ear.hops += 1;
    await way(this.options.node(), this.#cut());
    // A node or the store is away: what a client does then is to wait a moment.
    if (this.#wasRefused) await new Promise((resolve) => setTimeout(resolve, 20 + this.options.random() * 40));
  }

  /** Asked through a getter: TypeScript does not see what a hop has done. */
  get #wasRefused(): boolean {
    return this.#refused;
  }

  /** At the head, in the middle of something, or when its time is over. */
  #cut(): Cut {
    const { random } = this.options;
    const chance = random();
    return {
      sent: random() < 0.04 ? Math.floor(random() * HEADS) : Infinity,
      received:
        chance < 0.1 ? Math.floor(random() * HEADS) : chance < 0.6 ? Math.floor(2 ** (8 + random() * 9)) : Infinity,
      ms: 20 + random() ** 2 * 1500,
      rudely: random() < 0.3,
    };
  }

  #poll = async (node: NodeAddress, cut: Cut): Promise<void> => {
    const { random } = this.options;
    const params: Record<string, string> = {};
    if (random() < 0.5) params['wait'] = '2';
    if (random() < 0.5) params['limit'] = String(1 + Math.floor(random() * 200));
    let body = Buffer.alloc(0);
    const answer = new AnswerReader((bytes) => (body = Buffer.concat([body, bytes])));
    await this.#ask(node, cut, answer, params);
    if (!answer.complete) return;
    const text = body.toString();
    if (answer.head?.status !== 200) {
      this.#refusal(answer, text);
      return;
    }
    const { messages, gaps = [], cursor } = JSON.parse(text) as { messages: Frame[]; gaps?: Frame[]; cursor: string };
    for (const gap of gaps) this.#take({ ...gap, context: 'gap' });
    for (const message of messages) this.#take(message);
    this.#mark.cursor = cursor;
  };

  #sse = async (node: NodeAddress, cut: Cut): Promise<void> => {
    const events = new Splitter('\n\n');
    await this.#stream(node, cut, 'sse', (bytes) => {
      for (const event of events.push(bytes)) {
        const fields = new Map(
          event.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
        );
        const data = fields.get('data');
        if (data !== undefined) this.#take(JSON.parse(data) as Frame);
        this.#mark.cursor = fields.get('id') ?? this.#mark.cursor;
      }
    });
  };

  #ndjson = async (node: NodeAddress, cut: Cut): Promise<void> => {
    const lines = new Splitter('\n');
    await this.#stream(node, cut, 'ndjson', (bytes) => {
      for (const line of lines.push(bytes)) {
        if (line === '') continue;
        const { cursor, ...frame } = JSON.parse(line) as Frame;
        this.#take(frame);
        this.#mark.cursor = String(cursor);
      }
    });
  };

  #webSocket = (node: NodeAddress, cut: Cut): Promise<void> => this.#socket(node, cut, '/chat/');
  #primus = (node: NodeAddress, cut: Cut): Promise<void> => this.#socket(node, cut, '/primus');

  #tcp = async (node: NodeAddress, cut: Cut): Promise<void> => {
    const { session, random } = this.options;
    const lines = new Splitter('\r\n');
    const link = new CutLink(node.tcpPort, cut, (on) => {
      const { cursor, after } = this.#mark;
      // At once, before the welcome, or as a JSON line: places can be named there.
      if (cursor !== undefined && random() < 0.5) on.write(`resume ${session} ${cursor}\n`);
      else on.write(`${JSON.stringify({ event: 'resume', session, after, messageId: 'resume' })}\n`);
      const take = this.#pushed((json) => on.write(`${json}\n`));
      return (bytes) => lines.push(bytes).every((line) => take(JSON.parse(line)));
    });
    await link.ended;
  };

  async #socket(node: NodeAddress, cut: Cut, path: string): Promise<void> {
    const { session, random } = this.options;
    const upgrade = new AnswerReader(() => undefined);
    const frames = new FrameReader();
    const hint = random() < 0.5 ? '?resume' : '';
    const link = new CutLink(node.port, cut, (on) => {
      on.write(
        [
          `GET ${path}${hint} HTTP/1.1`,
          `Host: 127.0.0.1:${String(node.port)}`,
          'Upgrade: websocket',
          'Connection: Upgrade',
          'Sec-WebSocket-Key: aGVhciBoZWFyIGhlYXIhIQ==',
          'Sec-WebSocket-Version: 13',
          '\r\n',
        ].join('\r\n'),
      );
      const take = this.#pushed((json) => on.write(clientFrame(json)));
      const read = (bytes: Buffer): boolean =>
        frames.push(bytes).every(({ opcode, payload }) => {
          if (opcode === 9) on.write(clientFrame(payload, 10));
          return opcode === 1 ? take(JSON.parse(payload.toString())) : opcode !== 8;
        });
      return (bytes) => {
        if (upgrade.complete) return read(bytes);
        upgrade.push(bytes);
        if (!upgrade.head) return true;
        if (upgrade.head.status !== 101) {
          this.#refused = true;
          return false;
        }
        on.write(
          clientFrame(JSON.stringify({ event: 'resume', session, after: this.#mark.after, messageId: 'resume' })),
        );
        return read(upgrade.takeRest());
      };
    });
    await link.ended;
  }

  /** What a socket's frames mean; false ends it. Nothing counts before the resume is answered: it is not ours. */
  #pushed(send: (json: string) => void): (frame: unknown) => boolean {
    let resumed = false;
    return (frame) => {
      if (typeof frame === 'string') {
        if (frame.startsWith('primus::ping::')) send(JSON.stringify(frame.replace('ping', 'pong')));
        return true;
      }
      const { context, status, data, code, messageId } = frame as Frame;
      if (context === 'response' && !resumed) {
        resumed = status === 'OK';
        if (!resumed) this.#unusual('resume', String(code));
        return resumed;
      }
      if (context === 'response') {
        // Pushed and answered in one order, so it stands behind what came before it.
        if (messageId === 'where') this.#mark.cursor = String((data as { cursor: unknown }).cursor);
        return true;
      }
      if (!resumed) return context === 'api' && !('error' in (frame as Frame));
      this.#take(frame as Frame);
      if (this.options.random() < 0.02) send(JSON.stringify({ event: 'detailsView', messageId: 'where' }));
      return true;
    };
  }

  async #stream(node: NodeAddress, cut: Cut, stream: 'sse' | 'ndjson', onBody: (bytes: Buffer) => void): Promise<void> {
    const answer = new AnswerReader((bytes) => {
      if (answer.head?.status === 200) onBody(bytes);
    });
    await this.#ask(node, cut, answer, { stream });
    if (answer.head && answer.head.status !== 200) this.#refusal(answer, stream);
  }

  async #ask(
    node: NodeAddress,
    cut: Cut,
    answer: AnswerReader,
    params: Readonly<Record<string, string>>,
  ): Promise<void> {
    const { cursor, after } = this.#mark;
    const { session, random } = this.options;
    const headers = [
      `Host: 127.0.0.1:${String(node.port)}`,
      'Connection: close',
      random() < 0.5 ? `Authorization: Bearer ${session}` : `Cookie: sessionID=${session}`,
    ];
    let body = '';
    let query = '';
    if (cursor === undefined) {
      body = JSON.stringify({ method: 'messages', after, ...params });
      headers.push('Content-Type: application/json', `Content-Length: ${String(Buffer.byteLength(body))}`);
    } else {
      const asked: Record<string, string> = { method: 'messages', after: cursor, ...params };
      // An EventSource repeats the URL that it was made with; its last id is what counts.
      if (params['stream'] === 'sse') {
        headers.push(`Last-Event-ID: ${cursor}`);
        asked['after'] = this.#first;
      }
      query = `?${new URLSearchParams(asked).toString()}`;
    }
    const verb = body === '' ? 'GET' : 'POST';
    const link = new CutLink(node.port, cut, (on): Take => {
      on.write(`${verb} /chat/${query} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n${body}`);
      return (bytes) => answer.push(bytes);
    });
    await link.ended;
    if (!answer.head) this.#refused = cut.received === Infinity;
  }

  get #first(): string {
    return (this.#origin ??= this.#mark.cursor ?? '');
  }
  #origin: string | undefined;

  #take(frame: Frame): void {
    this.#ear.take(frame);
    this.#mark.heard(frame);
  }

  #refusal(answer: AnswerReader, text: string): void {
    this.#unusual(`${String(answer.head?.status)} ${text}`, answer.head?.status === 503 ? 'store_unavailable' : '');
  }

  /** Only a store or a node that is away is a reason to come again. */
  #unusual(what: string, code: string): void {
    this.#refused = true;
    if (!AWAY.includes(code)) this.options.ledger.fault(`${this.name}: ${what}: ${code}`);
  }
}

export const AWAY = ['store_unavailable', 'outcome_unknown', 'shutting_down'];
