/** `api.connections`: one client, on whatever node it is connected, or when it comes back. */
import { ChatError } from '../protocol/errors';
import type { Chat } from '../core/chat';
import { absentPeer } from '../core/connection';

export class ConnectionsApi {
  /** @param counts how many this node has of each kind */
  constructor(
    readonly chat: Chat,
    readonly counts: () => Readonly<Record<string, number>>,
  ) {}

  /**
   * `apply(id, 'sendMessage', message)` tells it something; `apply(id, 'set', {key, value})` gives it an attribute.
   * ActionHero ran any method, at the node that owned the connection; here no node owns one.
   * @throws ChatError not_found, when there is no such client
   */
  async apply(client: string, method: 'sendMessage', message: unknown): Promise<void>;
  async apply(client: string, method: 'set', attribute: { key: string; value: unknown }): Promise<void>;
  async apply(client: string, method: string, argument: unknown): Promise<void> {
    if (method === 'sendMessage') {
      await this.chat.tell(client, argument);
      return;
    }
    if (method !== 'set') throw new TypeError(`${method} cannot be applied to a client; sendMessage and set can`);
    const session = await this.chat.sessions.load(client);
    if (!session) throw new ChatError('not_found', 'this client');
    const { key, value } = argument as { key: string; value: unknown };
    await this.chat.connection(session, absentPeer(client)).connection.set(key, value);
  }
}
