/** `api.chatRoom`: rooms, who is in them and what is said there, for clients of any node. */
import { ChatError } from '../protocol/errors';
import { parseRoomName } from '../protocol/room';
import type { Chat } from '../core/chat';
import type { Said } from '../core/saying';
import type { ChatConnection } from '../core/connection';
import type { ChatMiddleware } from '../core/middleware';
import { called, withoutApi, type Next, type WithApi } from './calls';
import { roomOf, speak, type SpeakingConnection } from './speaking';

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

export type ChangeRoom = readonly [connection: ChatConnection, next?: Next<{ room: string }>];

export class ChatRoomApi {
  constructor(readonly chat: Chat) {}

  /** What `roomStatus` and the sockets' `roomView` show of a member; replace it to show more or less. */
  get sanitizeMemberDetails(): (details: MemberDetails) => unknown {
    return this.chat.shownMember;
  }
  set sanitizeMemberDetails(shown: (details: MemberDetails) => unknown) {
    this.chat.shownMember = shown;
  }

  /** In the connection's name, past its `onSayReceive` hooks; an empty one or null speaks as the server. */
  async broadcast(connection: SpeakingConnection | null, room: string, message: unknown): Promise<Said> {
    return speak(this.chat, connection, room, message);
  }

  /** Resolves to 1, as ActionHero's does. @throws ChatError room_exists */
  async add(room: string): Promise<number> {
    await this.chat.rooms.add(named(room));
    return 1;
  }

  /** Everybody leaves, and it is gone with all that was said there. @throws ChatError room_not_found */
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
    const name = named(room);
    const { members, membersCount } = await this.chat.rooms.view(name);
    const shown = members.map((member): [string, unknown] => [member.id, this.sanitizeMemberDetails({ ...member })]);
    return { room: name, members: Object.fromEntries(shown), membersCount };
  }

  /** A client of any node, connected or not; `join` hooks are not asked. @throws ChatError not_found, already_in_room */
  async addMember(client: string, room: string): Promise<boolean> {
    await this.chat.rooms.addMember(client, named(room));
    return true;
  }

  /** @throws ChatError not_in_room */
  async removeMember(client: string, room: string): Promise<boolean> {
    await this.chat.rooms.removeMember(client, named(room));
    return true;
  }

  addMiddleware(middleware: ChatMiddleware): void {
    this.chat.middleware.add(middleware);
  }

  /** A message as clients hear it; the log gives what is said a `sentAt` and an id of its own. */
  generateMessagePayload(message: {
    readonly message: unknown;
    readonly connection: { readonly room?: string | null; readonly id: string };
  }): object {
    const { id: from, room } = message.connection;
    return { message: message.message, room, from, context: 'user', sentAt: Date.now() };
  }

  /** Details of somebody who is no member yet, as `sanitizeMemberDetails` takes them. */
  generateMemberDetails(connection: { readonly id: string }): MemberDetails {
    return { id: connection.id, joinedAt: Date.now(), host: this.chat.node };
  }

  // --- the names of 2013 ---

  /**
   * To the connection's room; a null connection speaks as `general.serverName`, in the default room. `fromQueue` meant
   * something inside ActionHero only.
   */
  socketRoomBroadcast(
    ...given: WithApi<readonly [connection: SpeakingConnection | null, message: unknown, fromQueue?: unknown]>
  ): Promise<Said> {
    const [connection, message] = withoutApi(given);
    const said = async (): Promise<Said> => speak(this.chat, connection, roomOf(this.chat, connection), message);
    return called(undefined, said());
  }

  /** As `roomStatus`, with members as a list of ids. */
  socketRoomStatus(
    ...given: WithApi<readonly [room: string, next?: Next<SocketRoomStatus>]>
  ): Promise<SocketRoomStatus> {
    const [room, next] = withoutApi(given);
    const status = async (): Promise<SocketRoomStatus> => {
      const name = named(room);
      const { members, membersCount } = await this.chat.rooms.view(name);
      return { room: name, members: members.map(({ id }) => id), membersCount };
    };
    return called(next, status());
  }

  /** Into `connection.params.room`, and out of the room it was in. */
  changeChatRoom(...given: WithApi<ChangeRoom>): Promise<{ room: string }> {
    const [connection, next] = withoutApi<ChangeRoom>(given);
    const change = async (): Promise<{ room: string }> => {
      const wanted = connection.params['room'];
      if (wanted === undefined || wanted === '') throw new ChatError('room_change_needs_room');
      const room = parseRoomName(wanted);
      const session = await this.chat.sessions.load(connection.id);
      if (!session) throw new ChatError('not_found', 'this client');
      await this.chat.rooms.changeRoom({ session, peer: connection, connection }, room);
      return { room };
    };
    return called(next, change());
  }
}

function named(room: string): string {
  if (!room) throw new ChatError('room_required');
  return parseRoomName(room);
}
