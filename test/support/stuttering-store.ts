/** A memory store whose announcements are late, doubled, out of order or never come: pub/sub at its worst. */
import type { Entry, Topic } from '../../src/core/entry';
import type { Follower, Slice, StoreLimits } from '../../src/core/store';
import type { EntryId } from '../../src/protocol/entry-id';
import { OverheardStore } from './overheard-store';

export class StutteringStore extends OverheardStore {
  readonly #held: (() => void)[] = [];
  /** Reads of logs so far: what a warm tail must not cost. */
  reads = 0;

  constructor(
    limits: StoreLimits,
    readonly random: () => number,
    now?: () => number,
  ) {
    super(limits, now);
  }

  override read(topic: Topic, after: EntryId, limit: number): Promise<Slice> {
    this.reads += 1;
    return super.read(topic, after, limit);
  }

  protected override overheard(follower: Follower): Partial<Follower> {
    const announce = (entry: Entry): void => {
      const chance = this.random();
      if (chance < 0.2) return;
      if (chance < 0.4) this.#held.push(() => follower.entry(entry));
      else follower.entry(entry);
      if (chance > 0.85) this.#held.push(() => follower.entry(entry));
    };
    return { entry: announce };
  }

  /** Lets what was held back arrive now, in any order. */
  letArrive(): void {
    while (this.#held.length > 0) this.#held.splice(Math.floor(this.random() * this.#held.length), 1)[0]?.();
  }
}
