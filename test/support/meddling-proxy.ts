/** What companies put between their people and the internet: a proxy that understands HTTP, and thinks it knows better. */
import { once } from 'node:events';
import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/**
 * `refuse`: upgrades are answered with an error. `swallow`: they are answered by nobody. `cut`: WebSockets open, and are cut
 * as soon as something is said over them.
 */
export type OnUpgrade = 'pass' | 'refuse' | 'swallow' | 'cut';

const proxies = new Set<MeddlingProxy>();

afterEach(async () => {
  await Promise.all([...proxies].map((proxy) => proxy.close()));
});

export class MeddlingProxy {
  onUpgrade: OnUpgrade = 'pass';
  /** Streams are collected until they end, which is never. */
  collects = false;
  /** Upgrades asked for so far. */
  upgrades = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(readonly target: number) {
    this.#server = createServer((near) => this.#accept(near));
  }

  static async to(port: number): Promise<MeddlingProxy> {
    const proxy = new MeddlingProxy(port);
    proxies.add(proxy);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    proxies.delete(this);
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(near: Socket): void {
    const far = createConnection({ port: this.target, host: '127.0.0.1' });
    let upgraded = false;
    let collecting = false;
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
    near.on('data', (piece) => {
      const asks = /^upgrade: websocket/im.test(piece.toString('latin1'));
      if (asks) this.upgrades += 1;
      if (asks && this.onUpgrade === 'refuse') near.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
      else if (upgraded && this.onUpgrade === 'cut') near.destroy();
      else if (!asks || this.onUpgrade !== 'swallow') far.write(piece);
      upgraded ||= asks;
    });
    far.on('data', (piece) => {
      collecting ||= this.collects && /^content-type: text\/event-stream/im.test(piece.toString('latin1'));
      if (!collecting) near.write(piece);
    });
  }
}
