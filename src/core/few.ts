/** A map for what most have one of: a Map has a table for four, which is more than all else that is known of a client. */

/** Iterates in the order in which the keys came, as a Map does; what is changed meanwhile is not seen by whoever iterates. */
export class Few<V> {
  #key: string | undefined;
  #value: V | undefined;
  /** Instead of those two, once there have been more. */
  #map: Map<string, V> | undefined;

  get size(): number {
    if (this.#map) return this.#map.size;
    return this.#key === undefined ? 0 : 1;
  }

  has(key: string): boolean {
    return this.#map ? this.#map.has(key) : this.#key !== undefined && this.#key === key;
  }

  get(key: string): V | undefined {
    if (this.#map) return this.#map.get(key);
    return this.#key === key ? this.#value : undefined;
  }

  set(key: string, value: V): void {
    if (this.#map) {
      this.#map.set(key, value);
    } else if (this.#key === undefined || this.#key === key) {
      this.#key = key;
      this.#value = value;
    } else {
      this.#map = new Map([...this, [key, value]]);
      this.#key = undefined;
      this.#value = undefined;
    }
  }

  /** False when it was not there. */
  delete(key: string): boolean {
    if (this.#map) return this.#map.delete(key);
    if (!this.has(key)) return false;
    this.#key = undefined;
    this.#value = undefined;
    return true;
  }

  keys(): string[] {
    if (this.#map) return [...this.#map.keys()];
    return this.#key === undefined ? [] : [this.#key];
  }

  [Symbol.iterator](): IterableIterator<[string, V]> {
    if (this.#map) return [...this.#map][Symbol.iterator]();
    const only: [string, V][] = this.#key === undefined ? [] : [[this.#key, this.#value as V]];
    return only[Symbol.iterator]();
  }
}
