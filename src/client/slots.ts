/**
 * How many long requests the tabs of one origin may have waiting together.
 *
 * Over HTTP/1.1 a browser opens six connections to a host, for all of its tabs. WebSockets are not counted among them,
 * so each tab has its own. Streams and waiting polls are: two of them are kept waiting, by whichever tabs got there
 * first, and the other tabs ask every few seconds. Each tab keeps its own place and no tab depends on another, so one
 * that freezes or dies costs the others nothing: the browser gives its lock to the next.
 */

import { page } from './page';

/** Answers what gives the place back, to be called once; undefined where there is none free. */
export type TakeSlot = () => Promise<(() => void) | undefined>;

/**
 * A client's place among them. It has one, whichever of its links hold it: so the stream that takes over from a poll
 * needs no second.
 */
export function slotOf(origin: string): TakeSlot {
  let holders = 0;
  let place: ReturnType<TakeSlot> | undefined;
  return async () => {
    holders += 1;
    const leave = await (place ??= freePlace(origin));
    const release = (): void => {
      if (--holders > 0) return;
      place = undefined;
      leave?.();
    };
    if (!leave) release();
    return leave && release;
  };
}

async function freePlace(origin: string): ReturnType<TakeSlot> {
  const { document, navigator } = page;
  const locks = navigator?.locks;
  // A program has no tabs; and in a page without locks those tabs wait that are looked at.
  if (!document || !locks) return document?.visibilityState === 'hidden' ? undefined : () => undefined;
  return (await lock(locks, `${origin} 0`)) ?? lock(locks, `${origin} 1`);
}

/** One tab after the other, where the browser can see to that. */
export function alone<T>(name: string, work: () => Promise<T>): Promise<T> {
  const locks = page.navigator?.locks;
  return locks ? locks.request(name, work) : work();
}

/** A lock is held until the promise settles that its callback answers: what settles it is what gives the lock back. */
function lock(locks: LockManager, name: string): ReturnType<TakeSlot> {
  return new Promise((resolve) => {
    locks
      .request(`earshot ${name}`, { ifAvailable: true }, (granted) =>
        granted ? new Promise<void>(resolve) : resolve(undefined),
      )
      // A frame in a sandbox may not ask for locks: it has none.
      .catch(() => {
        resolve(undefined);
      });
  });
}
