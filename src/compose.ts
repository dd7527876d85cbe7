/** The composition root: settings in, a chat with its doors out, but for the ports. */
import { randomBytes } from 'node:crypto';
import { openAdmin, type AdminServer } from './admin/server';
import { Api } from './api';
import { createConfig, type Config, type SettingsInput } from './config';
import { pem } from './config/pem';
import { Actions } from './core/action';
import { Chat } from './core/chat';
import { Heartbeat } from './core/heartbeat';
import type { Logger } from './core/logger';
import { Rates } from './core/rate';
import { SharedRates } from './core/shared-rates';
import type { ChatSettings } from './core/settings';
import type { Store } from './core/store';
import { Tokens } from './core/tokens';
import { createLogger } from './logger';
import type { ChatServerOptions, MountedChat, MountedHandler } from './mounted-chat';
import { NodeStatus } from './node-status';
import { MemoryStore } from './store/memory-store';
import { RedisStore } from './store/redis/redis-store';
import { originsOf } from './transports/address';
import { Guard } from './transports/guard';
import { Identity } from './transports/http/identity';
import { Parking } from './transports/http/parking';
import { createRouters } from './transports/http/router';
import type { Direct } from './transports/http/server';
import { Streams } from './transports/http/streams';
import type { TcpDoor } from './transports/tcp';
import { WebSocketDoor } from './transports/websocket';

/** A chat, and what its ports are made of. */
export interface Composed {
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

export async function compose(options: ChatServerOptions): Promise<Composed> {
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
  const { pubsub, wakeOnly, prefix, waitReplicas, ...address } = redis;
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
    wakeOnly,
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
