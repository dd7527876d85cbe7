/**
 * `npm run bench`: measures earshot beside its peers and writes docs/benchmarks.md.
 *
 *   npm run bench                     everything, in half an hour; writes docs/benchmarks.md
 *   npm run bench -- quick            the main figures in a minute; prints, and writes nothing
 *   npm run bench -- --only ws-sat100,ws-one100 --rounds 3 --servers earshot,nchan
 *   npm run bench -- --only ws-sat100 --servers earshot --seconds 8 --cpu-prof /tmp/profiles
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { bars } from './bars';
import { document } from './document';
import { Generator } from './generator';
import { growth } from './growth';
import { checkedText, names, short, table, wrongOf, type Measured } from './report';
import { scenarios, type Context, type Figure, type Scenario } from './scenarios';
import { isPresent, Servers, type Kind } from './servers';

interface Wishes {
  readonly quick: boolean;
  readonly only: readonly string[] | undefined;
  readonly kinds: readonly Kind[] | undefined;
  readonly rounds: number;
  /** Of CPU that a server is measured for. */
  readonly seconds: number | undefined;
  /** Of CPU that it works before that. */
  readonly warm: number | undefined;
  readonly profiles: string | undefined;
}

function wishes(): Wishes {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      only: { type: 'string' },
      servers: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      warm: { type: 'string' },
      'cpu-prof': { type: 'string' },
    },
  });
  const quick = positionals.includes('quick');
  return {
    quick,
    only: values.only?.split(','),
    kinds: values.servers?.split(',') as Kind[] | undefined,
    rounds: Number(values.rounds ?? (quick ? 1 : 3)),
    seconds: values.seconds === undefined ? undefined : Number(values.seconds),
    warm: values.warm === undefined ? undefined : Number(values.warm),
    profiles: values['cpu-prof'],
  };
}

async function main(): Promise<void> {
  const wish = wishes();
  prepare();
  const servers = new Servers({ profiles: wish.profiles });
  const generator = new Generator();
  const context: Context = {
    servers,
    generator,
    span: { warm: wish.warm ?? (wish.quick ? 0.4 : 6), measure: wish.seconds ?? 0.6 },
    many: wish.quick ? 2000 : 10_000,
  };
  try {
    const began = performance.now();
    const measured = await rounds(wish, context);
    console.log(`\n${table(measured)}\n\n${checkedText(measured)}`);
    for (const { what, bar, figure, met } of bars(measured)) {
      console.log(`${met ? 'met   ' : 'MISSED'} ${what}: ${figure} (${bar})`);
    }
    const minutes = (performance.now() - began) / 60_000;
    console.log(`${minutes.toFixed(1)} minutes`);
    if (!wish.quick && !wish.only && !wish.kinds) {
      const files = document(measured, { command: 'npm run bench', rounds: wish.rounds, minutes });
      console.log(`written: ${files.map((file) => path.relative(process.cwd(), file)).join(', ')}`);
    }
    // What its peers do wrong is told, and is theirs.
    if (wrongOf(measured.filter(({ kind }) => kind === 'earshot')) > 0) process.exitCode = 1;
  } finally {
    generator.stop();
    await servers.stop();
  }
}

/**
 * A scenario's servers take turns, in each round in another order: so a noisy minute falls on all that are compared, and
 * nobody is always the first.
 */
async function rounds(wish: Wishes, context: Context): Promise<Measured[]> {
  const wanted = [...scenarios, ...growth].filter(({ id, quick }) =>
    wish.only ? wish.only.includes(id) : !wish.quick || quick,
  );
  const measured = new Map<string, { scenario: Scenario; kind: Kind; figures: Figure[] }>();
  for (const scenario of wanted) {
    const kinds = kindsOf(scenario, wish);
    for (let round = 0; round < (scenario.once ? 1 : wish.rounds); round += 1) {
      const first = round % kinds.length;
      for (const kind of [...kinds.slice(first), ...kinds.slice(0, first)]) {
        // What ran in the round before is warm.
        const warm = round === 0 ? context.span.warm : context.span.warm / 10;
        const turn = { ...context, span: { ...context.span, warm } };
        const figure = await scenario.run(turn, kind, scenario.servers[kind]!);
        const key = `${scenario.id} ${kind}`;
        const entry = measured.get(key) ?? { scenario, kind, figures: [] };
        entry.figures.push(figure);
        measured.set(key, entry);
        console.error(line(round, scenario, kind, figure));
      }
    }
  }
  return [...measured.values()];
}

function kindsOf(scenario: Scenario, wish: Wishes): Kind[] {
  const kinds = (Object.keys(scenario.servers) as Kind[]).filter(isPresent);
  if (wish.kinds) return kinds.filter((kind) => wish.kinds!.includes(kind));
  return wish.quick && !wish.only ? kinds.filter((kind) => scenario.quick?.includes(kind)) : kinds;
}

function line(round: number, scenario: Scenario, kind: Kind, figure: Figure): string {
  const load =
    figure.generatorLoad === undefined ? '' : ` generator ${String(Math.round(figure.generatorLoad * 100))} %`;
  const together = figure.together === undefined ? '' : ` ${short(figure.together)} together`;
  const wrong = figure.wrong === 0 ? '' : ` WRONG: ${String(figure.wrong)}`;
  return `${String(round + 1)} ${scenario.id.padEnd(18)} ${names[kind].padEnd(18)} ${short(figure.value).padStart(8)} ${scenario.unit}${load}${together}${wrong}`;
}

/** A build of what is here now, and the peers' packages where they are missing. */
function prepare(): void {
  const root = path.resolve(__dirname, '..');
  const run = (command: string, args: string[], cwd: string): void => {
    const { status } = spawnSync(command, args, { cwd, stdio: ['ignore', 2, 2] });
    if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
  };
  run('node', ['scripts/build-if-stale.mjs'], root);
  if (!isPresent('ws'))
    run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], path.join(root, 'bench/peers'));
  if (!isPresent('nchan')) console.error('Nchan is not here (Debian: apt-get install nginx-light libnginx-mod-nchan)');
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
