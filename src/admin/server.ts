/** The admin port: metrics, the operator's page and what it works by, out of reach of those who chat. */
import type { AddressInfo } from 'node:net';
import type { Config } from '../config';
import type { Chat } from '../core/chat';
import type { NodeStatus } from '../node-status';
import { ChatError } from '../protocol/errors';
import { originsOf } from '../transports/address';
import { Admission } from '../transports/admission';
import { Guard } from '../transports/guard';
import { pageRouter } from '../transports/http/pages';
import { sendError } from '../transports/http/reply';
import { createApp, createExpressServer } from '../transports/http/server';
import { AdminKeys } from './keys';
import { Metrics } from './metrics';
import { adminRouter } from './routes';

export interface AdminOptions {
  readonly chat: Chat;
  readonly config: Config;
  readonly status: NodeStatus;
  /** Hosts that are answered; null: any. */
  readonly hosts: readonly string[] | null;
}

export interface AdminServer {
  /** `http://127.0.0.1:9100/` */
  readonly url: string;
  readonly port: number;
  close(): void;
}

const CONNECTIONS = 1000;

/** Listens where the settings say. Rejects when it cannot. */
export async function openAdmin(options: AdminOptions): Promise<AdminServer> {
  const { chat, config, status } = options;
  const { host, port, token, publishToken } = config.admin;
  const metrics = new Metrics(status);
  const guard = new Guard({ allowedOrigins: [], allowedHosts: options.hosts, origins: originsOf(0) });
  const app = createApp();
  app.use(adminRouter({ chat, config, guard, metrics, keys: new AdminKeys(token, publishToken) }));
  app.use(pageRouter({ '/': 'admin', '/vendor': 'vendor' }));
  app.use((request, response) => {
    sendError(response, new ChatError('not_found', request.path), { errorCodes: true });
  });

  const { handshake } = config.limits;
  const server = createExpressServer(app, {
    admission: new Admission({ connections: CONNECTIONS, unsentPerAddress: 0 }),
    connectionsPerAddress: 0,
    handshake,
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // Workers share the ports of the chat; each has an admin port of its own, as its numbers are its own.
    server.listen({ port: port ?? 0, host, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((error: unknown) => {
    metrics.close();
    throw error;
  });
  server.on('error', (error) => {
    chat.logger.error({ err: error }, 'the admin server has a problem');
  });
  const address = server.address() as AddressInfo;
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${name}:${String(address.port)}/`,
    port: address.port,
    close: () => {
      metrics.close();
      server.close();
      server.closeAllConnections();
    },
  };
}
