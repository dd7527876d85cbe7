/** Who is really there: renews what this node holds, removes whose lease ran out, and puts back what the store lost. */
import type { Logger } from './logger';
import type { Departure, Store } from './store';

export interface LeasesOptions {
  readonly store: Store;
  readonly logger: Logger;
  readonly node: string;
  /** Rooms in which this node holds somebody. */
  readonly heldRooms: () => ReadonlySet<string>;
  /** The node's lease in these rooms is gone: everyone it holds there is to join again. */
  readonly lost: (rooms: readonly string[]) => Promise<void>;
  readonly departed: (room: string, departures: readonly Departure[]) => Promise<void>;
  /** Those whom this node could not let go of when they went. */
  readonly partAgain: () => Promise<void>;
  /** Those who hear something at this node: their records are renewed as well. */
  readonly renewHeard: () => Promise<void>;
  readonly leaseMs: number;
  readonly everyMs: number;
}

/** Rooms of the whole deployment that one round looks at, besides the node's own: somebody must, once its node is dead. */
const STRANGE_ROOMS = 500;
/** Looks under way at a time: enough to share round trips, too few to hold anybody else up. */
const AT_ONCE = 100;

export class Leases {
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #strange: string[] = [];
  /** Rooms in which this node has a lease, as far as it knows. */
  #leased = new Set<string>();
  /** Where it is to put back everybody, whatever the store says of its lease there. */
  readonly #doubted = new Set<string>();
  #closed = false;
  /** By the steady clock: until then nobody is removed. */
  #noSweepUntil = 0;

  constructor(readonly options: LeasesOptions) {}

  /** After an outage every lease has run out: the nodes and clients that live get the time to say so. */
  get maySweep(): boolean {
    return performance.now() >= this.#noSweepUntil;
  }

  start(): void {
    const every = this.options.everyMs;
    // Jittered, so that many nodes do not come at once.
    this.#timer = setTimeout(
      () => {
        void this.round().finally(() => {
          if (!this.#closed) this.start();
        });
      },
      every * (0.9 + Math.random() * 0.2),
    );
    this.#timer.unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  /**
   * Somebody's coming in began the node's lease in a room. Where it had one, that had gone unnoticed, and with it those
   * whom it held there; and the lease that there is now does not tell.
   */
  began(room: string): void {
    if (this.#leased.has(room)) this.#doubted.add(room);
    else this.#leased.add(room);
  }

  round(): Promise<void> {
    this.#round ??= this.#renewAndSweep()
      .catch((error: unknown) => {
        this.#noSweepUntil = performance.now() + this.options.leaseMs;
        this.options.logger.warn({ err: error }, 'leases could not be renewed');
      })
      .finally(() => {
        this.#round = undefined;
      });
    return this.#round;
  }

  async #renewAndSweep(): Promise<void> {
    const { store, node, heldRooms, lost, leaseMs } = this.options;
    await this.options.partAgain();
    const rooms = heldRooms();
    this.#leased = new Set(rooms);
    if (rooms.size > 0) {
      for (const room of await store.renewNode(node, leaseMs, [...rooms])) {
        this.#leased.delete(room);
        this.#doubted.add(room);
      }
      const doubted = [...this.#doubted].filter((room) => rooms.has(room));
      this.#doubted.clear();
      try {
        if (doubted.length > 0) await lost(doubted);
      } catch (error) {
        // Some are back, and have begun the lease: it takes another round for the others.
        for (const room of doubted) this.#doubted.add(room);
        throw error;
      }
    }
    await this.options.renewHeard();
    if (!this.maySweep) return;
    if (this.#strange.length === 0) this.#strange = await store.rooms();
    const others = this.#strange.splice(0, STRANGE_ROOMS);
    const all = [...new Set([...rooms, ...others])];
    for (let from = 0; from < all.length && !this.#closed; from += AT_ONCE) {
      const some = all.slice(from, from + AT_ONCE);
      await Promise.all(some.map(async (room) => this.options.departed(room, await store.sweep(room))));
    }
  }
}
