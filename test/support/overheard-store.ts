/** A memory store whose announcements come by somebody on their way. */
import type { Topic } from '../../src/core/entry';
import type { Follower } from '../../src/core/store';
import { MemoryStore } from '../../src/store/memory-store';

export class OverheardStore extends MemoryStore {
  readonly #overhearing = new WeakMap<Follower, Map<Topic, Follower>>();

  /** What the follower is told in another way than as it is. */
  protected overheard(_follower: Follower): Partial<Follower> {
    return {};
  }

  override follow(topic: Topic, follower: Follower): Promise<void> {
    const overhearing: Follower = {
      entry: (entry) => follower.entry(entry),
      stale: () => follower.stale(),
      changed: (version) => follower.changed(version),
      ...this.overheard(follower),
    };
    const others = this.#overhearing.get(follower) ?? [];
    this.#overhearing.set(follower, new Map([...others, [topic, overhearing]]));
    return super.follow(topic, overhearing);
  }

  override unfollow(topic: Topic, follower: Follower): void {
    const overhearing = this.#overhearing.get(follower)?.get(topic);
    if (overhearing) super.unfollow(topic, overhearing);
  }
}
