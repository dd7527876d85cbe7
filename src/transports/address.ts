/** Where a request really comes from: the peer's address, or what a trusted proxy says of it. */
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4, isIPv6 } from 'node:net';
import type { TLSSocket } from 'node:tls';
import proxyaddr from 'proxy-addr';

export type TrustProxy = number | readonly string[];

export interface Origins {
  address(request: IncomingMessage): string;
  /** The client speaks TLS, to us or to the proxy. */
  secure(request: IncomingMessage): boolean;
}

/** X-Forwarded-For is anybody's to write: only as many hops, or such addresses, are believed as the operator named. */
export function originsOf(trust: TrustProxy): Origins {
  const trusts =
    typeof trust === 'number' ? (_address: string, hop: number) => hop < trust : proxyaddr.compile([...trust]);
  return {
    address: (request) => (trust === 0 ? (request.socket.remoteAddress ?? '') : toldAddress(request, trusts)),
    secure: (request) => {
      if ((request.socket as Partial<TLSSocket>).encrypted) return true;
      const forwarded = request.headers['x-forwarded-proto'];
      const peer = request.socket.remoteAddress;
      return forwarded === 'https' && peer !== undefined && trusts(peer, 0);
    },
  };
}

/** The first that is not trusted, seen from here, or the last one that can be told. */
function toldAddress(request: IncomingMessage, trusts: (address: string, hop: number) => boolean): string {
  let address = request.socket.remoteAddress ?? '';
  const told = request.headers['x-forwarded-for'];
  // Node makes one text of several headers.
  const entries = typeof told === 'string' ? told.split(',').reverse() : [];
  for (const [hop, entry] of entries.entries()) {
    if (!trusts(address, hop)) break;
    const next = plainAddress(entry.trim());
    // `unknown`, `_hidden`, nothing at all: who wrote what stands before it, nobody can say.
    if (next === undefined) break;
    address = next;
  }
  return address;
}

/** Some proxies add the client's port. */
function plainAddress(entry: string): string | undefined {
  if (isIP(entry) !== 0) return entry;
  const [, v4 = '', v6 = ''] = /^(?:([\d.]+):\d+|\[([^\]]+)\](?::\d+)?)$/.exec(entry) ?? [];
  if (isIPv4(v4)) return v4;
  return isIPv6(v6) ? v6 : undefined;
}
