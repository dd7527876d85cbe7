/** The other end of a socket, as what goes on over it sees it. */
import type { ChatError } from '../protocol/errors';
import type { SocketLink } from './link';
import type { SocketRequest } from './request';
import type { Credential } from './resume';

/** How answers look on this kind of socket. */
export interface Dialect {
  readonly type: 'websocket' | 'socket';
  /** An error that a verb was answered with. */
  readonly errorOf: (error: ChatError, request: SocketRequest) => object;
}

/** The other end, and how to be rid of it. */
export interface SocketPeer {
  readonly link: SocketLink;
  readonly dialect: Dialect;
  readonly remoteIP: string;
  readonly remotePort: number;
  /** Who the handshake's cookie says it is. */
  readonly cookie: Credential | undefined;
  /** The client asked to go, and all its answers are out. */
  goodbye(): void;
  /** Reading stops or goes on, when more is asked than is answered. */
  pause(paused: boolean): void;
}
