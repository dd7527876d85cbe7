/** The rules of the rooms: hooks that users write, run in the order of their priority. */
import { ChatError } from '../protocol/errors';
import type { ChatConnection, Participant } from './connection';
import type { Logger } from './logger';

/** A message on its way, as hooks see it; what they return in its place is what is stored or delivered. */
export interface Payload {
  message: unknown;
  readonly room: string;
  readonly from: string;
  readonly context: 'user';
  /** Known once the message is in the log: absent in `onSayReceive`. */
  readonly sentAt?: number;
  readonly id?: string;
}

type Awaitable<T> = T | Promise<T>;
/** A payload replaces the message, undefined keeps it, null drops it. */
export type PayloadAnswer = Awaitable<Payload | undefined | null>;

/** ActionHero's chat middleware. Every hook may be async and is awaited. */
export interface ChatMiddleware {
  /** Registered once; a second one of the same name is refused. */
  readonly name: string;
  /** Lower runs first; 100 by default. Ties run in order of registration. */
  readonly priority?: number;
  /** Before a client joins; a throw refuses it, its text reaches the client. */
  readonly join?: (connection: ChatConnection, room: string, how: { readonly listening: boolean }) => Awaitable<void>;
  /** Before a client leaves; a throw refuses it, but not at a disconnect: then it is logged. */
  readonly leave?: (connection: ChatConnection, room: string) => Awaitable<void>;
  /** Once per message, at the speaker's node, before it is in the log; a throw reaches the speaker. */
  readonly onSayReceive?: (connection: ChatConnection, room: string, payload: Payload) => PayloadAnswer;
  /** Once per hearer, before delivery: live, polled and replayed alike. A throw is counted and skips that hearer. */
  readonly say?: (connection: ChatConnection, room: string, payload: Payload) => PayloadAnswer;
}

const DEFAULT_PRIORITY = 100;

export class MiddlewareChain {
  #all: readonly ChatMiddleware[] = [];
  /** While false, hearers of a room are served one shared Buffer. */
  hasSay = false;
  /** Somebody wants to see what is said before it is stored. */
  hasReceive = false;
  /** Hearers that were skipped because a `say` hook threw. */
  skipped = 0;

  constructor(readonly logger: Logger) {}

  add(middleware: ChatMiddleware): void {
    if (typeof middleware.name !== 'string' || middleware.name === '')
      throw new Error('a chat middleware needs a name');
    if (this.#all.some(({ name }) => name === middleware.name)) {
      throw new Error(`a chat middleware named ${middleware.name} is registered already`);
    }
    // Array.prototype.sort is stable: ties stay in order of registration.
    this.#all = [...this.#all, middleware].sort(
      (a, b) => (a.priority ?? DEFAULT_PRIORITY) - (b.priority ?? DEFAULT_PRIORITY),
    );
    this.hasSay ||= middleware.say !== undefined;
    this.hasReceive ||= middleware.onSayReceive !== undefined;
  }

  get hasJoin(): boolean {
    return this.#all.some(({ join }) => join);
  }

  async join(who: Participant, room: string, listening: boolean): Promise<void> {
    for (const { join } of this.#all) if (join) await refusing(() => join(who.connection, room, { listening }));
  }

  async leave(who: Participant, room: string): Promise<void> {
    for (const { leave } of this.#all) if (leave) await refusing(() => leave(who.connection, room));
  }

  /** At a disconnect: the client is gone, so no hook can refuse, and none keeps the others from running. */
  async gone(who: Participant, room: string): Promise<void> {
    for (const { name, leave } of this.#all) {
      try {
        await leave?.(who.connection, room);
      } catch (error) {
        this.logger.warn({ err: error, middleware: name, room }, 'a leave hook failed at a disconnect');
      }
    }
  }

  /** The message to store, or null when it was dropped. */
  async receive(connection: ChatConnection, room: string, payload: Payload): Promise<Payload | null> {
    let current = payload;
    for (const { onSayReceive } of this.#all) {
      if (!onSayReceive) continue;
      const answer = await refusing(() => onSayReceive(connection, room, current));
      if (answer === null) return null;
      current = answer ?? current;
    }
    return current;
  }

  /** The message for one hearer, or null when it is not for it. */
  async hear(connection: ChatConnection, room: string, payload: Payload): Promise<Payload | null> {
    let current = payload;
    for (const { name, say } of this.#all) {
      if (!say) continue;
      try {
        const answer = await say(connection, room, current);
        if (answer === null) return null;
        current = answer ?? current;
      } catch (error) {
        this.skipped += 1;
        this.logger.warn({ err: error, middleware: name, room }, 'a say hook failed; its hearer is skipped');
        return null;
      }
    }
    return current;
  }
}

/** What a hook throws is its word to the client, whatever class it is of. */
async function refusing<T>(hook: () => Awaitable<T>): Promise<T> {
  try {
    return await hook();
  } catch (error) {
    if (error instanceof ChatError) throw error;
    throw new ChatError('forbidden', error instanceof Error ? error.message : String(error));
  }
}
