/** One client on each way in that there is, all spoken to alike: who says, and what it hears next. */
import { HttpClient } from './http-client';
import { TcpClient, WsClient, type Parsed } from './clients';
import type { ServerUnderTest } from './server';

/** A client that says and hears, however its transport does that. */
export interface Chatter {
  readonly id: string;
  say(message: unknown): Promise<{ readonly id: string }>;
  /** The next message it hears, waited for. */
  next(): Promise<Parsed>;
}

export interface Way {
  readonly name: string;
  connect(server: ServerUnderTest): Promise<Chatter>;
}

function socket(client: WsClient | TcpClient): Chatter {
  return { id: client.id, say: (message) => client.say(message), next: () => client.heard.next() };
}

async function stream({ url }: ServerUnderTest, format: 'sse' | 'ndjson'): Promise<Chatter> {
  const client = new HttpClient(url);
  const id = await client.id();
  await client.stream(format);
  return { id, say: (message) => client.say(message), next: () => client.heard.next() };
}

/** @param ask one poll's parameters, given the cursor of the last one */
async function poll(
  { url }: ServerUnderTest,
  ask: (cursor: string) => Record<string, string | number>,
): Promise<Chatter> {
  const client = new HttpClient(url);
  const id = await client.id();
  const got: Parsed[] = [];
  const next = async (): Promise<Parsed> => {
    const until = performance.now() + 15_000;
    while (got.length === 0) {
      if (performance.now() > until) throw new Error('no message in any poll within 15 s');
      got.push(...(await client.ok('messages', ask(client.cursor))).messages);
    }
    return got.shift();
  };
  return { id, say: (message) => client.say(message), next };
}

export const ways: readonly Way[] = [
  { name: 'a poll by cookie', connect: (server) => poll(server, () => ({})) },
  { name: 'a long-poll with a cursor', connect: (server) => poll(server, (after) => ({ after, wait: 1 })) },
  { name: 'server-sent events', connect: (server) => stream(server, 'sse') },
  { name: 'NDJSON', connect: (server) => stream(server, 'ndjson') },
  { name: 'a WebSocket', connect: async ({ url }) => socket(await WsClient.connect(url)) },
  { name: 'Primus', connect: async ({ url }) => socket(await WsClient.connect(url, '/primus')) },
  { name: 'TCP', connect: async ({ tcpPort }) => socket(await TcpClient.connect(tcpPort)) },
];
