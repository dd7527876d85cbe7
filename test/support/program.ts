/** What `npm start` and an installed `earshot` run, of the sources as they are now: `dist` may be older than they are. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { runFolder } from './run-folder';

const root = path.join(__dirname, '../..');

/** Made once for a whole run, by the first test file that needs it. */
beforeAll(() => {
  if (existsSync(programFile())) return;
  const folder = mkdtempSync(path.join(runFolder(), 'program-'));
  execFileSync(process.execPath, [path.join(__dirname, 'bundle-program.mjs'), root, folder]);
  try {
    renameSync(folder, path.join(runFolder(), 'program'));
  } catch (error) {
    // Another worker has made the same at the same time.
    if (!existsSync(programFile())) throw error;
    rmSync(folder, { recursive: true });
  }
});

/** To be run by Node. */
export function programFile(): string {
  return path.join(runFolder(), 'program/src/main.js');
}
