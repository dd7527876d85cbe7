/** Settings that are right each by itself and cannot all be meant. */
import { isLoopback } from '../core/network';
import type { Settings } from './schema';

export interface Contradiction {
  /** The settings it is about: none of them is judged before each is right by itself. */
  readonly about: readonly string[];
  readonly holds: (settings: Settings) => boolean;
  readonly text: string;
}

type Place = 'url' | 'nodes' | 'sentinels';

const places = ['redis.url', 'redis.nodes', 'redis.sentinels'];

/** Whether there is a store that other processes see. */
export function hasRedis({ redis }: { readonly redis: Readonly<Record<Place, unknown>> }): boolean {
  return Boolean(redis.url ?? redis.nodes ?? redis.sentinels);
}

const carriers = ['bodyBytes', 'frameBytes', 'lineBytes'] as const;

export const contradictions: readonly Contradiction[] = [
  {
    about: places,
    holds: ({ redis }) => [redis.url, redis.nodes, redis.sentinels].filter((place) => place !== null).length > 1,
    text: 'more than one of redis.url, redis.nodes and redis.sentinels is set, and there is one store',
  },
  {
    about: ['redis.sentinels', 'redis.name'],
    holds: ({ redis }) => redis.sentinels !== null && redis.name === null,
    text: 'redis.sentinels needs redis.name: sentinels are asked for a primary by its name',
  },
  {
    about: ['redis.name', 'redis.sentinels'],
    holds: ({ redis }) => redis.sentinels === null && redis.name !== null,
    text: 'redis.name is a name among sentinels, and redis.sentinels is not set',
  },
  ...(['pubsub', 'wakeOnly', 'username', 'password', 'tls.enable', 'waitReplicas'] as const).map((name) => ({
    about: [`redis.${name}`, ...places],
    holds: (settings: Settings): boolean => {
      const { tls, ...redis } = settings.redis;
      return !hasRedis(settings) && Boolean(name === 'tls.enable' ? tls.enable : redis[name]);
    },
    text: `redis.${name} needs a Redis: redis.url, redis.nodes or redis.sentinels`,
  })),
  {
    about: ['redis.username', 'redis.password', 'redis.url'],
    holds: ({ redis }) => Boolean(redis.username ?? redis.password) && /\/\/[^/]*@/.test(redis.url ?? ''),
    text: 'redis.url names a user or a password, and so does redis.username or redis.password',
  },
  {
    about: ['redis.tls.ca', 'redis.tls.cert', 'redis.tls.key', 'redis.tls.servername', 'redis.tls.enable', ...places],
    holds: ({ redis: { tls, url, nodes, sentinels, pubsub } }) => {
      const { enable, ...details } = tls;
      const addresses = [url, pubsub, ...(nodes ?? []), ...(sentinels ?? [])];
      const inUse = enable || addresses.some((address) => address?.startsWith('rediss:'));
      return !inUse && Object.values(details).some((detail) => detail !== null);
    },
    text: 'redis.tls is described but not in use: redis.tls.enable is false and no address is rediss://',
  },
  ...(['redis.tls', 'servers.socket.tls'] as const).map((name) => ({
    about: [`${name}.cert`, `${name}.key`],
    holds: ({ redis, servers }: Settings): boolean => {
      const { cert, key } = name === 'redis.tls' ? redis.tls : servers.socket.tls;
      return (cert === null) !== (key === null);
    },
    text: `${name}.cert and ${name}.key need each other`,
  })),
  {
    about: ['commonWeb.allowedOrigins'],
    holds: ({ commonWeb: { allowedOrigins } }) => allowedOrigins.includes('*') && allowedOrigins.length > 1,
    text: 'commonWeb.allowedOrigins is * and names origins: * is all of them, without their cookies',
  },
  {
    about: ['limits.bufferSoft', 'limits.bufferHard'],
    holds: ({ limits: { bufferSoft, bufferHard } }) => bufferHard !== 0 && bufferHard < bufferSoft,
    text: 'limits.bufferHard is below limits.bufferSoft: peers would be closed before we stop writing to them',
  },
  ...carriers.map((carrier) => ({
    about: ['limits.messageBytes', `limits.${carrier}`],
    holds: ({ limits }: Settings): boolean => limits[carrier] !== 0 && limits.messageBytes > limits[carrier],
    text: `limits.messageBytes is above limits.${carrier}: such a message could not come in`,
  })),
  {
    about: ['chat.history', 'chat.maxLogLength'],
    holds: ({ chat }) => chat.history > chat.maxLogLength,
    text: 'chat.history is above chat.maxLogLength: no more than that is kept',
  },
  {
    about: ['chat.logKeep', 'chat.messageTTL', 'commonWeb.httpClientMessageTTL'],
    holds: (settings) => settings.chat.logKeep < messageTTL(settings),
    text: 'chat.logKeep is below the time that messages are kept: raise it, or a room is forgotten before its messages',
  },
  {
    about: [
      'servers.web.port',
      'servers.web.host',
      'servers.socket.port',
      'servers.socket.host',
      'servers.socket.enable',
    ],
    holds: ({ servers: { web, socket } }) =>
      socket.enable && collide(web, { port: socket.port, host: socket.host ?? web.host }),
    text: 'servers.web and servers.socket have the same port',
  },
  {
    about: ['admin.port', 'admin.host', 'servers.web.port', 'servers.web.host'],
    holds: ({ admin, servers }) => admin.port !== null && collide(servers.web, { port: admin.port, host: admin.host }),
    text: 'servers.web and admin have the same port',
  },
  {
    about: ['admin.port', 'admin.host', 'servers.socket.port', 'servers.socket.host', 'servers.socket.enable'],
    holds: ({ admin, servers: { web, socket } }) =>
      socket.enable &&
      admin.port !== null &&
      collide({ port: socket.port, host: socket.host ?? web.host }, { port: admin.port, host: admin.host }),
    text: 'servers.socket and admin have the same port',
  },
  {
    about: ['admin.port', 'admin.host', 'admin.token'],
    holds: ({ admin }) => admin.port !== null && admin.token === null && !isLoopback(admin.host),
    text: 'admin.host is not loopback and admin.token is not set: anybody on the network could administer',
  },
  {
    about: ['admin.token', 'admin.publishToken'],
    holds: ({ admin }) => admin.publishToken !== null && admin.token === null,
    text: 'admin.publishToken is set and admin.token is not: whoever has none could do more than who has one',
  },
  {
    about: ['admin.token', 'admin.publishToken'],
    holds: ({ admin }) => admin.publishToken !== null && admin.token === admin.publishToken,
    text: 'admin.publishToken is the same as admin.token: whoever may publish could administer',
  },
];

/** How long messages are kept: as long as the HTTP clients that may come back for them. */
export function messageTTL({ chat, commonWeb }: Settings): number {
  return chat.messageTTL ?? commonWeb.httpClientMessageTTL ?? 300_000;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

function collide(one: Address, other: Address): boolean {
  const everywhere = [one.host, other.host].some((host) => ['0.0.0.0', '::'].includes(host));
  return one.port !== 0 && one.port === other.port && (everywhere || one.host === other.host);
}
