/** The connection that actions and chat middleware get: ActionHero's, for every transport, HTTP included. */
import { isReservedName } from '../protocol/room';
import type { Session } from './session';

export type ConnectionType = 'web' | 'websocket' | 'socket';

/** What a transport knows of the other end. */
export interface Peer {
  readonly type: ConnectionType;
  /** The public id behind the handshake's cookie; the client's own id where there was none. */
  readonly fingerprint: string;
  readonly remoteIP: string;
  readonly remotePort: number;
  /** Sticky parameters of a socket, the request's parameters over HTTP. */
  readonly params: Readonly<Record<string, unknown>>;
  destroy(): void;
}

/** The other end of a client that is not connected here, and of which nothing is known. */
export function absentPeer(client: string): Peer {
  return { type: 'web', fingerprint: client, remoteIP: '', remotePort: 0, params: {}, destroy: () => undefined };
}

/**
 * Whatever else is assigned to it (`connection.auth = "true"`) becomes an attribute of the client: kept in the store
 * with its record, there on every transport and node, and what `roomMatchKey` compares.
 */
export interface ChatConnection {
  readonly id: string;
  readonly fingerprint: string;
  readonly type: ConnectionType;
  /** The current room, the default one of `say`; null when there is none. */
  readonly room: string | null;
  /** Rooms it is a member of. */
  readonly rooms: readonly string[];
  /** Rooms it hears without being a member. */
  readonly listening: readonly string[];
  readonly params: Readonly<Record<string, unknown>>;
  readonly remoteIP: string;
  readonly remotePort: number;
  /** ms since 1970, the store's clock. */
  readonly connectedAt: number;
  /** Tells this client alone, whatever it is connected by, now or when it comes back. */
  readonly sendMessage: (message: unknown) => Promise<void>;
  /** Sets an attribute; null or undefined removes it. Resolves once the store has it. */
  readonly set: (key: string, value: unknown) => Promise<void>;
  readonly get: (key: string) => unknown;
  /** Cuts the link; the client may come back. */
  readonly destroy: () => void;
  /** The lasting connection, which it is itself; ActionHero's documents spell it both ways. */
  readonly _original_connection: ChatConnection;
  readonly _originalConnection: ChatConnection;
  [attribute: string]: unknown;
}

/** What a connection asks of the chat. */
export interface ConnectionChat {
  tell(client: string, message: unknown): Promise<unknown>;
  setAttributes(session: Session, attributes: ReadonlyMap<string, unknown>): Promise<void>;
}

export interface OpenConnection {
  readonly connection: ChatConnection;
  /** Resolves once every attribute assigned so far is in the store. */
  flush(): Promise<void>;
}

export function openConnection(session: Session, peer: Peer, chat: ConnectionChat): OpenConnection {
  let assigned = new Map<string, unknown>();

  const flush = async (): Promise<void> => {
    if (assigned.size === 0) return;
    const attributes = assigned;
    assigned = new Map();
    await chat.setAttributes(session, attributes);
  };
  const assign = (key: string, value: unknown): void => {
    if (key === '' || key === 'id' || isReservedName(key)) throw new TypeError(`${key} cannot be an attribute`);
    // Fails here, at the line that is wrong, when the value cannot be kept.
    const json = JSON.stringify(value) as string | undefined;
    const kept = json === undefined ? null : (JSON.parse(json) as unknown);
    if (kept === null) session.attributes.delete(key);
    else session.attributes.set(key, kept);
    assigned.set(key, kept);
  };

  const own = {
    fingerprint: peer.fingerprint,
    type: peer.type,
    params: peer.params,
    remoteIP: peer.remoteIP,
    remotePort: peer.remotePort,
    get id() {
      return session.id;
    },
    get room() {
      return session.room;
    },
    get rooms() {
      return roomsOf(session, false);
    },
    get listening() {
      return roomsOf(session, true);
    },
    get connectedAt() {
      return session.connectedAt;
    },
    sendMessage: async (message: unknown) => {
      await chat.tell(session.id, message);
    },
    set: (key: string, value: unknown) => {
      assign(key, value);
      return flush();
    },
    get: (key: string) => session.attributes.get(key),
    destroy: () => {
      peer.destroy();
    },
  };

  const connection: ChatConnection = new Proxy<object>(own, {
    get(target, key) {
      if (key === '_original_connection' || key === '_originalConnection') return connection;
      if (typeof key === 'symbol' || Object.hasOwn(target, key)) return Reflect.get(target, key) as unknown;
      return session.attributes.get(key);
    },
    has: (target, key) => Object.hasOwn(target, key) || (typeof key === 'string' && session.attributes.has(key)),
    set(target, key, value) {
      if (typeof key === 'symbol' || Object.hasOwn(target, key)) {
        throw new TypeError(`connection.${String(key)} cannot be assigned`);
      }
      assign(key, value);
      return true;
    },
    deleteProperty(target, key) {
      if (typeof key === 'symbol' || Object.hasOwn(target, key)) return false;
      assign(key, null);
      return true;
    },
  }) as ChatConnection;
  return { connection, flush };
}

export function roomsOf(session: Session, listening: boolean): string[] {
  const rooms: string[] = [];
  for (const [room, heard] of session.rooms) if (heard.listening === listening) rooms.push(room);
  return rooms;
}
