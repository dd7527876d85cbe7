/** Every setting there is, with its default and the reason for it. */
import { z } from 'zod';
import {
  atLeastOne,
  cookieName,
  count,
  filled,
  flag,
  host,
  hostHeader,
  keyPrefix,
  lease,
  listOf,
  logLevel,
  milliseconds,
  origin,
  port,
  rate,
  redisNode,
  redisUrl,
  room,
  secret,
  someOf,
  text,
  trustProxy,
} from './forms';

/** What `earshot config` and the log may not show of a setting: all of it, or the password inside an address. */
export type Mask = 'all' | 'password';

function setting<T extends z.ZodType>(form: T, fallback: z.output<T>, why: string, mask?: Mask): z.ZodDefault<T> {
  const withDefault = z._default(form, fallback as never);
  return withDefault.meta({ description: why, ...(mask && { mask }) });
}

export const schema = z.strictObject({
  general: z.strictObject({
    serverName: setting(filled, 'earshot', 'Who a message is from when the server itself speaks.'),
    welcomeMessage: setting(text, 'Welcome to earshot', 'First words to WebSocket and TCP clients.'),
    defaultChatRoom: setting(room.nullable(), 'defaultRoom', "Every client's first room; null for none."),
    startingChatRooms: setting(listOf(room, 'room names'), [], 'Rooms that are there from the start.'),
    createRoomsOnJoin: setting(flag, true, 'Joining makes the room; false: only rooms that were added exist.'),
    reconnectGrace: setting(count, 5000, 'How long (ms) a dropped client stays a member: a blink is no leave.'),
    nodeLease: setting(
      lease,
      15_000,
      'How long (ms) the members of a node that died stay: its lease on them, renewed three times in its course.',
    ),
    simultaneousActions: setting(atLeastOne, 5, 'Requests one client may have pending.'),
    echo: setting(flag, false, 'Speakers hear themselves without asking; off: a page shows what it sent at once.'),
    secret: setting(
      secret(32),
      null,
      'Keys the public ids and tokens; null: made once and kept in the store, so that all nodes share it.',
      'all',
    ),
  }),

  commonWeb: z.strictObject({
    httpClientMessageTTL: setting(
      milliseconds.nullable(),
      null,
      'How long (ms) an HTTP client that stays away keeps its place; null: no chat over HTTP, which is opt-in.',
    ),
    fingerprintOptions: z.strictObject({
      cookieKey: setting(cookieName, 'sessionID', "The session cookie's name."),
      onlyStaticElements: setting(
        flag,
        false,
        'Know cookie-less clients by address and headers; off: neighbours behind one router would be one client.',
      ),
    }),
    returnErrorCodes: setting(flag, true, 'HTTP status tells of errors; false: always 200, for very old clients.'),
    allowedOrigins: setting(listOf(origin, 'origins'), [], 'Sites whose pages may chat here; our own may.'),
    allowedHosts: setting(
      someOf(hostHeader, 'hosts'),
      null,
      'Host headers answered, against DNS rebinding; null: the loopback names, or any when not on loopback.',
    ),
    trustProxy: setting(
      trustProxy,
      0,
      'Proxies whose X-Forwarded-For is believed: how many, or which. 0: none, as anybody can write that header.',
    ),
  }),

  chat: z.strictObject({
    history: setting(
      count,
      0,
      'Messages of the past in one answer; by before a member reads all the log holds, from before its join too. 0: none.',
    ),
    maxLogLength: setting(atLeastOne, 10_000, 'Messages kept per room: bounds the memory of a busy one.'),
    messageTTL: setting(
      milliseconds.nullable(),
      null,
      'How long (ms) a message is kept; null: as httpClientMessageTTL, or 300000 when that is null too.',
    ),
    logKeep: setting(milliseconds, 86_400_000, 'How long (ms) an unheard room is remembered: quiet is not lost.'),
  }),

  redis: z.strictObject({
    url: setting(redisUrl.nullable(), null, 'The Redis that nodes share; null: memory, one process.', 'password'),
    nodes: setting(
      someOf(redisNode, 'Redis Cluster nodes'),
      null,
      'Nodes of a Redis Cluster, instead of url.',
      'password',
    ),
    sentinels: setting(
      someOf(redisNode, 'sentinels'),
      null,
      'Sentinels that know the primary, instead of url.',
      'password',
    ),
    name: setting(filled.nullable(), null, "The primary's name among the sentinels."),
    username: setting(filled.nullable(), null, 'Redis user: nodes found later have no URL to tell it.'),
    password: setting(filled.nullable(), null, 'Redis password; here it stays out of URLs.', 'all'),
    pubsub: setting(redisUrl.nullable(), null, 'Another Redis for wake-ups; null: the same.', 'password'),
    wakeOnly: setting(
      flag,
      false,
      'Wake-ups tell that something was said, not what: for a Redis in which others may publish; costs a read each.',
    ),
    prefix: setting(keyPrefix, 'earshot:', 'Begins every key and channel, as others may use this Redis.'),
    tls: z.strictObject({
      enable: setting(flag, false, 'TLS to nodes and sentinels; rediss:// says it by itself.'),
      ca: setting(filled.nullable(), null, "Who signs the Redis's certificate; null: whom Node trusts."),
      cert: setting(filled.nullable(), null, "This client's certificate, where Redis asks for one."),
      key: setting(filled.nullable(), null, 'Its key.', 'all'),
      servername: setting(host.nullable(), null, 'The name in its certificate, where it is not the host.'),
    }),
    waitReplicas: setting(count, 0, 'Replicas that must have a message before it is OK; 0: a failover may lose it.'),
  }),

  servers: z.strictObject({
    web: z.strictObject({
      host: setting(host, '127.0.0.1', 'Address to listen on; loopback until somebody decides otherwise.'),
      port: setting(port, 8080, 'HTTP port; 0: any free one.'),
      page: setting(flag, false, 'A page to chat with at /; off in an application, which has pages of its own.'),
    }),
    websocket: z.strictObject({
      enable: setting(flag, true, 'WebSocket upgrades on /chat/ and /primus.'),
    }),
    socket: z.strictObject({
      enable: setting(flag, false, 'The TCP server; off in an application that did not ask for a second port.'),
      host: setting(host.nullable(), null, 'Address of the TCP server; null: as servers.web.host.'),
      port: setting(port, 5000, 'TCP port; 0: any free one.'),
      tls: z.strictObject({
        cert: setting(filled.nullable(), null, 'Certificate of the TCP server; null: plain text.'),
        key: setting(filled.nullable(), null, 'Its key.', 'all'),
      }),
    }),
  }),

  /** Everywhere here 0 turns the limit off. */
  limits: z.strictObject({
    messageBytes: setting(count, 16_384, 'Size of a message: plenty for talk, too little for files.'),
    bodyBytes: setting(count, 65_536, 'Size of an HTTP body.'),
    frameBytes: setting(count, 65_536, "Size of a WebSocket message, against the library's own 100 MiB."),
    lineBytes: setting(count, 65_536, 'Size of a TCP line, and what may come without one.'),
    roomsPerClient: setting(count, 50, 'Rooms one client may hear, listened ones and the default room included.'),
    rooms: setting(count, 50_000, 'Rooms there may be, about: joining makes no more of them.'),
    memoryBytes: setting(
      count,
      268_435_456,
      'Bytes the store in memory may hold, about; Redis has its maxmemory for that.',
    ),
    parkedPollsPerClient: setting(count, 2, 'Waiting polls of one client per node; the oldest is answered empty.'),
    streamsPerClient: setting(count, 8, 'Streams of one client: more tabs than a browser opens to one host.'),
    connectionsPerAddress: setting(count, 1000, 'Connections of one address: an office behind one router fits.'),
    connections: setting(count, 20_000, 'Connections of this node: what its memory is sure to carry.'),
    saysPerSecond: setting(rate, 20, 'Messages of one client a second (twice as many at once): no flood.'),
    saysPerSecondPerAddress: setting(rate, 1000, 'Messages of one address a second, whatever clients it makes.'),
    bytesPerSecondPerAddress: setting(
      rate,
      262_144,
      'Bytes said from one address a second (eight times as many at once).',
    ),
    joinsPerSecond: setting(rate, 5, 'Joins of one client a second (ten times as many at once).'),
    joinsPerSecondPerAddress: setting(rate, 200, 'Joins of one address a second (ten times as many at once).'),
    newClientsPerSecondPerAddress: setting(rate, 50, 'New clients of one address (four times as many at once).'),
    newRoomsPerSecondPerAddress: setting(
      rate,
      0.5,
      'Rooms that clients of one address make by joining, a second (a thousand times as many at once).',
    ),
    bufferSoft: setting(count, 1_048_576, 'Bytes unsent to a peer at which we stop writing; it catches up later.'),
    bufferHard: setting(count, 4_194_304, 'Bytes unsent to a peer at which it is closed; it can resume.'),
    unsentPerAddress: setting(
      count,
      134_217_728,
      'Bytes unsent to all peers of one address; above, the worst are closed.',
    ),
    stuck: setting(count, 5000, 'How long (ms) a peer may take nothing before it is closed.'),
    handshake: setting(count, 10_000, 'How long (ms) a new connection may take to say what it wants.'),
    drain: setting(count, 30_000, 'How long (ms) a stop waits for what is under way: what orchestrators give.'),
    membersListed: setting(count, 1000, 'Members that one roomView lists; their count is always exact.'),
  }),

  log: z.strictObject({
    level: setting(logLevel, 'info', 'The least important lines that are logged.'),
  }),

  admin: z.strictObject({
    host: setting(host, '127.0.0.1', 'Address of the admin and metrics server.'),
    port: setting(port.nullable(), null, 'Its own port, out of reach of chatters; 0: any free one; null: none.'),
    token: setting(secret(16), null, 'Bearer token it asks for; null: none, which only loopback may have.', 'all'),
    publishToken: setting(
      secret(16),
      null,
      'Another bearer token, for services that publish and may do nothing else; null: only the admin publishes.',
      'all',
    ),
  }),
});

/** What the `earshot` command sets and a library does not: somebody who starts a chat server wants to chat at once. */
export const commandDefaults = {
  commonWeb: { httpClientMessageTTL: 300_000 },
  servers: { web: { page: true }, socket: { enable: true } },
} as const satisfies Partial<SettingsInput>;

/** Settings as a user writes them: any part of the tree, the rest is default. */
export type SettingsInput = DeepPartial<z.input<typeof schema>>;

/** Settings with every default in place, those that follow others not yet resolved. */
export type Settings = z.output<typeof schema>;

type DeepPartial<T> = T extends readonly unknown[]
  ? T | readonly T[number][]
  : T extends object
    ? { readonly [K in keyof T]?: DeepPartial<T[K]> | undefined }
    : T;
