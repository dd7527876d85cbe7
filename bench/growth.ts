/** What grows and must not cost more for it: members, rooms, nodes, waiting polls; and what happens when a node dies. */
import { cpuSeconds } from './processes';
import { figureOf, rest, SATURATED, talk, type Context, type Figure, type Scenario } from './scenarios';
import type { Server, ServerSpec } from './servers';

const perCpuSecond = { unit: 'deliveries/CPU-s', better: 'more', once: true } as const;
const inMemory: Scenario['servers'] = { earshot: { kind: 'earshot' } };
const withRedis = (nodes: number): Scenario['servers'] => ({ earshot: { kind: 'earshot', redis: true, nodes } });

async function deliveries(context: Context, spec: ServerSpec, how: Parameters<typeof talk>[3]): Promise<Figure> {
  const result = await talk(context, await context.servers.get(spec), 'earshot', how);
  return { ...figureOf(result), value: result.deliveries / result.cpuSeconds };
}

const members: Scenario[] = [10, 100, 1000, 10_000].map((count) => ({
  ...perCpuSecond,
  id: `grow-members-${String(count)}`,
  title: `Members of a room: ${String(count)}, one message at a time`,
  servers: inMemory,
  run: async (context, _kind, spec) => deliveries(context, spec, { hearers: Math.min(count, context.many) }),
}));

const rooms: Scenario[] = [1, 10, 100, 1000].map((count) => ({
  ...perCpuSecond,
  id: `grow-rooms-${String(count)}`,
  title: `Rooms: ${String(count)} of ten members each, one message at a time`,
  servers: inMemory,
  run: async (context, _kind, spec) => deliveries(context, spec, { hearers: 10 * count, rooms: count }),
}));

const nodes: Scenario[] = [1, 2, 4].map((count) => ({
  ...perCpuSecond,
  id: `grow-nodes-${String(count)}`,
  title: `Nodes with one Redis: ${String(count)}, 100 members, 16 messages in flight`,
  servers: withRedis(count),
  run: async (context, _kind, spec) => deliveries(context, spec, SATURATED),
}));

const polls: Scenario[] = [10, 100, 1000, 10_000].map((count) => ({
  ...perCpuSecond,
  id: `grow-polls-${String(count)}`,
  title: `Waiting polls: ${String(count)}, one message at a time`,
  servers: inMemory,
  run: async (context, _kind, spec) =>
    deliveries(context, spec, { hearers: Math.min(count, context.many), wire: 'earshot-poll' }),
}));

/** ms of Redis' CPU for 1,000 says, in a room with so many members that come and go over HTTP. */
const says: Scenario[] = (['few', 'many'] as const).map((size) => ({
  id: `say-${size}`,
  title: `CPU of Redis for 1000 says in a room of ${size === 'few' ? 'ten' : 'many'} HTTP clients`,
  unit: 'ms',
  better: 'less',
  once: true,
  servers: withRedis(1),
  run: async (context, _kind, spec) =>
    alone(context, spec, async (server, redis) => {
      const room = `says-${size}`;
      const target = server.targets[0]!;
      const clients = size === 'few' ? 10 : context.many;
      await context.generator.run({ kind: 'hold', target, room, wire: 'earshot-absent', clients });
      const before = cpuSeconds([redis.pid]);
      const answers = await context.generator.run({
        kind: 'ask',
        target,
        what: 'earshot-say',
        room,
        connections: 32,
        span: { warm: 0, measure: 3 },
        pids: server.pids(),
      });
      const value = ((cpuSeconds([redis.pid]) - before) / answers.answers) * 1e6;
      return { value, checked: answers.answers, wrong: answers.wrong };
    }),
}));

const reads: Scenario = {
  id: 'poll-reads',
  title: 'Reads of Redis per message, with many parked polls',
  unit: 'reads',
  better: 'less',
  once: true,
  servers: withRedis(1),
  run: async (context, _kind, spec) =>
    alone(context, spec, async (server, redis) => {
      const room = 'read';
      const target = server.targets[0]!;
      await context.generator.run({ kind: 'hold', target, room, wire: 'earshot-poll', clients: context.many });
      await rest();
      const before = await calls(redis.client, 'xrange');
      const said = await calls(redis.client, 'xadd');
      const result = await talk(context, server, 'earshot', { room, hearers: 1, rate: 1 });
      const messages = (await calls(redis.client, 'xadd')) - said;
      const value = ((await calls(redis.client, 'xrange')) - before) / messages;
      return { ...figureOf(result), value };
    }),
};

const probe: Scenario = {
  id: 'poll-probe',
  title: "Another client's `roomView` while many polls wake, p99",
  unit: 'ms',
  better: 'less',
  once: true,
  servers: inMemory,
  run: async (context, _kind, spec) =>
    alone(context, spec, async (server) => {
      const how = { hearers: context.many, wire: 'earshot-poll', rate: 1, probe: 'roomView' } as const;
      const result = await talk(context, server, 'earshot', how);
      return { ...figureOf(result), value: result.probeP99 ?? NaN };
    }),
};

const storm: Scenario = {
  id: 'storm',
  title: 'A node with 2000 WebSockets dies, they come back within 10 s of their own choice: until the last is back',
  unit: 's',
  better: 'less',
  once: true,
  servers: withRedis(2),
  run: async (context, _kind, spec) =>
    alone(context, spec, async (server) => {
      const [victim] = server.nodes;
      const [from, to] = server.targets;
      const pids = server.pids().filter((pid) => pid !== victim);
      const result = await context.generator.run({
        kind: 'storm',
        from: from!,
        to: to!,
        room: 'storm',
        clients: 2000,
        jitterMs: 10_000,
        victim: victim!,
        pids,
      });
      const wrong = result.wrong.missing + result.wrong.doubled + result.wrong.reordered;
      return { value: result.seconds, checked: result.back, wrong };
    }),
};

/** Members that are listed with one answer are few; counted are all. */
const views: Scenario[] = [100, 100_000].map((count) => ({
  id: `view-${String(count)}`,
  title: `\`roomView\` of a room of ${String(count)} HTTP clients`,
  unit: 'requests/CPU-s',
  better: 'more',
  once: true,
  servers: inMemory,
  run: async (context, _kind, spec) =>
    alone(context, spec, async (server) => {
      const room = 'view';
      const target = server.targets[0]!;
      const clients = Math.min(count, 10 * context.many);
      await context.generator.run({ kind: 'hold', target, room, wire: 'earshot-absent', clients });
      const { answers, wrong, cpuSeconds, generatorLoad } = await context.generator.run({
        kind: 'ask',
        target,
        what: 'earshot-view',
        room,
        connections: 4,
        span: context.span,
        pids: server.pids(),
      });
      return { value: answers / cpuSeconds, checked: answers, wrong, generatorLoad };
    }),
}));

type Redis = NonNullable<Server['redis']>;

/** A server for this run, and nobody else's. */
async function alone(
  { servers, generator }: Context,
  spec: ServerSpec,
  work: (server: Server, redis: Redis) => Promise<Figure>,
): Promise<Figure> {
  const server = await servers.start(spec);
  try {
    return await work(server, server.redis as Redis);
  } finally {
    await generator.run({ kind: 'release' });
    await server.stop();
  }
}

/** How often Redis has run a command, in scripts or not. */
async function calls(client: Redis['client'], command: string): Promise<number> {
  const stats = await client.info('commandstats');
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

export const growth: readonly Scenario[] = [
  ...members,
  ...rooms,
  ...nodes,
  ...polls,
  ...says,
  reads,
  probe,
  ...views,
  storm,
];
