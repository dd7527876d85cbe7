/**
 * Asks where holes are known about whether what we ship has any. Where that cannot be asked it says so and does not fail:
 * then only the list in test/unit/dependencies.test.ts was looked at.
 */
import { spawnSync } from 'node:child_process';

const { stdout, stderr } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8', timeout: 60_000 });
const report = parsed(stdout ?? '');

if (report?.metadata?.vulnerabilities === undefined) {
  const why = report?.message ?? report?.error?.summary ?? (stderr.trim().split('\n')[0] || 'no answer');
  console.log(`audit: NOT DONE, the advisories could not be asked for: ${why}`);
  console.log('audit: only the holes listed in test/unit/dependencies.test.ts are looked for, by npm test');
} else {
  const found = Object.values(report.vulnerabilities ?? {});
  for (const { name, severity, range } of found) console.log(`audit: ${name} ${range}: ${severity}`);
  console.log(`audit: done, ${found.length} of the packages that we ship have a known hole`);
  process.exitCode = found.length === 0 ? 0 : 1;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
