/** Keeps one link open: the best that works here; another when it breaks, and a better one when there is one again. */
import { backoff, type BackoffOptions } from './backoff';
import { asChatError, ChatError, isForgotten } from './errors';
import type { Link } from './link';
import { sleep } from './sleep';
import type { LinkKind } from './types';

export interface KeeperOptions {
  /** The best first. */
  readonly openers: readonly (readonly [LinkKind, () => Promise<Link>])[];
  readonly backoff: BackoffOptions;
  /** There is a link. */
  readonly opened: (link: Link) => void;
  /** There is none, or there was none to be had; the next try comes so many ms later. */
  readonly closed: (error: ChatError, retryIn: number) => void;
  /** The server knows the client no more. */
  readonly forgotten: () => void;
}

/** One way to hear, and how it does. */
interface Rung {
  readonly kind: LinkKind;
  readonly open: () => Promise<Link>;
  /** Not tried before this time. */
  until: number;
  /** ms that it was left alone for, the last time it was found not to work. */
  penalty: number;
  /** Links in a row that broke as soon as they were there. */
  brief: number;
}

/** ms after which a link has shown that it works. */
const STABLE = 10_000;
/** ms that what does not work here is left alone: a minute, then twice as long each time. */
const PENALTY = 60_000;
const MOST_PENALTY = 1_800_000;
/** ms until another look whether other tabs have left room for a stream. */
const BUSY = 5000;

export class Keeper {
  link: Link | undefined;
  readonly #rungs: readonly Rung[];
  readonly #stop = new AbortController();
  /** Ends the wait for the next try. */
  #wake = new AbortController();
  #interrupt: ((error: ChatError) => void) | undefined;
  /** The server has not asked for that wait. */
  #impatient = true;

  constructor(readonly options: KeeperOptions) {
    this.#rungs = options.openers.map(([kind, open]) => ({ kind, open, until: 0, penalty: 0, brief: 0 }));
  }

  /** Asked through a function: TypeScript does not see that it changes while something is awaited. */
  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async run(): Promise<void> {
    let failures = 0;
    while (!this.#isStopped()) {
      let error: ChatError;
      const began = performance.now();
      try {
        error = await this.#follow(await this.#open());
        if (performance.now() - began >= STABLE) failures = 0;
      } catch (thrown) {
        error = asChatError(thrown);
      }
      if (this.#isStopped()) return;
      if (isForgotten(error)) this.options.forgotten();
      const retryIn = backoff(this.options.backoff, failures, error.retryAfter);
      failures += 1;
      this.options.closed(error, retryIn);
      this.#impatient = error.retryAfter === undefined;
      this.#wake = new AbortController();
      await sleep(retryIn, this.#wake.signal);
    }
  }

  /** Something has changed: a network is there, the page is looked at. */
  hurry(): void {
    if (this.#impatient) this.#wake.abort();
    this.link?.probe();
  }

  /** The link is of no use any more, whatever it says itself. */
  reopen(error: ChatError): void {
    this.#interrupt?.(error);
  }

  stop(): void {
    this.#stop.abort();
    this.#wake.abort();
    this.link?.close(true);
    this.link = undefined;
  }

  /** The best link that opens. @throws ChatError when the server is away, or refuses */
  async #open(): Promise<Link> {
    const failed: Rung[] = [];
    let last = new ChatError('unusable');
    for (const rung of this.#rungs) {
      if (rung.until > performance.now()) continue;
      try {
        const link = await rung.open();
        // The server is there, so what failed on the way does not work here.
        for (const above of failed) leaveAlone(above);
        return link;
      } catch (error) {
        last = asChatError(error);
        if (last.code === 'busy') rung.until = performance.now() + BUSY;
        // A WebSocket does not tell why it did not open. A request that got no answer would get none another way.
        else if (last.code === 'unusable' || (last.code === 'unreachable' && rung.kind === 'websocket'))
          failed.push(rung);
        else throw last;
      }
    }
    // Nothing is left that could work: all of them are tried again.
    for (const rung of this.#rungs) rung.until = 0;
    throw last;
  }

  /** Until it is over, or a better one takes its place, and so on. */
  async #follow(first: Link): Promise<ChatError> {
    let link = first;
    for (;;) {
      if (this.#isStopped()) {
        link.close(true);
        return new ChatError('closed');
      }
      this.link = link;
      this.options.opened(link);
      const openedAt = performance.now();
      const looking = new AbortController();
      const interrupted = new Promise<ChatError>((resolve) => (this.#interrupt = resolve));
      const next = await Promise.race([link.over, interrupted, this.#better(link.kind, looking.signal)]);
      looking.abort();
      if (next instanceof ChatError) {
        this.link = undefined;
        link.close(false);
        this.#judge(link.kind, next, performance.now() - openedAt);
        return next;
      }
      link.close(false);
      link = next;
    }
  }

  /** Twice in a row over as soon as it was there, and not by the server's own word: something on the way breaks it. */
  #judge(kind: LinkKind, error: ChatError, lasted: number): void {
    for (const rung of this.#rungs) {
      if (rung.kind !== kind) continue;
      if (lasted >= STABLE) rung.penalty = rung.brief = 0;
      else if (error.code === 'unreachable' && ++rung.brief > 1 && kind !== 'poll') leaveAlone(rung);
    }
  }

  /** Resolves with a better link, as soon as one opens; never where there is none. */
  async #better(kind: LinkKind, signal: AbortSignal): Promise<Link> {
    const at = this.#rungs.findIndex((rung) => rung.kind === kind);
    const above = this.#rungs.slice(0, at);
    const wanted = (): boolean => !signal.aborted;
    for (;;) {
      const [rung] = above.sort((one, other) => one.until - other.until);
      if (!rung) return new Promise(() => undefined);
      await sleep(Math.max(0, rung.until - performance.now()), signal);
      if (!wanted()) return new Promise(() => undefined);
      try {
        const link = await rung.open();
        if (wanted()) return link;
        link.close(false);
      } catch (error) {
        if (asChatError(error).code === 'busy') rung.until = performance.now() + BUSY;
        else leaveAlone(rung);
      }
    }
  }
}

function leaveAlone(rung: Rung): void {
  rung.penalty = Math.min(MOST_PENALTY, rung.penalty * 2 || PENALTY);
  rung.until = performance.now() + rung.penalty;
  rung.brief = 0;
}
