/** A link that a test can break in every way that a link breaks: cut, deaf, half open, slow. */
import {
  createConnection,
  createServer,
  type AddressInfo,
  type NetConnectOpts,
  type Server,
  type Socket,
} from 'node:net';
import { once } from 'node:events';

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  asks: boolean;
  answers: boolean;
  /** How it began, which for our links to Redis says what it is for. */
  opening: string;
}

/** Of announcements, in RESP2 and RESP3, sharded or not. */
const ANNOUNCED = /\r\ns?message\r\n/;

const proxies = new Set<FaultProxy>();

/** To be called in `afterEach`. */
export async function closeProxies(): Promise<void> {
  await Promise.all([...proxies].map((proxy) => proxy.close()));
}

export class FaultProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  /** Whether links made now carry what is asked, and what is answered. */
  #asks = true;
  #answers = true;
  #refusing = false;
  /** Nothing goes through links that began so. */
  #hole: string | undefined;
  #mute = false;
  #delay = 0;
  /** Links made so far. */
  links = 0;

  private constructor(readonly target: NetConnectOpts) {
    this.#server = createServer((near) => this.#accept(near));
  }

  /** @param target a unix socket's path, or a port of this machine */
  static async to(target: string | number): Promise<FaultProxy> {
    const options = typeof target === 'string' ? { path: target } : { host: '127.0.0.1', port: target };
    const proxy = new FaultProxy(options);
    proxies.add(proxy);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Breaks the links there are; new ones are made as before. */
  cut(): void {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  /** What is asked arrives, what is answered does not: it was done, and nobody knows. */
  deafen(): void {
    this.#answers = false;
    for (const pair of this.#pairs) pair.answers = false;
  }

  /**
   * Nothing goes through in either direction, and nobody is told: as a cable pulled out, or a firewall's silent drop.
   * @param opening only of links that began with this, `earshot-announcements`
   */
  halfOpen(opening = ''): void {
    this.#hole = opening;
    for (const pair of this.#pairs) this.#swallow(pair);
  }

  /** What is published does not arrive, everything else does. */
  mute(): void {
    this.#mute = true;
  }

  /** Each piece comes that much later, in order. */
  slow(ms: number): void {
    this.#delay = ms;
  }

  /** As a server that is down: what there is breaks, and nothing new is made. */
  down(): void {
    this.#refusing = true;
    this.cut();
  }

  /** Links made from now on are sound. TCP loses no bytes in the middle, so a link that swallowed some stays as it is. */
  heal(): void {
    this.#asks = this.#answers = true;
    this.#refusing = this.#mute = false;
    this.#hole = undefined;
    this.#delay = 0;
  }

  async close(): Promise<void> {
    proxies.delete(this);
    this.cut();
    if (this.#server.listening) {
      this.#server.close();
      await once(this.#server, 'close');
    }
  }

  #accept(near: Socket): void {
    if (this.#refusing) {
      near.destroy();
      return;
    }
    this.links += 1;
    const far = createConnection(this.target);
    const pair: Pair = { near, far, asks: this.#asks, answers: this.#answers, opening: '' };
    this.#pairs.add(pair);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#pairs.delete(pair);
        to.destroy();
      });
    }
    near.on('data', (piece) => {
      if (pair.opening.length < 1000) pair.opening += piece.toString('latin1');
      this.#swallow(pair);
      if (pair.asks) this.#pass(piece, far);
    });
    far.on('data', (piece) => {
      if (this.#mute && ANNOUNCED.test(piece.toString('latin1'))) return;
      if (pair.answers) this.#pass(piece, near);
    });
  }

  /** A link that swallowed something stays as it is. */
  #swallow(pair: Pair): void {
    if (this.#hole !== undefined && pair.opening.includes(this.#hole)) pair.asks = pair.answers = false;
  }

  #pass(piece: Buffer, to: Socket): void {
    if (this.#delay === 0) to.write(piece);
    else setTimeout(() => to.destroyed || to.write(piece), this.#delay);
  }
}
