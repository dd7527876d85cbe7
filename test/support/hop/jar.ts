/** A reader with a cookie jar and nothing else, as curl is one: what it has is known by the cookie that it brings back. */
import { AnswerReader } from './wire';
import { CutLink, type Cut } from './cut-link';
import type { HopperOptions } from './hopper';
import type { Ear } from './ledger';

export class JarReader {
  readonly #ear: Ear;
  readonly #jar = new Map<string, string>();

  constructor(
    readonly name: string,
    readonly options: HopperOptions,
  ) {
    this.#ear = options.ledger.ear(name);
    this.#jar.set('sessionID', options.session);
    // As the answer that sets sessionID sets it; this one is of no record, and confirms nothing.
    this.#jar.set('chatAck', '0');
  }

  /** One poll at any node, cut at any byte; only an answer that came whole leaves its cookies. */
  async hop(): Promise<void> {
    const { node, random, ledger } = this.options;
    const { port } = node();
    const chance = random();
    const cut: Cut = {
      sent: random() < 0.04 ? Math.floor(random() * 300) : Infinity,
      received:
        chance < 0.15 ? Math.floor(random() * 600) : chance < 0.4 ? Math.floor(2 ** (8 + random() * 9)) : Infinity,
      ms: 50 + random() * 1500,
      rudely: random() < 0.3,
    };
    const wait = random() < 0.5 ? '&wait=1' : '';
    const limit = random() < 0.5 ? `&limit=${String(1 + Math.floor(random() * 300))}` : '';
    const cookie = [...this.#jar].map(([name, value]) => `${name}=${value}`).join('; ');
    let body = Buffer.alloc(0);
    const answer = new AnswerReader((bytes) => (body = Buffer.concat([body, bytes])));
    this.#ear.hops += 1;
    const link = new CutLink(port, cut, (on) => {
      const head = `Host: 127.0.0.1:${String(port)}\r\nConnection: close\r\nCookie: ${cookie}`;
      on.write(`GET /chat/?method=messages${wait}${limit} HTTP/1.1\r\n${head}\r\n\r\n`);
      return (bytes) => answer.push(bytes);
    });
    await link.ended;
    if (!answer.complete || answer.head?.status !== 200) {
      if (answer.complete && answer.head?.status !== 503) ledger.fault(`${this.name}: ${body.toString()}`);
      await new Promise((resolve) => setTimeout(resolve, 10 + random() * 30));
      return;
    }
    for (const line of answer.head.cookies) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      this.#jar.set(name, value);
    }
    const { messages, gaps = [] } = JSON.parse(body.toString()) as { messages: Frame[]; gaps?: Frame[] };
    for (const gap of gaps) this.#ear.take({ ...gap, context: 'gap' });
    for (const message of messages) this.#ear.take(message, { again: true });
  }
}

type Frame = Readonly<Record<string, unknown>>;
