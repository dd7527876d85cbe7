/**
 * The package as somebody gets it: packed, installed in an empty folder, and used there by its command, by `require`, by
 * `import` and by its types. It is packed from `dist/` as it is, so build first.
 *
 *     npm run build && npm run check:package
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const bin = (name) => path.join(root, 'node_modules/.bin', name);
const { version, name, exports, devDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

/** What a package of ours is made of: compiled modules, their types and maps, pages, scripts for Redis. */
const allowed = [
  /^(package\.json|README\.md|CHANGELOG\.md|LICENSE)$/,
  /^dist\/(src|actions|middleware)\/[\w/-]+\.(js|js\.map|d\.ts|lua)$/,
  /^dist\/public\/[\w/-]+(\.\w+)*\.(html|css|js|mjs|js\.map|svg|png|webmanifest|LICENSE)$/,
];
const MOST_BYTES = 3_000_000;

const work = mkdtempSync(path.join(tmpdir(), 'earshot-package-'));
const empty = path.join(work, 'empty');
mkdirSync(empty);

function run(command, args, cwd = empty) {
  // Nothing of the npm that may have started us: its settings would be this package's and not the empty folder's.
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(npm_|INIT_CWD)/.test(key)));
  try {
    return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  } catch (error) {
    // The tools tell what is wrong on their standard output.
    console.error(error.stdout);
    throw error;
  }
}

function pack() {
  const [packed] = Object.values(
    JSON.parse(run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', work], root)),
  );
  const strange = packed.files.map((file) => file.path).filter((file) => !allowed.some((form) => form.test(file)));
  assert.deepEqual(strange, [], 'the package holds what it should not');
  assert.ok(packed.unpackedSize < MOST_BYTES, `the package has grown to ${packed.unpackedSize} bytes`);
  return path.join(work, packed.filename);
}

/** A path of the machine that built it has no business in it. */
function checkTexts() {
  const installed = path.join(empty, 'node_modules', name);
  for (const file of readdirSync(installed, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const text = readFileSync(path.join(file.parentPath, file.name), 'utf8');
    assert.ok(!text.includes(root), `${file.name} names ${root}`);
  }
}

async function checkCommand() {
  assert.equal(run('npx', ['--no-install', name, '--version']).trim(), version);
  const args = ['--no-install', name, '--port', '0', '--socket-port', 'off', '--admin-port', '0'];
  const env = { ...process.env, EARSHOT_LOG_LEVEL: 'error' };
  const server = spawn('npx', args, { cwd: empty, env, stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  try {
    let said = '';
    for await (const text of server.stdout.setEncoding('utf8')) {
      said += text;
      if (said.includes("Operator's page: ") && said.endsWith('\n')) break;
    }
    const url = /listening on (\S+)/.exec(said)?.[1];
    const admin = /Operator's page: (\S+)/.exec(said)?.[1];
    assert.ok(url && admin, `it says where it is: ${said}`);
    const answer = await (await fetch(`${url}chat/?method=say&message=hello`)).json();
    assert.equal(answer.status, 'OK');
    for (const page of [admin, `${admin}vendor/uPlot.esm.js`]) assert.equal((await fetch(page)).status, 200, page);
  } finally {
    const ended = once(server, 'exit');
    // npx hands no signal on to what it runs.
    process.kill(-server.pid, 'SIGTERM');
    await ended;
  }
}

/** Every entry has the same names whichever way it is asked for. */
function checkEntries() {
  for (const entry of Object.keys(exports)) {
    const full = path.posix.join(name, entry);
    if (full.endsWith('.json')) continue;
    // Without what the two kinds of modules add of their own.
    const ours = (loaded) =>
      `Object.keys(${loaded}).filter((one) => !/^(default|module.exports|__esModule)$/.test(one))`;
    const names = (loaded) => `console.log(${ours(loaded)}.sort().join())`;
    const required = run(process.execPath, ['-e', names(`require('${full}')`)]);
    const imported = run(process.execPath, ['--input-type=module', '-e', names(`await import('${full}')`)]);
    assert.equal(imported, required, full);
    assert.ok(required.trim().length > 0, `${full} exports something`);
  }
}

/** As a user compiles it: strictly, and looking into our declarations too. */
function checkTypes() {
  const program = `
import { actions, createChat, createServer, defineAction, type ChatMiddleware, type ChatServer } from 'earshot';
const rule: ChatMiddleware = { name: 'rule', onSayReceive: (connection, room, payload) => (room === 'x' ? null : payload) };
export const started: Promise<ChatServer> = createServer({ actions: [...actions], middleware: [rule] });
export const mounted = createChat({ actions, config: { commonWeb: { httpClientMessageTTL: 1000 } } });
// @ts-expect-error no such setting
export const wrong = createChat({ actions, config: { commonWeb: { httpClientMessageTTLs: 1000 } } });
export { defineAction };
`;
  for (const extension of ['cts', 'mts']) writeFileSync(path.join(empty, `program.${extension}`), program);
  for (const module of ['node20', 'nodenext']) {
    const target = ['--module', module, '--target', 'es2022', '--strict', '--noEmit', '--types', 'node'];
    run(process.execPath, [
      path.join(root, 'node_modules/typescript/bin/tsc'),
      ...target,
      'program.cts',
      'program.mts',
    ]);
  }
}

try {
  const packed = pack();
  writeFileSync(path.join(empty, 'package.json'), '{ "private": true }\n');
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  run('npm', ['install', ...quiet, packed, `@types/node@${devDependencies['@types/node']}`]);
  checkTexts();
  await checkCommand();
  checkEntries();
  checkTypes();
  run(bin('publint'), ['--strict', packed], root);
  // Without the resolution of TypeScript before 4.7, which knows of no entries but the first: no Node of ours is so old.
  run(bin('attw'), [packed, '--no-color', '--format', 'ascii', '--profile', 'node16'], root);
  console.log(`${path.basename(packed)} is good`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
