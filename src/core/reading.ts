/** A client's wish to read: from where, for how long and in which form. Made by the chat action, done by a transport. */
import type { EntryId } from '../protocol/entry-id';
import type { Client } from './client';
import { cursorOf, placesOf } from './cursors';
import type { Topic } from './entry';
import { Feed } from './feed';
import type { Page } from './page';
import type { Session } from './session';

export type StreamFormat = 'sse' | 'ndjson';

export interface ReadOptions {
  /** A cursor: exactly what follows it, and the server keeps nothing. Without one the client's own place is used. */
  readonly after?: string | Readonly<Record<string, string>> | undefined;
  /** Seconds to wait when there is nothing; 0 by default. */
  readonly wait?: number | undefined;
  /** Entries of one answer at most; 500 by default. */
  readonly limit?: number | undefined;
  /** Hear oneself. */
  readonly echo?: boolean | undefined;
  /** Hear who comes and goes in the rooms. */
  readonly presence?: boolean | undefined;
  readonly stream?: StreamFormat | undefined;
}

const DEFAULT_LIMIT = 500;
const MAX_LIMIT = 1000;

export class Reading {
  readonly limit: number;

  constructor(
    readonly client: Client,
    readonly options: ReadOptions,
  ) {
    this.limit = Math.min(options.limit ?? DEFAULT_LIMIT, MAX_LIMIT);
  }

  get cursorMode(): boolean {
    return this.options.after !== undefined && this.options.after !== '';
  }

  /** At once when all that it reads is known here. Rejects with a ChatError when a log cannot be read. */
  open(session: Session, places: ReadonlyMap<Topic, EntryId>, follow: boolean): Feed | Promise<Feed> {
    const { client, options } = this;
    const { chat } = client;
    const echo = options.echo ?? chat.settings.echo;
    const feed = new Feed(chat, { session, client, echo }, { presence: options.presence ?? false, follow });
    const starting = feed.start(places);
    if (!starting) return feed;
    return starting.then(
      () => feed,
      (error: unknown) => {
        feed.close();
        throw error;
      },
    );
  }

  /**
   * The places that `after` names.
   * @throws ChatError invalid_parameter when it is no cursor
   */
  get places(): ReadonlyMap<Topic, EntryId> {
    const { client, options } = this;
    return options.after ? placesOf(client.chat, client.session, options.after) : new Map();
  }

  /** One answer at once, for transports that push by themselves and only look back here. */
  async now(): Promise<{ messages: unknown[]; cursor: string; gaps?: unknown[] }> {
    const { session } = this.client;
    const feed = await this.open(session, this.cursorMode ? this.places : session.places, false);
    try {
      return JSON.parse(pageJson(this.client, await feed.next(this.limit))) as { messages: unknown[]; cursor: string };
    } finally {
      feed.close();
    }
  }
}

/** The body of a `messages` answer. */
export function pageJson({ chat }: Pick<Client, 'chat'>, { heard, gaps, places }: Page): string {
  const messages = heard.map(({ json }) => json).join(',');
  const told = gaps.length > 0 ? `,"gaps":${JSON.stringify(gaps)}` : '';
  return `{"messages":[${messages}],"cursor":"${cursorOf(chat, places)}"${told}}`;
}
