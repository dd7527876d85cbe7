/** A speaker that never gives up: pipelines over TCP, hops to another node at every cut, repeats with its keys. */
import { createConnection } from 'node:net';
import { AWAY, type HopperOptions } from './hopper';
import { Splitter } from './wire';

export interface WriterOptions extends HopperOptions {
  readonly rooms: readonly string[];
  /** Messages to say; Infinity until it is told to stop. */
  readonly count: number;
  /** Unanswered ones at a time. */
  readonly window: number;
  /** ms between two bursts; 0: each answer makes room for the next. */
  readonly pauseMs: number;
  /** Nothing is said while the slowest reader is this far behind: what it has not read may expire. */
  readonly lead: number;
}

interface Said {
  readonly nth: number;
  readonly room: string;
  readonly message: string;
}

export class Writer {
  /** Under way: said on some link, or to be said again. */
  readonly #open = new Map<number, Said>();
  #next = 0;
  #stopped = false;

  constructor(
    readonly name: string,
    readonly options: WriterOptions,
  ) {}

  /** Resolves when all is accepted, or, once stopped, what was under way. */
  async run(): Promise<void> {
    while (!this.#done) await this.#link();
  }

  stop(): void {
    this.#stopped = true;
  }

  get #mayBegin(): boolean {
    const { count, window, lead, ledger } = this.options;
    return !this.#stopped && this.#next < count && this.#open.size < window && ledger.lag < lead;
  }

  get #done(): boolean {
    return this.#open.size === 0 && (this.#stopped || this.#next >= this.options.count);
  }

  /** One link, until it ends, is too old or has an answer missing for too long. */
  #link(): Promise<void> {
    const { node, session, random } = this.options;
    return new Promise((resolve) => {
      const socket = createConnection({ port: node().tcpPort, host: '127.0.0.1', noDelay: true });
      const lines = new Splitter('\r\n');
      const send = (request: object): void => {
        socket.write(`${JSON.stringify(request)}\n`);
      };
      const say = ({ nth, room, message }: Said): void =>
        send({ event: 'say', room, message, key: `${this.name} ${String(nth)}`, messageId: nth });
      let resumed = false;
      let answeredAt = performance.now();
      const until = answeredAt + 200 + random() * 2000;
      const more = (): void => {
        while (this.#mayBegin) {
          const said = this.#another();
          this.#open.set(said.nth, said);
          say(said);
        }
      };
      const timer = setInterval(() => {
        const now = performance.now();
        if (this.#done || now > until || now - answeredAt > 3000) socket.destroy();
        else if (resumed) more();
      }, this.options.pauseMs || 5);
      socket.on('connect', () => send({ event: 'resume', session, messageId: 'resume' }));
      socket.on('data', (bytes) => {
        for (const line of lines.push(bytes)) {
          const { context, status, messageId, code, data } = JSON.parse(line) as {
            context?: string;
            status?: string;
            messageId?: unknown;
            code?: string;
            data?: { id: string };
          };
          if (context !== 'response') continue;
          answeredAt = performance.now();
          if (messageId === 'resume') {
            if (status !== 'OK') {
              this.#unusual('resume', code);
              socket.destroy();
              return;
            }
            resumed = true;
            for (const said of this.#open.values()) say(said);
            more();
          } else if (status === 'OK' && data) {
            this.#answered(Number(messageId), data.id);
            if (this.options.pauseMs === 0) more();
          } else {
            this.#unusual('say', code);
            const again = this.#open.get(Number(messageId));
            if (again) setTimeout(() => socket.destroyed || say(again), 20 + random() * 50);
          }
        }
      });
      socket.on('error', () => undefined);
      socket.on('end', () => socket.destroy());
      socket.on('close', () => {
        clearInterval(timer);
        setTimeout(resolve, 5 + random() * 20);
      });
    });
  }

  #another(): Said {
    const { rooms, random } = this.options;
    const nth = this.#next;
    this.#next += 1;
    const room = rooms[Math.floor(random() ** 2 * rooms.length)] ?? '';
    // Some letters that are several bytes long, to be cut in two.
    return {
      nth,
      room,
      message: `${this.name} ${String(nth)} ${'žluťoučký 🐴 '.repeat(Math.floor(random() ** 4 * 12))}`,
    };
  }

  #answered(nth: number, id: string): void {
    const said = this.#open.get(nth);
    if (!said) return;
    this.#open.delete(nth);
    this.options.ledger.answered(said.room, id, said.message);
  }

  #unusual(what: string, code = ''): void {
    if (!AWAY.includes(code)) this.options.ledger.fault(`${this.name}: ${what}: ${code}`);
  }
}
