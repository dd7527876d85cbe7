/** How many files, which every connection is one of, this process may have open. */
import { readFileSync } from 'node:fs';

const SOFT = /^Max open files +(\d+)/m;

/** Undefined where it cannot be told: only Linux says. Node has raised it to the hard limit by then. */
export function openFilesLimit(): number | undefined {
  let limits: string;
  try {
    limits = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return undefined;
  }
  const [, most] = SOFT.exec(limits) ?? [];
  return most === undefined ? undefined : Number(most);
}
