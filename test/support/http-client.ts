/** A client of the HTTP chat with a cookie jar: one request at a time, or a stream. */
import http from 'node:http';
import { Inbox } from './inbox';
import type { Parsed } from './clients';

const open = new Set<HttpClient>();

afterEach(() => {
  for (const client of open) client.abandon();
  open.clear();
});

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Parsed;
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export class HttpClient {
  readonly cookies = new Map<string, string>();
  /** Sent with every request. */
  headers: Readonly<Record<string, string>> = {};
  /** Messages of streams. */
  readonly heard = new Inbox<Parsed>('message of a stream');
  /** What a stream brings besides: `{event, data}`. */
  readonly others = new Inbox<Parsed>('other event of a stream');
  /** The cursor that came last. */
  cursor = '';
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #sockets = new Set<unknown>();

  /** @param url of a node; a client may go to another with each request */
  constructor(public url: string) {
    open.add(this);
  }

  async get(method: string, query: Query = {}): Promise<Answer> {
    return this.request('GET', `/chat/?${encoded({ method, ...query })}`);
  }

  async post(method: string, body: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    return this.request('POST', '/chat/', { method, ...body });
  }

  async api(action: string, query: Query = {}): Promise<Answer> {
    return this.request('GET', `/api/${action}?${encoded(query)}`);
  }

  /** The body of an answer that must be 200. */
  async ok(method: string, query: Query = {}): Promise<Parsed> {
    const { status, body } = await this.get(method, query);
    if (status !== 200) throw new Error(`${method} was refused: ${String(status)} ${JSON.stringify(body)}`);
    return body;
  }

  async say(message: unknown, more: Readonly<Record<string, unknown>> = {}): Promise<Parsed> {
    const { status, body } = await this.post('say', { message, ...more });
    if (status !== 200) throw new Error(`say was refused: ${String(status)} ${JSON.stringify(body)}`);
    return body;
  }

  async id(): Promise<string> {
    return (await this.ok('detailsView')).details.id as string;
  }

  /** Everything from now on, until the client is abandoned. Resolves once the server has begun. */
  async stream(format: 'sse' | 'ndjson', query: Query = {}): Promise<void> {
    const path = `/chat/?${encoded({ method: 'messages', stream: format, ...query })}`;
    const response = await this.#send('GET', path, undefined);
    this.#keep(response);
    if (response.statusCode !== 200) throw new Error(`no stream: ${String(response.statusCode)}`);
    const end = format === 'sse' ? '\n\n' : '\n';
    let rest = '';
    response.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split(end);
      rest = parts.pop() ?? '';
      for (const part of parts) this.#event(format, part);
    });
    response.on('close', () => this.heard.end('the stream ended'));
    response.on('error', () => undefined);
  }

  async request(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await this.#send(method, path, body);
    this.#keep(response);
    let text = '';
    for await (const piece of response.setEncoding('utf8')) text += String(piece);
    const answer = { status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(text) };
    if (typeof answer.body?.cursor === 'string') this.cursor = answer.body.cursor;
    return answer;
  }

  abandon(): void {
    this.#agent.destroy();
  }

  /** That it has made so far. */
  get connections(): number {
    return this.#sockets.size;
  }

  #send(method: string, path: string, body: unknown): Promise<http.IncomingMessage> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = {
      ...(cookie === '' ? {} : { Cookie: cookie }),
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...this.headers,
    };
    return new Promise((resolve, reject) => {
      const request = http.request(this.url + path, { method, headers, agent: this.#agent }, resolve);
      request.on('error', reject);
      request.on('socket', (socket) => this.#sockets.add(socket));
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  #keep(response: http.IncomingMessage): void {
    for (const line of response.headers['set-cookie'] ?? []) {
      const [pair = ''] = line.split(';');
      const equals = pair.indexOf('=');
      this.cookies.set(pair.slice(0, equals), pair.slice(equals + 1));
    }
  }

  #event(format: 'sse' | 'ndjson', text: string): void {
    if (format === 'ndjson') {
      if (text === '') return;
      const { cursor, ...line } = JSON.parse(text) as { cursor: string; context?: string };
      this.cursor = cursor;
      if (line.context === 'user') this.heard.put(line);
      else this.others.put(line);
      return;
    }
    const fields = new Map(
      text.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    );
    const id = fields.get('id');
    if (id !== undefined) this.cursor = id;
    const data = fields.get('data');
    if (data === undefined) return;
    if (fields.get('event') === 'say') this.heard.put(JSON.parse(data));
    else this.others.put({ event: fields.get('event'), data: JSON.parse(data) as unknown });
  }
}

/** A client that is there: it has its cookies, and stands in the default room. */
export async function arrived(server: { readonly url: string }): Promise<HttpClient & { readonly is: string }> {
  const client = new HttpClient(server.url);
  return Object.assign(client, { is: await client.id() });
}

/** A client without cookies, known by its token. */
export async function connected(server: { readonly url: string }): Promise<HttpClient & { readonly session: string }> {
  const client = new HttpClient(server.url);
  const { session } = (await client.post('connect')).body as { session: string };
  client.headers = { Authorization: `Bearer ${session}` };
  return Object.assign(client, { session });
}

/** What was said in an answer's messages. */
export function texts({ messages }: { readonly messages: readonly { readonly message: unknown }[] }): unknown[] {
  return messages.map(({ message }) => message);
}

/** Everything that a refusal says. */
export function refusal({ status, body }: Pick<Answer, 'status' | 'body'>): [number, string, string] {
  return [status, body.code as string, body.error as string];
}

export function setCookies({ headers }: Pick<Answer, 'headers'>): readonly string[] {
  return headers['set-cookie'] ?? [];
}

/** The line that sets this cookie. */
export function cookieSet(answer: Pick<Answer, 'headers'>, name: string): string | undefined {
  return setCookies(answer).find((line) => line.startsWith(`${name}=`));
}

function encoded(query: Query): string {
  const given = Object.entries(query).filter(
    (pair): pair is [string, string | number | boolean] => pair[1] !== undefined,
  );
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
}
