/** What a fault did, in figures: a line of JSON each, where FAULT_FIGURES names a file; scripts/fault-table.mjs reads it. */
import { appendFileSync } from 'node:fs';

/** One row of the table in docs/guarantees.md. Times in ms. */
export interface FaultRow {
  /** What broke. */
  readonly fault: string;
  /** What was to come of it. */
  readonly expected: string;
  /** The longest time in which nothing was accepted. */
  readonly outage?: number;
  readonly accepted?: number;
  readonly missing?: number;
  readonly doubled?: number;
  /** Accepted, gone, and told of. */
  readonly lost?: number;
  readonly told?: string;
  /** From being stored to being given, of the message that took longest. */
  readonly delay?: number;
  /** Figures of another kind. */
  readonly more?: string;
}

export function noteFault(row: FaultRow): void {
  const file = process.env['FAULT_FIGURES'];
  if (file) appendFileSync(file, `${JSON.stringify({ suite: expect.getState().testPath, ...row })}\n`);
}
