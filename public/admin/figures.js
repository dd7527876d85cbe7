/**
 * What the nodes' records tell when each is laid beside the one before: rates, delays, and what is busy.
 *
 * A node tells how it is about every two seconds, and counts from its start. We ask as often, and not at the same
 * moments: so a rate is made when a record is new, and holds until the next one.
 */

const KINDS = ['websocket', 'stream', 'poll', 'socket'];
const sum = (values) => values.reduce((total, value) => total + value, 0);
const total = (counts) => sum(Object.values(counts));

export class Figures {
  /** By node: its last record, and what it did between the last two. */
  #known = new Map();

  /** @param {readonly object[]} records of all nodes, as `/api/status` has them */
  look(records) {
    const known = new Map();
    for (const record of records) {
      const before = this.#known.get(record.id);
      known.set(record.id, before && before.record.at === record.at ? before : advance(before?.record, record));
    }
    this.#known = known;
    const nodes = [...known.values()];
    const worst = (of) => Math.max(0, ...nodes.map(of));
    const redis = nodes.map(({ redis }) => redis).filter((one) => one !== null);
    return {
      nodes,
      in: sum(nodes.map((node) => node.in)),
      out: sum(nodes.map((node) => node.out)),
      gaps: sum(nodes.map((node) => node.gaps)),
      refused: sum(nodes.map((node) => node.refused)),
      connections: Object.fromEntries(
        KINDS.map((kind) => [kind, sum(nodes.map(({ record }) => record.connections[kind] ?? 0))]),
      ),
      loop: {
        p50: worst(({ record }) => record.eventLoop.p50),
        p99: worst(({ record }) => record.eventLoop.p99),
        max: worst(({ record }) => record.eventLoop.max),
      },
      redis: redis.length === 0 ? null : quantilesOf(redis),
      busiest: busiestOf(nodes),
      troubles: troublesOf(nodes),
    };
  }
}

function advance(before, record) {
  const seconds = before ? (record.at - before.at) / 1000 : 0;
  const rise = (of) => (seconds > 0 ? Math.max(0, of(record) - of(before)) / seconds : 0);
  const calls = record.redis && {
    bounds: record.redis.bounds,
    counts: record.redis.counts.map((value, index) => value - (before?.redis?.counts[index] ?? 0)),
  };
  return {
    record,
    seconds,
    in: rise((one) => one.accepted),
    out: rise((one) => one.delivered),
    gaps: rise((one) => total(one.gaps)),
    refused: rise((one) => total(one.refused)),
    redis: calls,
    redisP99: calls && quantile(calls, 0.99),
  };
}

function quantilesOf(calls) {
  const counts = calls[0].counts.map((_, index) => sum(calls.map((one) => one.counts[index] ?? 0)));
  const all = { bounds: calls[0].bounds, counts };
  return { p50: quantile(all, 0.5), p99: quantile(all, 0.99) };
}

/** Within its class a value may be anywhere: taken as evenly spread. Null when there was none. */
export function quantile({ bounds, counts }, part) {
  const all = sum(counts);
  if (all === 0) return null;
  let rest = all * part;
  for (const [index, inClass] of counts.entries()) {
    if (rest > inClass || inClass === 0) {
      rest -= inClass;
      continue;
    }
    const low = bounds[index - 1] ?? 0;
    return low + ((bounds[index] ?? low) - low) * (rest / inClass);
  }
  return bounds.at(-1);
}

/** All nodes that follow a room see the same messages; its hearers are spread over them. */
function busiestOf(nodes) {
  const rooms = new Map();
  for (const { record, seconds } of nodes) {
    for (const { room, said, hearers } of record.busiest) {
      const known = rooms.get(room) ?? { room, rate: 0, hearers: 0 };
      const rate = seconds > 0 ? said / seconds : 0;
      rooms.set(room, { room, rate: Math.max(known.rate, rate), hearers: known.hearers + hearers });
    }
  }
  return [...rooms.values()].sort((a, b) => b.rate - a.rate || b.hearers - a.hearers).slice(0, 10);
}

function troublesOf(nodes) {
  const times = new Map();
  const add = (what, more) => times.set(what, (times.get(what) ?? 0) + more);
  for (const { record } of nodes) {
    for (const [code, more] of Object.entries(record.refused)) add(`refused: ${code}`, more);
    for (const [reason, more] of Object.entries(record.gaps)) add(`gap: ${reason}`, more);
    if (record.malformed > 0) add('malformed announcements', record.malformed);
    if (record.skipped > 0) add('hearers skipped, as a hook failed', record.skipped);
  }
  return [...times].map(([what, number]) => ({ what, times: number })).sort((a, b) => b.times - a.times);
}
