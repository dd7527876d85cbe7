/** Clients of `earshot/client` in Node, which keep all that they hear. */
import {
  connect,
  type ChatClient,
  type ClientOptions,
  type Closed,
  type Gap,
  type Message,
  type Opened,
  type Presence,
} from '../../src/client/node';
import { Inbox } from './inbox';

const open = new Set<ChatClient>();

afterEach(() => {
  for (const chat of open) chat.close();
  open.clear();
});

export interface Listening {
  readonly chat: ChatClient;
  readonly heard: Inbox<Message>;
  readonly gaps: Inbox<Gap>;
  readonly presence: Inbox<Presence>;
  readonly opened: Inbox<Opened>;
  readonly closed: Inbox<Closed>;
}

/** Comes back at once when it has to, so that tests do not wait. */
export function chatting(url: string, options: ClientOptions = {}): Listening {
  const chat = connect(url, { backoff: { base: 20, most: 100 }, ...options });
  open.add(chat);
  const all = {
    chat,
    heard: new Inbox<Message>('message'),
    gaps: new Inbox<Gap>('gap'),
    presence: new Inbox<Presence>('presence'),
    opened: new Inbox<Opened>('link'),
    closed: new Inbox<Closed>('end of a link'),
  };
  chat.on('say', (message) => all.heard.put(message));
  chat.on('gap', (gap) => all.gaps.put(gap));
  chat.on('presence', (presence) => all.presence.put(presence));
  chat.on('open', (opened) => all.opened.put(opened));
  chat.on('close', (closed) => all.closed.put(closed));
  return all;
}

/** As a browser keeps it for a tab. */
export class TabStorage {
  readonly items = new Map<string, string>();
  getItem = (key: string): string | null => this.items.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.items.set(key, value);
  removeItem = (key: string): void => void this.items.delete(key);
}
