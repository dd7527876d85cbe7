/**
 * Makes `npm start` one command after `npm ci`: builds when there is no build, or a source is newer than it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const sources = ['src', 'actions', 'middleware', 'public', 'tsconfig.json', 'tsconfig.build.json', 'package.json'];

// A folder's own time changes when a file in it is removed or renamed, so folders count as well.
function* within(file) {
  yield file;
  if (!statSync(file).isDirectory()) return;
  for (const entry of readdirSync(file)) yield* within(path.join(file, entry));
}

function isStale() {
  const main = path.join(root, 'dist/src/main.js');
  if (!existsSync(main)) return true;
  const builtAt = statSync(main).mtimeMs;
  const present = sources.map((source) => path.join(root, source)).filter((source) => existsSync(source));
  return present.some((source) => [...within(source)].some((file) => statSync(file).mtimeMs > builtAt));
}

if (isStale()) {
  process.stderr.write('building…\n');
  // The caller's standard output belongs to the server that starts next.
  // Types are checked by `npm run typecheck`: who wants to chat need not wait for that.
  const build = spawnSync('npm', ['run', '--silent', 'build:unchecked'], { cwd: root, stdio: ['ignore', 2, 2] });
  process.exitCode = build.status ?? 1;
}
