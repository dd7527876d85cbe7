/**
 * `npm run test:coverage`: the lines of the core and of the protocol that the unit tests alone reach. Fails below 95 %.
 * Files that hold nothing but types are not counted: they have no line that could be run.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const root = path.resolve(import.meta.dirname, '..');

const isCode = (file) => {
  const { outputText } = ts.transpileModule(readFileSync(path.join(root, file), 'utf8'), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, removeComments: true },
  });
  return outputText.replace('export {};', '').trim() !== '';
};

const files = ['src/core', 'src/protocol']
  .flatMap((folder) => readdirSync(path.join(root, folder)).map((name) => `${folder}/${name}`))
  .filter((file) => file.endsWith('.ts') && isCode(file));

const { status } = spawnSync(
  path.join(root, 'node_modules/.bin/jest'),
  [
    ...['--selectProjects', 'unit', '--coverage', '--coverageReporters', 'text'],
    ...files.map((file) => `--collectCoverageFrom=${file}`),
    '--coverageThreshold={"global":{"lines":95}}',
  ],
  { cwd: root, stdio: 'inherit' },
);
process.exit(status ?? 1);
