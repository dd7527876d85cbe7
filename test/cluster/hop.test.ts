/**
 * Readers that are never long anywhere, on nodes that lose their store and go: what each was given is the log, entry by
 * entry. `npm run soak` does the same for as long as it is let.
 */
import { Band, ROOMS } from '../support/hop/band';
import type { NodeAddress } from '../support/hop/hopper';
import { closeProxies, FaultProxy } from '../support/proxy';
import { randomFrom, seedOfRun } from '../support/random';
import { freshPrefix, OwnRedis, stopOwnRedis } from '../support/redis';
import { startServer, stopServers, type ServerUnderTest } from '../support/server';
import { closeStores, newRedisStore, openRedisStore } from '../support/stores';

afterEach(async () => {
  await stopServers();
  await closeStores();
  await closeProxies();
  await stopOwnRedis();
});

interface Node extends NodeAddress {
  readonly server: ServerUnderTest;
  readonly proxy: FaultProxy;
}

const limits = { messageTTL: 120_000, maxLogLength: 100_000, logKeep: 600_000 };
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const seed = seedOfRun();

test(`what readers hear that hop over every transport and node is the log, through faults (SEED=${seed})`, async () => {
  const random = randomFrom(seed);
  const redis = await OwnRedis.start();
  const prefix = freshPrefix();
  const start = async (): Promise<Node> => {
    const proxy = await FaultProxy.to(redis.socket);
    const server = await startServer({ store: newRedisStore({ redis: { url: proxy.url }, prefix, limits }) });
    return { server, proxy, port: server.port, tcpPort: server.tcpPort };
  };
  const nodes = await Promise.all([start(), start(), start()]);
  const any = (): Node => nodes[Math.floor(random() * nodes.length)]!;
  const faults: readonly (() => Promise<void> | void)[] = [
    () => any().proxy.cut(),
    () => any().proxy.cut(),
    async () => {
      const { proxy } = any();
      proxy.deafen();
      await pause(50 + random() * 200);
      proxy.heal();
      proxy.cut();
    },
    async () => {
      redis.pause();
      await pause(100 + random() * 300);
      redis.resume();
    },
    async () => {
      await redis.admin.script('FLUSH');
    },
    async () => {
      // A node goes as it does at a deployment, and another one comes.
      const at = Math.floor(random() * nodes.length);
      const { server } = nodes[at]!;
      nodes[at] = await start();
      await server.close(500);
    },
  ];

  const count = 800;
  const band = await Band.gather({ nodes: () => nodes, random, hoppers: 5, jars: 2, writers: 3, count, pauseMs: 0 });
  let saying = true as boolean;
  const breaking = (async () => {
    while (saying) {
      await pause(200 + random() * 500);
      await faults[Math.floor(random() * faults.length)]!();
    }
  })();
  // On a machine that has other things to do it is fewer of them, not later.
  await Promise.race([band.written(), pause(8000)]);
  await band.written({ stop: true });
  saying = false;
  await breaking;
  expect(await band.settled(30_000)).toEqual([]);

  const { ledger } = band;
  expect(ledger.accepted).toBeGreaterThan(0);
  const store = await openRedisStore({ redis: { url: redis.socket }, prefix, limits });
  let logged = 0;
  for (const room of ROOMS) {
    const { entries } = await store.read(`room:${room}`, '0-0', 100_000);
    const said = entries.map(({ id, data }) => `${id} ${(JSON.parse(`${data}}`) as { message: string }).message}`);
    const known = [...ledger.lines(room).values()].map(({ id, message }) => `${id} ${String(message)}`);
    expect(known.sort()).toEqual(said.sort());
    logged += said.length;
  }
  expect(ledger.accepted).toBe(logged);
  for (const ear of ledger.ears) expect(ear.heard).toBe(logged);
});
