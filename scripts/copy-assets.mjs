/**
 * Puts beside the compiled modules what they read at run time: the demo page, and any text file (a Lua script) that
 * lives among the sources. `dist/` mirrors the root, so a path relative to a module is the same in both.
 */
import { cpSync, existsSync, statSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const compiled = ['src', 'actions', 'middleware'];

const isAsset = (file) => statSync(file).isDirectory() || !file.endsWith('.ts');

for (const folder of [...compiled, 'public']) {
  const from = path.join(root, folder);
  if (!existsSync(from)) continue;
  const filter = compiled.includes(folder) ? isAsset : undefined;
  cpSync(from, path.join(root, 'dist', folder), { recursive: true, filter });
}
