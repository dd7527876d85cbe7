/** Waits until replicas have what was written on this node's link, so that a failover does not lose it. */
import { Cluster } from 'ioredis';
import type { Calls } from './calls';

export class Replication {
  #waiting: Promise<number> | undefined;

  constructor(
    readonly calls: Calls,
    readonly replicas: number,
    readonly waitMs: number,
  ) {}

  /** @param link the one that the write was called on: of another's writes WAIT knows nothing */
  async reached(link: number): Promise<boolean> {
    const count = await (this.#waiting ??= this.#wait());
    return count >= this.replicas && link === this.calls.link;
  }

  /** One WAIT for all writes that were answered in this turn: it holds up the whole link while it waits. */
  async #wait(): Promise<number> {
    await new Promise(setImmediate);
    this.#waiting = undefined;
    return this.calls.write(async (client) => {
      if (!(client instanceof Cluster)) return client.wait(this.replicas, this.waitMs);
      // WAIT has no key to find its node by. Where nothing was written it answers at once.
      const counts = await Promise.all(client.nodes('master').map((node) => node.wait(this.replicas, this.waitMs)));
      return Math.min(...counts);
    });
  }
}
