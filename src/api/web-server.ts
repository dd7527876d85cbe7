/** `api.webServer`: what an action of one's own needs to answer HTTP clients. */
import { ChatError } from '../protocol/errors';
import type { Chat } from '../core/chat';
import type { ChatConnection } from '../core/connection';
import { Feed } from '../core/feed';
import type { ChangeRoom, ChatRoomApi } from './chat-room';
import { called, withoutApi, type Next, type WithApi } from './calls';

/** Messages of one answer; the rest comes with the next. */
const AT_ONCE = 500;

export class WebServerApi {
  constructor(
    readonly chat: Chat,
    readonly chatRoom: ChatRoomApi,
  ) {}

  /** As `api.chatRoom.changeChatRoom`; it was here before. */
  changeChatRoom(...given: WithApi<ChangeRoom>): Promise<{ room: string }> {
    return this.chatRoom.changeChatRoom(...given);
  }

  /**
   * What the client has not had, oldest first; asking again does not repeat it. Nothing for a socket's client: what it
   * hears is pushed to it.
   */
  getWebChatMessage(
    ...given: WithApi<readonly [connection: ChatConnection, next?: Next<unknown[]>]>
  ): Promise<unknown[]> {
    const [connection, next] = withoutApi(given);
    return called(next, this.#unheard(connection));
  }

  async #unheard(connection: ChatConnection): Promise<unknown[]> {
    const { chat } = this;
    if (connection.type !== 'web') return [];
    const session = await chat.sessions.load(connection.id);
    if (!session) throw new ChatError('not_found', 'this client');
    // Read fresh: the client may have been answered on another node.
    const record = await chat.store.client(session.id);
    const listener = { session, client: { connection, peer: connection }, echo: chat.settings.echo };
    const feed = new Feed(chat, listener, { presence: false, follow: false });
    try {
      await feed.start(record?.places ?? session.places);
      const { heard, gaps, places } = await feed.next(AT_ONCE);
      await chat.sessions.write(session, { places });
      const messages = heard.map(({ json }) => JSON.parse(json) as unknown);
      return [...gaps.map((gap) => ({ context: 'gap', ...gap })), ...messages];
    } finally {
      feed.close();
    }
  }
}
