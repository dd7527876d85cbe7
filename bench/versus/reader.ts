/** One reader and one speaker on each system, as its documents say that one is written that loses nothing. */
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Target } from '../load/wire';

export interface Reader {
  readonly heard: string[];
  /** What it was told of a loss, in the system's words. */
  readonly told: string[];
  /** Its link ends, and it knows its place. */
  leave(): Promise<void>;
  /** It goes on at its place, on this node. */
  back(node: Target): Promise<void>;
}

export interface Speaker {
  say(text: string): Promise<void>;
  end(): void;
}

export interface System {
  reader(node: Target): Promise<Reader>;
  speaker(node: Target): Promise<Speaker>;
}

const ROOM = 'room0';
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const base = ({ port }: Target): string => `http://127.0.0.1:${String(port)}`;

/** Reads by requests that wait, one after the other, until it is told to leave. */
abstract class PollingReader implements Reader {
  readonly heard: string[] = [];
  readonly told: string[] = [];
  #stop: AbortController | undefined;
  #reading: Promise<void> = Promise.resolve();

  back(node: Target): Promise<void> {
    const stop = new AbortController();
    this.#stop = stop;
    this.#reading = this.#loop(node, stop.signal);
    return Promise.resolve();
  }

  async leave(): Promise<void> {
    this.#stop?.abort();
    await this.#reading;
  }

  /** One request. Rejects when it is aborted, or the node is gone. */
  protected abstract poll(node: Target, signal: AbortSignal): Promise<void>;

  async #loop(node: Target, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.poll(node, signal);
      } catch {
        await pause(10);
      }
    }
  }
}

interface Connected {
  readonly session: string;
}

async function ask(
  node: Target,
  method: string,
  more: object,
  session = 'none',
  signal?: AbortSignal,
): Promise<unknown> {
  const answer = await fetch(`${base(node)}/chat/`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${session}` },
    body: JSON.stringify({ method, ...more }),
    ...(signal ? { signal } : {}),
  });
  if (!answer.ok) throw new Error(`${method}: ${String(answer.status)}`);
  return answer.json();
}

class EarshotReader extends PollingReader {
  constructor(
    readonly session: string,
    public cursor: string,
  ) {
    super();
  }

  protected async poll(node: Target, signal: AbortSignal): Promise<void> {
    const {
      cursor,
      messages,
      gaps = [],
    } = (await ask(node, 'messages', { wait: 5, after: this.cursor }, this.session, signal)) as {
      cursor: string;
      messages: { message: string }[];
      gaps?: { reason: string; lost: number | null }[];
    };
    this.cursor = cursor;
    for (const { reason, lost } of gaps) this.told.push(`${reason}, ${String(lost)} lost`);
    this.heard.push(...messages.map(({ message }) => message));
  }
}

const earshot: System = {
  async reader(node) {
    const { session } = (await ask(node, 'connect', {})) as Connected;
    await ask(node, 'roomAdd', { room: ROOM }, session);
    const { details } = (await ask(node, 'detailsView', {}, session)) as { details: { cursor: string } };
    const reader = new EarshotReader(session, details.cursor);
    await reader.back(node);
    return reader;
  },
  async speaker(node) {
    const { session } = (await ask(node, 'connect', {})) as Connected;
    await ask(node, 'roomAdd', { room: ROOM }, session);
    return {
      say: async (message) => {
        await ask(node, 'say', { room: ROOM, message }, session);
      },
      end: () => undefined,
    };
  },
};

/** Long-polling, by the two headers that say where it is. */
class NchanReader extends PollingReader {
  #modified = '';
  #tag = '';

  protected async poll(node: Target, signal: AbortSignal): Promise<void> {
    const place = { 'If-Modified-Since': this.#modified, 'If-None-Match': this.#tag };
    const headers: Record<string, string> = this.#modified === '' ? {} : place;
    const answer = await fetch(`${base(node)}/poll/${ROOM}`, { headers, signal });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(String(answer.status));
    this.#modified = answer.headers.get('last-modified') ?? '';
    this.#tag = answer.headers.get('etag') ?? '';
    this.heard.push(text);
  }
}

const nchan: System = {
  async reader(node) {
    const reader = new NchanReader();
    await reader.back(node);
    // Its place is where the first message comes to it, so it has to be there by then.
    await pause(500);
    return reader;
  },
  speaker: (node) =>
    Promise.resolve({
      say: async (text) => {
        const { ok, status } = await fetch(`${base(node)}/pub/${ROOM}`, { method: 'POST', body: text });
        if (!ok) throw new Error(`publish: ${String(status)}`);
      },
      end: () => undefined,
    }),
};

interface ClientSocket {
  readonly recovered: boolean;
  readonly connected: boolean;
  readonly io: { uri: string; readonly engine: { close(): void } };
  on(event: string, listener: (...args: never[]) => void): void;
  once(event: string, listener: () => void): void;
  connect(): void;
  disconnect(): void;
  emitWithAck(event: string, ...args: unknown[]): Promise<unknown>;
}

const peers = createRequire(path.resolve(__dirname, '../peers/package.json'));

async function socketTo(node: Target): Promise<ClientSocket> {
  const { io } = peers('socket.io-client') as { io: (url: string, options: object) => ClientSocket };
  const socket = io(base(node), { reconnection: false, forceNew: true, transports: ['websocket'] });
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  return socket;
}

/** With connection state recovery: it comes back with the id and the offset that it had. */
class SocketIoReader implements Reader {
  readonly heard: string[] = [];
  readonly told: string[] = [];

  constructor(readonly socket: ClientSocket) {
    socket.on('message', (text: string) => this.heard.push(text));
  }

  async leave(): Promise<void> {
    if (!this.socket.connected) return;
    const gone = new Promise<void>((resolve) => this.socket.once('disconnect', resolve));
    // As a link that breaks: a socket that is told to disconnect is not recovered.
    this.socket.io.engine.close();
    await gone;
  }

  async back(node: Target): Promise<void> {
    const { socket } = this;
    socket.io.uri = base(node);
    const connected = new Promise<void>((resolve) => socket.once('connect', resolve));
    socket.connect();
    await connected;
    if (socket.recovered) return;
    this.told.push('not recovered');
    await socket.emitWithAck('join', ROOM);
  }
}

const socketIo: System = {
  async reader(node) {
    const socket = await socketTo(node);
    await socket.emitWithAck('join', ROOM);
    return new SocketIoReader(socket);
  },
  async speaker(node) {
    const socket = await socketTo(node);
    return {
      say: async (text) => {
        await socket.emitWithAck('say', ROOM, text);
      },
      end: () => {
        socket.disconnect();
      },
    };
  },
};

export const systems = { earshot, nchan, 'socketio-streams': socketIo } as const;
