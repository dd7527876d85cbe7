/** Polls, one after the other: they go through wherever anything does. */
import { Link, type Details, type Frame, type LinkContext } from './link';
import { sleep } from './sleep';

/** Seconds that a poll waits for something. */
const WAIT = 25;
/** ms between the polls of a tab that may have none waiting. */
const PAUSE = 3000;
/** ms: an empty answer that came sooner than this was not waited for, as of a server that goes. */
const SOON = 1000;

interface Page {
  readonly messages: readonly Frame[];
  readonly gaps?: readonly Frame[];
  readonly cursor: string;
}

/** @throws ChatError */
export async function openPoll(context: LinkContext): Promise<Link> {
  return new PollLink(context, await context.identify());
}

class PollLink extends Link {
  readonly kind = 'poll';
  #release: (() => void) | undefined;

  constructor(context: LinkContext, details: Details) {
    super(context, details);
    this.#poll()
      .catch((error: unknown) => {
        this.end(error);
      })
      .finally(() => this.#release?.());
  }

  async #poll(): Promise<void> {
    const { http, kept, slot, wishes } = this.context;
    const { signal } = this;
    let early = 0;
    const over = (): boolean => signal.aborted;
    while (!over()) {
      this.#release ??= await slot();
      const wait = this.#release ? WAIT : 0;
      const began = performance.now();
      const late = this.expire(wait * 1000 + http.timeout);
      const params = { method: 'messages', wait, after: kept.cursor, ...wishes };
      const page = (await http.json('', params, signal).finally(() => {
        clearTimeout(late);
      })) as unknown as Page;
      if (over()) return;
      for (const gap of page.gaps ?? []) this.context.receive({ context: 'gap', ...gap });
      for (const message of page.messages) this.context.receive(message);
      kept.cursor = page.cursor;
      kept.save();
      early = page.messages.length === 0 && performance.now() - began < SOON ? early + 1 : 0;
      if (wait === 0) await sleep(PAUSE * (0.5 + Math.random()), signal);
      else if (early > 1) await sleep(SOON * Math.random(), signal);
    }
  }
}
