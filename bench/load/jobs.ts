/** What the runner asks of the generator, and what that answers. Plain data: it goes between processes. */
import type { Measured, Span } from './stopwatch';
import type { Target } from './wire';
import type { WireName } from './wires';

/** Hearers hear what publishers say; everything is checked. */
export interface TalkJob {
  readonly kind: 'talk';
  /** One per node: clients are spread over them. */
  readonly targets: readonly Target[];
  readonly room: string;
  readonly wire: WireName;
  readonly hearers: number;
  readonly publisherWire: WireName;
  readonly publishers: number;
  /** Messages of one publisher that not all have heard yet. */
  readonly inFlight: number;
  /** Messages a second instead, whoever has heard what. */
  readonly rate?: number | undefined;
  /** Rooms over which the hearers are spread; each message is said in one of them. */
  readonly rooms?: number | undefined;
  readonly span: Span;
  /** Processes whose CPU time counts. */
  readonly pids: readonly number[];
  /** Requests made all the while on a connection of its own, one after the other: how long each takes is told. */
  readonly probe?: 'roomView' | undefined;
}

export interface TalkResult extends Measured {
  readonly deliveries: number;
  readonly messages: number;
  /** ms from saying to hearing. */
  readonly p50: number;
  readonly p99: number;
  readonly checked: number;
  /** Messages that came in one read, on average. */
  readonly together: number;
  readonly wrong: { readonly missing: number; readonly doubled: number; readonly reordered: number };
  readonly probeP99?: number | undefined;
}

/** Requests as fast as they are answered. */
export interface AskJob {
  readonly kind: 'ask';
  readonly target: Target;
  readonly what: 'earshot-say' | 'earshot-view' | 'nchan-say' | 'actionhero-status';
  readonly room: string;
  readonly connections: number;
  readonly span: Span;
  readonly pids: readonly number[];
}

export interface AskResult extends Measured {
  readonly answers: number;
  /** Answers that repeat an id, or ids that nobody was given. */
  readonly wrong: number;
}

/** Clients that are there and do nothing, until the next job. */
export interface HoldJob {
  readonly kind: 'hold';
  readonly target: Target;
  readonly room: string;
  readonly wire: WireName;
  readonly clients: number;
}

export interface HoldResult {
  readonly held: number;
  /** Seconds that it took all of them to come in. */
  readonly seconds: number;
}

/** Lets go of whom `hold` holds. */
export interface ReleaseJob {
  readonly kind: 'release';
}

/** Members of one node that come back to another when they are cut off. */
export interface StormJob {
  readonly kind: 'storm';
  readonly from: Target;
  readonly to: Target;
  readonly room: string;
  readonly clients: number;
  /** Everybody comes back at a time of its own within this. */
  readonly jitterMs: number;
  /** The node that is killed. */
  readonly victim: number;
  readonly pids: readonly number[];
}

export interface StormResult {
  readonly back: number;
  /** s after the kill when the last one was back. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Messages said while they were away, and heard by each of them once. */
  readonly wrong: { readonly missing: number; readonly doubled: number; readonly reordered: number };
}

export type Job = TalkJob | AskJob | HoldJob | ReleaseJob | StormJob;
export type Result<J extends Job> = J extends TalkJob
  ? TalkResult
  : J extends AskJob
    ? AskResult
    : J extends HoldJob
      ? HoldResult
      : J extends StormJob
        ? StormResult
        : null;
