/** Accepted, delivered, told as lost: the one judge of every fault test. */

export interface Heard {
  readonly id: string;
  readonly message: unknown;
  /** ms between its being stored and its being given: the id tells the former by Redis' clock, which is this machine's. */
  readonly delay: number;
}

export interface ToldGap {
  readonly room?: string;
  readonly reason: string;
  readonly lost: number | null;
  /** How many messages came before it. */
  readonly at: number;
}

/** What one reader was given, in order. */
export class Record {
  readonly heard: Heard[] = [];
  readonly gaps: ToldGap[] = [];

  constructor(readonly name: string) {}

  take(frame: { id?: unknown; message?: unknown; context?: unknown; reason?: unknown }): void {
    if (frame.context === 'gap') {
      const { room, reason, lost } = frame as unknown as ToldGap;
      this.gaps.push({ ...(room === undefined ? {} : { room }), reason, lost, at: this.heard.length });
    } else if (frame.context === 'user') {
      const id = String(frame.id);
      this.heard.push({ id, message: frame.message, delay: Date.now() - Number(id.split('-')[0]) });
    }
  }
}

/** What was answered OK: id -> message. */
export type Accepted = ReadonlyMap<string, unknown>;

/**
 * What is wrong with what a reader was given, in words; empty when nothing is. Ids must grow, none may come twice, and
 * what was accepted and not delivered must be told as lost: to the number, or by a loss that nobody can count, between
 * what came before it and what came after.
 * @param maybe messages whose say was never answered: they may be there, once, or not
 */
export function faults(record: Record, accepted: Accepted, maybe: ReadonlySet<unknown> = new Set()): string[] {
  const wrong: string[] = [];
  const { heard, gaps, name } = record;
  const kept = withoutUndone(record, accepted);
  for (let index = 1; index < heard.length; index += 1) {
    const [before, after] = [heard[index - 1], heard[index]];
    if (before && after && compare(before.id, after.id) >= 0)
      wrong.push(`${name}: ${after.id} came after ${before.id}`);
  }
  const seen = new Map<unknown, number>();
  for (const { message } of kept) seen.set(message, (seen.get(message) ?? 0) + 1);
  for (const [message, count] of seen)
    if (count > 1) wrong.push(`${name}: ${String(message)} came ${String(count)} times`);
  for (const { id, message } of kept) {
    if (accepted.has(id) ? accepted.get(id) !== message : !maybe.has(message)) {
      wrong.push(`${name}: ${id} (${String(message)}) was not accepted so`);
    }
  }
  const ids = new Set(heard.map(({ id }) => id));
  const uncounted = gaps.filter(({ lost }) => lost === null);
  const missing = [...accepted.keys()].filter((id) => {
    if (ids.has(id)) return false;
    return !uncounted.some(({ at }) => isBetween(id, heard[at - 1]?.id, heard[at]?.id));
  });
  const counted = gaps.reduce((sum, { lost }) => sum + (lost ?? 0), 0);
  if (counted < missing.length || counted > missing.length + maybe.size) {
    wrong.push(
      `${name}: ${String(missing.length)} missing (${missing.slice(0, 5).join(' ')}), ${String(counted)} told as lost`,
    );
  }
  return wrong;
}

/**
 * Without what the store took back: given to the reader, never answered OK under this id, and the reader was told of a
 * loss after it that nobody can count. Its say may have been repeated, and be there under another id.
 */
function withoutUndone({ heard, gaps }: Record, accepted: Accepted): Heard[] {
  const until = gaps.findLast(({ lost }) => lost === null)?.at ?? 0;
  return heard.filter(({ id }, index) => index >= until || accepted.has(id));
}

/** The same in numbers, over all readers. */
export interface Figures {
  readonly accepted: number;
  /** Accepted and not given to a reader that was told nothing. */
  readonly missing: number;
  readonly doubled: number;
  /** Accepted and not given to a reader that was told so: of the reader that lost most. */
  readonly lost: number;
  /** `reset 6`: how often a gap was told, by reason. */
  readonly told: string;
  /** ms, of the message that came last. */
  readonly delay: number;
}

export function figuresOf(records: readonly Record[], accepted: Accepted): Figures {
  const reasons = new Map<string, number>();
  let [missing, doubled, lost, delay] = [0, 0, 0, 0];
  for (const record of records) {
    const { heard, gaps } = record;
    const kept = withoutUndone(record, accepted);
    const ids = new Set(heard.map(({ id }) => id));
    const absent = [...accepted.keys()].filter((id) => !ids.has(id)).length;
    if (gaps.length === 0) missing += absent;
    else lost = Math.max(lost, absent);
    doubled += kept.length - new Set(kept.map(({ message }) => message)).size;
    for (const { reason } of gaps) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    for (const each of heard) delay = Math.max(delay, each.delay);
  }
  const told = [...reasons].map(([reason, times]) => `${reason} ${String(times)}`).join(', ');
  return { accepted: accepted.size, missing, doubled, lost, told, delay };
}

function isBetween(id: string, before: string | undefined, after: string | undefined): boolean {
  return (before === undefined || compare(before, id) < 0) && (after === undefined || compare(id, after) < 0);
}

/** Negative when the first is the older id. */
export function compare(a: string, b: string): number {
  const [leftMs = 0, leftSeq = 0] = a.split('-').map(Number);
  const [rightMs = 0, rightSeq = 0] = b.split('-').map(Number);
  return leftMs - rightMs || leftSeq - rightSeq;
}
