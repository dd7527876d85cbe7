/**
 * Copies the sources to a folder as JavaScript, unchecked: `node strip-types.mjs ROOT FOLDER`. By esbuild, which has done
 * it in less time than TypeScript's compiler takes to load.
 */
import { cpSync } from 'node:fs';
import path from 'node:path';
import { buildSync } from 'esbuild';

const [root, folder] = process.argv.slice(2);
const parts = ['src', 'actions', 'middleware'];

for (const part of [...parts, 'public', 'package.json']) {
  const filter = (from) => !from.endsWith('.ts');
  cpSync(path.join(root, part), path.join(folder, part), { recursive: true, filter });
}
buildSync({
  entryPoints: parts.map((part) => path.join(root, part, '**/*.ts')),
  outdir: folder,
  outbase: root,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
});
