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

/** A client as it takes part: who it is, how it is connected, and what hooks see of it. */
export interface Participant {
  readonly session: Session;
  readonly peer: Peer;
  /** A `Client` makes it when it is looked at: most never meet a hook. */
  readonly connection: ChatConnection;
}

/** What a connection asks of the chat. */
export interface ConnectionChat {
  tell(client: string, message: unknown): Promise<unknown>;
  setAttributes(session: Session, attributes: ReadonlyMap<string, unknown>): Promise<void>;
}

/** What every connection has, whatever its client's attributes are: made when somebody asks for it. */
const members: ReadonlyMap<string, (opened: OpenConnection) => unknown> = new Map<
  string,
  (opened: OpenConnection) => unknown
>([
  ['fingerprint', ({ peer }) => peer.fingerprint],
  ['type', ({ peer }) => peer.type],
  ['params', ({ peer }) => peer.params],
  ['remoteIP', ({ peer }) => peer.remoteIP],
  ['remotePort', ({ peer }) => peer.remotePort],
  ['id', ({ session }) => session.id],
  ['room', ({ session }) => session.room],
  ['rooms', ({ session }) => roomsOf(session, false)],
  ['listening', ({ session }) => roomsOf(session, true)],
  ['connectedAt', ({ session }) => session.connectedAt],
  ['sendMessage', (opened) => (message: unknown) => opened.tell(message)],
  ['set', (opened) => (key: string, value: unknown) => opened.set(key, value)],
  ['get', (opened) => (key: string) => opened.session.attributes.get(key)],
  ['destroy', (opened) => () => opened.peer.destroy()],
]);

/** One for all connections: there may be a hundred thousand of them. */
const handler: ProxyHandler<OpenConnection> = {
  get(opened, key) {
    if (typeof key === 'symbol') return Reflect.get(opened, key) as unknown;
    if (key === '_original_connection' || key === '_originalConnection') return opened.connection;
    const member = members.get(key);
    return member ? member(opened) : opened.session.attributes.get(key);
  },
  has: ({ session }, key) => typeof key === 'string' && (members.has(key) || session.attributes.has(key)),
  set(opened, key, value) {
    if (typeof key === 'symbol' || members.has(key)) {
      throw new TypeError(`connection.${String(key)} cannot be assigned`);
    }
    opened.assign(key, value);
    return true;
  },
  deleteProperty(opened, key) {
    if (typeof key === 'symbol' || members.has(key)) return false;
    opened.assign(key, null);
    return true;
  },
  defineProperty: () => false,
  ownKeys: ({ session }) => [...new Set([...members.keys(), ...session.attributes.keys()])],
  getOwnPropertyDescriptor(opened, key) {
    if (!handler.has?.(opened, key)) return undefined;
    const value = handler.get?.(opened, key, opened.connection) as unknown;
    return { value, enumerable: true, configurable: true };
  },
};

/** A connection, and what was assigned to it that the store does not have yet. */
export class OpenConnection implements Participant {
  readonly connection = new Proxy(this, handler) as unknown as ChatConnection;
  #assigned: Map<string, unknown> | undefined;

  constructor(
    readonly session: Session,
    readonly peer: Peer,
    readonly chat: ConnectionChat,
  ) {}

  async tell(message: unknown): Promise<void> {
    await this.chat.tell(this.session.id, message);
  }

  assign(key: string, value: unknown): void {
    if (key === '' || key === 'id' || isReservedName(key)) throw new TypeError(`${key} cannot be an attribute`);
    // Fails here, at the line that is wrong, when the value cannot be kept.
    const json = JSON.stringify(value) as string | undefined;
    const kept = json === undefined ? null : (JSON.parse(json) as unknown);
    this.session.setAttribute(key, kept);
    this.#assigned ??= new Map();
    this.#assigned.set(key, kept);
  }

  set(key: string, value: unknown): Promise<void> {
    this.assign(key, value);
    return this.flush() ?? Promise.resolve();
  }

  /** Resolves once every attribute assigned so far is in the store; undefined when there is none that is not. */
  flush(): Promise<void> | undefined {
    const attributes = this.#assigned;
    if (!attributes) return undefined;
    this.#assigned = undefined;
    return this.chat.setAttributes(this.session, attributes);
  }

  /** What `console.log(connection)` shows: of a proxy it would be what is behind it. */
  [Symbol.for('nodejs.util.inspect.custom')](this: object): object {
    return { ...this };
  }
}

export function roomsOf(session: Session, listening: boolean): string[] {
  const rooms: string[] = [];
  for (const [room, heard] of session.rooms) if (heard.listening === listening) rooms.push(room);
  return rooms;
}
