/** What the parts of a Redis store share. */
import type { StoreLimits } from '../../core/store';
import type { Calls } from './calls';
import type { Keys } from './keys';

export interface Context {
  readonly calls: Calls;
  readonly keys: Keys;
  /** Whole milliseconds: Redis takes no fractions. */
  readonly limits: StoreLimits;
  /** How the scripts announce; empty when announcements go over another Redis. */
  readonly publish: '' | 'PUBLISH' | 'SPUBLISH';
  /** Announces over the other Redis, when there is one: only a wake-up, so nobody waits for it. */
  readonly announce: (channel: string, text: string) => void;
}

/** What a script answers; ioredis cannot know. */
export type Reply = string | number | null | readonly Reply[];

export function textOf(reply: Reply | undefined): string {
  if (typeof reply === 'string') return reply;
  if (typeof reply === 'number') return String(reply);
  throw new Error('a script answered something else');
}

export function listOf(reply: Reply | undefined): readonly Reply[] {
  if (Array.isArray(reply)) return reply as readonly Reply[];
  throw new Error('a script answered something else');
}

/** Splits a list of pairs. */
export function* pairsOf(reply: Reply | undefined): Generator<[string, string]> {
  const list = listOf(reply);
  for (let index = 0; index + 1 < list.length; index += 2) yield [textOf(list[index]), textOf(list[index + 1])];
}
