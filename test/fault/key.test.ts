/** A say whose answer is lost on the way from Redis is `outcome_unknown`; repeated with its key it answers the first id. */
import { faults, Record } from '../support/checker';
import { TcpClient, WsClient, type Parsed } from '../support/clients';
import { eventually } from '../support/eventually';
import { noteFault } from '../support/figures';
import { connected } from '../support/http-client';
import { closeProxies, FaultProxy } from '../support/proxy';
import { freshPrefix, OwnRedis, stopOwnRedis } from '../support/redis';
import { startServer, type ServerUnderTest } from '../support/server';
import { closeStores, newRedisStore, usualLimits } from '../support/stores';

afterEach(async () => {
  await closeStores();
  await closeProxies();
  await stopOwnRedis();
});

type Say = (message: string, key: string) => Promise<Parsed>;

interface Way {
  readonly name: string;
  /** Says at the node whose Redis falls silent; answers the error's code, or what was answered OK. */
  readonly say: Say;
  /** Says the same, as the same client, at the other node. */
  readonly elsewhere: Say;
}

/** The code of a refusal, or the answer. */
const outcome = ({ code, data, ...rest }: Parsed): Parsed => code ?? data ?? rest;

async function http(name: string, here: ServerUnderTest, there: ServerUnderTest, method: 'get' | 'post'): Promise<Way> {
  const client = await connected(here);
  // Who hears something here is known here: no request of its waits for Redis to tell who it is.
  await client.stream('ndjson');
  const at = (url: string): Say => {
    return async (message, key) => {
      client.url = url;
      const { status, headers, body } = await client[method]('say', { message, key });
      if (status === 503) expect(headers['retry-after']).toBeDefined();
      return outcome(body);
    };
  };
  return { name, say: at(here.url), elsewhere: at(there.url) };
}

function socket(name: string, client: WsClient | TcpClient, again: () => Promise<WsClient | TcpClient>): Way {
  const { session } = client;
  return {
    name,
    say: async (message, key) => outcome(await client.ask('say', { message, key })),
    elsewhere: async (message, key) => {
      const other = await again();
      await other.data('resume', { session });
      return outcome(await other.ask('say', { message, key }));
    },
  };
}

test('over every transport', async () => {
  const redis = await OwnRedis.start();
  const proxy = await FaultProxy.to(redis.socket);
  const prefix = freshPrefix();
  const node = (url: string): Promise<ServerUnderTest> => {
    // Longer than a busy machine keeps an answer that is not lost.
    const timing = { call: 1000 };
    return startServer({ store: newRedisStore({ redis: { url }, prefix, timing, limits: usualLimits }) });
  };
  const [here, there] = await Promise.all([node(proxy.url), node(redis.socket)]);
  const ways: readonly Way[] = [
    await http('GET', here, there, 'get'),
    await http('POST', here, there, 'post'),
    socket('WebSocket', await WsClient.connect(here.url), () => WsClient.connect(there.url)),
    socket('Primus', await WsClient.connect(here.url, '/primus'), () => WsClient.connect(there.url, '/primus')),
    socket('TCP', await TcpClient.connect(here.tcpPort), () => TcpClient.connect(there.tcpPort)),
  ];
  const ear = await WsClient.connect(there.url);

  const warm = new Map<string, unknown>();
  for (const { name, say } of ways) warm.set((await say(`${name} before`, 'before')).id, `${name} before`);
  // One after the other: what comes while another say of the room is not answered waits for that, and is not done.
  for (const { name, say } of ways) {
    proxy.deafen();
    expect([name, await say(`${name} unknown`, 'unknown')]).toEqual([name, 'outcome_unknown']);
    proxy.heal();
    proxy.cut();
    await eventually(async () => {
      const { id } = await say(`${name} back`, 'back');
      if (id !== undefined) warm.set(id, `${name} back`);
      return id !== undefined;
    });
  }

  const accepted = new Map(warm);
  for (const { name, elsewhere } of ways) {
    const first = await elsewhere(`${name} unknown`, 'unknown');
    expect(await elsewhere(`${name} another text, the same key`, 'unknown')).toMatchObject({ id: first.id });
    accepted.set(first.id, `${name} unknown`);
  }
  accepted.set((await ways[0]!.elsewhere('the last one', 'last')).id, 'the last one');
  const record = new Record('ear');
  await ear.heard.next(({ message }) => message === 'the last one');
  for (const message of ear.heard.all) record.take(message);
  expect(faults(record, accepted)).toEqual([]);

  // The same node answers the same.
  const [get] = ways;
  expect(accepted.get((await get!.say('GET once more', 'unknown')).id)).toBe('GET unknown');
  noteFault({
    fault: 'answers of Redis lost, the says repeated with their keys over GET, POST, WebSocket, Primus and TCP',
    expected: '`outcome_unknown`, then the first id',
    accepted: accepted.size,
    missing: 0,
    doubled: 0,
  });
});
