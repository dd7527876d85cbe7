/** A store at a distance: what is asked in one turn is answered by one round trip, and the trips are counted. */
import type { Store } from '../../src/core/store';

export interface Distant {
  readonly store: Store;
  /** The round trips that this takes, one after the other. */
  trips(work: () => Promise<unknown>): Promise<number>;
}

export function distant(near: Store): Distant {
  let far = false;
  const waiting: (() => void)[] = [];
  const store = new Proxy(near, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        const answer: unknown = Reflect.apply(value, target, args);
        if (!far || !(answer instanceof Promise)) return answer;
        return new Promise((resolve) => waiting.push(() => resolve(answer)));
      };
    },
  });
  const trips = async (work: () => Promise<unknown>): Promise<number> => {
    let count = 0;
    let over = false as boolean;
    far = true;
    const done = work().finally(() => (over = true));
    while (!over) {
      await new Promise(setImmediate);
      if (waiting.length > 0) count += 1;
      for (const arrive of waiting.splice(0)) arrive();
    }
    far = false;
    await done;
    return count;
  };
  return { store, trips };
}
