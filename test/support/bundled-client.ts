/** The client library as pages get it, made from the sources as they are now. */
import { execFileSync } from 'node:child_process';
import path from 'node:path';

/** To be called in `beforeAll`. */
export function bundleClient(): void {
  execFileSync(process.execPath, [path.join(__dirname, '../../scripts/bundle-client.mjs')]);
}
