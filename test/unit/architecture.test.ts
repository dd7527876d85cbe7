/** Imports only go down, as docs/architecture.md says. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(__dirname, '../..');

interface Import {
  readonly from: string;
  readonly to: string;
}

function sources(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => path.join(folder, name));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(path.join(root, file), 'utf8');
  const found = text.matchAll(/(?:^|\n)(?:import|export)\s[^;]*?from\s+'([^']+)'/g);
  return [...found].map(([, to = '']) => ({
    from: file,
    to: to.startsWith('.') ? path.join(path.dirname(file), to) : to,
  }));
}

const all = [...sources('src'), ...sources('actions'), ...sources('middleware')].flatMap(importsOf);
const shown = (wrong: readonly Import[]): string[] => wrong.map(({ from, to }) => `${from} -> ${to}`);

/** What the files of a floor may import: files below these folders, and these packages. */
const floors: readonly { floor: string; files: string[]; packages: (string | RegExp)[] }[] = [
  { floor: 'src/protocol/', files: ['src/protocol/'], packages: [] },
  { floor: 'src/client/', files: ['src/client/', 'src/protocol/message'], packages: ['ws'] },
  { floor: 'src/core/', files: ['src/core/', 'src/protocol/'], packages: [/^node:crypto$/, 'zod'] },
  { floor: 'src/store/', files: ['src/store/', 'src/core/', 'src/protocol/'], packages: [/^node:/, 'ioredis'] },
  {
    floor: 'src/transports/',
    files: ['src/transports/', 'src/core/', 'src/protocol/'],
    packages: [/^node:/, 'cookie-parser', 'express', 'helmet', 'ws', 'proxy-addr'],
  },
  {
    floor: 'src/admin/',
    files: ['src/admin/', 'src/config', 'src/node-status', 'src/transports/', 'src/core/', 'src/protocol/'],
    packages: [/^node:/, 'express', 'prom-client', 'zod'],
  },
  { floor: 'src/terminal/', files: ['src/terminal/', 'src/client/'], packages: [/^node:/] },
  { floor: 'actions/', files: ['actions/', 'src/kit'], packages: ['zod'] },
  { floor: 'middleware/', files: ['middleware/', 'src/kit'], packages: [] },
];

test.each(floors)('$floor imports nothing from above', ({ floor, files, packages }) => {
  const own = all.filter(({ from }) => from.startsWith(floor));
  expect(own.length).toBeGreaterThan(0);
  const wrong = own.filter(({ to }) => {
    if (files.some((folder) => to === folder || to.startsWith(folder))) return false;
    return !packages.some((name) => (typeof name === 'string' ? to === name : name.test(to)));
  });
  expect(shown(wrong)).toEqual([]);
});

test('the core knows the Store interface and no store; transports know none either', () => {
  const stores = all.filter(({ from, to }) => to.startsWith('src/store/') && !from.startsWith('src/store/'));
  expect([...new Set(stores.map(({ from }) => from))].sort()).toEqual(['src/compose.ts', 'src/index.ts']);
});

test('what pages load of the client is all ours', () => {
  const own = all.filter(({ from }) => from.startsWith('src/client/') && from !== 'src/client/node.ts');
  expect(shown(own.filter(({ to }) => !to.startsWith('src/')))).toEqual([]);
});

test('nothing imports the command', () => {
  expect(shown(all.filter(({ to }) => to === 'src/main'))).toEqual([]);
});
