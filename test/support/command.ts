/** The `earshot` command as a process, in a folder and an environment of its own. */
import { execFileSync, spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { eventually } from './eventually';
import { programFile } from './program';

const GREETING = /^earshot listening on (http:\/\/127\.0\.0\.1:(\d+)\/)(?: \(tcp 127\.0\.0\.1:(\d+)\))?\n/;

let folder: string;
const running = new Set<Command>();

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'earshot-command-'));
});
afterEach(async () => {
  await Promise.all([...running].map((command) => command.kill()));
  running.clear();
  rmSync(folder, { recursive: true, force: true });
});

/** The folder that every command of this test runs in. */
export function commandFolder(): string {
  return folder;
}

export interface Listening {
  readonly url: string;
  readonly port: number;
  readonly tcpPort: number;
}

export class Command {
  stdout = '';
  stderr = '';
  /** The code it ended with, or the signal. */
  readonly ended: Promise<number | string | null>;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(process.execPath, [programFile(), ...args], {
      cwd: folder,
      // Nothing of ours: a PORT or a REDIS_URL out here would be a setting in there.
      env: { PATH: process.env['PATH'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.ended = once(this.#child, 'close').then(([code, signal]) => (code ?? signal) as number | string | null);
    running.add(this);
  }

  /** Runs it to its end. */
  static async run(...args: readonly string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
    const command = new Command(args);
    const code = await command.ended;
    return { code, stdout: command.stdout, stderr: command.stderr };
  }

  /** Its addresses, once it has said that it listens. */
  async listening(): Promise<Listening> {
    const found = await Promise.race([
      eventually(() => GREETING.exec(this.stdout), 20_000),
      this.ended.then((code) => {
        throw new Error(`it ended with ${String(code)}: ${this.stderr}`);
      }),
    ]);
    const [, url = '', port, tcpPort] = found;
    return { url: url.replace(/\/$/, ''), port: Number(port), tcpPort: Number(tcpPort) };
  }

  /** The processes that it has started and that are still there. */
  children(): readonly number[] {
    const pid = String(this.#child.pid);
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  }

  /** Of memory, as the kernel counts it. */
  get residentBytes(): number {
    const pages = readFileSync(`/proc/${String(this.#child.pid)}/statm`, 'utf8').split(' ')[1];
    return Number(pages) * 4096;
  }

  /** Sockets included. */
  get openFiles(): number {
    return readdirSync(`/proc/${String(this.#child.pid)}/fd`).length;
  }

  /** Files that it may open besides those that it has open now. */
  leaveFiles(count: number): void {
    execFileSync('prlimit', ['--pid', String(this.#child.pid), `--nofile=${String(this.openFiles + count)}:`]);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}
