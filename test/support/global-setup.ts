/** One folder for the whole run, and one Redis on a unix socket in it, that dies with us. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

declare global {
  var testRun: { readonly folder: string; readonly redis: ChildProcess | undefined } | undefined;
}

export default async function globalSetup(): Promise<void> {
  // Jest calls this once for each project.
  if (globalThis.testRun) return;
  const folder = mkdtempSync(path.join(tmpdir(), 'earshot-test-'));
  globalThis.testRun = { folder, redis: await startRedis(folder) };
  process.env['TEST_RUN_FOLDER'] = folder;
}

async function startRedis(folder: string): Promise<ChildProcess | undefined> {
  // From outside: somebody's own Redis, used as it is.
  if (process.env['TEST_REDIS']) return undefined;
  const socket = path.join(folder, 'redis.sock');
  const server = process.env['TEST_REDIS_SERVER'] ?? 'redis-server';
  const redis = [server, '--port', '0', '--unixsocket', socket, '--save', '', '--dir', folder];
  // An aborted run would otherwise leave Redis behind, and with our standard output the shell would wait for ever.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...redis], { stdio: ['ignore', 'pipe', 'ignore'] });
  await ready(child);
  process.env['TEST_REDIS'] = socket;
  return child;
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    const fail = (why: string): void => {
      reject(
        new Error(`redis-server did not start: ${why}\n${output}Install it (Debian: redis-server), or run npm test.`),
      );
    };
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code) => fail(`it ended with code ${code ?? 'none'}`));
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.toLowerCase().includes('ready to accept connections')) resolve();
    });
  });
}
