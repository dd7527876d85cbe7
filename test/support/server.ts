/** A whole server on free ports, with limits out of the way, closed after each test file's tests. */
import { actions } from '../../actions';
import type { ChatServerOptions } from '../../src/mounted-chat';
import { createServer, type ChatServer } from '../../src/server';
import type { SettingsInput } from '../../src/config';
import { KeptLog } from './logger';

const open = new Set<ChatServer>();

export interface ServerUnderTest extends ChatServer {
  readonly tcpPort: number;
  readonly log: KeptLog;
}

/** `actions` are served beside earshot's own. */
export interface ServerOptions extends Partial<Omit<ChatServerOptions, 'config'>> {
  readonly config?: SettingsInput;
}

/** HTTP chat and TCP on; rates off, as all clients of a test share an address. */
export async function startServer(options: ServerOptions = {}): Promise<ServerUnderTest> {
  const { config = {}, ...rest } = options;
  const log = new KeptLog();
  const server = await createServer({
    logger: log,
    ...rest,
    actions: [...actions, ...(rest.actions ?? [])],
    config: {
      ...config,
      commonWeb: { httpClientMessageTTL: 60_000, ...config.commonWeb },
      servers: {
        ...config.servers,
        web: { port: 0, ...config.servers?.web },
        socket: { enable: true, port: 0, ...config.servers?.socket },
      },
      limits: {
        saysPerSecond: 0,
        saysPerSecondPerAddress: 0,
        bytesPerSecondPerAddress: 0,
        joinsPerSecond: 0,
        joinsPerSecondPerAddress: 0,
        newClientsPerSecondPerAddress: 0,
        newRoomsPerSecondPerAddress: 0,
        ...config.limits,
      },
    },
  });
  open.add(server);
  return Object.assign(server, { url: server.url.replace(/\/$/, ''), tcpPort: server.tcp?.port ?? 0, log });
}

export async function stopServers(): Promise<void> {
  await Promise.all([...open].map((server) => server.close()));
  open.clear();
}

afterEach(stopServers);
