/** Whether there are as many rooms as there may be. About: a look at the store is some seconds old, and nobody waits for it. */
import type { Logger } from './logger';
import type { Store } from './store';

export interface RoomCountOptions {
  readonly store: Pick<Store, 'countRooms'>;
  /** 0: any number. */
  readonly most: number;
  readonly logger: Logger;
  readonly now?: () => number;
}

const LOOK_EVERY = 1000;

export class RoomCount {
  #count = 0;
  #lookedAt = -Infinity;

  constructor(readonly options: RoomCountOptions) {}

  get full(): boolean {
    const { most } = this.options;
    if (most === 0) return false;
    this.#look();
    return this.#count >= most;
  }

  #look(): void {
    const now = (this.options.now ?? performance.now.bind(performance))();
    if (now - this.#lookedAt < LOOK_EVERY) return;
    this.#lookedAt = now;
    this.options.store.countRooms().then(
      (count) => {
        this.#count = count;
      },
      // A store that is away makes no rooms either.
      (error: unknown) => this.options.logger.debug({ err: error }, 'the rooms were not counted'),
    );
  }
}
