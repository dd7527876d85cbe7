/** One way to hear, while it lasts; and what it is given to be one. */
import { asChatError, ChatError } from './errors';
import type { Http } from './http';
import type { Kept } from './kept';
import type { TakeSlot } from './slots';
import type { LinkKind } from './types';

/** As the server describes this client. */
export interface Details {
  readonly id: string;
  readonly rooms: readonly string[];
  readonly cursor: string;
}

/** Who a link is before the server has said so. */
const NOBODY: Details = { id: '', rooms: [], cursor: '' };

/** What comes by itself. */
export type Frame = Readonly<Record<string, unknown>>;

export abstract class Link {
  abstract readonly kind: LinkKind;
  /** Asks over the link itself, where it carries both ways. */
  readonly ask?: (event: string, params: object) => Promise<unknown>;
  /** Resolves when it is over, with the reason. */
  readonly over: Promise<ChatError>;
  /** Aborted when it is over. */
  protected readonly signal: AbortSignal;
  readonly #abort = new AbortController();
  readonly #opened: Promise<void>;
  #resolveOver!: (error: ChatError) => void;
  #resolveOpened!: () => void;

  /** @param details who it is opened as, where that is known already */
  constructor(
    readonly context: LinkContext,
    public details = NOBODY,
  ) {
    this.signal = this.#abort.signal;
    this.over = new Promise((resolve) => (this.#resolveOver = resolve));
    this.#opened = new Promise((resolve) => (this.#resolveOpened = resolve));
  }

  /** Resolves once it is open. @throws ChatError why it was over before */
  async open(): Promise<this> {
    const failed = this.over.then((error) => {
      throw error;
    });
    await Promise.race([this.#opened, failed]);
    return this;
  }

  /** Looks whether it is alive still. What cannot be asked is found out by its silence. */
  probe(): void {
    // Nothing to be asked.
  }

  /** @param clean the client goes, and will not be back */
  close(_clean: boolean): void {
    this.end(new ChatError('closed'));
  }

  protected end(error: unknown): void {
    this.#abort.abort();
    this.#resolveOver(asChatError(error));
  }

  /** Ends it after so many ms of silence, unless the timer is cleared. */
  protected expire(ms: number, code = 'unreachable'): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      this.end(new ChatError(code, 'silence'));
    }, ms);
  }

  protected isOpen(): void {
    this.#resolveOpened();
  }
}

export interface LinkContext {
  readonly http: Http;
  readonly kept: Kept;
  readonly slot: TakeSlot;
  readonly wishes: { readonly echo?: boolean | undefined; readonly presence?: boolean | undefined };
  readonly WebSocket: typeof WebSocket | undefined;
  /** Who this client is, asked over HTTP; somebody new where it was nobody yet, or is not known any more. */
  identify(): Promise<Details>;
  /** The server says who this client is: called before anything is heard as it. */
  adopt(details: Details): void;
  /** Something came. `cursor` is the place behind it, where the link knows it. */
  receive(frame: Frame, cursor?: string): void;
}
