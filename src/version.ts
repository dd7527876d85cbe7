/** Which release of earshot this is. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

/** As package.json says; `dist/` is one floor further from it than `src/` is. */
export function version(): string {
  for (const up of ['..', '../..']) {
    try {
      const text = readFileSync(path.join(__dirname, up, 'package.json'), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    } catch {
      continue;
    }
  }
  return 'unknown';
}
