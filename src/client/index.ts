/**
 * `earshot/client`: chat from a page or a program.
 *
 *     import { connect } from 'earshot/client';
 *
 *     const chat = connect('http://localhost:8080');
 *     chat.on('say', ({ from, message }) => console.log(from, message));
 *     await chat.say('hello');
 */
import { ChatClient } from './client';
import { page } from './page';
import type { ClientOptions } from './types';

/** @param url of the server, or of the chat where it is not at `/chat/`; in a page by default its own server */
export function connect(url = '/', options: ClientOptions = {}): ChatClient {
  const chat = new URL(url, page.location?.href);
  chat.pathname = chat.pathname === '/' ? '/chat/' : chat.pathname.replace(/\/*$/, '/');
  chat.search = chat.hash = '';
  return new ChatClient(chat, options);
}

export { ChatError } from './errors';
export type { ChatClient } from './client';
export type * from './types';
