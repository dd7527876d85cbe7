/** The forms that settings take, each with the words that tell somebody how to write it right. */
import proxyaddr from 'proxy-addr';
import { z } from 'zod';
import { roomNameOrUndefined } from '../protocol/room';

export const flag = z.boolean('must be true or false');
export const text = z.string('must be text');
export const filled = text.min(1, 'must not be empty');

export function whole(least: number, most = Number.MAX_SAFE_INTEGER): z.ZodNumber {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  const must = `must be a whole number ${range}`;
  return z.number(must).int(must).min(least, must).max(most, must);
}

export function listOf<T extends z.ZodType>(item: T, items: string): z.ZodArray<T> {
  return z.array(item, `must be a list of ${items}`);
}

/** A list without which there is nothing to do: whoever wants none leaves the setting null. */
export function someOf<T extends z.ZodType>(item: T, items: string): z.ZodNullable<z.ZodArray<T>> {
  return listOf(item, items).min(1, 'must not be an empty list').nullable();
}

/** A secret that somebody guesses is none. */
export function secret(length: number): z.ZodNullable<z.ZodString> {
  return filled.min(length, `must have at least ${length} characters`).nullable();
}

export const port = whole(0, 65_535);
export const count = whole(0);
export const atLeastOne = whole(1);
export const milliseconds = whole(1);
/** In less than this a node may just be busy: its people would leave and come back. */
export const lease = whole(1000);
export const rate = z.number('must be a number of at least 0').min(0, 'must be a number of at least 0');

export const logLevel = z.enum(
  ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
  'must be fatal, error, warn, info, debug, trace or silent',
);

/** Kept in NFC, as rooms are everywhere. */
export const room = text.transform((value, context) => {
  const name = roomNameOrUndefined(value);
  if (name !== undefined) return name;
  context.addIssue("must be a room's name: 1 to 100 letters, digits and _ . : @ / # + ~ = -");
  return z.NEVER;
});

/** The chat's own cookies cannot be the session's as well. */
export const cookieName = matching(
  (value) => /^[\w!#$%&'*+.^`|~-]+$/.test(value) && !['__room', 'chatAck'].includes(value),
  "must be a cookie's name, other than __room and chatAck",
);

export const host = matching((value) => /^[^\s/@]+$/.test(value), "must be a host's name or address");

export const hostHeader = matching(
  (value) => parses(`http://${value}`, (url) => [url.host, `${url.hostname}:80`].includes(value.toLowerCase())),
  "must be a host as in a request's Host header, such as chat.example.com or localhost:8080",
);

/** `null`, the origin of any sandboxed page, is no URL and so never passes. */
export const origin = matching((value) => {
  const one = value.replace('://*.', '://any.');
  return value === '*' || (/^https?:[^*]+$/.test(one) && parses(one, (url) => url.origin === one));
}, 'must be an origin as browsers send it, such as https://example.com or https://*.example.com, or *');

const proxy = matching(
  (value) => isProxyList([value]),
  'must be an address, a CIDR range, loopback, linklocal or uniquelocal',
);

/** Express also takes `true`, which makes the leftmost X-Forwarded-For, written by the client, the client's address. */
export const trustProxy = z.union([count, z.array(proxy)], {
  error: ({ input }) =>
    String(input) === 'true'
      ? 'must not be true: whoever connects could then claim any address; ' +
        'say how many proxies are in front (1), or list their addresses (10.0.0.0/8, loopback)'
      : 'must be the number of proxies in front, or a list of their addresses',
});

export const redisUrl = matching(
  (value) =>
    value.startsWith('/') ||
    parses(value, ({ protocol, hostname, pathname }) =>
      protocol === 'unix:' ? pathname !== '' : ['redis:', 'rediss:'].includes(protocol) && hostname !== '',
    ),
  'must be redis://…, rediss://…, or a unix socket (/path or unix:///path)',
);

export const redisNode = matching(
  (value) => parses(/^rediss?:\/\//.test(value) ? value : `redis://${value}`, ({ hostname }) => hostname !== ''),
  'must be host:port, redis://… or rediss://…',
);

/** Braces would move a room's keys to other slots of a Redis Cluster, the rest are wildcards to `SCAN` and ACLs. */
export const keyPrefix = matching(
  (value) => /^[^\s{}*?[\]\\]{0,64}$/.test(value),
  'must be up to 64 characters, without spaces, braces, * ? [ ] and \\',
);

function matching(test: (value: string) => boolean, must: string): z.ZodString {
  return z.string(must).refine(test, must);
}

function parses(address: string, accept: (url: URL) => boolean): boolean {
  return URL.canParse(address) && accept(new URL(address));
}

function isProxyList(addresses: string[]): boolean {
  try {
    proxyaddr.compile(addresses);
    return true;
  } catch {
    return false;
  }
}
