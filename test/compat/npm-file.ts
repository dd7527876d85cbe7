/**
 * One file of a published npm package, unmodified.
 *
 * The browser clients are files inside `actionhero`, whose hundred dependencies nobody here needs. So npm packs it once,
 * the one file is checked against its known hash, and stays in node_modules/.cache.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

export interface NpmFile {
  /** Name and exact version, as npm takes it. */
  readonly from: string;
  readonly file: string;
  readonly sha256: string;
}

const run = promisify(execFile);
const cache = path.join(__dirname, '..', '..', 'node_modules', '.cache', 'earshot-compat');

export async function npmFile({ from, file, sha256 }: NpmFile): Promise<string> {
  const kept = path.join(cache, `${from}-${path.basename(file)}`);
  const known = (content: Buffer): boolean => createHash('sha256').update(content).digest('hex') === sha256;

  const before = await readFile(kept).catch(() => null);
  if (before && known(before)) return before.toString();

  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(path.join(cache, 'fetch-'));
  try {
    await run('npm', ['pack', from, '--ignore-scripts', '--pack-destination', folder], { timeout: 50_000 });
    const archive = (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? 'nothing';
    await run('tar', ['-xzf', archive, `package/${file}`], { cwd: folder });
    const content = await readFile(path.join(folder, 'package', file));
    if (!known(content)) throw new Error('what came is not what was published');

    // Two test files may fetch the same at once: each puts a whole file in place.
    const ready = path.join(folder, 'ready');
    await writeFile(ready, content);
    await rename(ready, kept);
    return content.toString();
  } catch (error) {
    throw new Error(`these tests need ${file} of ${from}, and npm did not bring it: ${String(error)}`, {
      cause: error,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
