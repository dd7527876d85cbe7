/** Processes as the kernel sees them: the time they took and the memory they hold. */
import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts in hundredths of a second for user space, whatever its own clock. */
const TICKS = 100;

/** CPU seconds that the processes took since they began, in user space and in the kernel. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'latin1');
    // The name is in brackets and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS;
}

/** Bytes in memory. */
export function residentBytes(pids: readonly number[]): number {
  let bytes = 0;
  for (const pid of pids) {
    const status = readFileSync(`/proc/${String(pid)}/status`, 'latin1');
    bytes += Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
  }
  return bytes;
}

/** A process and its children, as nginx has them. */
export function family(pid: number): number[] {
  const pids = [pid];
  for (const task of readdirSync(`/proc/${String(pid)}/task`)) {
    const children = readFileSync(`/proc/${String(pid)}/task/${task}/children`, 'latin1');
    for (const child of children.split(' ')) if (child !== '') pids.push(...family(Number(child)));
  }
  return pids;
}
