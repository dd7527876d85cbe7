/** The names of the rooms there are. In no room's slot, so it is repaired rather than exact. */
import type { Calls } from './calls';
import type { Keys } from './keys';

/** Names that each tidying looks at. */
const SAMPLE = 20;
/** Looks of one tidying, where each finds that many are gone. */
const MOST_LOOKS = 50;
const AT_ONCE = 1000;

export class RoomIndex {
  #tidying: Promise<void> | undefined;

  constructor(
    readonly calls: Calls,
    readonly keys: Keys,
  ) {}

  /** A room that could not be listed is no reason to fail: its nodes list it again as they renew their leases. */
  async add(...rooms: readonly string[]): Promise<void> {
    for (let at = 0; at < rooms.length; at += AT_ONCE) {
      const some = rooms.slice(at, at + AT_ONCE);
      await this.calls.write((client) => client.sadd(this.keys.rooms, ...some)).catch(() => undefined);
    }
  }

  /** Somebody may have made it anew meanwhile, so it is looked for once it is off the list. */
  async remove(room: string): Promise<void> {
    try {
      await this.calls.write((client) => client.srem(this.keys.rooms, room));
      if (await this.#exists(room)) await this.add(room);
    } catch {
      // Listed though gone: `all` leaves it out, and tidying finds it.
    }
  }

  async all(): Promise<string[]> {
    const listed = await this.calls.read((client) => client.smembers(this.keys.rooms));
    const found = await Promise.all(listed.map((room) => this.#exists(room)));
    return listed.filter((_, index) => found[index]).sort();
  }

  count(): Promise<number> {
    return this.calls.read((client) => client.scard(this.keys.rooms));
  }

  /**
   * Rooms end by their TTL without anybody's doing; a few names at a time are checked, as Redis does with its own: again
   * at once where many of them were gone, or a flood of rooms would be on the list for hours after its end.
   */
  async tidy(): Promise<void> {
    this.#tidying ??= this.#tidy().finally(() => (this.#tidying = undefined));
    await this.#tidying;
  }

  async #tidy(): Promise<void> {
    for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
      const some = await this.calls.read((client) => client.srandmember(this.keys.rooms, SAMPLE));
      const gone = await Promise.all(some.map(async (room) => !(await this.#exists(room))));
      await Promise.all(some.map(async (room, index) => (gone[index] ? this.remove(room) : undefined)));
      if (gone.filter(Boolean).length < SAMPLE / 4) return;
    }
  }

  async #exists(room: string): Promise<boolean> {
    return (await this.calls.read((client) => client.exists(this.keys.roomState(room)))) === 1;
  }
}
