/** A proxy in front of nodes, with the configuration that deploy/ has for it. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from './documents';
import { eventually } from './eventually';

/** Where a node answers. */
export interface NodePorts {
  readonly port: number;
  readonly tcpPort: number;
}

interface Kind {
  readonly file: string;
  /** What the file has for its own ports, as it is written in the test. */
  readonly ports: (text: string, http: number, tcp: number) => string;
  readonly check: (file: string) => readonly string[];
  readonly run: (file: string, folder: string) => readonly string[];
  readonly passesTcp: boolean;
}

export const kinds = {
  nginx: {
    file: 'nginx.conf',
    ports: (text, http) => text.replace('listen 80;', `listen 127.0.0.1:${http};`),
    check: (file) => ['nginx', '-t', '-q', '-c', file],
    run: (file, folder) => [
      ...['nginx', '-c', file, '-p', folder],
      ...['-g', `daemon off; pid ${folder}/nginx.pid; error_log stderr crit;`],
    ],
    passesTcp: false,
  },
  haproxy: {
    file: 'haproxy.cfg',
    ports: (text, http, tcp) =>
      text.replace('bind :80\n', `bind 127.0.0.1:${http}\n`).replace('bind :5000\n', `bind 127.0.0.1:${tcp}\n`),
    check: (file) => ['haproxy', '-c', '-q', '-f', file],
    run: (file) => ['haproxy', '-db', '-f', file],
    passesTcp: true,
  },
  caddy: {
    file: 'Caddyfile',
    ports: (text, http) =>
      text.replace('grace_period', 'admin off\n\tgrace_period').replace(/^:80 /m, `http://127.0.0.1:${http} `),
    check: (file) => ['caddy', 'validate', '--adapter', 'caddyfile', '--config', file],
    run: (file) => ['caddy', 'run', '--adapter', 'caddyfile', '--config', file],
    passesTcp: false,
  },
} as const satisfies Record<string, Kind>;

export type FrontKind = keyof typeof kinds;

export function isInstalled(name: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin'];
  return folders.some((folder) => {
    try {
      execFileSync('test', ['-x', path.join(folder, name)]);
      return true;
    } catch {
      return false;
    }
  });
}

const open = new Set<Front>();

afterEach(async () => {
  await Promise.all([...open].map((front) => front.close()));
  open.clear();
});

export class Front {
  readonly #child: ChildProcess;

  private constructor(
    readonly name: FrontKind,
    readonly folder: string,
    readonly url: string,
    readonly tcpPort: number,
    command: readonly string[],
  ) {
    const [program = '', ...args] = command;
    // It dies with us, and what it keeps stays in its folder.
    this.#child = spawn('setpriv', ['--pdeathsig', 'TERM', program, ...args], {
      env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin`, HOME: folder },
      stdio: 'ignore',
    });
    open.add(this);
  }

  /**
   * Checks the configuration as its program does, starts it, and waits until it answers.
   * @param change what the test has otherwise
   */
  static async start(
    name: FrontKind,
    nodes: readonly [NodePorts, NodePorts],
    change = (text: string): string => text,
  ): Promise<Front> {
    const kind: Kind = kinds[name];
    const folder = mkdtempSync(path.join(tmpdir(), `earshot-${name}-`));
    const [http, tcp] = [await freePort(), await freePort()];
    let text = readFileSync(path.join(root, 'deploy', kind.file), 'utf8');
    for (const [index, { port, tcpPort }] of nodes.entries()) {
      text = text
        .replaceAll(`node${index + 1}:8080`, `127.0.0.1:${port}`)
        .replaceAll(`node${index + 1}:5000`, `127.0.0.1:${tcpPort}`);
    }
    text = kind.ports(change(text), http, tcp).replace('/dev/stdout', path.join(folder, 'access.log'));
    const file = path.join(folder, kind.file);
    writeFileSync(file, text);
    const [program = '', ...args] = kind.check(file);
    execFileSync(program, args, {
      env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin`, HOME: folder },
      stdio: 'pipe',
    });
    const front = new Front(name, folder, `http://127.0.0.1:${http}`, tcp, kind.run(file, folder));
    await eventually(() => front.#accepts(http), 20_000);
    return front;
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      // nginx takes its workers with it only when it is asked; the others may take their time when they are.
      this.#child.kill(this.name === 'nginx' ? 'SIGTERM' : 'SIGKILL');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #accepts(port: number): Promise<boolean> {
    if (this.#child.exitCode !== null) throw new Error(`the proxy ended with ${String(this.#child.exitCode)}`);
    const socket = net.connect(port, '127.0.0.1');
    const accepted = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    return accepted;
  }
}

export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
