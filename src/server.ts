/** The composition root: settings in, a chat with its doors out; and how it starts and stops. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import type http from 'node:http';
import { openAdmin, type AdminServer } from './admin/server';
import { Api } from './api';
import { createConfig, type Config, type SettingsInput } from './config';
import { ChatError } from './protocol/errors';
import { Actions, type Action } from './core/action';
import { Chat } from './core/chat';
import { Heartbeat } from './core/heartbeat';
import type { Logger } from './core/logger';
import type { ChatMiddleware } from './core/middleware';
import { Rates } from './core/rate';
import { SharedRates } from './core/shared-rates';
import type { ChatSettings } from './core/settings';
import type { Store } from './core/store';
import { Tokens } from './core/tokens';
import { createLogger } from './logger';
import { NodeStatus } from './node-status';
import { MemoryStore } from './store/memory-store';
import { RedisStore } from './store/redis/redis-store';
import { originsOf } from './transports/address';
import { Admission } from './transports/admission';
import { Guard } from './transports/guard';
import { Identity } from './transports/http/identity';
import { pageRouter } from './transports/http/pages';
import { Parking } from './transports/http/parking';
import { sendError } from './transports/http/reply';
import { createRouters } from './transports/http/router';
import { createApp, createExpressServer, type Direct } from './transports/http/server';
import { Streams } from './transports/http/streams';
import { TcpDoor } from './transports/tcp';
import { WebSocketDoor } from './transports/websocket';

export interface ChatServerOptions {
  /** Settings, as far as they differ from the defaults (docs/settings.md). */
  readonly config?: SettingsInput | Config;
  readonly actions: readonly Action<Api>[];
  readonly middleware?: readonly ChatMiddleware[];
  /** By the settings: Redis where they name one, memory otherwise. It is opened and closed with the chat. */
  readonly store?: Store;
  /** pino on standard error by default. */
  readonly logger?: Logger;
}

/**
 * What an Express application's `app.use` takes. In Node's own types, so that who uses the package needs none of
 * Express's.
 */
export type MountedHandler = (
  request: http.IncomingMessage,
  response: http.ServerResponse,
  next: (error?: unknown) => void,
) => void;

/** A chat without a port of its own: for an application that has one. */
export interface MountedChat {
  /** For `app.use('/chat', …)`. */
  readonly router: MountedHandler;
  /** For `app.use('/api', …)`. */
  readonly apiRouter: MountedHandler;
  readonly api: Api;
  readonly config: Config;
  /** Where metrics and the operator's page are; null when `admin.port` is. */
  readonly admin: { readonly url: string; readonly port: number } | null;
  /** WebSockets on `/chat` and `/primus` of this server. */
  attach(server: http.Server): void;
  /** Ready to serve: the store answers, announcements arrive, and it is not going. */
  ready(): Promise<{ readonly ready: boolean; readonly reason: string }>;
  /** Polls are answered, streams and sockets end; nothing new waits from now on. */
  drain(spreadMs?: number): void;
  /** Ends everything it opened. Links that are still there are cut. */
  close(): Promise<void>;
}

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

/** Everything but the ports. Rejects with what keeps it from starting; nothing stays open then. */
export async function createChat(options: ChatServerOptions): Promise<MountedChat> {
  return (await compose(options)).mounted;
}

/** A whole chat server on its own ports. Rejects with what keeps it from starting; nothing stays open then. */
export async function createServer(options: ChatServerOptions): Promise<ChatServer> {
  const composed = await compose(options);
  const { mounted, config, logger } = composed;
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
      response.json({ tcp: tcp && { port: tcp.port, tls: config.servers.socket.tls.cert !== null } });
    });
    app.use(pageRouter({ '/': 'chat' }));
  }
  app.use((request, response) => {
    sendError(response, new ChatError('not_found', request.path), config.commonWeb.returnErrorCodes);
  });

  const { web, socket } = config.servers;
  const { connections, connectionsPerAddress, handshake, lineBytes } = config.limits;
  // Behind a proxy every connection comes from the proxy's address.
  const perAddress = config.commonWeb.trustProxy === 0 ? connectionsPerAddress : 0;
  const { unsentPerAddress } = config.limits;
  const admission = new Admission({ connections, unsentPerAddress });
  const httpLimits = { admission, connectionsPerAddress: perAddress, handshake };
  const server = createExpressServer(app, httpLimits, composed.direct);
  mounted.attach(server);
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

interface Composed {
  readonly mounted: MountedChat;
  readonly config: Config;
  readonly logger: Logger;
  readonly conversations: Omit<
    ConstructorParameters<typeof TcpDoor<Api>>[0],
    'lineBytes' | 'admission' | 'connectionsPerAddress' | 'tls'
  >;
  readonly direct: Direct;
  count(what: string, size: () => number): void;
}

async function compose(options: ChatServerOptions): Promise<Composed> {
  const config = isResolved(options.config) ? options.config : createConfig(options.config);
  const logger = options.logger ?? createLogger({ level: config.log.level });
  const store = options.store ?? createStore(config, logger);
  try {
    await store.open();
    return await composeOn(store, config, logger, options);
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function composeOn(store: Store, config: Config, logger: Logger, options: ChatServerOptions): Promise<Composed> {
  const proposed = config.general.secret ?? randomBytes(32).toString('base64url');
  const kept = await store.secret(proposed);
  if (config.general.secret !== null && kept.secret !== config.general.secret) {
    logger.warn({}, 'general.secret is not the one the store was made with: clients of before are strangers now');
  }
  const tokens = new Tokens(config.general.secret ?? kept.secret);
  const { middleware } = options;
  const chat = new Chat({
    store,
    tokens,
    settings: chatSettings(config),
    logger,
    ...(middleware ? { middleware } : {}),
  });

  const { commonWeb, limits, general } = config;
  const rates = new Rates(limits);
  const counts = new Map<string, () => number>();
  let draining = false;
  const isDraining = (): boolean => draining;
  const actions: Actions<Api> = new Actions(options.actions);
  const connections = (): Record<string, number> =>
    Object.fromEntries([...counts].map(([what, size]) => [what, size()]));
  const ready = async (): ReturnType<MountedChat['ready']> => {
    return draining ? { ready: false, reason: 'shutting down' } : store.health();
  };
  const api = new Api({ chat, config, logger, actions: () => actions, connections, health: ready });

  const origins = originsOf(commonWeb.trustProxy);
  const guard = new Guard({ allowedOrigins: commonWeb.allowedOrigins, allowedHosts: hostsOf(config, logger), origins });
  const { cookieKey, onlyStaticElements } = commonWeb.fingerprintOptions;
  const identity = new Identity({ chat, rates, origins, cookieKey, onlyStaticElements });
  const parking = new Parking(limits.parkedPollsPerClient);
  const streams = new Streams({ ...limits, perClient: limits.streamsPerClient });
  const routers = createRouters<Api>({
    actions,
    api,
    guard,
    identity,
    logger,
    parking,
    streams,
    bodyBytes: limits.bodyBytes,
    returnErrorCodes: commonWeb.returnErrorCodes,
    draining: isDraining,
  });
  const conversations = {
    chat,
    actions,
    api,
    rates,
    welcomeMessage: general.welcomeMessage,
    simultaneousActions: general.simultaneousActions,
    limits,
  };
  const webSockets = new WebSocketDoor<Api>({
    ...conversations,
    guard,
    origins,
    identity,
    frameBytes: limits.frameBytes,
    draining: isDraining,
  });
  counts.set('poll', () => parking.size);
  counts.set('stream', () => streams.size);
  counts.set('websocket', () => webSockets.size);
  const sharing = new SharedRates({ rates, store, logger });
  const status = new NodeStatus({ chat, connections, draining: isDraining });
  const heartbeat = new Heartbeat({ store, logger, node: chat.node, describe: () => status.beat() });
  await chat.open();
  const admin = await adminOf(chat, config, status, logger).catch(async (error: unknown) => {
    status.close();
    await chat.close();
    throw error;
  });
  sharing.start();
  heartbeat.start();

  const drain = (spreadMs = 0): void => {
    if (draining) return;
    draining = true;
    void heartbeat.beat();
    parking.close();
    streams.close();
    webSockets.close(spreadMs);
  };
  let closing: Promise<void> | undefined;
  const mounted: MountedChat = {
    // Express calls them with its own request and response, as they want.
    router: routers.chat as unknown as MountedHandler,
    apiRouter: routers.api as unknown as MountedHandler,
    api,
    config,
    admin,
    attach: (server) => {
      if (config.servers.websocket.enable) webSockets.attach(server, { native: '/chat', primus: '/primus' });
    },
    ready,
    drain,
    close: () => {
      closing ??= (async () => {
        drain();
        webSockets.terminate();
        sharing.close();
        admin?.close();
        heartbeat.close();
        status.close();
        await chat.close();
        await store.close();
      })();
      return closing;
    },
  };
  return {
    mounted,
    config,
    logger,
    conversations,
    direct: routers.direct,
    count: (what, size) => counts.set(what, size),
  };
}

function createStore(config: Config, logger: Logger): Store {
  const { messageTTL, maxLogLength, logKeep } = config.chat;
  const limits = { messageTTL, maxLogLength, logKeep };
  const { redis } = config;
  if (!redis.url && !redis.nodes && !redis.sentinels) {
    return new MemoryStore({ ...limits, bytes: config.limits.memoryBytes });
  }
  const { pubsub, prefix, waitReplicas, ...address } = redis;
  const tls = {
    ...address.tls,
    ca: pem('redis.tls.ca', address.tls.ca),
    cert: pem('redis.tls.cert', address.tls.cert),
    key: pem('redis.tls.key', address.tls.key),
  };
  const { username, password } = redis;
  return new RedisStore({
    redis: { ...address, tls },
    pubsub: pubsub === null ? null : { url: pubsub, username, password, tls },
    prefix,
    waitReplicas,
    limits,
    logger,
  });
}

function chatSettings({ general, commonWeb, chat, limits }: Config): ChatSettings {
  return {
    serverName: general.serverName,
    defaultRoom: general.defaultChatRoom,
    startingRooms: general.startingChatRooms,
    createRoomsOnJoin: general.createRoomsOnJoin,
    reconnectGrace: general.reconnectGrace,
    nodeLease: general.nodeLease,
    echo: general.echo,
    httpClientMessageTTL: commonWeb.httpClientMessageTTL,
    messageTTL: chat.messageTTL,
    history: chat.history,
    roomsPerClient: limits.roomsPerClient,
    rooms: limits.rooms,
    membersListed: limits.membersListed,
    messageBytes: limits.messageBytes,
  };
}

async function adminOf(chat: Chat, config: Config, status: NodeStatus, logger: Logger): Promise<AdminServer | null> {
  const { port, host } = config.admin;
  if (port === null) return null;
  const admin = await openAdmin({ chat, config, status, hosts: isLoopback(host) ? LOOPBACK : null });
  logger.info({ url: admin.url }, 'the admin port is open');
  return admin;
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/** Only what is bound to loopback knows by itself what it is called. */
function hostsOf({ commonWeb, servers }: Config, logger: Logger): readonly string[] | null {
  if (commonWeb.allowedHosts) return commonWeb.allowedHosts;
  const { host } = servers.web;
  if (isLoopback(host)) return LOOPBACK;
  logger.warn({ host }, 'commonWeb.allowedHosts is not set: requests for any host are answered');
  return null;
}

function isResolved(config: SettingsInput | Config | undefined): config is Config {
  return config !== undefined && Object.isFrozen(config);
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

function certificateOf(
  setting: string,
  { cert, key }: { readonly cert: string | null; readonly key: string | null },
): { readonly cert: string; readonly key: string } | null {
  const [certificate, secret] = [pem(`${setting}.cert`, cert), pem(`${setting}.key`, key)];
  return certificate === null || secret === null ? null : { cert: certificate, key: secret };
}

/** A PEM text, or the file that holds one. @throws Error naming the setting, when there is no such file */
function pem(setting: string, value: string | null): string | null {
  if (value === null || value.includes('-----BEGIN')) return value;
  try {
    return readFileSync(value, 'utf8');
  } catch (error) {
    throw new Error(`${setting}: ${(error as Error).message}`, { cause: error });
  }
}
