/** Writes docs/benchmarks.md and its chart: what was measured, on what, by which command. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { bars } from './bars';
import { chart } from './chart';
import { costsOf } from './costs';
import { checkedText, markdown, table, type Measured } from './report';
import { costsTable, scalingTable } from './scaling';

const root = path.resolve(__dirname, '..');
const PAGE = path.join(root, 'docs/benchmarks.md');
const PLAN = path.join(root, 'docs/scaling.md');
const COSTS = path.join(root, 'bench/costs.json');
const CHART = path.join(root, 'docs/benchmarks.svg');

export interface Circumstances {
  readonly command: string;
  readonly rounds: number;
  readonly minutes: number;
}

/** The paths written. */
export function document(measured: readonly Measured[], circumstances: Circumstances): string[] {
  writeFileSync(CHART, chart(measured));
  writeFileSync(PAGE, page(measured, circumstances));
  const written = [PAGE, CHART];
  const costs = costsOf(measured);
  if (costs) {
    writeFileSync(COSTS, `${JSON.stringify(costs, null, 2)}\n`);
    const plan = between(
      between(readFileSync(PLAN, 'utf8'), 'costs', costsTable(costs)),
      'scaling',
      scalingTable(costs),
    );
    writeFileSync(PLAN, plan);
    written.push(COSTS, PLAN);
  }
  const { status } = spawnSync('npx', ['prettier', '--write', PAGE, PLAN], { cwd: root, stdio: 'ignore' });
  if (status !== 0) throw new Error('prettier could not format what was written');
  return written;
}

function between(page: string, mark: string, text: string): string {
  const marked = new RegExp(`(<!-- ${mark}[^>]*-->\\n)[^]*?(<!-- /${mark} -->)`);
  if (!marked.test(page)) throw new Error(`docs/scaling.md has no place for ${mark}`);
  return page.replace(marked, (_all, head: string, tail: string) => `${head}\n${text}\n\n${tail}`);
}

function page(measured: readonly Measured[], { command, rounds, minutes }: Circumstances): string {
  const peers = measured.filter(({ scenario }) => !isGrowth(scenario.id));
  const growing = measured.filter(({ scenario }) => isGrowth(scenario.id));
  const promises = bars(measured).map(({ what, bar, figure, floor, met }) => [
    what,
    bar,
    figure,
    met ? 'yes' : '**no**',
    floor,
  ]);
  return `# Benchmarks

<!-- Written by \`${command}\`: do not edit. -->

\`\`\`sh
${command}
\`\`\`

${String(rounds)} interleaved rounds in ${minutes.toFixed(0)} minutes; medians, and the least and the most. ${checkedText(measured)}:
every hearer of every run is checked to hear every message once and in the same order.

**Deliveries per CPU second** are messages received by hearers, divided by the CPU time of all server processes, Redis
included, as the kernel counts it: a figure that says what a core can do and that hardly minds what else the machine
does. Differences under a quarter mean nothing. Servers run on core 0, the load generator is a process of its own on
core 1, with raw sockets; each message has 120 characters. Limits per address and rates are off in earshot, because all
load comes from one address; nothing else is set otherwise than by default, but that nobody joins a default room.

| | |
| --- | --- |
${versions()
  .map(([name, version]) => `| ${name} | ${version} |`)
  .join('\n')}

## What we promise ourselves

${markdown(['', 'bar', 'measured', 'met', 'the floor'], promises)}

The floor is what the least that does the same in Node came to in the same run: the package \`ws\` with a Set of sockets for
a room, each message framed once, or joined with others of its turn; \`node:http\` with a list of waiting responses. They
keep no log but where Redis is part of it, know no clients, and check nothing. Where the floor itself is below a bar, the
bar was out of reach in Node in that run; floors differ from run to run as much as all other figures.

## Beside others

![Deliveries per CPU second](benchmarks.svg)

${table(peers)}

ActionHero is measured with Redis, which it needs for more than one process.

## As it grows

What a delivery costs must not depend on how many there are.

${table(growing)}
`;
}

function isGrowth(id: string): boolean {
  return /^(grow|say-few|say-many|poll-reads|poll-probe|storm|view)/.test(id);
}

function versions(): [string, string][] {
  const cpu = os.cpus()[0]?.model ?? 'unknown';
  const peers = JSON.parse(readFileSync(path.join(root, 'bench/peers/package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const named = Object.entries(peers.dependencies).map(([name, version]): [string, string] => [`\`${name}\``, version]);
  return [
    ['processor', `${cpu}, ${String(os.cpus().length)} cores`],
    ['kernel', `${os.type()} ${os.release()}`],
    ['Node', process.version],
    ['Redis', said('redis-server', ['--version'], /v=(\S+)/)],
    ['nginx with Nchan', `${said('nginx', ['-v'], /nginx\/(\S+)/)}, Nchan ${nchanVersion()}`],
    ...named,
  ];
}

function nchanVersion(): string {
  return said('dpkg-query', ['-W', '-f', '${Version}', 'libnginx-mod-nchan'], /^(?:\d+:)?([^+]+)/);
}

function said(command: string, args: readonly string[], pattern: RegExp): string {
  const { stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  return error ? 'not here' : (pattern.exec(`${stdout}${stderr}`)?.[1] ?? 'not here');
}
