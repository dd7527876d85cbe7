/**
 * Copies the sources to a folder as JavaScript, unchecked: `node strip-types.mjs ROOT FOLDER`. A process of its own,
 * because Jest takes seconds to load the compiler.
 */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const [root, folder] = process.argv.slice(2);
const compilerOptions = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true };

for (const part of ['src', 'actions', 'middleware', 'package.json']) {
  cpSync(path.join(root, part), path.join(folder, part), {
    recursive: true,
    filter: (from, to) => {
      if (!from.endsWith('.ts')) return true;
      const { outputText } = ts.transpileModule(readFileSync(from, 'utf8'), { compilerOptions });
      writeFileSync(to.replace(/\.ts$/, '.js'), outputText);
      return false;
    },
  });
}
