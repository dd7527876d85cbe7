/** How the names of 2013 are called: `api` may come first, a callback may come last, and a promise comes back. */
import type { Api } from '../api';

export type Next<T> = (error: Error | null, data?: T) => void;

/** Arguments with `api` before them, as ActionHero's documents print it, or without. */
export type WithApi<Given extends readonly unknown[]> = Given | readonly [api: Api, ...given: Given];

export function withoutApi<Given extends readonly unknown[]>(given: WithApi<Given>): Given {
  return (isApi(given[0]) ? given.slice(1) : given) as Given;
}

/**
 * Tells `next` what becomes of it, when there is one; then the promise rejects with nothing but what `next` throws, which
 * is the caller's own mistake. Without one it may be left alone, as it is in the documents: what goes wrong then is
 * nobody's business, and no reason to end the process.
 */
export function called<T>(next: Next<T> | undefined, work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  if (!next) return work;
  return work.then(
    (value) => {
      next(null, value);
      return value;
    },
    (error: unknown) => {
      next(error instanceof Error ? error : new Error(String(error)));
      return undefined as T;
    },
  );
}

/** By its looks: a connection has neither, and a second copy of this package has an `Api` of its own. */
function isApi(value: unknown): value is Api {
  return typeof value === 'object' && value !== null && 'chatRoom' in value && 'configData' in value;
}
