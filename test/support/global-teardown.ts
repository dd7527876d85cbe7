/** Ends the Redis that global-setup started, and removes the run's folder. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';

export default async function globalTeardown(): Promise<void> {
  const run = globalThis.testRun;
  if (!run) return;
  globalThis.testRun = undefined;
  if (run.redis) {
    delete process.env['TEST_REDIS'];
    const ended = run.redis.exitCode === null ? once(run.redis, 'exit') : undefined;
    run.redis.kill('SIGKILL');
    await ended;
  }
  rmSync(run.folder, { recursive: true, force: true });
}
