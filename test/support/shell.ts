/** Commands as a reader of the pages types them: run to their end, or left running in a terminal of their own. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { Inbox } from './inbox';

export interface ShellOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A program that goes on while others run. It has a process group, so that all it started goes with it. */
export class Terminal {
  readonly inbox: Inbox<string>;
  /** How it ended: its exit code, and what it complained of. */
  readonly ended: Promise<{ readonly code: number | null; readonly errors: string }>;
  readonly #child: ChildProcessWithoutNullStreams;

  constructor(command: string, { cwd, env }: ShellOptions) {
    this.inbox = new Inbox(`line printed by ${command}`);
    this.#child = spawn('bash', ['-o', 'pipefail', '-c', command], {
      cwd,
      env: { ...process.env, ...env },
      detached: true,
    });
    let rest = '';
    let errors = '';
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split(/\r?\n/);
      rest = lines.pop() ?? '';
      for (const line of lines) this.inbox.put(line);
    });
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    // It may have ended before it has read all that is typed.
    this.#child.stdin.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      this.#child.on('close', (code) => {
        if (rest !== '') this.inbox.put(rest);
        this.inbox.end(`it ended with code ${code ?? 'none'}: ${errors.slice(-500)}`);
        resolve({ code, errors });
      });
    });
  }

  type(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** As Ctrl-C and a closed window together. */
  async close(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid !== undefined && exitCode === null && signalCode === null) {
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        // It has just gone by itself.
      }
    }
    await this.ended;
  }
}

const PATIENCE = 15_000;

/** Runs a command to its end; what it printed, by line. @throws when it fails, or goes on for ever */
export async function run(command: string, options: ShellOptions): Promise<readonly string[]> {
  const terminal = new Terminal(command, options);
  const timer = setTimeout(() => void terminal.close(), PATIENCE);
  const { code, errors } = await terminal.ended;
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${command}\nended with code ${code ?? 'none'}: ${errors.slice(-500)}`);
  return terminal.inbox.all;
}
