/** The runner's side of the load generator: starts it on core 1 and gives it jobs, one at a time. */
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import type { Job, Result } from './load/jobs';

const CORE = '1';

export class Generator {
  readonly #child: ChildProcess;

  constructor() {
    const file = path.join(__dirname, 'load/generator.ts');
    this.#child = spawn('taskset', ['-c', CORE, process.execPath, '--import', 'tsx', file], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
  }

  /** Rejects with what went wrong in the generator. */
  run<J extends Job>(job: J): Promise<Result<J>> {
    return new Promise((resolve, reject) => {
      const ended = (): void => {
        reject(new Error('the generator ended'));
      };
      this.#child.once('exit', ended);
      this.#child.once('message', ({ result, error }: { result: Result<J>; error?: string }) => {
        this.#child.off('exit', ended);
        if (error === undefined) resolve(result);
        else reject(new Error(error));
      });
      this.#child.send(job);
    });
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
