/** What `npm start` and an installed `earshot` run, of the sources as they are now: `dist` may be older than they are. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';

const root = path.join(__dirname, '../..');
let folder: string;

/** Once for a test file, where a compiler in each process would take as long as all else that it does at its start. */
beforeAll(() => {
  mkdirSync(path.join(root, 'coverage'), { recursive: true });
  folder = mkdtempSync(path.join(root, 'coverage/program-'));
  execFileSync(process.execPath, [path.join(__dirname, 'strip-types.mjs'), root, folder]);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** To be run by Node. */
export function programFile(): string {
  return path.join(folder, 'src/main.js');
}
