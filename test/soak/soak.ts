/**
 * `npm run soak -- --minutes 15 [--seed 7]`: the hop test for as long as it is let, against real processes. What every
 * reader is given must be the log, entry by entry, through faults of the store and the death of nodes; and when all have
 * gone, memory, handles and Redis' keys must be what they were. Prints one line of JSON and one of a table; exits 1 when
 * anything is wrong.
 */
import { parseArgs } from 'node:util';
import { entryIdParts } from '../../src/protocol/entry-id';
import { RedisStore } from '../../src/store/redis/redis-store';
import { eventually } from '../support/eventually';
import { Band } from '../support/hop/band';
import { KeptLog } from '../support/logger';
import { closeProxies } from '../support/proxy';
import { randomFrom, seedOfRun } from '../support/random';
import { keysUnder, OwnRedis, stopOwnRedis } from '../support/redis';
import { faults, type Deployment } from './faults';
import { SoakNode, type Holdings } from './node';
import { Visitors } from './visitors';

const PREFIX = 'earshot:';
/** What a node may hold more than at first: what is made once, by ways that had not been taken then. */
const HEAP_SLACK = 0.1;
/** Of these some are always just about to end. */
const FLEETING: Readonly<Record<string, number>> = { Immediate: 5, Timeout: 5 };
/** Keys of a say are kept for 5 minutes, whoever said it: they are counted, and must have an end. */
const ONCE = /:once:/;
/** Of clients, of rooms that end with them, and of who is in a room. */
const PASSING = /queue:|mail:|alcove:|room:den|:(members|roll|held|web)$/;
/** Parts of a key that name who made it. */
const NAMES = /(?<=probe:\{)[^}]+|alcove:\d+/g;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const say = (text: string): void => void process.stderr.write(`soak: ${text}\n`);

interface Resting extends Holdings {
  readonly keys: readonly string[];
  /** Keys that make a say idempotent. */
  readonly once: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { minutes: { type: 'string' }, seed: { type: 'string' } } });
  const minutes = Number(values.minutes ?? 1);
  const seed = values.seed === undefined ? seedOfRun() : Number(values.seed);
  if (!(minutes > 0) || !Number.isInteger(seed)) throw new Error('--minutes and --seed are numbers');
  const random = randomFrom(seed);
  say(`seed ${String(seed)}`);

  // Every answer is given after its write; a killed process loses nothing that the kernel has.
  const redis = await OwnRedis.start('--appendonly', 'yes', '--appendfsync', 'no');
  const nodes = await Promise.all([1, 2, 3].map(() => SoakNode.start(redis.socket)));
  const deployment: Deployment = { redis, nodes, random };
  const limits = { messageTTL: 60_000, maxLogLength: 1_000_000, logKeep: 60_000 };
  const store = new RedisStore({ redis: { url: redis.socket }, prefix: PREFIX, limits, logger: new KeptLog() });
  await store.open();

  const bandFor = async (
    ms: number,
    broken: Map<string, number>,
  ): Promise<{ band: Band; visits: number; wrong: string[] }> => {
    const band = await Band.gather({
      nodes: () => nodes,
      random,
      hoppers: 5,
      jars: 2,
      writers: 3,
      count: Infinity,
      window: 4,
      pauseMs: 20,
      lead: 5000,
      endOf: async (room) => {
        const { state } = await store.read(`room:${room}`, '0-0', 0);
        return state ? entryIdParts(state.last).seq : 0;
      },
    });
    const visitors = new Visitors(
      () => `http://127.0.0.1:${String(nodes[Math.floor(random() * nodes.length)]!.port)}`,
      random,
      3,
    );
    const until = performance.now() + ms;
    while (performance.now() < until) {
      await pause(Math.min(1000 + random() * 4000, Math.max(0, until - performance.now())));
      const names = Object.keys(faults);
      const name = names[Math.floor(random() * names.length)]!;
      await faults[name]!(deployment);
      broken.set(name, (broken.get(name) ?? 0) + 1);
    }
    await visitors.end();
    await band.written({ stop: true });
    const wrong = await band.settled(120_000);
    return { band, visits: visitors.count, wrong };
  };

  const rest = async (): Promise<Resting> => {
    // Clients end with their TTL, and nodes forget them a while after.
    let left: string[] = [];
    const atRest = eventually(async () => {
      const keys = await keysUnder(redis.admin, PREFIX);
      const channels = (await redis.admin.pubsub('CHANNELS', `${PREFIX}*`)) as string[];
      const kept = keys.filter((key) => !ONCE.test(key));
      left = [...kept, ...channels].filter((name) => PASSING.test(name));
      return left.length === 0;
    }, 240_000);
    await atRest.catch(() => {
      throw new Error(`${String(left.length)} left when all had gone: ${left.slice(0, 20).join(' ')}`);
    });
    const all = await keysUnder(redis.admin, PREFIX);
    const endless: string[] = [];
    for (const key of all) if (ONCE.test(key) && (await redis.admin.pttl(key)) === -1) endless.push(key);
    if (endless.length > 0) throw new Error(`no end: ${endless.join(' ')}`);
    const keys = all.filter((key) => !ONCE.test(key)).map((key) => key.replace(NAMES, '*'));
    return { ...(await nodes[0]!.holdings()), keys, once: all.length - keys.length };
  };

  say('warming up');
  const warm = await bandFor(20_000, new Map());
  const before = await rest();
  say(`at rest: ${described(before)}`);
  const broken = new Map<string, number>();
  const { band, visits, wrong } = await bandFor(minutes * 60_000, broken);
  const after = await rest();
  say(`at rest: ${described(after)}`);

  const { ledger } = band;
  const all = [...warm.wrong, ...wrong, ...differences(before, after)];
  const figures = {
    seed,
    minutes,
    said: ledger.accepted,
    heard: ledger.ears.reduce((sum, { heard }) => sum + heard, 0),
    repeated: ledger.ears.reduce((sum, { repeats }) => sum + repeats, 0),
    hops: ledger.ears.reduce((sum, { hops }) => sum + hops, 0),
    visits,
    faults: Object.fromEntries(broken),
    heap: [before.heap, after.heap],
    handles: [total(before), total(after)],
    keys: [before.keys.length, after.keys.length],
    wrong: all,
  };
  process.stdout.write(`${JSON.stringify(figures)}\n${row(figures)}\n`);
  if (all.length > 0) process.exitCode = 1;

  await store.close();
  await Promise.all(nodes.map((node) => node.end('SIGTERM')));
  await closeProxies();
  await stopOwnRedis();
}

function differences(before: Resting, after: Resting): string[] {
  const wrong: string[] = [];
  if (after.heap > before.heap * (1 + HEAP_SLACK)) wrong.push(`heap: ${described(before)}, then ${described(after)}`);
  for (const kind of new Set([...Object.keys(before.handles), ...Object.keys(after.handles)])) {
    const [first, last] = [before.handles[kind] ?? 0, after.handles[kind] ?? 0];
    if (last > first + (FLEETING[kind] ?? 0)) wrong.push(`${kind}: ${String(first)}, then ${String(last)}`);
  }
  if (before.keys.join('\n') !== after.keys.join('\n'))
    wrong.push(`keys: ${before.keys.join(' ')}, then ${after.keys.join(' ')}`);
  return wrong;
}

function total({ handles }: Holdings): number {
  return Object.entries(handles).reduce((sum, [kind, count]) => sum + (kind in FLEETING ? 0 : count), 0);
}

function described({ heap, handles, keys, once }: Resting): string {
  const kinds = Object.entries(handles).map(([kind, count]) => `${kind} ${String(count)}`);
  return `heap ${mebibytes(heap)}, ${kinds.join(', ')}; ${String(keys.length)} keys and ${String(once)} of says`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

/** As docs/guarantees.md has it. */
function row(figures: {
  readonly seed: number;
  readonly minutes: number;
  readonly said: number;
  readonly heard: number;
  readonly hops: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly heap: readonly number[];
  readonly handles: readonly number[];
  readonly keys: readonly number[];
  readonly wrong: readonly string[];
}): string {
  const { seed, minutes, said, heard, hops, heap, handles, keys, wrong } = figures;
  const broken = Object.values(figures.faults).reduce((sum, count) => sum + count, 0);
  const cells = [
    seed,
    minutes,
    said,
    heard,
    hops,
    broken,
    heap.map(mebibytes).join(' → '),
    handles.join(' → '),
    keys.join(' → '),
    wrong.length,
  ];
  return `| ${cells.map(String).join(' | ')} |`;
}

main().catch((error: unknown) => {
  process.stderr.write(`soak: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
