/** The load generator: a process of its own that does one job at a time, as it is told over its channel. */
import { ask } from './ask';
import type { HoldJob, HoldResult, Job } from './jobs';
import { storm } from './storm';
import { inTurns, talk } from './talk';
import type { Link } from './wire';
import { wires } from './wires';

let held: Link[] = [];

async function hold(job: HoldJob): Promise<HoldResult> {
  const wire = wires[job.wire]();
  const began = performance.now();
  await inTurns(job.clients, 100, async () => {
    held.push(await wire(job.target, job.room, () => undefined));
  });
  return { held: job.clients, seconds: (performance.now() - began) / 1000 };
}

function release(): null {
  for (const link of held) link.close();
  held = [];
  return null;
}

function perform(job: Job): unknown {
  switch (job.kind) {
    case 'talk':
      return talk(job);
    case 'ask':
      return ask(job);
    case 'hold':
      return hold(job);
    case 'release':
      return release();
    case 'storm':
      return storm(job);
  }
}

process.on('message', (job: Job) => {
  Promise.resolve()
    .then(() => perform(job))
    .then(
      (result) => process.send?.({ result }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? error.stack : String(error) }),
    );
});
// Whoever started us is gone.
process.on('disconnect', () => process.exit());
