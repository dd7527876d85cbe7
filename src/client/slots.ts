/**
 * How many long requests the tabs of one origin may have waiting together.
 *
 * Over HTTP/1.1 a browser opens six connections to a host, for all of its tabs. WebSockets are not counted among them,
 * so each tab has its own. Streams and waiting polls are: two of them are kept waiting, by whichever tabs got there
 * first, and the other tabs ask every few seconds. Each tab keeps its own place and no tab depends on another, so one
 * that freezes or dies costs the others nothing: the browser gives its lock to the next.
 */

import { page } from './page';

const SLOTS = 2;

/** Answers what gives the slot back; undefined where there is none free. */
export async function takeSlot(origin: string): Promise<(() => void) | undefined> {
  const { document, navigator } = page;
  const locks = navigator?.locks;
  // A program has no tabs; and in a page without locks those tabs wait that are looked at.
  if (!document || !locks) return document?.visibilityState === 'hidden' ? undefined : () => undefined;
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const release = await lock(locks, `earshot ${origin} ${String(slot)}`);
    if (release) return release;
  }
  return undefined;
}

/** One tab after the other, where the browser can see to that. */
export function alone<T>(name: string, work: () => Promise<T>): Promise<T> {
  const locks = page.navigator?.locks;
  return locks ? locks.request(name, work) : work();
}

/** A lock is held until the promise settles that its callback answers. */
function lock(locks: LockManager, name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    locks
      .request(name, { ifAvailable: true }, (granted) => {
        if (!granted) {
          resolve(undefined);
          return undefined;
        }
        return new Promise<void>((release) => {
          resolve(release);
        });
      })
      .catch(reject);
  });
}
