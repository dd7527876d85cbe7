/** Accepted, delivered, told as lost: the one judge of every fault test. */

export interface Heard {
  readonly id: string;
  readonly message: unknown;
}

export interface ToldGap {
  readonly room?: string;
  readonly reason: string;
  readonly lost: number | null;
}

/** What one reader was given, in order. */
export class Record {
  readonly heard: Heard[] = [];
  readonly gaps: ToldGap[] = [];

  constructor(readonly name: string) {}

  take(frame: { id?: unknown; message?: unknown; context?: unknown; reason?: unknown }): void {
    if (frame.context === 'gap') this.gaps.push(frame as unknown as ToldGap);
    else if (frame.context === 'user') this.heard.push({ id: String(frame.id), message: frame.message });
  }
}

/** What was answered OK: id -> message. */
export type Accepted = ReadonlyMap<string, unknown>;

/**
 * What is wrong with what a reader was given, in words; empty when nothing is. Ids must grow, none may come twice, and
 * what was accepted and not delivered must be told as lost: to the number, or as a loss that nobody can count.
 * @param maybe messages whose say was never answered: they may be there, once, or not
 */
export function faults(record: Record, accepted: Accepted, maybe: ReadonlySet<unknown> = new Set()): string[] {
  const wrong: string[] = [];
  const { heard, gaps, name } = record;
  for (let index = 1; index < heard.length; index += 1) {
    const [before, after] = [heard[index - 1], heard[index]];
    if (before && after && compare(before.id, after.id) >= 0)
      wrong.push(`${name}: ${after.id} came after ${before.id}`);
  }
  const seen = new Map<unknown, number>();
  for (const { message } of heard) seen.set(message, (seen.get(message) ?? 0) + 1);
  for (const [message, count] of seen)
    if (count > 1) wrong.push(`${name}: ${String(message)} came ${String(count)} times`);
  for (const { id, message } of heard) {
    if (accepted.has(id) ? accepted.get(id) !== message : !maybe.has(message)) {
      wrong.push(`${name}: ${id} (${String(message)}) was not accepted so`);
    }
  }
  const ids = new Set(heard.map(({ id }) => id));
  const missing = [...accepted.keys()].filter((id) => !ids.has(id));
  const uncounted = gaps.some(({ lost }) => lost === null);
  const counted = gaps.reduce((sum, { lost }) => sum + (lost ?? 0), 0);
  if (!uncounted && (counted < missing.length || counted > missing.length + maybe.size)) {
    wrong.push(
      `${name}: ${String(missing.length)} missing (${missing.slice(0, 5).join(' ')}), ${String(counted)} told as lost`,
    );
  }
  return wrong;
}

function compare(a: string, b: string): number {
  const [leftMs = 0, leftSeq = 0] = a.split('-').map(Number);
  const [rightMs = 0, rightSeq = 0] = b.split('-').map(Number);
  return leftMs - rightMs || leftSeq - rightSeq;
}
