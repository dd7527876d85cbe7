/** Nodes that are processes: killed, standing still, with clocks that are wrong. */
import path from 'node:path';
import { TcpClient, WsClient } from '../support/clients';
import { Command, type Listening } from '../support/command';
import { eventually } from '../support/eventually';
import { noteFault } from '../support/figures';
import { arrived, type HttpClient } from '../support/http-client';
import { startServer, type ServerUnderTest } from '../support/server';
import { redisSettings } from '../support/store-settings';
import { endTrials, nobodyTold, pause, Trial } from '../support/trial';

afterEach(endTrials);

/** ms. What it is by default, 15 s, is the same thing later. */
const LEASE = 1500;

interface Presence {
  readonly event: 'join' | 'leave';
  readonly id: string;
  readonly at: number;
}

/** Who came and went since then, as far as it is told now. */
async function since(client: HttpClient, cursor: string): Promise<Presence[]> {
  const all: (Presence & { readonly context: string })[] = [];
  let after = cursor;
  for (;;) {
    const body = await client.ok('messages', { after, presence: true });
    if (body.messages.length === 0) return all.filter(({ context }) => context === 'presence');
    all.push(...body.messages);
    after = body.cursor as string;
  }
}

/** A node as a process, with more of an environment. */
function start(
  redis: { readonly url?: string | null; readonly prefix: string },
  env: Readonly<Record<string, string>>,
): Command {
  return new Command(['--port', '0', '--socket-port', '0', '--redis-url', redis.url ?? ''], {
    EARSHOT_REDIS_PREFIX: redis.prefix,
    EARSHOT_LIMITS_SAYS_PER_SECOND: '0',
    ...env,
  });
}

/** Two nodes, the first of which is a process that can be stopped and killed. */
async function twoNodes(nodeLease: number): Promise<Listening & { doomed: Command; survivor: ServerUnderTest }> {
  const redis = redisSettings();
  const doomed = start(redis, { EARSHOT_GENERAL_NODE_LEASE: String(nodeLease) });
  const survivor = await startServer({ config: { redis, general: { nodeLease } } });
  return { ...(await doomed.listening()), doomed, survivor };
}

const leaves = (all: readonly Presence[]): Presence[] => all.filter(({ event }) => event === 'leave');

test('a node is killed (kill -9)', async () => {
  const { doomed, survivor, url, tcpPort } = await twoNodes(LEASE);
  const trial = await Trial.on('a node killed (kill -9), clients go on elsewhere', 'nothing lost, nobody told', [
    url,
    survivor.url,
  ]);

  const connect = (index: number): Promise<WsClient | TcpClient> =>
    index % 2 === 0 ? WsClient.connect(url) : TcpClient.connect(tcpPort);
  const there = await Promise.all(Array.from({ length: 30 }, (_, index) => connect(index)));
  const ids = there.map(({ id }) => id).sort();
  const watcher = await arrived(survivor);
  const before = await watcher.ok('roomView');
  expect(before.roomStatus.members).toEqual(expect.arrayContaining(ids));

  const killedAt = Date.now();
  await doomed.kill();
  await eventually(async () => leaves(await since(watcher, before.roomStatus.cursor)).length >= ids.length);
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);

  const after = await watcher.ok('roomView');
  const told = await since(watcher, before.roomStatus.cursor);
  // Exactly those, each once: nobody who went on at the other node was ever away.
  expect(leaves(told).map(({ id }) => id).sort()).toEqual(ids); // prettier-ignore
  const members = new Set<string>(before.roomStatus.members);
  for (const { event, id } of told) {
    if (event === 'join') members.add(id);
    else members.delete(id);
  }
  expect([...members].sort()).toEqual([...after.roomStatus.members].sort());
  const last = Math.max(...leaves(told).map(({ at }) => at)) - killedAt;
  const first = Math.min(...leaves(told).map(({ at }) => at)) - killedAt;
  expect(first).toBeGreaterThan(0);
  noteFault({
    fault: 'a node killed (kill -9), clients that were only there',
    expected: `gone within the lease (here ${LEASE / 1000} s) and a look at it, one leave each`,
    more: `${leaves(told).length} of ${ids.length} left once, the last ${(last / 1000).toFixed(1)} s after the kill`,
  });
});

test('a node stands still for 3 s: what came meanwhile is late, and nobody is thought gone', async () => {
  const { doomed, survivor, url, tcpPort } = await twoNodes(15_000);
  const trial = await Trial.on('a node stands still for 3 s (SIGSTOP)', 'late, not lost; nobody leaves', [
    url,
    survivor.url,
  ]);
  const [there, watcher] = [await TcpClient.connect(tcpPort), await arrived(survivor)];
  const before = await watcher.ok('roomView');
  expect(before.roomStatus.members).toContain(there.id);
  doomed.signal('SIGSTOP');
  await pause(3000);
  doomed.signal('SIGCONT');
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
  expect(leaves(await since(watcher, before.roomStatus.cursor))).toEqual([]);
  const newest = [...trial.crowd.accepted.values()].at(-1);
  await there.heard.next(({ message }) => message === newest);
});

test('the clocks of two nodes are an hour off, one each way: nobody notices', async () => {
  const redis = redisSettings();
  const wrong = (hours: number): Command =>
    start(redis, {
      NODE_OPTIONS: `--require ${path.join(__dirname, '../support/wrong-clock.cjs')}`,
      CLOCK_OFFSET: String(hours * 3_600_000),
    });
  const [early, late] = [wrong(-1), wrong(1)];
  const [here, there] = [await early.listening(), await late.listening()];
  const trial = await Trial.on("nodes' clocks an hour off, one each way", 'nobody notices', [here.url, there.url]);
  const sockets = await Promise.all([TcpClient.connect(here.tcpPort), TcpClient.connect(there.tcpPort)]);
  const watcher = await arrived(there);
  const before = await watcher.ok('roomView');
  watcher.url = here.url;
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
  // Times that people are told are the store's.
  const { sentAt } = await watcher.say('what time is it?');
  expect(Math.abs(Number(sentAt) - Date.now())).toBeLessThan(60_000);
  expect(leaves(await since(watcher, before.roomStatus.cursor))).toEqual([]);
  const { members } = (await watcher.ok('roomView')).roomStatus;
  expect(members).toEqual(expect.arrayContaining(sockets.map(({ id }) => id)));
  // The shim is there: a node says so itself.
  expect(early.stderr + late.stderr).toContain('clock');
});
