/** What is measured: each scenario with the servers that can do it, and how one figure of it comes about. */
import type { Generator } from './generator';
import type { TalkJob } from './load/jobs';
import type { Span } from './load/stopwatch';
import type { WireName } from './load/wires';
import { residentBytes } from './processes';
import { ROOMS, type Kind, type Server, type Servers, type ServerSpec } from './servers';

export interface Figure {
  readonly value: number;
  /** Messages or answers that were checked. */
  readonly checked: number;
  /** What was missing, doubled or out of order. */
  readonly wrong: number;
  /** CPU that the generator took, of its one core. */
  readonly generatorLoad?: number | undefined;
  /** Messages that came in one read, on average. */
  readonly together?: number | undefined;
}

export interface Context {
  readonly servers: Servers;
  readonly generator: Generator;
  readonly span: Span;
  /** Connections of the runs with many. */
  readonly many: number;
}

export interface Scenario {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
  readonly servers: Partial<Record<Kind, ServerSpec>>;
  /** Part of the quick run, with these servers. */
  readonly quick?: readonly Kind[];
  /** Not repeated in every round: it takes long and moves little. */
  readonly once?: boolean;
  readonly run: (context: Context, kind: Kind, spec: ServerSpec) => Promise<Figure>;
}

let runs = 0;
/** A room of its own for each run. */
function freshRoom(): string {
  runs += 1;
  return ROOMS[runs % ROOMS.length]!;
}

const memory = (...kinds: Kind[]): Scenario['servers'] => Object.fromEntries(kinds.map((kind) => [kind, { kind }]));
const redis = (nodes: number, ...kinds: Kind[]): Scenario['servers'] =>
  Object.fromEntries(kinds.map((kind) => [kind, { kind, redis: true, nodes }]));

const webSocketOf: Record<Kind, WireName> = {
  earshot: 'earshot',
  socketio: 'socketio',
  actionhero: 'actionhero',
  ws: 'bare',
  'ws-framed': 'bare',
  'ws-joined': 'bare',
  http: 'bare',
  nchan: 'nchan',
};
const publisherOf = (kind: Kind): WireName => (kind === 'nchan' ? 'nchan-publisher' : webSocketOf[kind]);

/** Each node has to be warm, and its share of the work to be measured. */
function spanFor({ warm, measure }: Span, { nodes }: Server): Span {
  return { warm: warm * nodes.length, measure: measure * nodes.length };
}

export type Talking = Partial<Omit<TalkJob, 'kind' | 'targets' | 'pids'>>;

/** One run of hearers and publishers against a server that runs already. */
export async function talk(context: Context, server: Server, kind: Kind, talking: Talking) {
  return context.generator.run<TalkJob>({
    kind: 'talk',
    targets: server.targets,
    room: freshRoom(),
    wire: webSocketOf[kind],
    publisherWire: publisherOf(kind),
    hearers: 100,
    publishers: 1,
    inFlight: 1,
    span: spanFor(context.span, server),
    pids: server.pids(),
    ...talking,
  });
}

export const SATURATED: Talking = { publishers: 4, inFlight: 4 };

function talking(of: (kind: Kind) => Talking): Scenario['run'] {
  return async (context, kind, spec) => {
    const result = await talk(context, await context.servers.get(spec), kind, of(kind));
    return { ...figureOf(result), value: result.deliveries / result.cpuSeconds };
  };
}

export function figureOf({
  checked,
  wrong,
  generatorLoad,
  together,
}: Awaited<ReturnType<typeof talk>>): Omit<Figure, 'value'> {
  return { checked, wrong: wrong.missing + wrong.doubled + wrong.reordered, generatorLoad, together };
}

const perCpuSecond = { unit: 'deliveries/CPU-s', better: 'more' } as const;
/** With many members, and for times: those that say something about it. */
const someWebSockets = memory('earshot', 'nchan', 'socketio', 'ws-framed');
const everyWebSocket = memory('earshot', 'nchan', 'socketio', 'actionhero', 'ws', 'ws-framed', 'ws-joined');

const push: Scenario[] = [
  { id: 'ws-one100', title: 'WebSocket, 100 members, one message at a time', hearers: 100, quick: true, talk: {} },
  { id: 'ws-one1000', title: 'WebSocket, 1000 members, one message at a time', hearers: 1000, quick: false, talk: {} },
  {
    id: 'ws-sat100',
    title: 'WebSocket, 100 members, 16 messages in flight',
    hearers: 100,
    quick: true,
    talk: SATURATED,
  },
  {
    id: 'ws-sat1000',
    title: 'WebSocket, 1000 members, 16 messages in flight',
    hearers: 1000,
    quick: false,
    talk: SATURATED,
  },
].map(({ id, title, hearers, quick, talk: how }) => ({
  ...perCpuSecond,
  id,
  title,
  servers: hearers > 100 ? someWebSockets : everyWebSocket,
  ...(quick ? { quick: ['earshot', 'nchan', 'socketio', 'ws-framed'] as const } : {}),
  run: talking(() => ({ ...how, hearers })),
}));

const latency: Scenario = {
  id: 'ws-lat100',
  title: 'WebSocket, 100 members, 100 messages a second: p99 from saying to hearing',
  unit: 'ms',
  better: 'less',
  servers: someWebSockets,
  run: async (context, kind, spec) => {
    const result = await talk(context, await context.servers.get(spec), kind, { rate: 100 });
    return { ...figureOf(result), value: result.p99 };
  },
};

const shared: Scenario[] = [
  {
    ...perCpuSecond,
    id: 'ws-sat100-redis',
    title: 'WebSocket, 100 members, 16 in flight, one node and Redis',
    servers: redis(1, 'earshot', 'nchan', 'socketio', 'actionhero', 'ws-joined'),
    run: talking(() => SATURATED),
  },
  {
    ...perCpuSecond,
    id: 'ws-sat100-redis2',
    title: 'WebSocket, 100 members, 16 in flight, two nodes and Redis',
    servers: redis(2, 'earshot', 'nchan', 'socketio', 'ws-joined'),
    quick: ['earshot', 'nchan'],
    run: talking(() => SATURATED),
  },
];

const otherReaders: Scenario[] = [
  {
    ...perCpuSecond,
    id: 'tcp-sat100',
    title: 'TCP, 100 members, 16 in flight',
    servers: memory('earshot'),
    quick: ['earshot'],
    run: talking(() => ({ ...SATURATED, wire: 'earshot-tcp' })),
  },
  {
    ...perCpuSecond,
    id: 'sse-sat100',
    title: 'Event streams, 100 members, 16 in flight',
    servers: memory('earshot', 'nchan'),
    quick: ['earshot', 'nchan'],
    run: talking((kind) => ({ ...SATURATED, wire: kind === 'nchan' ? 'nchan-sse' : 'earshot-sse' })),
  },
  {
    ...perCpuSecond,
    id: 'ws-sat100-match',
    title: 'General path: WebSocket, 100 members, 16 in flight, every message with a match',
    servers: { earshot: { kind: 'earshot', hook: 'match' } },
    run: talking(() => ({ ...SATURATED, publisherWire: 'earshot-matched' })),
  },
  {
    ...perCpuSecond,
    id: 'ws-sat100-hook',
    title: 'General path: WebSocket, 100 members, 16 in flight, a `say` hook for every hearer',
    servers: { earshot: { kind: 'earshot', hook: 'say' } },
    run: talking(() => SATURATED),
  },
];

const pollWireOf = (kind: Kind): WireName =>
  kind === 'nchan' ? 'nchan-poll' : kind === 'socketio' ? 'socketio-poll' : 'earshot-poll';

const polls: Scenario[] = [
  { id: 'poll-one100', title: 'Long-poll, 100 members, one message at a time', hearers: 100, talk: {}, quick: true },
  {
    id: 'poll-one1000',
    title: 'Long-poll, 1000 members, one message at a time',
    hearers: 1000,
    talk: {},
    quick: false,
  },
  { id: 'poll-sat100', title: 'Long-poll, 100 members, 16 in flight', hearers: 100, talk: SATURATED, quick: true },
].map(({ id, title, hearers, talk: how, quick }) => ({
  ...perCpuSecond,
  id,
  title,
  servers: memory('earshot', 'nchan', 'socketio', 'http'),
  ...(quick ? { quick: ['earshot', 'nchan', 'socketio'] as const } : {}),
  run: talking((kind) => ({ ...how, hearers, wire: pollWireOf(kind) })),
}));

const says: Scenario[] = [
  {
    id: 'say-redis',
    title: 'Saying over HTTP, with Redis',
    servers: redis(1, 'earshot', 'nchan', 'actionhero', 'http'),
    quick: true,
  },
  { id: 'say-memory', title: 'Saying over HTTP, in memory', servers: memory('earshot', 'nchan', 'http'), quick: false },
].map(({ id, title, servers, quick }) => ({
  id,
  title: `${title} (ActionHero: its status action)`,
  unit: 'requests/CPU-s',
  better: 'more' as const,
  servers,
  ...(quick ? { quick: ['earshot', 'nchan'] as const } : {}),
  run: async (context, kind, spec) => {
    const server = await context.servers.get(spec);
    const result = await context.generator.run({
      kind: 'ask',
      target: server.targets[0]!,
      what: kind === 'nchan' ? 'nchan-say' : kind === 'actionhero' ? 'actionhero-status' : 'earshot-say',
      room: freshRoom(),
      connections: 32,
      span: spanFor(context.span, server),
      pids: server.pids(),
    });
    const { answers, wrong, generatorLoad, cpuSeconds } = result;
    return { value: answers / cpuSeconds, checked: answers, wrong, generatorLoad };
  },
}));

/** ms for a server to come to rest. */
const REST = 2000;

const idle: Scenario[] = [
  {
    id: 'idle-ws',
    title: 'Memory per idle WebSocket',
    kinds: ['earshot', 'nchan', 'socketio', 'ws', 'actionhero'] as const,
    wire: (kind: Kind) => webSocketOf[kind],
  },
  {
    id: 'idle-poll',
    title: 'Memory per parked poll',
    kinds: ['earshot', 'nchan', 'socketio', 'http'] as const,
    wire: pollWireOf,
  },
  {
    id: 'idle-sse',
    title: 'Memory per idle event stream',
    kinds: ['earshot', 'nchan'] as const,
    wire: (kind: Kind): WireName => (kind === 'nchan' ? 'nchan-sse' : 'earshot-sse'),
  },
  {
    id: 'idle-tcp',
    title: 'Memory per idle TCP connection',
    kinds: ['earshot'] as const,
    wire: (): WireName => 'earshot-tcp',
  },
].map(({ id, title, kinds, wire }) => ({
  id,
  title,
  unit: 'KB',
  better: 'less' as const,
  once: true,
  servers: memory(...kinds),
  quick: id === 'idle-ws' || id === 'idle-poll' ? (['earshot'] as const) : undefined,
  run: async ({ servers, generator, many }, kind, spec) => {
    const server = await servers.start(spec);
    try {
      const target = server.targets[0]!;
      const clients = kind === 'actionhero' ? Math.min(many, 2000) : many;
      const job = { kind: 'hold', target, room: freshRoom(), wire: wire(kind) } as const;
      await generator.run({ ...job, clients: 200 });
      await rest();
      const before = residentBytes(server.pids());
      await generator.run({ ...job, clients });
      await rest();
      const held = residentBytes(server.nodes.length === server.pids().length ? server.nodes : server.pids());
      return { value: (held - before) / clients / 1024, checked: clients, wrong: 0 };
    } finally {
      await generator.run({ kind: 'release' });
      await server.stop();
    }
  },
}));

export function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, REST));
}

export const scenarios: readonly Scenario[] = [
  ...push,
  latency,
  ...shared,
  ...otherReaders,
  ...polls,
  ...says,
  ...idle,
];
