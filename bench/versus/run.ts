/**
 * `npm run versus`: earshot, Nchan and Socket.IO with its Redis streams adapter on the same three scripts, and what each
 * loses, with and without a word; writes the table of docs/versus.md.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isPresent, Servers, type Server } from '../servers';
import { systems, type Reader, type Speaker, type System } from './reader';

type Name = keyof typeof systems;

interface Outcome {
  /** What each reader was to hear. */
  readonly said: number;
  readonly readers: readonly Reader[];
  /** A script's own finding. */
  readonly more?: string;
}

interface Script {
  readonly title: string;
  readonly kept?: number;
  readonly run: (system: System, server: Server) => Promise<Outcome>;
}

const NAMES: Readonly<Record<Name, string>> = {
  earshot: 'earshot',
  nchan: 'Nchan',
  'socketio-streams': 'Socket.IO',
};

const root = path.resolve(__dirname, '../..');
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, nth) => from + nth);

async function sayAll(speaker: Speaker, texts: readonly string[], paceMs = 0): Promise<void> {
  for (const text of texts) {
    await speaker.say(text);
    if (paceMs > 0) await pause(paceMs);
  }
}

/** Until nobody has heard anything new for a while: whatever has not come by then does not come. */
async function quiet(readers: readonly Reader[]): Promise<void> {
  const sum = (): number => readers.reduce((total, { heard }) => total + heard.length, 0);
  let still = 0;
  while (still < 8) {
    const before = sum();
    await pause(250);
    still = sum() === before ? still + 1 : 0;
  }
}

const texts = (from: number, to: number): string[] => range(from, to).map((nth) => `m${String(nth)}`);

const scripts: readonly Script[] = [
  {
    title: 'away while 400 are said, of which 100 are kept; back on the other node',
    kept: 100,
    run: async (system, { targets: [node, other] }) => {
      const reader = await system.reader(node!);
      const speaker = await system.speaker(node!);
      await sayAll(speaker, texts(0, 10));
      await quiet([reader]);
      await reader.leave();
      await sayAll(speaker, texts(10, 410));
      await reader.back(other!);
      await sayAll(speaker, texts(410, 420));
      await quiet([reader]);
      speaker.end();
      return { said: 420, readers: [reader] };
    },
  },
  {
    title: 'two nodes, a speaker on each, 300 from both at once',
    run: async (system, { targets }) => {
      const readers = await Promise.all([...targets, ...targets].map((node) => system.reader(node)));
      const speakers = await Promise.all(targets.map((node) => system.speaker(node)));
      await Promise.all(speakers.map((speaker, nth) => sayAll(speaker, texts(nth * 300, nth * 300 + 300))));
      await quiet(readers);
      for (const speaker of speakers) speaker.end();
      const orders = new Set(readers.map(({ heard }) => heard.join()));
      return { said: 600, readers, more: `${String(orders.size)} of 4` };
    },
  },
  {
    title: "the readers' node killed (kill -9) while 600 are said on the other",
    run: async (system, server) => {
      const [doomed, survivor] = server.targets;
      const readers = await Promise.all(range(0, 5).map(() => system.reader(doomed!)));
      const speaker = await system.speaker(survivor!);
      const speaking = sayAll(speaker, texts(0, 600), 3);
      await pause(700);
      server.kill(0);
      await pause(300);
      for (const reader of readers) {
        await reader.leave();
        await reader.back(survivor!);
      }
      await speaking;
      await quiet(readers);
      speaker.end();
      return { said: 600, readers };
    },
  },
];

interface Row {
  readonly script: string;
  readonly name: Name;
  readonly cells: readonly string[];
}

function row(script: Script, name: Name, { said, readers, more = '' }: Outcome): Row {
  const missing = readers.map(({ heard }) => said - new Set(heard).size);
  const doubled = readers.map(({ heard }) => heard.length - new Set(heard).size);
  const told = [...new Set(readers.flatMap((reader) => reader.told))].join('; ');
  const untold = readers.some((reader, nth) => missing[nth]! > 0 && reader.told.length === 0);
  return {
    script: script.title,
    name,
    cells: [
      span(missing),
      missing.every((count) => count === 0) ? '' : untold ? '**no**' : 'yes',
      told,
      span(doubled),
      more,
    ],
  };
}

/** Of several readers, the least and the most. */
function span(counts: readonly number[]): string {
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  return least === most ? String(most) : `${String(least)}–${String(most)}`;
}

function table(rows: readonly Row[]): string {
  const head = ['what happens', 'to', 'missing', 'told so', 'in these words', 'doubled', 'orders that readers see'];
  const lines = rows.map(({ script, name, cells }) => [script, NAMES[name], ...cells]);
  return [head, head.map(() => '---'), ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n');
}

const START = '<!-- the table: made by npm run versus -->';
const END = '<!-- the end of the table -->';

function write(made: string): void {
  const file = path.join(root, 'docs/versus.md');
  const text = readFileSync(file, 'utf8');
  const [from, to] = [text.indexOf(START), text.indexOf(END)];
  if (from < 0 || to < 0) throw new Error('docs/versus.md has no place for the table');
  writeFileSync(file, `${text.slice(0, from)}${START}\n\n${made}\n\n${text.slice(to)}`);
}

async function main(): Promise<void> {
  const run = (command: string, args: string[], cwd: string): void => {
    if (spawnSync(command, args, { cwd, stdio: ['ignore', 2, 2] }).status !== 0) throw new Error(`${command} failed`);
  };
  run('node', ['scripts/build-if-stale.mjs'], root);
  if (!isPresent('socketio-streams'))
    run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], path.join(root, 'bench/peers'));
  const present = (Object.keys(systems) as Name[]).filter((name) => isPresent(name));
  if (!present.includes('nchan')) console.error('Nchan is not here (Debian: nginx-light libnginx-mod-nchan)');

  const servers = new Servers();
  const rows: Row[] = [];
  try {
    for (const script of scripts) {
      for (const name of present) {
        const kept = script.kept === undefined ? {} : { kept: script.kept };
        const server = await servers.start({ kind: name, redis: true, nodes: 2, ...kept });
        const made = row(script, name, await script.run(systems[name], server));
        console.error([made.script, NAMES[name], ...made.cells].join(' | '));
        rows.push(made);
        await server.stop();
      }
    }
  } finally {
    await servers.stop();
  }
  console.log(`\n${table(rows)}\n`);
  if (present.length === Object.keys(systems).length) write(table(rows));
}

main().then(
  // Readers that still wait for something are of no interest any more.
  () => process.exit(),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
