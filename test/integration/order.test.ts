/** Many speak at once on all transports: every hearer gets each message exactly once, in the one order of the room. */
import { entryIdParts } from '../../src/protocol/entry-id';
import { HttpClient } from '../support/http-client';
import { long } from '../support/long';
import { oneNode, twoNodes, type Nodes } from '../support/nodes';
import { TcpClient, WsClient, type Parsed } from '../support/clients';
import type { ServerUnderTest } from '../support/server';

/** What each of six sockets says, and each of two HTTP clients, whose requests cost the test ten times as much. */
class Speech {
  readonly all: number;

  constructor(
    readonly bySocket: number,
    readonly byHttp: number,
  ) {
    this.all = 6 * bySocket + 2 * byHttp;
  }
}

/** The long form, `npm run test:faults:long`, has four times as many. */
const speech = long ? new Speech(3000, 1000) : new Speech(750, 250);
const { all: count, bySocket } = speech;
/** Requests that an HTTP speaker has under way. */
const AT_ONCE = 8;
/** ms between two polls of one client: without a rest they would be half of the load. */
const RHYTHM = 25;

interface Hearer {
  readonly name: string;
  /** Empty for one that says nothing. */
  readonly id: string;
  all(count: number): Promise<readonly Parsed[]>;
}

interface Speaker {
  readonly id: string;
  /** Says all of its messages, and answers their places in the room. */
  speak(): Promise<readonly { readonly id: string; readonly message: string }[]>;
}

type Said = Awaited<ReturnType<Speaker['speak']>>[number];

function socketSpeaker(client: WsClient | TcpClient, count: number): Speaker {
  const speak = async (): Promise<Said[]> => {
    const text = (nth: number): string => `${client.id} ${nth}`;
    for (let nth = 0; nth < count; nth += 1) {
      if (client instanceof TcpClient) client.write(`say ${text(nth)}\n`);
      else client.send({ event: 'say', message: text(nth) });
    }
    const responses = await client.responses.whole(count);
    return responses.map(({ data, messageCount }) => ({ id: data.id as string, message: text(messageCount - 1) }));
  };
  return { id: client.id, speak };
}

async function httpSpeaker(url: string, count: number): Promise<Speaker> {
  const client = new HttpClient(url);
  const id = await client.id();
  const speak = async (): Promise<Said[]> => {
    const said: Said[] = [];
    let next = 0;
    const one = async (): Promise<void> => {
      while (next < count) {
        const message = `${id} ${next++}`;
        said.push({ id: (await client.say(message)).id, message });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    return said;
  };
  return { id, speak };
}

async function streamHearer({ url }: ServerUnderTest, format: 'sse' | 'ndjson'): Promise<Hearer> {
  const client = new HttpClient(url);
  await client.stream(format);
  return { name: format, id: '', all: (count) => client.heard.whole(count) };
}

/** @param nodes it asks in turn */
async function pollHearer(
  name: string,
  nodes: readonly ServerUnderTest[],
  ask: (cursor: string) => Record<string, string | number>,
): Promise<Hearer> {
  const client = new HttpClient(nodes[0]!.url);
  await client.id();
  const all = async (count: number): Promise<Parsed[]> => {
    const got: Parsed[] = [];
    for (let turn = 0; got.length < count; turn += 1) {
      client.url = nodes[turn % nodes.length]!.url;
      const { messages, gaps } = await client.ok('messages', ask(client.cursor));
      if (gaps) throw new Error(`a gap: ${JSON.stringify(gaps)}`);
      got.push(...messages);
      await new Promise((resolve) => setTimeout(resolve, RHYTHM));
    }
    return got;
  };
  return { name, id: '', all };
}

async function crowd(
  { here, there }: Nodes,
  { bySocket, byHttp }: Speech,
): Promise<{ speakers: Speaker[]; hearers: Hearer[] }> {
  const sockets = [
    ['WebSocket', await WsClient.connect(here.url)],
    ['WebSocket', await WsClient.connect(there.url)],
    ['Primus', await WsClient.connect(here.url, '/primus')],
    ['TCP', await TcpClient.connect(here.tcpPort)],
    ['TCP', await TcpClient.connect(there.tcpPort)],
    ['WebSocket', await WsClient.connect(there.url)],
  ] as const;
  const speakers = sockets.map(([, client]) => socketSpeaker(client, bySocket));
  for (const { url } of [here, there]) speakers.push(await httpSpeaker(url, byHttp));

  const hearers: Hearer[] = sockets.map(([name, client]) => {
    return { name: `${name} that speaks`, id: client.id, all: (count) => client.heard.whole(count) };
  });
  for (const [name, client] of [
    ['WebSocket', await WsClient.connect(there.url)],
    ['Primus', await WsClient.connect(there.url, '/primus')],
    ['TCP', await TcpClient.connect(here.tcpPort)],
  ] as const) {
    hearers.push({ name, id: '', all: (count) => client.heard.whole(count) });
  }
  hearers.push(await streamHearer(here, 'sse'), await streamHearer(there, 'ndjson'));
  const nodes = [here, there];
  hearers.push(await pollHearer('polls by cookie, on both nodes', nodes, () => ({ limit: 1000 })));
  hearers.push(await pollHearer('polls with a cursor, on both nodes', nodes, (after) => ({ after, limit: 700 })));
  hearers.push(await pollHearer('long-polls with a cursor', [there], (after) => ({ after, wait: 5 })));
  return { speakers, hearers };
}

test.each([
  { where: 'one node on memory', start: oneNode },
  { where: 'two nodes on Redis', start: twoNodes },
])(
  `${count} messages of eight speakers, on $where`,
  async ({ start }) => {
    const { speakers, hearers } = await crowd(await start({ config: { chat: { maxLogLength: count } } }), speech);
    const [said, ...heard] = await Promise.all([
      Promise.all(speakers.map((speaker) => speaker.speak())),
      ...hearers.map(({ id, all }) => all(id === '' ? count : count - bySocket)),
    ]);

    const room = said.flat().map(({ id, message }) => ({ ...entryIdParts(id), id, message }));
    room.sort((a, b) => a.seq - b.seq);
    expect(room.map(({ seq }) => seq)).toEqual(Array.from({ length: count }, (_, nth) => nth + 1));
    expect(room.every(({ ms }, nth) => nth === 0 || ms >= room[nth - 1]!.ms)).toBe(true);

    // Compared as text: a list of 20,000 objects takes jest longer than the chat.
    const inOrder = room.map(({ id, message }) => `${id} ${message}`);
    for (const [nth, { name, id }] of hearers.entries()) {
      const expected = id === '' ? inOrder : inOrder.filter((line) => line.split(' ')[1] !== id);
      const got = heard[nth]!.map((message) => `${String(message.id)} ${String(message.message)}`);
      const differs = expected.findIndex((line, at) => line !== got[at]);
      expect({ name, count: got.length, differs, at: got[differs] }).toEqual({
        name,
        count: expected.length,
        differs: -1,
        at: undefined,
      });
    }
  },
  120_000,
);
