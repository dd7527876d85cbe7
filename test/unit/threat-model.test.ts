/** docs/threat-model.md names for each threat a test, and there is one. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { namesIn, readDocument, root } from '../support/documents';

const page = readDocument('docs/threat-model.md');
const rows = page.tables.flatMap(({ rows }) => rows);
const named = rows.flatMap(([threat = '', , tests = '']) => {
  const names = namesIn(tests);
  return names.flatMap((file, index) => (index % 2 === 0 ? [[threat, file, names[index + 1] ?? ''] as const] : []));
});

test('every threat has what is done about it, and a test', () => {
  expect(rows.length).toBeGreaterThan(40);
  expect(rows.filter(([, done = '', tests = '']) => done.length < 10 || namesIn(tests).length === 0)).toEqual([]);
});

test.each(named)('%s: %s, %s', (_threat, file, title) => {
  expect([file, existsSync(path.join(root, file))]).toEqual([file, true]);
  expect(title.length).toBeGreaterThan(5);
  // In a text of the code's, not in a comment.
  const found = readFileSync(path.join(root, file), 'utf8')
    .split('\n')
    .map((line) => line.replaceAll("\\'", "'").trim())
    .some((line) => !/^(\/?\*|\/\/)/.test(line) && /['"`]/.test(line.slice(0, Math.max(0, line.indexOf(title)))));
  expect([file, title, found]).toEqual([file, title, true]);
});
