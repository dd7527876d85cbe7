/** What users of the client see: its options, and its events. */
import type { Gap, Message } from '../protocol/message';
import type { BackoffOptions } from './backoff';
import type { ChatError } from './errors';

export type { Gap, GapReason, Message } from '../protocol/message';

/** Ways to hear, the best first. */
export type LinkKind = 'websocket' | 'sse' | 'poll';

export interface Presence {
  readonly context: 'presence';
  readonly event: 'join' | 'leave';
  readonly room: string;
  /** Who. */
  readonly id: string;
  /** ms since 1970, the store's clock. */
  readonly at: number;
}

export interface Opened {
  /** Who this client is to others. */
  readonly id: string;
  readonly rooms: readonly string[];
  readonly link: LinkKind;
}

export interface Closed {
  /** Why; undefined after `close()`. */
  readonly error: ChatError | undefined;
  /** ms until the next try; null when there is none. */
  readonly retryIn: number | null;
}

export interface ChatEvents {
  /** Something was said, in a room or (without `room`) to this client alone. */
  readonly say: Message;
  /** Something that cannot be had any more, told at its place in the order. */
  readonly gap: Gap;
  /** Somebody came or went; with the option `presence`. */
  readonly presence: Presence;
  /** There is a link: the first one, or another. */
  readonly open: Opened;
  /** There is none. */
  readonly close: Closed;
}

export interface Said {
  readonly room: string;
  readonly id: string;
  readonly sentAt: number;
}

export interface SayOptions {
  /** The current room when left out. */
  readonly room?: string;
  /** 1 to 64 characters: the same key says it once, however often. One of its own for each `say` by default. */
  readonly key?: string;
  /** Only hearers with this attribute… */
  readonly roomMatchKey?: string;
  /** …of this value. */
  readonly roomMatchValue?: string;
}

export interface RoomView {
  readonly room: string;
  readonly members: readonly string[];
  readonly membersCount: number;
  /** For the next page of members. */
  readonly next?: string;
}

export interface ClientOptions {
  /**
   * `cookie`: all tabs of the browser are one participant, and no script can read its token. `token`: each client is one
   * of its own, and keeps its token itself. By default the cookie in a page of the chat's own origin.
   */
  readonly identity?: 'cookie' | 'token';
  /** Hear oneself. */
  readonly echo?: boolean;
  /** Hear who comes and goes. */
  readonly presence?: boolean;
  /** Ways to hear that may be used; all by default. */
  readonly links?: readonly LinkKind[];
  /** ms for which a request is repeated before it is given up; 30000. */
  readonly timeout?: number;
  /** ms that a link may take to open; 8000. */
  readonly linkTimeout?: number;
  readonly backoff?: Partial<BackoffOptions>;
  /** Where the place is kept, null for nowhere; `sessionStorage` where there is one, so that it outlives a reload. */
  readonly storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | null;
  /** Tells apart the clients of one page that chat with the same server. */
  readonly name?: string;
  readonly WebSocket?: typeof WebSocket;
  readonly fetch?: typeof fetch;
}
