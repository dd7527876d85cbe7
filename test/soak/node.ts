/** The built `earshot` command as one node among several, with a link to Redis that can be broken. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { NodeAddress } from '../support/hop/hopper';
import { FaultProxy } from '../support/proxy';

const root = path.join(__dirname, '../..');
const LISTENING = /listening on http:\/\/127\.0\.0\.1:(\d+)\/ \(tcp 127\.0\.0\.1:(\d+)\)/;

/** What a node holds: bytes on the heap but for code, after a collection, and what keeps its event loop alive, by kind. */
export interface Holdings {
  readonly heap: number;
  readonly handles: Readonly<Record<string, number>>;
}

/** Short lives, so that what a soak leaves behind is seen to go; rates off, as all load comes from one address. */
const settings = {
  EARSHOT_COMMON_WEB_HTTP_CLIENT_MESSAGE_TTL: '30000',
  EARSHOT_CHAT_MESSAGE_TTL: '60000',
  EARSHOT_CHAT_MAX_LOG_LENGTH: '1000000',
  EARSHOT_CHAT_LOG_KEEP: '60000',
  EARSHOT_LIMITS_SAYS_PER_SECOND: '0',
  EARSHOT_LIMITS_SAYS_PER_SECOND_PER_ADDRESS: '0',
  EARSHOT_LIMITS_JOINS_PER_SECOND: '0',
  EARSHOT_LIMITS_JOINS_PER_SECOND_PER_ADDRESS: '0',
  EARSHOT_LIMITS_NEW_CLIENTS_PER_SECOND_PER_ADDRESS: '0',
  EARSHOT_LIMITS_DRAIN: '3000',
  EARSHOT_LOG_LEVEL: 'error',
};

/** No node outlives the soak, however that ends. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class SoakNode implements NodeAddress {
  readonly #ended: Promise<unknown>;

  private constructor(
    readonly proxy: FaultProxy,
    readonly port: number,
    readonly tcpPort: number,
    readonly child: ChildProcess,
  ) {
    this.#ended = once(child, 'exit');
  }

  static async start(redis: string): Promise<SoakNode> {
    const proxy = await FaultProxy.to(redis);
    const args = ['--port', '0', '--socket-port', '0', '--redis-url', proxy.url];
    const child = fork(path.join(root, 'dist/src/main.js'), args, {
      execArgv: ['--expose-gc', '--require', path.join(__dirname, 'probe.cjs')],
      env: { PATH: process.env['PATH'] ?? '', ...settings },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    running.add(child);
    child.once('exit', () => running.delete(child));
    const [port, tcpPort] = await new Promise<number[]>((resolve, reject) => {
      let text = '';
      child.stdout?.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
        const found = LISTENING.exec(text);
        if (found) resolve(found.slice(1).map(Number));
      });
      child.once('exit', () => reject(new Error(`a node did not start: ${text}`)));
    });
    return new SoakNode(proxy, port!, tcpPort!, child);
  }

  async holdings(): Promise<Holdings> {
    const answer = once(this.child, 'message');
    this.child.send('what do you hold?');
    const [holdings] = (await answer) as [Holdings];
    return holdings;
  }

  /** @param signal SIGTERM as a deployment does, SIGKILL as a crash */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.child.kill(signal);
    await this.#ended;
    await this.proxy.close();
  }
}
