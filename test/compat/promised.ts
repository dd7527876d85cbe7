/** Versions 6 and 8 of ActionHero's client for Node have the same methods. */
import type { Socket } from 'node:net';
import type { Emitter } from './ear';
import type { Answer, NodeClient } from './node-clients';

interface PromiseClient extends Emitter {
  id: string;
  connected: boolean | null;
  /** A net.Socket, or a tls one; version 8's types have another idea. */
  connection: unknown;
  connect(params: Readonly<Record<string, unknown>>): Promise<unknown>;
  disconnect(): Promise<void>;
  reconnect(): Promise<unknown>;
}

type Method = (...values: readonly unknown[]) => Promise<{ error: Error | null; data: unknown } | undefined>;

export function promised(client: PromiseClient): NodeClient {
  const socket = (): Socket => client.connection as Socket;
  return {
    client,
    socket,
    async connect(params) {
      await client.connect(params);
    },
    async ask(name, ...values): Promise<Answer> {
      const answer = await (client[name as keyof PromiseClient] as Method).call(client, ...values);
      // detailsView() gives the line itself, file() nothing, all others { error, data: the line, delta }.
      if (name === 'detailsView' || !answer) return { error: null, line: answer };
      return { error: answer.error, line: answer.data };
    },
    disconnect() {
      void client.disconnect();
    },
    stop() {
      client.reconnect = async () => {};
      client.connected = null;
      socket().destroy();
    },
  };
}
