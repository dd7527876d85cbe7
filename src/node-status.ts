/** How this node is, in numbers: what its heartbeat tells the others, its metrics and the operator's page. */
import { hostname } from 'node:os';
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import type { Chat } from './core/chat';
import type { HistogramReading } from './core/histogram';
import type { RoomActivity } from './core/tails';
import { version } from './version';

/** How many of each kind this node has. */
export type ConnectionCounts = Readonly<Record<string, number>>;

export interface NodeRecord {
  readonly id: string;
  /** `general.serverName` */
  readonly name: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  /** ms since 1970, this node's clock. */
  readonly startedAt: number;
  /** When this was true. What is counted is counted since `startedAt`. */
  readonly at: number;
  readonly draining: boolean;
  readonly connections: ConnectionCounts;
  /** Rooms that somebody follows here, at the last beat. */
  readonly rooms: number;
  /** What was said in the busiest of them since the beat before. */
  readonly busiest: readonly RoomActivity[];
  readonly tails: number;
  readonly sessions: number;
  readonly accepted: number;
  readonly repeated: number;
  readonly delivered: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly gaps: Readonly<Record<string, number>>;
  readonly malformed: number;
  readonly skipped: number;
  /** ms, since the last beat: what the event loop was late by. */
  readonly eventLoop: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Upper bounds of the classes (ms), and how many calls to Redis fell into each; null without Redis. */
  readonly redis: (HistogramReading & { readonly bounds: readonly number[] }) | null;
  /** Bytes of memory. */
  readonly rss: number;
}

export interface NodeStatusOptions {
  readonly chat: Chat;
  readonly connections: () => ConnectionCounts;
  readonly draining: () => boolean;
}

/** ms between looks at the event loop; what it is late by is told apart from them. */
const RESOLUTION = 20;
const BUSIEST = 10;

export class NodeStatus {
  readonly startedAt = Date.now();
  readonly #version = version();
  #rooms = 0;
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION });

  constructor(readonly options: NodeStatusOptions) {
    this.#delay.enable();
  }

  close(): void {
    this.#delay.disable();
  }

  /** To be asked once a beat: some of it is since the last time. */
  beat(): NodeRecord {
    const { rooms, busiest } = this.options.chat.tails.look(BUSIEST);
    this.#rooms = rooms;
    const late = (nanoseconds: number): number => Math.max(0, Math.round(nanoseconds / 1e4) / 100 - RESOLUTION);
    const eventLoop = {
      p50: late(this.#delay.percentile(50)),
      p99: late(this.#delay.percentile(99)),
      max: late(this.#delay.max),
    };
    this.#delay.reset();
    return { ...this.now(), busiest, eventLoop };
  }

  /** What can be told at any time. */
  now(): Omit<NodeRecord, 'busiest' | 'eventLoop'> {
    const { chat, connections, draining } = this.options;
    const { counters, store, tails, sessions, middleware, settings } = chat;
    const { malformed, latency } = store.figures;
    return {
      id: chat.node,
      name: settings.serverName,
      host: hostname(),
      pid: process.pid,
      version: this.#version,
      startedAt: this.startedAt,
      at: Date.now(),
      draining: draining(),
      connections: connections(),
      rooms: this.#rooms,
      tails: tails.size,
      sessions: sessions.liveCount,
      accepted: counters.accepted,
      repeated: counters.repeated,
      delivered: counters.delivered,
      refused: Object.fromEntries(counters.refused),
      gaps: Object.fromEntries(counters.gaps),
      malformed,
      skipped: middleware.skipped,
      redis: latency ? { bounds: latency.bounds, ...latency.read() } : null,
      rss: process.memoryUsage.rss(),
    };
  }
}
