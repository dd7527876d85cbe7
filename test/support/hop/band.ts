/** Hoppers, jars and writers on the same nodes, and what they were given at the end. */
import { eventually } from '../eventually';
import { Hopper, type NodeAddress } from './hopper';
import { JarReader } from './jar';
import { Ledger } from './ledger';
import { Writer } from './writer';
import { newSession, request } from '../crowd';

export const ROOMS = ['defaultRoom', 'den'] as const;

export interface BandOptions {
  /** The nodes as they are now; faults may change them. */
  readonly nodes: () => readonly NodeAddress[];
  readonly random: () => number;
  readonly hoppers: number;
  readonly jars: number;
  readonly writers: number;
  /** Messages of each writer. */
  readonly count: number;
  readonly window?: number;
  readonly pauseMs?: number;
  /** How far writers may be ahead of the slowest reader; Infinity by default. */
  readonly lead?: number;
  /** The number of a room's last entry, where others spoke there before. */
  readonly endOf?: (room: string) => Promise<number>;
}

export class Band {
  readonly ledger = new Ledger();
  /** Public ids of those who read. */
  readonly readers: string[] = [];
  #reading = true;
  readonly #running: Promise<void>[] = [];
  readonly #writers: Writer[] = [];
  #written: Promise<unknown> = Promise.resolve();

  private constructor(readonly options: BandOptions) {}

  static async gather(options: BandOptions): Promise<Band> {
    const band = new Band(options);
    const { ledger } = band;
    const node = (): NodeAddress => {
      const nodes = options.nodes();
      return nodes[Math.floor(options.random() * nodes.length)]!;
    };
    const url = (): string => `http://127.0.0.1:${String(node().port)}`;
    const member = async (): Promise<{ session: string; id: string; cursor: string }> => {
      const made = await newSession(url);
      for (const room of ROOMS.slice(1)) {
        await eventually(async () => {
          const { status, body } = await request(url(), 'GET', `/chat/?method=roomAdd&room=${room}`, made.session);
          return status === 200 || body['code'] === 'already_in_room';
        });
      }
      return made;
    };
    const reads: (() => Promise<void>)[] = [];
    for (let nth = 0; nth < options.hoppers; nth += 1) {
      const { session, id, cursor } = await member();
      const hopper = new Hopper(`hopper ${String(nth)}`, cursor, { ledger, random: options.random, node, session });
      band.readers.push(id);
      reads.push(() => hopper.hop());
    }
    for (let nth = 0; nth < options.jars; nth += 1) {
      const { session, id } = await member();
      const jar = new JarReader(`jar ${String(nth)}`, { ledger, random: options.random, node, session });
      band.readers.push(id);
      reads.push(() => jar.hop());
    }
    for (let nth = 0; nth < options.writers; nth += 1) {
      const { session } = await member();
      const { random, count, window = 40, pauseMs = 5, lead = Infinity } = options;
      const writer = { ledger, random, node, session, rooms: ROOMS, count, window, pauseMs, lead };
      band.#writers.push(new Writer(`w${String(nth)}`, writer));
    }
    // Everybody is there, and nobody has said anything.
    if (options.endOf) for (const room of ROOMS) ledger.begin(room, await options.endOf(room));
    for (const read of reads) band.#running.push(band.#on(read));
    band.#written = Promise.all(band.#writers.map((writer) => writer.run()));
    return band;
  }

  /** Until all is said, or what was under way when they were told to stop is. */
  async written({ stop = false } = {}): Promise<void> {
    if (stop) for (const writer of this.#writers) writer.stop();
    await this.#written;
  }

  /** Everybody has heard everything, or it has taken too long; what is wrong, in words. */
  async settled(withinMs: number): Promise<string[]> {
    const { ledger } = this;
    await eventually(() => ledger.behind().length === 0, withinMs).catch(() => undefined);
    this.#reading = false;
    await Promise.all(this.#running);
    return [...ledger.faults, ...ledger.behind()];
  }

  async #on(read: () => Promise<void>): Promise<void> {
    while (this.#reading) await read();
  }
}
