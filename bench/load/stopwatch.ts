/** How long a run is: until the servers have worked for so long, because only that says how warm their code is. */
import { cpuSeconds } from '../processes';

export interface Span {
  /** s of CPU that the servers are to work before anything counts, and while it counts. */
  readonly warm: number;
  readonly measure: number;
}

export interface Measured {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Of the generator's one core; near 1 it was what limits. */
  readonly generatorLoad: number;
}

/** Times the wanted CPU seconds that a span may take: a server that mostly waits is measured for a while all the same. */
const PATIENCE = 12;

/** Calls `begin` when it counts; resolves when enough was measured. */
export async function measure(pids: readonly number[], span: Span, begin: () => void): Promise<Measured> {
  await worked(pids, span.warm);
  begin();
  const began = performance.now();
  const cpuBefore = cpuSeconds(pids);
  const own = process.cpuUsage();
  await worked(pids, span.measure);
  const seconds = (performance.now() - began) / 1000;
  const used = process.cpuUsage(own);
  return {
    seconds,
    cpuSeconds: cpuSeconds(pids) - cpuBefore,
    generatorLoad: (used.user + used.system) / 1e6 / seconds,
  };
}

async function worked(pids: readonly number[], seconds: number): Promise<void> {
  const until = performance.now() + seconds * PATIENCE * 1000;
  const before = cpuSeconds(pids);
  while (cpuSeconds(pids) - before < seconds && performance.now() < until) await sleep(20);
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
