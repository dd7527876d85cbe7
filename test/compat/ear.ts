/** What an emitter has said so far, to be waited for: a wait that fails tells what came instead. */
const patience = 15_000;

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- JSON of an old dialect; expect() is its check
export type Parsed = any;

/** Old clients' own emitters know no more than this. */
export interface Emitter {
  on(event: string, listener: (...values: unknown[]) => void): unknown;
}

interface Saying {
  readonly event: string;
  readonly value: unknown;
  taken: boolean;
}

export class Ear {
  readonly #sayings: Saying[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(emitter: Emitter, events: readonly string[]) {
    for (const event of events) {
      emitter.on(event, (value) => {
        this.#sayings.push({ event, value, taken: false });
        for (const look of [...this.#waiting]) look();
      });
    }
  }

  /** The first `event` that fits and that no earlier call has had, waited for when it is not there yet. */
  async next(event: string, fits: (value: Parsed) => boolean = () => true): Promise<Parsed> {
    let look = (): void => {};
    const found = new Promise<unknown>((resolve) => {
      look = (): void => {
        const saying = this.#sayings.find((each) => !each.taken && each.event === event && fits(each.value));
        if (!saying) return;
        saying.taken = true;
        resolve(saying.value);
      };
    });
    this.#waiting.add(look);
    look();
    try {
      return await this.within(found, `event "${event}"`);
    } finally {
      this.#waiting.delete(look);
    }
  }

  /** Every value `event` came with so far, taken or not. */
  all(event: string): Parsed[] {
    return this.#sayings.filter((each) => each.event === event).map((each) => each.value);
  }

  /** The promise's value, or a failure that names what was waited for and all that was heard. */
  async within<T>(promise: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        const heard = this.#sayings.map((each) => `  ${each.event}: ${shown(each.value)}`).join('\n');
        reject(new Error(`no ${what} within ${patience} ms; so far:\n${heard || '  nothing'}`));
      }, patience);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Asks again, one round trip after the other, until the answer fits: for what another client's going changes. */
export async function until<T>(ask: () => Promise<T>, fits: (answer: T) => boolean, what: string): Promise<T> {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (fits(answer)) return answer;
    if (Date.now() > end) throw new Error(`not ${what} within ${patience} ms; last answer: ${shown(answer)}`);
  }
}

function shown(value: unknown): string {
  return value instanceof Error
    ? String(value)
    : ((JSON.stringify(value) as string | undefined) ?? 'undefined').slice(0, 400);
}
