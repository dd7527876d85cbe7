/** Typed events: who listens is called in order, and what one of them throws keeps nothing from the others. */

export type Listener<T> = (event: T) => void;

export class Events<Map extends object> {
  readonly #listeners = new Map<keyof Map, Set<Listener<never>>>();

  /** Answers what ends it. */
  on<Name extends keyof Map>(name: Name, listener: Listener<Map[Name]>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  emit<Name extends keyof Map>(name: Name, event: Map[Name]): void {
    for (const listener of (this.#listeners.get(name) ?? []) as Iterable<Listener<Map[Name]>>) {
      try {
        listener(event);
      } catch (error) {
        // As an EventTarget does it: the page's or the process's own handler of errors hears of it.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
