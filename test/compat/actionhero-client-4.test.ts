/** npm's actionhero-client 4: callbacks over TCP, answers told apart by `messageCount`. */
import ActionheroClient from 'actionhero-client-4';
import { nodeClientTests } from './node-clients';
import type { Answer, NodeClient } from './node-clients';

type Method = (...values: readonly unknown[]) => void;

function create(): NodeClient {
  const client = new ActionheroClient();
  return {
    client,
    socket: () => client.connection,
    connect: (params) =>
      new Promise((resolve, reject) => {
        client.connect(params, (error) => (error ? reject(error) : resolve()));
      }),
    ask: (name, ...values) =>
      new Promise<Answer>((resolve) => {
        const method = client[name as keyof ActionheroClient] as Method;
        method.call(client, ...values, (error: Error | null, line: unknown) => resolve({ error, line }));
      }),
    disconnect: () => client.disconnect(),
    stop() {
      client.reconnect = () => {};
      client.connected = null;
      client.connection.destroy();
    },
  };
}

nodeClientTests({ create, pipelines: true, documentation: true });
