/** What came so far, to be waited for: a wait that fails tells what came instead. */

/** ms. Long, because it is waited for only where the test fails: on a busy machine a process takes seconds to start. */
const PATIENCE = 15_000;
/** A crowd of thousands may come late as a whole, on a machine that does other things as well. */
const PATIENCE_WITH_CROWDS = 45_000;

interface Look {
  (): void;
  readonly fail: (error: Error) => void;
}

export class Inbox<T> {
  /** Everything that ever came. */
  readonly all: T[] = [];
  readonly #untaken: T[] = [];
  readonly #looks = new Set<Look>();
  #over: Error | undefined;

  /** @param name of what it waits for, in a failure */
  constructor(readonly name: string) {}

  /** What came and was not taken yet. */
  get untaken(): readonly T[] {
    return this.#untaken;
  }

  put(value: T): void {
    this.all.push(value);
    this.#untaken.push(value);
    for (const look of [...this.#looks]) look();
  }

  /** Nothing more will come: whoever waits, now or later, is told why. */
  end(why: string): void {
    this.#over = new Error(`no ${this.name} any more: ${why}; ${this.#soFar()}`);
    for (const look of [...this.#looks]) look.fail(this.#over);
  }

  /** The first that fits and that no earlier call has had, waited for when it is not there yet. */
  next(fits: (value: T) => boolean = () => true): Promise<T> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#looks.delete(look);
      };
      const look: Look = Object.assign(
        () => {
          const index = this.#untaken.findIndex(fits);
          if (index < 0) return;
          done();
          resolve(this.#untaken.splice(index, 1)[0] as T);
        },
        {
          fail: (error: Error) => {
            done();
            reject(error);
          },
        },
      );
      const timer = setTimeout(() => {
        look.fail(new Error(`no ${this.name} within ${PATIENCE} ms; ${this.#soFar()}`));
      }, PATIENCE);
      this.#looks.add(look);
      look();
      if (this.#looks.has(look) && this.#over) look.fail(this.#over);
    });
  }

  /** Everything that came, once there is that much of it; whether it was taken does not matter. */
  async whole(count: number): Promise<readonly T[]> {
    let seen = -1;
    while (this.all.length < count) {
      // As long as something comes, there is hope.
      if (this.all.length === seen || this.#over) {
        throw this.#over ?? new Error(`${count} of ${this.name} expected; ${this.#soFar()}`);
      }
      seen = this.all.length;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          this.#looks.delete(look);
          resolve();
        };
        const enough = (): void => {
          if (this.all.length >= count) done();
        };
        const look: Look = Object.assign(enough, { fail: done });
        const timer = setTimeout(done, PATIENCE_WITH_CROWDS);
        this.#looks.add(look);
      });
    }
    return this.all;
  }

  async take(count: number): Promise<T[]> {
    const taken: T[] = [];
    while (taken.length < count) taken.push(await this.next());
    return taken;
  }

  #soFar(): string {
    const shown = this.all.slice(-20).map((value) => `  ${JSON.stringify(value).slice(0, 160)}`);
    return shown.length === 0
      ? 'nothing came'
      : `so far, the last ${shown.length} of ${this.all.length}:\n${shown.join('\n')}`;
  }
}

/** Proves that nothing comes: to be used after something else has come the same way, which shows that it is open. */
export async function stillness(ms = 30): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
