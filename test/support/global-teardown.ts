/** Ends the Redis that global-setup started, and removes its folder. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';

export default async function globalTeardown(): Promise<void> {
  const redis = globalThis.testRedis;
  if (!redis) return;
  globalThis.testRedis = undefined;
  delete process.env['TEST_REDIS'];
  const ended = redis.process.exitCode === null ? once(redis.process, 'exit') : undefined;
  redis.process.kill('SIGKILL');
  await ended;
  rmSync(redis.folder, { recursive: true, force: true });
}
