/** Writers and readers that never give up: what they do when a node or the store is away is what a good client does. */
import http from 'node:http';
import { WebSocket } from 'ws';
import { Record, type Accepted } from './checker';

/** Another one each time: plain round robin, no stickiness. */
export type Nodes = () => string;

export function roundRobin(urls: readonly string[]): Nodes {
  let turn = 0;
  return () => urls[(turn += 1) % urls.length] ?? '';
}

export interface Reply {
  readonly status: number;
  readonly body: { readonly [key: string]: unknown };
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 200 });

/** One request in the name of a session; rejects when the answer does not come whole. */
export async function request(
  url: string,
  method: string,
  path: string,
  session: string,
  body?: object,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers = { Authorization: `Bearer ${session}`, ...(body ? { 'Content-Type': 'application/json' } : {}) };
    const asking = http.request(url + path, { method, headers, agent, timeout: 20_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('error', reject);
      response.on('close', () => {
        if (response.complete) resolve({ status: response.statusCode ?? 0, body: bodyOf(text) });
        else reject(new Error('cut'));
      });
    });
    asking.on('error', reject);
    asking.on('timeout', () => asking.destroy(new Error('timeout')));
    asking.end(body ? JSON.stringify(body) : undefined);
  });
}

/** A proxy's own page is no JSON. */
function bodyOf(text: string): Reply['body'] {
  return text.startsWith('{') ? (JSON.parse(text) as Reply['body']) : { text };
}

/** The store is away, or the node is, which a proxy tells by 502 and 504. */
const AWAY = [502, 503, 504];

const breath = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 30));

export async function newSession(nodes: Nodes): Promise<{ session: string; id: string; cursor: string }> {
  for (;;) {
    try {
      const { status, body } = await request(nodes(), 'POST', '/chat/?method=connect', 'none');
      if (status === 200) return body as { session: string; id: string; cursor: string };
    } catch {
      // The next node.
    }
    await breath();
  }
}

export class Crowd {
  readonly accepted = new Map<string, unknown>();
  /** ms, the longest time in which nothing was accepted, while the crowd was writing. */
  outage = 0;
  #acceptedAt: number | undefined;
  /** Said and never answered, when the crowd was told to stop. */
  readonly maybe = new Set<unknown>();
  readonly records: Record[] = [];
  /** The codes that says were refused with. */
  readonly refusals = new Set<unknown>();
  /** Answers that were neither OK nor a store or node being away: there should be none. */
  readonly strange: string[] = [];
  #over = false;
  #reading = true;
  readonly #writers: Promise<void>[] = [];
  readonly #readers: Promise<void>[] = [];
  readonly #ends = new Set<() => void>();

  constructor(readonly nodes: Nodes) {}

  /** Says on and on, each message with a key, until it is answered. */
  async write(name: string, pauseMs = 2): Promise<void> {
    const { session } = await newSession(this.nodes);
    const loop = async (): Promise<void> => {
      for (let index = 0; !this.#over; index += 1) {
        const message = `${name} ${String(index)}`;
        this.maybe.add(message);
        if (!(await this.#until(session, message))) return;
        this.maybe.delete(message);
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    };
    this.#writers.push(loop());
  }

  /** True once it is accepted; false when the crowd was told to stop first. */
  async #until(session: string, message: string): Promise<boolean> {
    for (;;) {
      if (await this.#say(session, message)) return true;
      if (this.#over) return false;
      await breath();
    }
  }

  async #say(session: string, message: string): Promise<boolean> {
    try {
      const reply = await request(this.nodes(), 'POST', '/chat/?method=say', session, { message, key: message });
      if (reply.status === 200) {
        const now = performance.now();
        this.outage = Math.max(this.outage, now - (this.#acceptedAt ?? now));
        this.#acceptedAt = now;
        this.accepted.set(String(reply.body['id']), message);
        return true;
      }
      this.refusals.add(reply.body['code']);
      if (!AWAY.includes(reply.status) && reply.status !== 507)
        this.strange.push(`say: ${String(reply.status)} ${JSON.stringify(reply.body)}`);
    } catch {
      // Cut: said or not, its key tells.
    }
    return false;
  }

  /** Polls with its cursor, waiting for more, or coming back after a rest. */
  async poll({ nodes = this.nodes, restMs = 0 } = {}): Promise<void> {
    const record = this.#record('poll');
    const { session, cursor } = await newSession(nodes);
    const wait = restMs > 0 ? 0 : 1;
    let after = cursor;
    const loop = async (): Promise<void> => {
      while (this.#reading) {
        try {
          const reply = await request(
            nodes(),
            'GET',
            `/chat/?method=messages&wait=${String(wait)}&after=${after}`,
            session,
          );
          if (reply.status === 200) {
            const {
              messages,
              gaps = [],
              cursor: next,
            } = reply.body as { messages: object[]; gaps?: object[]; cursor: string };
            for (const gap of gaps) record.take({ ...gap, context: 'gap' });
            for (const message of messages) record.take(message);
            after = next;
            if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
          } else {
            if (!AWAY.includes(reply.status))
              this.strange.push(`poll: ${String(reply.status)} ${JSON.stringify(reply.body)}`);
            await breath();
          }
        } catch {
          await breath();
        }
      }
    };
    this.#readers.push(loop());
  }

  /** Server-sent events, as an EventSource: from the last id that came. */
  async stream(): Promise<void> {
    const record = this.#record('stream');
    const { session, cursor } = await newSession(this.nodes);
    let last = cursor;
    const once = (): Promise<void> =>
      new Promise((resolve) => {
        const headers = { Authorization: `Bearer ${session}`, 'Last-Event-ID': last };
        const asking = http.get(
          `${this.nodes()}/chat/?method=messages&stream=sse`,
          { headers, agent: false },
          (response) => {
            if (response.statusCode !== 200 && !AWAY.includes(response.statusCode ?? 0))
              this.strange.push(`stream: ${String(response.statusCode)}`);
            let rest = '';
            response.setEncoding('utf8').on('data', (text: string) => {
              const events = (rest + text).split('\n\n');
              rest = events.pop() ?? '';
              for (const event of events) {
                const data = /^data: (.*)$/m.exec(event)?.[1];
                if (data !== undefined) record.take(JSON.parse(data) as object);
                last = /^id: (.*)$/m.exec(event)?.[1] ?? last;
              }
            });
            response.on('error', () => undefined);
          },
        );
        const end = (): void => {
          asking.destroy();
        };
        this.#ends.add(end);
        asking.on('error', () => undefined);
        asking.on('close', () => {
          this.#ends.delete(end);
          resolve();
        });
      });
    const loop = async (): Promise<void> => {
      while (this.#reading) {
        await once();
        await breath();
      }
    };
    this.#readers.push(loop());
  }

  /** A WebSocket that resumes where it was. */
  async socket(): Promise<void> {
    const record = this.#record('socket');
    const { session, cursor } = await newSession(this.nodes);
    let after: unknown = cursor;
    const once = (): Promise<void> =>
      new Promise((resolve) => {
        const socket = new WebSocket(`${this.nodes().replace('http', 'ws')}/chat/?resume=true`, {
          handshakeTimeout: 5000,
        });
        const end = (): void => {
          socket.terminate();
        };
        this.#ends.add(end);
        let resumed = false;
        socket.on('error', () => undefined);
        socket.on('open', () => {
          socket.send(JSON.stringify({ event: 'resume', session, after, messageId: 'resume' }));
        });
        socket.on('message', (data: Buffer) => {
          const frame = JSON.parse(data.toString()) as {
            context?: string;
            messageId?: string;
            status?: string;
            room?: string;
            id?: string;
          };
          if (frame.context === 'response' && frame.messageId === 'resume') {
            resumed = frame.status === 'OK';
            if (!resumed) socket.terminate();
          } else if (resumed) {
            record.take(frame);
            if (frame.context === 'user' && frame.room !== undefined) after = { [frame.room]: frame.id };
          }
        });
        socket.on('close', () => {
          this.#ends.delete(end);
          resolve();
        });
      });
    const loop = async (): Promise<void> => {
      while (this.#reading) {
        await once();
        await breath();
      }
    };
    this.#readers.push(loop());
  }

  /** Writers stop; what they have under way is answered, or stays a maybe. */
  async hush(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#writers);
  }

  async end(): Promise<void> {
    this.#over = true;
    this.#reading = false;
    for (const end of this.#ends) end();
    await Promise.all([...this.#writers, ...this.#readers]);
  }

  get said(): Accepted {
    return this.accepted;
  }

  #record(kind: string): Record {
    const record = new Record(`${kind} ${String(this.records.length)}`);
    this.records.push(record);
    return record;
  }
}
