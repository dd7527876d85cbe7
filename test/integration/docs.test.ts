/** The pages for users say what is so: every block is run, every table compared, every link followed. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { z } from 'zod';
import { chat } from '../../actions/chat';
import { createConfig, settings } from '../../src/config';
import { errorCatalogue } from '../../src/protocol/errors';
import { createServer } from '../../src/server';
import { verbs } from '../../src/transports/verbs';
import { brokenLinks, namesIn, readDocument, root, type Table } from '../support/documents';
import { Page } from '../support/page';
import { freshPrefix, sharedRedis } from '../support/redis';
import { settingsMarkdown, settingsTable } from '../support/settings-table';

const pages = [
  'README.md',
  'CHANGELOG.md',
  'docs/getting-started.md',
  'docs/recipes.md',
  'docs/operating.md',
  'docs/protocol.md',
  'docs/errors.md',
  'docs/settings.md',
  'docs/actions-and-middleware.md',
  'docs/actionhero.md',
  'docs/library.md',
  'docs/client.md',
  'docs/threat-model.md',
  'SECURITY.md',
  'docs/guarantees.md',
].map(readDocument);

/** Beside everything else, as it takes the longest. */
let compiler: ChildProcess | undefined;
let compiled: Promise<string> | undefined;

beforeAll(() => {
  const script = path.join(root, 'test/support/check-types.mjs');
  compiler = spawn(process.execPath, [script, path.join(writePrograms(), 'tsconfig.json')]);
  compiled = printedBy(compiler);
});
afterAll(() => compiler?.kill());

/** Blocks that are not run say why; a page that explains itself by such blocks would explain itself by promises. */
const MOST_NOT_RUN = 4;

describe.each(pages.filter(({ blocks }) => blocks.some(({ notRun }) => notRun === undefined)))('$page', (document) => {
  const page = new Page();

  beforeAll(() => page.open());
  afterAll(() => page.close());

  for (const block of document.blocks.filter(({ notRun }) => notRun === undefined)) {
    test(`line ${block.line}: ${block.language} ${block.lines[0] ?? ''}`, () => page.play(block), 20_000);
  }
});

test('the blocks that are not run are few, and say why', () => {
  const notRun = pages.flatMap(({ blocks }) => blocks.filter((block) => block.notRun !== undefined));
  expect(notRun.map(({ page, notRun: why }) => `${page}: ${why ?? ''}`)).toEqual([
    'README.md: these are the tests',
    'docs/settings.md: test/integration/security-redis.test.ts runs it',
  ]);
  expect(notRun.length).toBeLessThanOrEqual(MOST_NOT_RUN);
});

test('every link leads somewhere', () => {
  expect(pages.flatMap(brokenLinks)).toEqual([]);
});

test('the programs have the types they need', async () => {
  expect(await compiled).toBe('');
}, 60_000);

describe('tables', () => {
  test('docs/errors.md has every error, with its status and its text', () => {
    const rows = tables('docs/errors.md').flatMap(({ columns, rows }) => (columns[0] === 'code' ? rows : []));
    const documented = rows.map(([code = '', status, text = '']) => [
      namesIn(code)[0],
      Number(status),
      namesIn(text)[0],
    ]);
    const real = Object.entries(errorCatalogue).map(([code, { status, text }]) => [code, status, shown(text)]);
    expect([...documented].sort()).toEqual([...real].sort());
    for (const row of rows) expect(row.slice(3).join('').length).toBeGreaterThan(10);
  });

  test('docs/settings.md has every setting, as the code has it', () => {
    if (process.env['UPDATE_SETTINGS_TABLE']) updateSettings();
    const { rows } = readDocument('docs/settings.md').tables.find(({ columns }) => columns[0] === 'setting')!;
    expect(rows).toEqual(settingsTable());
  });

  test('docs/actionhero.md names what api has', async () => {
    const server = await createServer({
      actions: [],
      config: { servers: { web: { port: 0 } }, log: { level: 'silent' } },
    });
    await server.close();
    const names = tableWith('docs/actionhero.md', 'name').rows.flatMap(([cell = '']) => namesIn(cell));
    expect(names.length).toBeGreaterThan(15);
    const missing = names.filter((name) => valueAt({ api: server.api }, name.replace(/\(.*$/, '')) === undefined);
    expect(missing).toEqual([]);
  });

  test('docs/protocol.md has every method of the chat action, and every parameter', () => {
    const { rows } = tableWith('docs/protocol.md', 'method');
    const shape = chat.inputs.shape as Readonly<Record<string, z.ZodType>>;
    const methods = shape['method']?.description?.split(/, | or /) ?? [];
    expect(rows.flatMap(([method = '']) => namesIn(method)).sort()).toEqual([...methods].sort());
    const parameters = new Set(rows.flatMap(([, given = '']) => namesIn(given)));
    expect([...parameters, 'method'].sort()).toEqual(Object.keys(shape).sort());
  });

  test('docs/protocol.md has every verb of the sockets', () => {
    const { rows } = tableWith('docs/protocol.md', 'event');
    const kept = ['paramAdd', 'paramDelete', 'paramView', 'paramsView', 'paramsDelete'];
    const real = [...verbs.keys(), ...kept, 'resume', 'action', 'quit', 'exit'];
    expect(rows.flatMap(([event = '']) => namesIn(event)).sort()).toEqual(real.sort());
  });

  test('docs/operating.md has every metric, and its kind', async () => {
    const redis = { url: sharedRedis(), prefix: freshPrefix() };
    const server = await createServer({
      actions: [],
      config: { admin: { port: 0 }, redis, servers: { web: { port: 0 } }, log: { level: 'silent' } },
    });
    const text = await (await fetch(`${server.admin?.url ?? ''}metrics`)).text();
    await server.close();
    const real = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, kind]) => [name, kind]);
    const documented = tableWith('docs/operating.md', 'metric').rows.map(([name = '', kind]) => [
      namesIn(name)[0]?.replace(/\{.*$/, ''),
      kind,
    ]);
    expect(real.length).toBeGreaterThan(15);
    expect(documented.sort()).toEqual(real.sort());
  });

  test('a setting that a page names is one', () => {
    const sections = Object.keys(createConfig()).join('|');
    const written = pages.flatMap(({ page, text }) =>
      [...text.matchAll(new RegExp(`\`((?:${sections})\\.[\\w.]+)\``, 'g'))].map(([, name = '']) => `${page}: ${name}`),
    );
    const known = [...settings.keys()];
    const unknown = written.filter(
      (one) => !known.some((path) => path === one.split(': ')[1] || path.startsWith(`${one.split(': ')[1] ?? ''}.`)),
    );
    expect(unknown).toEqual([]);
    expect(written.length).toBeGreaterThan(10);
  });

  test('an error code that a page names is one', () => {
    const codes = new Set(Object.keys(errorCatalogue));
    const unknown = pages.flatMap(({ page, text }) =>
      [...text.matchAll(/code `(\w+)`|"code":"(\w+)"/g)]
        .map(([, one, other]) => one ?? other ?? '')
        .filter((code) => !codes.has(code))
        .map((code) => `${page}: ${code}`),
    );
    expect(unknown).toEqual([]);
  });
});

/** The pages' programs as modules with a project of their own, in a folder that git and the linters leave out. */
function writePrograms(): string {
  const folder = path.join(root, 'coverage/docs');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const programs = pages.flatMap(({ blocks }) => blocks).filter(({ language }) => language === 'ts');
  for (const { page, line, lines } of programs) {
    const name = `${page.replace(/\W+/g, '-')}-${line}.mts`;
    writeFileSync(path.join(folder, name), `${lines.join('\n')}\nexport {};\n`);
  }
  const paths = {
    earshot: [path.join(root, 'src/index.ts')],
    'earshot/client': [path.join(root, 'src/client/node.ts')],
  };
  // Without the browser's types, which take a second to read.
  const compilerOptions = { types: ['node'], lib: ['ES2023', 'ES2024.String'], paths };
  const project = { extends: '../../tsconfig.json', compilerOptions, include: ['*.mts'] };
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(project));
  return folder;
}

async function printedBy(child: ChildProcess): Promise<string> {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (more: string) => (text += more));
  child.stderr?.setEncoding('utf8').on('data', (more: string) => (text += more));
  await new Promise((resolve) => child.once('close', resolve));
  return text;
}

function tables(page: string): readonly Table[] {
  return pages.find((document) => document.page === page)!.tables;
}

function tableWith(page: string, column: string): Table {
  return tables(page).find(({ columns }) => columns[0] === column)!;
}

function updateSettings(): void {
  const file = path.join(root, 'docs/settings.md');
  const [before = ''] = readFileSync(file, 'utf8').split('\n| setting |');
  writeFileSync(file, `${before}\n${settingsMarkdown().join('\n')}\n`);
}

function valueAt(tree: object, name: string): unknown {
  return name.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], tree);
}

/** In the table, what fills a text is written so. */
function shown(text: string): string {
  return text.replace('%s', '…');
}
