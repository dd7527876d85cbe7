/** What lives, and what would be collected. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
/** Frees what nobody can reach any more, now. */
export const collect = runInNewContext('gc') as () => void;

/** Bytes of objects and texts that are reachable. */
export function heapInUse(): number {
  collect();
  return process.memoryUsage().heapUsed;
}
