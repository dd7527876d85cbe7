/** What Prometheus reads: this node's own numbers, turned into metrics when somebody asks and not before. */
import { Counter, Gauge, Registry, type Metric } from 'prom-client';
import type { NodeStatus } from '../node-status';
import { errorCatalogue } from '../protocol/errors';
import { LoopDelay } from './loop-delay';

type Labelled = Readonly<Record<string, number>>;

/** Told from the beginning, so that the first one of them is a rise. */
const GAP_REASONS = { trimmed: 0, expired: 0, reset: 0, fork: 0 };
const REFUSALS: Labelled = Object.fromEntries(Object.keys(errorCatalogue).map((code) => [code, 0]));

export class Metrics {
  readonly registry = new Registry();
  readonly #delay = new LoopDelay();

  constructor(readonly status: NodeStatus) {
    const now = (): ReturnType<NodeStatus['now']> => status.now();

    this.#gauge('earshot_build_info', 'The release that runs.', () => ({ [now().version]: 1 }), 'version');
    this.#gauge(
      'earshot_uptime_seconds',
      'Time since this node started.',
      () => (Date.now() - status.startedAt) / 1000,
    );
    this.#gauge('earshot_draining', '1 when this node is going.', () => Number(now().draining));
    const kinds = 'Connections of this node: WebSockets, TCP sockets, HTTP streams, and polls that wait.';
    this.#gauge('earshot_connections', kinds, () => now().connections, 'transport');
    this.#gauge('earshot_rooms', 'Rooms that somebody follows on this node.', () => now().rooms);
    this.#gauge('earshot_tails', 'Logs that are followed on this node.', () => now().tails);
    this.#gauge('earshot_sessions', 'Clients that this node keeps in memory.', () => now().sessions);

    this.#counter('earshot_says_accepted_total', 'Messages that went into a log.', () => now().accepted);
    const repeated = 'Says whose key was known: answered with the first id.';
    this.#counter('earshot_says_repeated_total', repeated, () => now().repeated);
    const refused = 'What clients were refused: connections, joins, says, any request.';
    this.#counter('earshot_refused_total', refused, () => ({ ...REFUSALS, ...now().refused }), 'code');
    const delivered = 'Messages handed to hearers, once for each.';
    this.#counter('earshot_deliveries_total', delivered, () => now().delivered);
    const gaps = 'Gaps that hearers were told of.';
    this.#counter('earshot_gaps_total', gaps, () => ({ ...GAP_REASONS, ...now().gaps }), 'reason');
    const skipped = 'Hearers that were skipped because a say hook failed.';
    this.#counter('earshot_middleware_skipped_total', skipped, () => now().skipped);
    const malformed = 'Announcements that were thrown away as none of ours.';
    this.#counter('earshot_announcements_malformed_total', malformed, () => now().malformed);

    this.#gauge(
      'earshot_event_loop_delay_seconds',
      'What the event loop was late by.',
      () => this.#delay.late,
      'quantile',
    );
    this.#histogram('earshot_redis_call_duration_seconds', 'How long Redis took to answer.', () => now().redis);

    this.#counter('process_cpu_seconds_total', 'Processor time of this process.', cpuSeconds);
    this.#gauge('process_resident_memory_bytes', 'Memory of this process.', () => process.memoryUsage.rss());
    this.#gauge('nodejs_heap_size_used_bytes', 'Heap in use.', () => process.memoryUsage().heapUsed);
  }

  close(): void {
    this.#delay.close();
  }

  #gauge(name: string, help: string, read: () => number | Labelled, label?: string): void {
    const labelNames = label === undefined ? [] : [label];
    const collect = function (this: Gauge): void {
      this.reset();
      for (const [labels, value] of valuesOf(read(), label)) this.set(labels, value);
    };
    new Gauge({ name, help, labelNames, collect, registers: [this.registry] });
  }

  /** A counter of prom-client's cannot be set; ours is counted elsewhere, so it is told its whole value anew. */
  #counter(name: string, help: string, read: () => number | Labelled, label?: string): void {
    const labelNames = label === undefined ? [] : [label];
    const collect = function (this: Counter): void {
      this.reset();
      for (const [labels, value] of valuesOf(read(), label)) this.inc(labels, value);
    };
    new Counter({ name, help, labelNames, collect, registers: [this.registry] });
  }

  /** Counted in classes already, so that the heartbeat can carry them: only prom-client's text is wanted. */
  #histogram(name: string, help: string, read: () => ReturnType<NodeStatus['now']>['redis']): void {
    const values = (): { metricName: string; labels: object; value: number }[] => {
      const reading = read();
      if (!reading) return [];
      let total = 0;
      const buckets = reading.counts.map((count, index) => {
        total += count;
        const bound = reading.bounds[index];
        return {
          metricName: `${name}_bucket`,
          labels: { le: bound === undefined ? '+Inf' : bound / 1000 },
          value: total,
        };
      });
      const sum = { metricName: `${name}_sum`, labels: {}, value: reading.sum / 1000 };
      return [...buckets, sum, { metricName: `${name}_count`, labels: {}, value: total }];
    };
    const metric = { name, get: () => Promise.resolve({ name, help, type: 'histogram', values: values() }) };
    this.registry.registerMetric(metric as unknown as Metric);
  }
}

function valuesOf(read: number | Labelled, label: string | undefined): [Record<string, string>, number][] {
  if (typeof read === 'number' || label === undefined) return [[{}, Number(read)]];
  return Object.entries(read).map(([name, value]) => [{ [label]: name }, value]);
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
