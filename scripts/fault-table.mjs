/** Writes the figures of a run of the fault tests into the page's table: `node fault-table.mjs FIGURES PAGE`. */
import { readFileSync, writeFileSync } from 'node:fs';

const BEGIN = '<!-- the table of faults: made by scripts/fault-table.mjs -->';
const END = '<!-- the end of the table -->';
const COLUMNS = [
  'what breaks',
  'what is promised',
  'accepted',
  'missing',
  'doubled',
  'told',
  'nothing accepted for',
  'longest delay',
];

const [figures, page] = process.argv.slice(2);
/** A fault that was tried again is the later one. */
const rows = new Map(
  readFileSync(figures, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
    .map((row) => [row.fault, row]),
);

const seconds = (ms) => (ms === undefined ? '' : `${(ms / 1000).toFixed(1)} s`);
const cells = [...rows.values()].map((row) => [
  row.fault,
  row.expected,
  row.accepted ?? '',
  row.missing ?? '',
  row.doubled ?? '',
  [row.told, row.lost ? `${row.lost} lost` : '', row.more].filter(Boolean).join('; '),
  seconds(row.outage),
  seconds(row.delay),
]);
const lineOf = (parts) => `| ${parts.join(' | ')} |`;
const table = [COLUMNS, COLUMNS.map(() => '---'), ...cells].map(lineOf).join('\n');

const text = readFileSync(page, 'utf8');
const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
if (begin < 0 || end < begin) throw new Error(`${page} has no place for the table`);
writeFileSync(page, `${text.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${text.slice(end)}`);
