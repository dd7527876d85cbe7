/** Logs that a reader will follow, as soon as it is known from where. */
import type { Topic } from './entry';

/** A room may be left, and come into again, while that is found out: each arrival is another one, and the last one counts. */
export class Arrivals {
  readonly #awaited = new Map<Topic, object>();

  has(topic: Topic): boolean {
    return this.#awaited.has(topic);
  }

  /** @returns to be called when it is known, or when it cannot be: false when it is not awaited any more */
  begin(topic: Topic): () => boolean {
    const own = {};
    this.#awaited.set(topic, own);
    return () => this.#awaited.get(topic) === own && this.#awaited.delete(topic);
  }

  /** The room is left. */
  cancel(topic: Topic): void {
    this.#awaited.delete(topic);
  }
}
