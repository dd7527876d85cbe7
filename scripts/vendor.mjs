/** Puts beside our pages what they use of others: uPlot, for the operator's plots. No page loads anything from elsewhere. */
import { cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const from = path.join(root, 'node_modules/uplot');
const to = path.join(root, 'public/vendor');

mkdirSync(to, { recursive: true });
for (const file of ['dist/uPlot.esm.js', 'dist/uPlot.min.css', 'LICENSE']) {
  cpSync(path.join(from, file), path.join(to, file === 'LICENSE' ? 'uPlot.LICENSE' : path.basename(file)));
}
