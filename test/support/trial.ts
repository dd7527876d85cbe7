/** One fault from start to end: nodes under load, the fault, the healing, and what every reader was given, judged. */
import type { RedisStore } from '../../src/store/redis/redis-store';
import type { RedisStoreOptions } from '../../src/store/redis/options';
import { compare, faults, figuresOf } from './checker';
import { Crowd, roundRobin } from './crowd';
import { eventually } from './eventually';
import { noteFault, type FaultRow } from './figures';
import { freshPrefix } from './redis';
import { startServer, type ServerUnderTest } from './server';
import { newRedisStore } from './stores';

export interface Under extends Partial<Omit<RedisStoreOptions, 'limits'>> {
  readonly limits?: Partial<RedisStoreOptions['limits']>;
  /** One more reader, that comes for so many ms only once, to a node of its own that keeps nothing warm for it. */
  readonly away?: number;
}

/** What runs in this process. */
interface Here {
  readonly nodes: readonly ServerUnderTest[];
  readonly stores: readonly RedisStore[];
  readonly lonely: { readonly url: string; readonly restMs: number } | undefined;
}

const open = new Set<Trial>();

/** To be called in `afterEach`, before the nodes and their Redis go. */
export async function endTrials(): Promise<void> {
  await Promise.all([...open].map((trial) => trial.crowd.end()));
  open.clear();
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Trial {
  /** How long healing may take, once the cause is gone. */
  patience = 15_000;

  private constructor(
    readonly row: Pick<FaultRow, 'fault' | 'expected'>,
    readonly crowd: Crowd,
    readonly nodes: readonly ServerUnderTest[],
    readonly stores: readonly RedisStore[],
  ) {
    open.add(this);
  }

  /** Two nodes, three writers, and two readers of each kind that hop from node to node; some have been heard by now. */
  static async start(fault: string, expected: string, { limits = {}, away, ...address }: Under): Promise<Trial> {
    const prefix = freshPrefix();
    const usual = { messageTTL: 60_000, maxLogLength: 100_000, logKeep: 600_000 };
    const stores: RedisStore[] = [];
    const node = (): Promise<ServerUnderTest> => {
      const store = newRedisStore({ prefix, ...address, limits: { ...usual, ...limits } });
      stores.push(store);
      return startServer({ store });
    };
    const nodes = await Promise.all([node(), node()]);
    const lonely = away === undefined ? undefined : { url: (await node()).url, restMs: away };
    return Trial.on(
      fault,
      expected,
      nodes.map(({ url }) => url),
      { nodes, stores, lonely },
    );
  }

  /** The same on nodes that are there already. */
  static async on(
    fault: string,
    expected: string,
    urls: readonly string[],
    { nodes = [], stores = [], lonely }: Partial<Here> = {},
  ): Promise<Trial> {
    const crowd = new Crowd(roundRobin(urls));
    const trial = new Trial({ fault, expected }, crowd, nodes, stores);
    const readers = [crowd.poll(), crowd.poll(), crowd.stream(), crowd.stream(), crowd.socket(), crowd.socket()];
    await Promise.all([
      ...readers,
      ...(lonely ? [crowd.poll({ nodes: () => lonely.url, restMs: lonely.restMs })] : []),
    ]);
    await Promise.all(['ann', 'bob', 'eve'].map((name) => crowd.write(name)));
    await trial.goesOn(50);
    return trial;
  }

  /** That many more are accepted. */
  async goesOn(count = 50): Promise<void> {
    const before = this.crowd.accepted.size;
    await eventually(() => this.crowd.accepted.size >= before + count, this.patience);
  }

  /** More is said, and every reader is given it, be it with the fault still there. */
  async heardByAll(count = 20): Promise<void> {
    await this.goesOn(count);
    const newest = [...this.crowd.accepted.keys()].at(-1);
    await eventually(
      () => this.crowd.records.every(({ heard }) => heard.some(({ id }) => id === newest)),
      this.patience,
    );
  }

  /**
   * Waits until every reader has all there is, and answers what is wrong with what they were given.
   * @param more figures for the table
   */
  async settle(more = ''): Promise<string[]> {
    const { crowd } = this;
    await this.goesOn();
    await crowd.hush();
    const last = [...crowd.accepted.keys()].sort(compare).at(-1);
    const wrong = (): string[] =>
      crowd.records.flatMap((record) => {
        const late = record.heard.some(({ id }) => id === last) ? [] : [`${record.name}: the last one has not come`];
        return [...faults(record, crowd.accepted, crowd.maybe), ...late];
      });
    await eventually(() => wrong().length === 0, this.patience).catch(() => undefined);
    noteFault({ ...this.row, outage: crowd.outage, ...figuresOf(crowd.records, crowd.accepted), more });
    return [...wrong(), ...crowd.strange];
  }

  /** How many were accepted, and are in the log no more. */
  async gone(): Promise<number> {
    const { entries } = await this.stores[0]!.read('room:defaultRoom', '0-0', 100_000);
    const kept = new Set(entries.map(({ id }) => id));
    return [...this.crowd.accepted.keys()].filter((id) => !kept.has(id)).length;
  }

  /** The reasons that each reader was told. */
  get told(): string[][] {
    return this.crowd.records.map(({ gaps }) => gaps.map(({ reason }) => reason));
  }
}

/** Of a trial's six readers each was told this once. */
export const eachTold = (reason: string): string[][] => Array.from({ length: 6 }, () => [reason]);
export const nobodyTold: string[][] = Array.from({ length: 6 }, () => []);
