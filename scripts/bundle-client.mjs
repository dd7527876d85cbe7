/**
 * Makes of `src/client` the one module that pages load: `/chat/client.js`, and `earshot/client` for bundlers.
 *
 *     node scripts/bundle-client.mjs [FILE]
 */
import path from 'node:path';
import { build } from 'esbuild';

const root = path.resolve(import.meta.dirname, '..');

await build({
  entryPoints: [path.join(root, 'src/client/index.ts')],
  outfile: process.argv[2] ?? path.join(root, 'public/client/client.mjs'),
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  // A field that a parameter declares needs to be said once.
  tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
  logLevel: 'warning',
});
