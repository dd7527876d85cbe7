/** What this node has done since it started, as plain numbers: counting costs an addition, and who wants to know reads. */
import type { ErrorCode } from '../protocol/errors';
import type { GapReason } from '../protocol/message';

export class Counters {
  /** Messages that went into a room's log through this node: said by clients, by the server, or published. */
  accepted = 0;
  /** Says whose `key` was known: answered with the first id, and not said again. */
  repeated = 0;
  /** Messages handed to hearers of this node, once for each. */
  delivered = 0;
  readonly #refused = new Map<ErrorCode, number>();
  readonly #gaps = new Map<GapReason, number>();

  /** Somebody was refused something, at whatever door. Once for each answer. @param code of the error that it was told */
  refuse(code: ErrorCode): void {
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
  }

  /** A gap that a hearer was told of. */
  gap(reason: GapReason): void {
    this.#gaps.set(reason, (this.#gaps.get(reason) ?? 0) + 1);
  }

  get refused(): ReadonlyMap<ErrorCode, number> {
    return this.#refused;
  }

  get gaps(): ReadonlyMap<GapReason, number> {
    return this.#gaps;
  }
}
