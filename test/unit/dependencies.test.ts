/** What we let into our users' processes: few packages, none that runs at installation, none with a hole that we know. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

interface Locked {
  readonly version: string;
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly link?: boolean;
  readonly integrity?: string;
}

const root = path.join(__dirname, '../..');
const json = (file: string): unknown => JSON.parse(readFileSync(path.join(root, file), 'utf8'));
const { dependencies, allowScripts } = json('package.json') as {
  dependencies: Record<string, string>;
  allowScripts: Record<string, boolean>;
};
const { packages } = json('package-lock.json') as { packages: Record<string, Locked> };

const installed = Object.entries(packages)
  .filter(([place]) => place !== '')
  .map(([place, locked]) => ({ ...locked, name: place.slice(place.lastIndexOf('node_modules/') + 13) }));
const shipped = installed.filter(({ dev }) => dev !== true);

test('few packages are asked for, each for a reason', () => {
  expect(Object.keys(dependencies).sort()).toEqual([
    'cookie-parser',
    'express',
    'helmet',
    'ioredis',
    'pino',
    'prom-client',
    'proxy-addr',
    'ws',
    'zod',
  ]);
});

test('none of them runs anything when it is installed', () => {
  expect(shipped.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name)).toEqual([]);
  // Those that only our own tests and tools need would, and are told not to.
  const scripted = installed.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name);
  expect([...new Set(scripted)].sort()).toEqual(Object.keys(allowScripts).sort());
  expect(Object.values(allowScripts)).not.toContain(true);
});

test('each is the one that was looked at: by version and by what is in it', () => {
  expect(installed.filter(({ integrity, link }) => !integrity && !link).map(({ name }) => name)).toEqual([]);
});

test('none of them tells anybody that it is used', () => {
  expect(installed.map(({ name }) => name).filter((name) => /scarf|analytics|posthog/.test(name))).toEqual([]);
});

/**
 * Holes that a server like this one could be hurt by, and the first version without. What was found since this list was
 * last written only `npm run audit` can tell, which asks where it is known.
 */
const holes: readonly (readonly [name: string, mended: string, what: string])[] = [
  ['ws', '7.4.6', 'CVE-2021-32640: a header that takes long to read'],
  ['ws', '8.17.1', 'CVE-2024-37890: a request with many headers ends the process'],
  ['ws', '8.20.1', 'CVE-2026-45736: what close() does with memory'],
  ['ws', '8.21.0', 'CVE-2026-48779'],
  ['ws', '8.21.1', 'CVE-2026-62389: a message in endless fragments'],
  ['express', '4.20.0', 'CVE-2024-43796: redirect() writes what it was given into a page'],
  ['send', '0.19.0', 'CVE-2024-43799: the same'],
  ['serve-static', '1.16.0', 'CVE-2024-43800: the same'],
  ['path-to-regexp', '8.0.0', 'CVE-2024-45296: a path that takes long to match'],
  ['body-parser', '1.20.3', 'CVE-2024-45590: a body that takes long to read'],
  ['body-parser', '2.2.1', 'CVE-2025-13466: the same, when it is a form'],
  ['qs', '6.14.1', 'CVE-2025-15284: a list that is longer than allowed'],
  ['cookie', '0.7.0', 'CVE-2024-47764: a name that sets other fields'],
  ['debug', '4.4.3', 'CVE-2025-59144: 4.4.2 was published by a thief'],
  ['zod', '3.22.3', 'CVE-2023-4316: an address that takes long to check'],
];

test.each(holes)('%s is at least %s: %s', (name, mended) => {
  const found = shipped.filter((one) => one.name === name);
  expect(found.length).toBeGreaterThan(0);
  for (const { version } of found) expect([version, isAtLeast(version, mended)]).toEqual([version, true]);
});

function isAtLeast(version: string, least: string): boolean {
  const [have, want] = [version, least].map((text) => text.split('-')[0]!.split('.').map(Number)) as [
    number[],
    number[],
  ];
  for (const [index, part] of want.entries()) {
    if (have[index] !== part) return (have[index] ?? 0) > part;
  }
  return true;
}
