/** Somebody who only wants to chat while a server is attacked: says and hears by every way, and measures how long it takes. */
import { TcpClient, WsClient } from './clients';
import { HttpClient } from './http-client';

export class GoodClient {
  /** ms from saying to hearing, over all ways. */
  readonly latencies: number[] = [];
  #running: Promise<void> | undefined;
  #stop = false;
  #failure: unknown;

  private constructor(
    readonly ways: readonly { say(message: string): Promise<unknown> }[],
    readonly ears: readonly (WsClient | TcpClient | HttpClient)[],
  ) {}

  static async meet(server: { readonly url: string; readonly tcpPort: number }): Promise<GoodClient> {
    const http = new HttpClient(server.url);
    await http.id();
    await http.stream('sse');
    const [ws, tcp] = [await WsClient.connect(server.url), await TcpClient.connect(server.tcpPort)];
    return new GoodClient([http, ws, tcp], [http, ws, tcp]);
  }

  /** Says by one after the other, and waits until both others have heard it, again and again: below anybody's rate. */
  start(everyMs = 30): void {
    this.#running = (async () => {
      for (let nth = 0; !this.#stop; nth += 1) {
        await this.once(nth);
        await new Promise((resolve) => setTimeout(resolve, everyMs));
      }
    })().catch((error: unknown) => {
      this.#failure = error;
    });
  }

  async once(nth: number): Promise<void> {
    const speaker = nth % this.ways.length;
    const message = `good ${nth}`;
    const began = performance.now();
    await this.ways[speaker]!.say(message);
    const listeners = this.ears.filter((_, index) => index !== speaker);
    await Promise.all(listeners.map((ear) => ear.heard.next((heard) => heard.message === message)));
    this.latencies.push(performance.now() - began);
  }

  /** Fails when it was ever not served. Answers what it measured, for people. */
  async stop(): Promise<{ readonly count: number; readonly p50: number; readonly p99: number; readonly most: number }> {
    this.#stop = true;
    await this.#running;
    if (this.#failure) throw this.#failure as Error;
    const sorted = [...this.latencies].sort((a, b) => a - b);
    const at = (share: number): number =>
      Math.round((sorted[Math.floor((sorted.length - 1) * share)] ?? NaN) * 10) / 10;
    return { count: sorted.length, p50: at(0.5), p99: at(0.99), most: at(1) };
  }
}
