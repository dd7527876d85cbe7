/** The client behind a terminal command: connected, in its rooms, and with a word about what went wrong. */
import { ChatError, connect, type ChatClient, type ClientOptions, type Opened } from '../client/node';

/** Something went wrong that is no bug: one line for a person, and exit code 1. */
export class CommandError extends Error {}

export interface Where {
  readonly url: string;
  readonly rooms: readonly string[];
  /** Seconds that the server may take to be reached, and to answer. */
  readonly timeout: number;
}

/** @throws CommandError when it cannot be reached, or a room refuses */
export async function participate({ url, rooms, timeout }: Where, options: ClientOptions = {}): Promise<ChatClient> {
  const chat = connect(url, { timeout: timeout * 1000, fetch: fetchOrWhy, ...options });
  try {
    await opened(chat, url, timeout * 1000);
    for (const room of rooms) await chat.roomAdd(room);
    return chat;
  } catch (error) {
    chat.close();
    throw told(error);
  }
}

/** An answer that the server gave, as a line for a person; anything else is a bug, and stays what it is. */
export function told(error: unknown): unknown {
  return error instanceof ChatError ? new CommandError(error.message) : error;
}

/** Node's "fetch failed" has the reason inside. */
const fetchOrWhy: typeof fetch = (...request) =>
  fetch(...request).catch((error: unknown) => {
    throw (error as { readonly cause?: unknown }).cause ?? error;
  });

function opened(chat: ChatClient, url: string, ms: number): Promise<Opened> {
  return new Promise((resolve, reject) => {
    let last = 'no answer';
    const timer = setTimeout(() => {
      reject(new CommandError(`cannot reach ${url}: ${last}`));
    }, ms);
    chat.on('close', ({ error }) => {
      last = error?.message ?? last;
    });
    chat.on('open', (event) => {
      clearTimeout(timer);
      resolve(event);
    });
  });
}
