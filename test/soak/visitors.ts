/** Clients that come, look into a room of their own making, and go or vanish: what they leave behind is what leaks. */
import { WebSocket } from 'ws';
import { newSession, request, type Nodes } from '../support/crowd';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Visitors {
  /** How many came. */
  count = 0;
  #coming = true;
  readonly #running: Promise<void>[];

  constructor(
    readonly nodes: Nodes,
    readonly random: () => number,
    atOnce: number,
  ) {
    this.#running = Array.from({ length: atOnce }, () => this.#on());
  }

  async end(): Promise<void> {
    this.#coming = false;
    await Promise.all(this.#running);
  }

  async #on(): Promise<void> {
    while (this.#coming) {
      this.count += 1;
      const room = `alcove:${String(this.count)}`;
      // A node may go while they are there: that is the visit's end.
      await (this.random() < 0.5 ? this.#poller(room) : this.#socket(room)).catch(() => undefined);
      await pause(this.random() * 400);
    }
  }

  async #poller(room: string): Promise<void> {
    const { session } = await newSession(this.nodes);
    for (const ask of [`roomAdd&room=${room}`, `say&room=${room}&message=hello`, 'messages&wait=1']) {
      await request(this.nodes(), 'GET', `/chat/?method=${ask}`, session);
    }
    if (this.random() < 0.5) await request(this.nodes(), 'GET', `/chat/?method=roomLeave&room=${room}`, session);
  }

  #socket(room: string): Promise<void> {
    return new Promise((resolve) => {
      const socket = new WebSocket(`${this.nodes().replace('http', 'ws')}/chat/`, { handshakeTimeout: 5000 });
      const timer = setTimeout(() => socket.terminate(), 300 + this.random() * 1000);
      socket.on('error', () => undefined);
      socket.on('open', () => {
        socket.send(JSON.stringify({ event: 'roomAdd', room }));
        socket.send(JSON.stringify({ event: 'listenToRoom', room: `${room}:door` }));
        if (this.random() < 0.5) socket.send(JSON.stringify({ event: 'quit' }));
      });
      socket.on('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
