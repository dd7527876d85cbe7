/** A redis-server as a process that dies with the tests, whatever ends them. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

export class RedisProcess {
  private constructor(readonly child: ChildProcess) {}

  /** @param ready what it says once it serves, in lower case */
  static async start(options: readonly string[], ready = 'ready to accept connections'): Promise<RedisProcess> {
    const program = process.env['TEST_REDIS_SERVER'] ?? 'redis-server';
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...options], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await new Promise<void>((resolve, reject) => {
      let output = '';
      child.once('exit', () => reject(new Error(`redis-server did not start:\n${output}`)));
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        if (output.length < 10_000) output += text;
        if (output.toLowerCase().includes(ready)) resolve();
      });
    });
    child.removeAllListeners('exit');
    return new RedisProcess(child);
  }

  /** Answers nothing, keeps its links: as a machine that swaps. */
  pause(): void {
    this.child.kill('SIGSTOP');
  }

  resume(): void {
    this.child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

/** Ports that were free a moment ago: Sentinel and Cluster tell each other theirs, so they cannot be left to choose. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
