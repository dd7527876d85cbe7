/** ActionHero's API, as its documents give it: a thin facade over the room core, for actions, middleware and programs. */
import { ChatRoomApi } from './api/chat-room';
import { ConnectionsApi } from './api/connections';
import { WebServerApi } from './api/web-server';
import type { Config } from './config';
import type { Actions } from './core/action';
import type { Chat } from './core/chat';
import type { Logger } from './core/logger';
import type { StoreHealth } from './core/store';

export type { MemberDetails, RoomStatus, SocketRoomStatus } from './api/chat-room';
export type { MockConnection, SpeakingConnection } from './api/speaking';

export interface ApiOptions {
  readonly chat: Chat;
  readonly config: Config;
  readonly logger: Logger;
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
    const { chat, config, connections } = options;
    this.config = config;
    this.configData = config;
    this.id = chat.node;
    this.chatRoom = new ChatRoomApi(chat);
    this.webServer = new WebServerApi(chat, this.chatRoom);
    this.connections = new ConnectionsApi(chat, connections);
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
