/** ActionHero's API, as its documents give it: a thin facade over the room core, for actions, middleware and programs. */
import { ChatError } from './protocol/errors';
import { parseRoomName } from './protocol/room';
import type { Config } from './config';
import type { Actions } from './core/action';
import type { Chat, Said } from './core/chat';
import { Client } from './core/client';
import type { ChatConnection } from './core/connection';
import type { Match } from './core/entry';
import type { Logger } from './core/logger';
import type { ChatMiddleware } from './core/middleware';
import type { Rates } from './core/rate';
import type { StoreHealth } from './core/store';

/** A connection, or what stands for one: `{room, public: {id}}` and `{room, id}` speak in that room by that name. */
export type SpeakingConnection =
  | ChatConnection
  | {
      readonly room?: string | null;
      readonly id?: string | number;
      readonly public?: { readonly id: string | number };
      readonly params?: Readonly<Record<string, unknown>>;
    };

export interface MemberDetails {
  readonly id: string;
  readonly joinedAt: number;
  readonly [detail: string]: unknown;
}

export interface RoomStatus {
  readonly room: string;
  readonly members: Readonly<Record<string, unknown>>;
  readonly membersCount: number;
}

/** The older shape: members as a list of ids. */
export interface SocketRoomStatus {
  readonly room: string;
  readonly members: readonly string[];
  readonly membersCount: number;
}

export type Next<T> = (error: Error | null, data?: T) => void;

export interface ApiOptions {
  readonly chat: Chat;
  readonly config: Config;
  readonly logger: Logger;
  readonly rates: Rates;
  readonly actions: () => Actions<Api>;
  readonly connections: () => Readonly<Record<string, number>>;
  readonly health: () => Promise<StoreHealth>;
}

export class Api {
  readonly chatRoom: ChatRoomApi;
  readonly webServer: WebServerApi;
  readonly connections: ConnectionsApi;
  /** All settings, by their paths. */
  readonly config: Config;
  /** The same, by its name of 2013. */
  readonly configData: Config;
  /** This process among the nodes. */
  readonly id: string;
  /** ms since 1970. */
  readonly bootTime = Date.now();

  constructor(readonly options: ApiOptions) {
    const { chat, config, rates } = options;
    this.config = config;
    this.configData = config;
    this.id = chat.node;
    this.chatRoom = new ChatRoomApi(chat);
    this.webServer = new WebServerApi(chat, rates);
    this.connections = new ConnectionsApi(chat, options.connections);
  }

  get log(): Logger {
    return this.options.logger;
  }

  /** Whether this node can serve, and why not. */
  health(): Promise<StoreHealth> {
    return this.options.health();
  }

  /** What actions there are and what they take. */
  documentation(): Record<string, Record<string, object>> {
    return this.options.actions().documentation();
  }
}

export class ChatRoomApi {
  /** What others may see of a member; replace it to show more or less. */
  sanitizeMemberDetails: (details: MemberDetails) => unknown = ({ id, joinedAt }) => ({ id, joinedAt });

  constructor(readonly chat: Chat) {}

  /** In the connection's name, past its `onSayReceive` hooks; an empty one or null speaks as the server. */
  async broadcast(connection: SpeakingConnection | null, room: string, message: unknown): Promise<Said> {
    if (!room || message === undefined || message === null) throw new ChatError('room_and_message_required');
    const match = matchOf(connection?.params);
    if (connection && isReal(connection))
      return this.chat.broadcast(parseRoomName(room), message, { connection, match });
    const from = nameOf(connection);
    return this.chat.broadcast(parseRoomName(room), message, { ...(from === undefined ? {} : { from }), match });
  }

  /** Resolves to 1, as ActionHero's does. @throws ChatError room_exists */
  async add(room: string): Promise<number> {
    await this.chat.rooms.add(named(room));
    return 1;
  }

  async destroy(room: string): Promise<void> {
    await this.chat.rooms.destroy(named(room));
  }

  async exists(room: string): Promise<boolean> {
    return this.chat.store.roomExists(named(room));
  }

  async list(): Promise<string[]> {
    return this.chat.store.rooms();
  }

  /** @throws ChatError room_required, room_not_found */
  async roomStatus(room: string): Promise<RoomStatus> {
    const { members, membersCount } = await this.chat.rooms.view(named(room));
    const shown = members.map((member): [string, unknown] => [member.id, this.sanitizeMemberDetails({ ...member })]);
    return { room, members: Object.fromEntries(shown), membersCount };
  }

  /** A client of any node, connected or not. */
  async addMember(client: string, room: string): Promise<boolean> {
    await this.chat.rooms.addMember(client, named(room));
    return true;
  }

  async removeMember(client: string, room: string): Promise<boolean> {
    await this.chat.rooms.removeMember(client, named(room));
    return true;
  }

  addMiddleware(middleware: ChatMiddleware): void {
    this.chat.middleware.add(middleware);
  }

  generateMessagePayload(message: { message: unknown; connection: { room?: string | null; id: string } }): object {
    const { connection } = message;
    return {
      message: message.message,
      room: connection.room,
      from: connection.id,
      context: 'user',
      sentAt: Date.now(),
    };
  }

  generateMemberDetails(connection: { readonly id: string }): MemberDetails {
    return { id: connection.id, joinedAt: Date.now(), host: this.chat.node };
  }

  // --- the names of 2013; the first argument may be `api`, and a callback may come last ---

  /**
   * `socketRoomBroadcast([api,] connection, message, [fromQueue])`: to the connection's room; a null connection speaks
   * as `general.serverName`, in the default room. `fromQueue` meant something inside ActionHero only.
   */
  async socketRoomBroadcast(...given: readonly unknown[]): Promise<Said> {
    const [connection, message] = withoutApi(given) as [SpeakingConnection | null, unknown];
    const room = connection?.room ?? this.chat.settings.defaultRoom;
    if (room === null) throw new ChatError('room_required');
    return this.broadcast(connection, room, message);
  }

  /** `socketRoomStatus([api,] room, [next])`, members as a list of ids. */
  async socketRoomStatus(...given: readonly unknown[]): Promise<SocketRoomStatus> {
    const [room, next] = withoutApi(given) as [string, Next<SocketRoomStatus> | undefined];
    return called(next, async () => {
      const { members, membersCount } = await this.chat.rooms.view(named(room));
      return { room, members: members.map(({ id }) => id), membersCount };
    });
  }

  /** `changeChatRoom([api,] connection, [next])`: into `connection.params.room`, out of the room it was in. */
  async changeChatRoom(...given: readonly unknown[]): Promise<{ room: string }> {
    const [connection, next] = withoutApi(given) as [ChatConnection, Next<{ room: string }> | undefined];
    return called(next, async () => {
      const wanted = connection.params['room'];
      if (wanted === undefined || wanted === '') throw new ChatError('room_change_needs_room');
      const room = parseRoomName(wanted);
      const session = await this.chat.sessions.load(connection.id);
      if (!session) throw new ChatError('not_found', 'this client');
      await this.chat.rooms.changeRoom(session, connection, room);
      return { room };
    });
  }
}

export class WebServerApi {
  constructor(
    readonly chat: Chat,
    readonly rates: Rates,
  ) {}

  /** `getWebChatMessage([api,] connection, [next])`: what the client has not had; asking again does not repeat it. */
  async getWebChatMessage(...given: readonly unknown[]): Promise<unknown[]> {
    const [connection, next] = withoutApi(given) as [ChatConnection, Next<unknown[]> | undefined];
    return called(next, async () => {
      const session = await this.chat.sessions.load(connection.id);
      if (!session) throw new ChatError('not_found', 'this client');
      const { fingerprint, remoteIP, remotePort, params } = connection;
      const destroy = (): void => {
        connection.destroy();
      };
      const peer = { type: connection.type, fingerprint, remoteIP, remotePort, params, destroy };
      const reading = new Client(this.chat, session, peer, this.rates).messages({});
      const feed = await reading.open(session, session.places, false);
      try {
        const { heard, places } = await feed.next(reading.limit);
        await this.chat.sessions.write(session, { places });
        return heard.map(({ json }) => JSON.parse(json) as unknown);
      } finally {
        feed.close();
      }
    });
  }
}

export class ConnectionsApi {
  constructor(
    readonly chat: Chat,
    readonly counts: () => Readonly<Record<string, number>>,
  ) {}

  /**
   * `apply(id, 'sendMessage', message)` tells one client of any node; `apply(id, 'set', {key, value})` gives it an
   * attribute. ActionHero ran the method at the node that owned the connection; here no node owns one.
   */
  async apply(client: string, method: 'sendMessage' | 'set', argument: unknown): Promise<void> {
    if (method === 'sendMessage') {
      await this.chat.tell(client, argument);
      return;
    }
    const session = await this.chat.sessions.load(client);
    if (!session) throw new ChatError('not_found', 'this client');
    const { key, value } = argument as { key: string; value: unknown };
    await this.chat.setAttributes(session, new Map([[key, value]]));
  }
}

function isReal(connection: SpeakingConnection): connection is ChatConnection {
  return 'sendMessage' in connection && 'type' in connection;
}

function nameOf(connection: SpeakingConnection | null): string | undefined {
  if (!connection) return undefined;
  const shown = (connection.public as { id?: string | number } | undefined)?.id ?? connection.id;
  return shown === undefined ? undefined : String(shown);
}

function matchOf(params: Readonly<Record<string, unknown>> | undefined): Match | undefined {
  const key = params?.['roomMatchKey'];
  const value = params?.['roomMatchValue'];
  if (typeof key !== 'string' || (typeof value !== 'string' && typeof value !== 'number')) return undefined;
  return { key, value: String(value) };
}

function named(room: string): string {
  if (!room) throw new ChatError('room_required');
  return parseRoomName(room);
}

function withoutApi(given: readonly unknown[]): readonly unknown[] {
  return given[0] instanceof Api ? given.slice(1) : given;
}

/** A promise for today's callers, a callback for those of 2013. */
async function called<T>(next: Next<T> | undefined, work: () => Promise<T>): Promise<T> {
  try {
    const value = await work();
    next?.(null, value);
    return value;
  } catch (error) {
    if (!next) throw error;
    next(error instanceof Error ? error : new Error(String(error)));
    return undefined as T;
  }
}
