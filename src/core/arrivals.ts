/** Logs that a reader will follow, as soon as it is known from where. */
import type { Topic } from './entry';

/** A room may be left, and come into again, while that is found out: each arrival is another one, and the last one counts. */
export class Arrivals {
  /** Undefined while there are none: a link awaits something for a moment, and may stay for days. */
  #awaited: Map<Topic, object> | undefined;

  has(topic: Topic): boolean {
    return this.#awaited?.has(topic) === true;
  }

  /** @returns to be called when it is known, or when it cannot be: false when it is not awaited any more */
  begin(topic: Topic): () => boolean {
    const own = {};
    this.#awaited ??= new Map();
    this.#awaited.set(topic, own);
    return () => this.#awaited?.get(topic) === own && this.cancel(topic);
  }

  /** The room is left. @returns whether it was awaited */
  cancel(topic: Topic): boolean {
    const awaited = this.#awaited;
    if (!awaited?.delete(topic)) return false;
    if (awaited.size === 0) this.#awaited = undefined;
    return true;
  }
}
