/** Where a request really comes from: the peer's address, or what a trusted proxy says of it. */
import type { IncomingMessage } from 'node:http';
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
    address: (request) => (trust === 0 ? request.socket.remoteAddress : proxyaddr(request, trusts)) ?? '',
    secure: (request) => {
      if ((request.socket as Partial<TLSSocket>).encrypted) return true;
      const forwarded = request.headers['x-forwarded-proto'];
      const peer = request.socket.remoteAddress;
      return forwarded === 'https' && peer !== undefined && trusts(peer, 0);
    },
  };
}
