/**
 * `npm run test:mutation -- --pieces 48 --seed 1`: breaks the core and the protocol in many small ways, one at a time, and
 * tells which of them the unit tests, the memory store's contract among them, do not notice. By default all pieces of
 * ten lines, which takes hours; with `--pieces` so many of them, drawn by the seed.
 *
 * The mutation tester (Stryker) is fetched into a copy of the project, as no other work needs it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const root = path.resolve(import.meta.dirname, '..');
const LINES = 10;
/** These read the sources as text, or hold no code of the core. */
const ELSEWHERE = ['architecture', 'threat-model', 'dependencies', 'scaling', 'linear', 'client', 'keeper'];

const { values } = parseArgs({ options: { pieces: { type: 'string' }, seed: { type: 'string', default: '1' } } });

/** Mulberry32: 32 bits of state are enough to draw a few pieces. */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pieces = ['src/core', 'src/protocol'].flatMap((folder) =>
  readdirSync(path.join(root, folder)).flatMap((name) => {
    const lines = readFileSync(path.join(root, folder, name), 'utf8').split('\n').length;
    return Array.from({ length: Math.ceil(lines / LINES) }, (_, nth) => {
      const first = nth * LINES + 1;
      return `${folder}/${name}:${String(first)}-${String(Math.min(first + LINES - 1, lines))}`;
    });
  }),
);
const random = randomFrom(Number(values.seed));
for (let left = pieces.length; left > 1; left -= 1) {
  const drawn = Math.floor(random() * left);
  [pieces[left - 1], pieces[drawn]] = [pieces[drawn], pieces[left - 1]];
}
const mutate = pieces.slice(0, values.pieces === undefined ? undefined : Number(values.pieces));

const copy = mkdtempSync(path.join(tmpdir(), 'earshot-mutation-'));
process.once('exit', () => rmSync(copy, { recursive: true, force: true }));
const run = (command, args) => execFileSync(command, args, { cwd: copy, stdio: 'inherit' });
const tracked = execFileSync('git', ['ls-files'], { cwd: root, encoding: 'utf8' }).trim().split('\n');
execFileSync('tar', ['-cf', path.join(copy, 'copy.tar'), ...tracked], { cwd: root });
run('tar', ['-xf', 'copy.tar']);
run('npm', ['ci', '--no-audit', '--no-fund']);
const STRYKER = '9.6.1';
run('npm', [
  'install',
  '--no-save',
  '--no-audit',
  `@stryker-mutator/core@${STRYKER}`,
  `@stryker-mutator/jest-runner@${STRYKER}`,
]);
writeFileSync(
  path.join(copy, 'jest.mutation.cjs'),
  `module.exports = ${JSON.stringify({
    testEnvironment: 'node',
    testMatch: ['<rootDir>/test/unit/**/*.test.ts'],
    testPathIgnorePatterns: [`/unit/(${ELSEWHERE.join('|')})\\.test\\.ts$`],
    transform: { '^.+\\.ts$': '<rootDir>/test/support/transform.cjs' },
    testTimeout: 20_000,
  })};\n`,
);
writeFileSync(
  path.join(copy, 'stryker.conf.json'),
  JSON.stringify({
    mutate,
    testRunner: 'jest',
    jest: { projectType: 'custom', configFile: 'jest.mutation.cjs', enableFindRelatedTests: false },
    coverageAnalysis: 'perTest',
    ignoreStatic: true,
    concurrency: 2,
    timeoutMS: 15_000,
    reporters: ['progress-append-only', 'clear-text'],
    clearTextReporter: { logTests: false },
    checkers: [],
  }),
);
process.exitCode =
  spawnSync('npx', ['stryker', 'run', 'stryker.conf.json'], { cwd: copy, stdio: 'inherit' }).status ?? 1;
