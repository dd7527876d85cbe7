/** A chat on its own ports: how it starts, and how it stops. */
import net from 'node:net';
import type http from 'node:http';
import { compose } from './compose';
import { certificateOf } from './config/pem';
import type { ChatServerOptions, MountedChat } from './mounted-chat';
import { isLoopback } from './core/network';
import { ChatError } from './protocol/errors';
import type { Api } from './api';
import { originsOf } from './transports/address';
import { Admission } from './transports/admission';
import { pageRouter } from './transports/http/pages';
import { sendError } from './transports/http/reply';
import { createApp, createExpressServer, refusal } from './transports/http/server';
import { TcpDoor } from './transports/tcp';

export interface ChatServer extends Omit<MountedChat, 'router' | 'apiRouter' | 'attach' | 'close'> {
  /** `http://127.0.0.1:8080/` */
  readonly url: string;
  readonly port: number;
  /** `127.0.0.1:5000`; null when there is no TCP server. */
  readonly tcp: { readonly host: string; readonly port: number } | null;
  /**
   * Takes nobody new, lets what is under way come to its end, then cuts off the rest.
   * @param graceMs at most this long; 0, the default, cuts off at once
   */
  close(graceMs?: number): Promise<void>;
}

/** A whole chat server on its own ports. Rejects with what keeps it from starting; nothing stays open then. */
export async function createServer(options: ChatServerOptions): Promise<ChatServer> {
  const composed = await compose(options);
  const { mounted, config, logger } = composed;
  const { counters } = composed.conversations.chat;
  const app = createApp();
  app.get('/livez', (_request, response) => {
    response.json({ live: true });
  });
  app.get('/readyz', async (_request, response) => {
    const health = await mounted.ready();
    response.status(health.ready ? 200 : 503).json(health);
  });
  // Only what is spelled otherwise than clients do (`/CHAT/`) gets here: see `direct`.
  app.use('/chat', mounted.router);
  app.use('/api', mounted.apiRouter);
  let tcp: ChatServer['tcp'] = null;
  if (config.servers.web.page) {
    // What the page shows of other ways in.
    app.get('/doors', (_request, response) => {
      const { host } = config.servers.socket;
      const tls = config.servers.socket.tls.cert !== null;
      response.json({ tcp: tcp && { port: tcp.port, tls, local: isLoopback(host) } });
    });
    app.use(pageRouter({ '/': 'chat' }));
  }
  app.use((request, response) => {
    const errors = { errorCodes: config.commonWeb.returnErrorCodes, counters };
    sendError(response, new ChatError('not_found', request.path), errors);
  });

  const { web, socket } = config.servers;
  const { connections, connectionsPerAddress, handshake, lineBytes } = config.limits;
  const { returnErrorCodes: errorCodes, trustProxy } = config.commonWeb;
  // Behind a proxy every connection comes from the proxy's address.
  const perAddress = trustProxy === 0 ? connectionsPerAddress : 0;
  const { unsentPerAddress } = config.limits;
  const admission = new Admission({ connections, unsentPerAddress }, counters);
  const httpLimits = { admission, connectionsPerAddress: perAddress, handshake, counters };
  const server = createExpressServer(app, httpLimits, composed.direct);
  mounted.attach(server);
  if (trustProxy !== 0) {
    const origins = originsOf(trustProxy);
    admission.guardForwarded(server, {
      perAddress: connectionsPerAddress,
      addressOf: (request) => origins.address(request),
      refuse: (response, error) => sendError(response, error, { errorCodes, counters }),
      farewell: refusal,
    });
  }
  let door: TcpDoor<Api> | undefined;
  composed.count('socket', () => door?.size ?? 0);

  const closeAll = async (): Promise<void> => {
    server.closeAllConnections();
    door?.terminate();
    await mounted.close();
  };
  let port: number;
  try {
    port = (await listen(server, web.port, web.host)).port;
    if (socket.enable) {
      const tls = certificateOf('servers.socket.tls', socket.tls);
      const { conversations } = composed;
      door = new TcpDoor({ ...conversations, lineBytes, admission, connectionsPerAddress, tls });
      tcp = { host: socket.host, port: (await door.listen(socket.port, socket.host)).port };
    }
  } catch (error) {
    server.close();
    await closeAll();
    throw error;
  }
  server.on('error', (error) => {
    logger.error({ err: error }, 'the HTTP server has a problem');
  });

  const host = web.host.includes(':') ? `[${web.host}]` : web.host;
  let closing: Promise<void> | undefined;
  return {
    url: `http://${host}:${String(port)}/`,
    port,
    tcp,
    admin: mounted.admin,
    api: mounted.api,
    config,
    ready: () => mounted.ready(),
    drain: (spreadMs) => {
      mounted.drain(spreadMs);
    },
    close: (graceMs = 0) => {
      closing ??= (async () => {
        mounted.drain(Math.min(graceMs / 2, 5000));
        door?.close();
        const notice = Math.min(NOTICED, graceMs / 4);
        // What a proxy has connected and we have not accepted would be cut with the port, so it stays open meanwhile.
        if (notice > 0 && (await connectionsOf(server)) > 0)
          await new Promise((resolve) => setTimeout(resolve, notice));
        // net's own close: http's would at once cut connections on which a proxy is about to send its next request.
        const closed = new Promise((resolve) => net.Server.prototype.close.call(server, resolve));
        await idle(server, closed, graceMs - notice);
        await closeAll();
        await closed;
      })();
      return closing;
    },
  };
}

async function listen(server: net.Server, port: number, host: string): Promise<net.AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return server.address() as net.AddressInfo;
}

/** ms in which a proxy that asks every other second has seen that we are not ready, and sends nobody any more. */
const NOTICED = 3000;

function connectionsOf(server: net.Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
}

/** Until the last connection is gone, or the grace is over; idle ones are closed. */
async function idle(server: http.Server, closed: Promise<unknown>, graceMs: number): Promise<void> {
  if (graceMs <= 0) return;
  server.closeIdleConnections();
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise((resolve) => {
    timer = setTimeout(resolve, graceMs);
  });
  const closeIdle = setInterval(
    () => {
      server.closeIdleConnections();
    },
    Math.min(1000, graceMs / 4),
  );
  await Promise.race([closed, over]);
  clearInterval(closeIdle);
  clearTimeout(timer);
}
