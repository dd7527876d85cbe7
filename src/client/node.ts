/** `earshot/client` in Node, which has no WebSocket of its own before version 22. */
import { WebSocket as WebSocketOfNode } from 'ws';
import * as client from './index';
import type { ChatClient, ClientOptions } from './index';

/** @param url of the server, or of the chat where it is not at `/chat/` */
export function connect(url: string, options: ClientOptions = {}): ChatClient {
  return client.connect(url, { WebSocket: WebSocketOfNode as unknown as typeof WebSocket, ...options });
}

export { ChatError } from './index';
export type * from './index';
