/**
 * A deployment on paper: what its nodes and its Redis would be doing, by unit costs that `npm run bench` measures.
 *
 *   npx tsx bench/scaling.ts     the table of docs/scaling.md
 *
 * All nodes are alike, so one of them is simulated, message by message, and Redis with it.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { markdown, short } from './report';

/** µs of one core, unless it says otherwise. */
export interface Costs {
  /** A say on its speaker's node: read, checked, sent to Redis, answered. */
  readonly say: number;
  /** An announcement on a node that follows the room: read, taken into the ring, encoded. */
  readonly heard: number;
  /** One write to one hearer, however many messages are in it. */
  readonly write: number;
  /** Each further message in the same write. */
  readonly joined: number;
  /** The script of a say in Redis, pipelined. */
  readonly append: number;
  /** Telling one more node of it. */
  readonly publish: number;
  /** KB of a connection that does nothing. */
  readonly connection: number;
  /** Bytes of a message in its frame. */
  readonly bytes: number;
}

export interface Plan {
  readonly name: string;
  readonly nodes: number;
  /** Redis servers, as a Cluster when there are several. A room is on one of them. */
  readonly shards: number;
  readonly clients: number;
  readonly rooms: number;
  /** Messages of all clients in a second. */
  readonly says: number;
}

export interface Outcome {
  /** Shares of one core. */
  readonly node: number;
  readonly redis: number;
  /** ms from saying to the last hearer's write. */
  readonly p50: number;
  readonly p99: number;
  /** Out of one node. */
  readonly megabytesPerSecond: number;
  readonly gigabytes: number;
  /** Nobody falls behind. A node that is always busy may hold: the longer its turns, the more goes out in one write. */
  readonly holds: boolean;
}

/** Share of a Redis' core beyond which it has nothing left for what comes at once. */
const FULL = 0.8;
/** ms; whoever hears later than this is not chatting. */
const LATE = 1000;

export function simulate(plan: Plan, costs: Costs, { seconds = 4, seed = 1 } = {}): Outcome {
  const random = randomFrom(seed);
  const { nodes, says, rooms, clients } = plan;
  const members = clients / rooms;
  // A small room is not on every node.
  const nodesOfRoom = Math.min(nodes, Math.ceil(members));
  const hearersHere = members / nodesOfRoom;
  const redisCost = (costs.append + costs.publish * nodesOfRoom) / 1e6;

  const arrivals: { at: number; said: number; room: number; own: boolean; heard: boolean }[] = [];
  const busyUntil = Array.from({ length: Math.min(plan.shards, rooms) }, () => 0);
  let redisBusy = 0;
  for (let now = 0; now < seconds; now += -Math.log(1 - random()) / says) {
    const room = Math.floor(random() * rooms);
    const shard = room % busyUntil.length;
    const own = random() < 1 / nodes;
    const done = Math.max(now + costs.say / 1e6, busyUntil[shard]!) + redisCost;
    busyUntil[shard] = done;
    redisBusy += redisCost;
    const heard = random() < nodesOfRoom / nodes;
    if (own || heard) arrivals.push({ at: done, said: now, room, own, heard });
  }
  arrivals.sort((a, b) => a.at - b.at);

  const delays: number[] = [];
  let nodeBusy = 0;
  let now = 0;
  let next = 0;
  let bytes = 0;
  while (next < arrivals.length) {
    now = Math.max(now, arrivals[next]!.at);
    // One turn of the event loop: everything that has come is heard in one write for each hearer of its room.
    let cost = 0;
    const turn: number[] = [];
    const inRooms = new Map<number, number>();
    for (; next < arrivals.length && arrivals[next]!.at <= now; next += 1) {
      const { said, room, own, heard } = arrivals[next]!;
      if (own) cost += costs.say;
      if (!heard) continue;
      cost += costs.heard;
      turn.push(said);
      inRooms.set(room, (inRooms.get(room) ?? 0) + 1);
    }
    for (const count of inRooms.values()) {
      cost += hearersHere * (costs.write + (count - 1) * costs.joined);
      bytes += hearersHere * count * costs.bytes;
    }
    now += cost / 1e6;
    nodeBusy += cost / 1e6;
    for (const said of turn) delays.push((now - said) * 1000);
  }
  delays.sort((a, b) => a - b);
  const lasted = Math.max(seconds, now);
  const p99 = delays[Math.floor(delays.length * 0.99)] ?? 0;
  const redis = redisBusy / seconds / busyUntil.length;
  return {
    node: nodeBusy / lasted,
    redis,
    p50: delays[Math.floor(delays.length / 2)] ?? 0,
    p99,
    megabytesPerSecond: bytes / lasted / 1e6,
    gigabytes: ((clients / nodes) * costs.connection * 1024) / 1e9,
    holds: redis < FULL && p99 < LATE,
  };
}

/** Round figures until a whole run of `npm run bench` has written its own, see costs.ts. */
export const measuredCosts = JSON.parse(readFileSync(path.join(__dirname, 'costs.json'), 'utf8')) as Costs;

export const plans: readonly Plan[] = [
  { name: 'one node', nodes: 1, shards: 1, clients: 10_000, rooms: 200, says: 300 },
  { name: 'one busy node', nodes: 1, shards: 1, clients: 10_000, rooms: 200, says: 2500 },
  { name: 'one node, too much for it', nodes: 1, shards: 1, clients: 10_000, rooms: 200, says: 20_000 },
  { name: 'four nodes, one Redis', nodes: 4, shards: 1, clients: 60_000, rooms: 1200, says: 2000 },
  { name: 'twenty nodes, one Redis', nodes: 20, shards: 1, clients: 300_000, rooms: 6000, says: 8000 },
  { name: '1 M clients, one Redis: too little', nodes: 70, shards: 1, clients: 1e6, rooms: 20_000, says: 16_000 },
  { name: '1 M clients, a Cluster of four', nodes: 70, shards: 4, clients: 1e6, rooms: 20_000, says: 16_000 },
  { name: 'a room of 100,000', nodes: 10, shards: 1, clients: 100_000, rooms: 1, says: 50 },
  { name: 'a room of 1 M', nodes: 70, shards: 1, clients: 1e6, rooms: 1, says: 10 },
];

export function scalingTable(costs: Costs = measuredCosts): string {
  const rows = plans.map((plan) => {
    const { node, redis, p50, p99, megabytesPerSecond, gigabytes, holds } = simulate(plan, costs);
    const share = (value: number): string => `${(value * 100).toFixed(0)} %`;
    return [
      plan.name,
      `${String(plan.nodes)} + ${String(plan.shards)}`,
      short(plan.clients),
      short(plan.rooms),
      short(plan.says),
      share(node),
      share(redis),
      holds ? `${short(p50)} / ${short(p99)}` : 'falls behind',
      megabytesPerSecond.toFixed(1),
      gigabytes.toFixed(2),
    ];
  });
  const head = [
    'deployment',
    'nodes + Redis',
    'clients',
    'rooms',
    'says a second',
    "a node's core",
    "a Redis' core",
    'p50 / p99 ms',
    'MB/s out of a node',
    'GB of a node',
  ];
  return markdown(head, rows);
}

const meanings: Readonly<Record<keyof Costs, string>> = {
  say: "a say on its speaker's node, µs",
  heard: 'an announcement on a node that follows the room, µs',
  write: 'one write to one hearer, however many messages are in it, µs',
  joined: 'each further message in that write, µs',
  append: 'a say in Redis, µs',
  publish: 'telling one more node of it, µs',
  connection: 'an open connection that does nothing, KB',
  bytes: 'a message on the wire, bytes',
};

export function costsTable(costs: Costs = measuredCosts): string {
  const rows = (Object.keys(meanings) as (keyof Costs)[]).map((name) => [meanings[name], short(costs[name])]);
  return markdown(['of one core', ''], rows);
}

/** The same numbers each time (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

if (require.main === module) console.log(scalingTable());
