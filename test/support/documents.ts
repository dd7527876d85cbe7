/** The pages for users, taken apart: fenced blocks, tables, headings and links, each with its line. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const root = path.resolve(__dirname, '../..');

export interface Block {
  readonly page: string;
  /** The fence's own line; the text begins on the next one. */
  readonly line: number;
  readonly language: string;
  /** What follows the language: `ada`, `serve`, `file=earshot.config.json`. */
  readonly words: readonly string[];
  /** Why it is not run, where it says so: `not-run="needs a machine of its own"`. */
  readonly notRun: string | undefined;
  readonly lines: readonly string[];
  /** A `text` block is the output of the block before it. */
  readonly output: Block | undefined;
}

export interface Table {
  readonly page: string;
  readonly line: number;
  readonly heading: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Link {
  readonly line: number;
  readonly target: string;
}

export interface Document {
  /** From the root: `docs/protocol.md`. */
  readonly page: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  readonly tables: readonly Table[];
  readonly links: readonly Link[];
  /** Headings as GitHub names them in addresses. */
  readonly anchors: ReadonlySet<string>;
}

export function readDocument(page: string): Document {
  const text = readFileSync(path.join(root, page), 'utf8');
  const lines = text.split('\n');
  const blocks: Mutable<Block>[] = [];
  const prose: [number, string][] = [];

  for (let index = 0; index < lines.length; index += 1) {
    const fence = /^(`{3,})(.*)$/.exec(lines[index] ?? '');
    if (!fence) {
      prose.push([index + 1, lines[index] ?? '']);
      continue;
    }
    const end = lines.indexOf(fence[1] ?? '', index + 1);
    if (end < 0) throw new Error(`${page}:${index + 1}: this block has no end`);
    const { language, words, notRun } = infoOf(fence[2] ?? '');
    const block = { page, line: index + 1, language, words, notRun, lines: lines.slice(index + 1, end) };
    const before = blocks.at(-1);
    if (language === 'text' && before && notRun === undefined) before.output = { ...block, output: undefined };
    else blocks.push({ ...block, output: undefined });
    index = end;
  }
  return { page, text, blocks, tables: tablesIn(page, prose), links: linksIn(prose), anchors: anchorsIn(prose) };
}

/** What is wrong with a page's links, one text each. */
export function brokenLinks(document: Document): string[] {
  const problems: string[] = [];
  for (const { line, target } of document.links) {
    if (/^[a-z]+:/.test(target)) continue;
    const [name = '', anchor] = target.split('#');
    const page = name === '' ? document.page : path.posix.join(path.posix.dirname(document.page), name);
    const broken = (why: string): void => void problems.push(`${document.page}:${line}: ${target} ${why}`);
    if (!existsSync(path.join(root, page))) broken('is not there');
    else if (anchor !== undefined && !readDocument(page).anchors.has(anchor)) broken('has no such heading');
  }
  return problems;
}

/** Names in backticks in a cell: `` `room`, `key?` `` gives `room` and `key`. */
export function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name.replace(/\?$/, ''));
}

function infoOf(info: string): Pick<Block, 'language' | 'words' | 'notRun'> {
  const notRun = /not-run="([^"]*)"/.exec(info);
  const [language = '', ...words] = info
    .replace(notRun?.[0] ?? '', '')
    .trim()
    .split(/\s+/);
  return { language, words, notRun: notRun?.[1] };
}

function tablesIn(page: string, prose: readonly [number, string][]): Table[] {
  const tables: Mutable<Table>[] = [];
  let heading = '';
  let open: { table: Mutable<Table>; rows: string[][] } | undefined;
  for (const [line, text] of prose) {
    heading = /^#+ (.*)$/.exec(text)?.[1] ?? heading;
    if (!text.startsWith('|')) {
      open = undefined;
      continue;
    }
    const cells = cellsOf(text);
    if (!open) {
      const rows: string[][] = [];
      open = { table: { page, line, heading, columns: cells, rows }, rows };
      tables.push(open.table);
    } else if (!cells.every((cell) => /^:?-+:?$/.test(cell))) {
      open.rows.push(cells);
    }
  }
  return tables;
}

/** A `|` inside a cell is written `\|`. */
function cellsOf(line: string): string[] {
  const inner = line.trim().replace(/^\||\|$/g, '');
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
}

function linksIn(prose: readonly [number, string][]): Link[] {
  return prose.flatMap(([line, text]) => {
    const written = text.replace(/`[^`]*`/g, '');
    return [...written.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target = '']) => ({ line, target }));
  });
}

function anchorsIn(prose: readonly [number, string][]): Set<string> {
  const headings = prose.flatMap(([, text]) => /^#+ (.*)$/.exec(text)?.[1] ?? []);
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
