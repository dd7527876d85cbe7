/** The tails of this node: one per log that somebody follows here, kept warm a while after the last reader went. */
import { BEGINNING, entryIdParts } from '../protocol/entry-id';
import { topicSubject, type Topic } from './entry';
import { Tail, type Reader, type TailOptions, type Watcher } from './tail';

export interface TailsOptions extends TailOptions {
  /** ms that a tail outlives its last reader: the time in which a long-poll comes back. */
  readonly lingerMs?: number;
  /** ms between looks at every log's end, for announcements that never came. */
  readonly checkMs?: number;
}

export interface RoomActivity {
  readonly room: string;
  /** Messages. */
  readonly said: number;
  /** Links, streams and waiting polls of this node. */
  readonly hearers: number;
}

interface Held {
  readonly tail: Tail;
  /** Resolves when it is followed; undefined once it is. */
  ready: Promise<void> | undefined;
  unfollow: (() => void) | undefined;
  /** By the steady clock; undefined while it has readers. */
  idleSince: number | undefined;
  uses: number;
  /** Its end is being asked for. */
  asked: boolean;
  /** The log's last number when the busiest rooms were last looked for; undefined before the first time. */
  lookedAt: number | undefined;
}

/** Logs whose ends are asked for in one call. */
const ENDS_AT_ONCE = 100;

export class Tails {
  readonly #held = new Map<Topic, Held>();
  readonly #timer: NodeJS.Timeout;
  readonly #lingerMs: number;
  #closed = false;

  constructor(readonly options: TailsOptions) {
    this.#lingerMs = options.lingerMs ?? 30_000;
    const checkMs = options.checkMs ?? 5000;
    let turn = 0;
    // A tenth of the logs at a time, so that the looks spread over the interval.
    this.#timer = setInterval(() => {
      turn = (turn + 1) % 10;
      this.#round(turn);
    }, checkMs / 10);
    this.#timer.unref();
  }

  get size(): number {
    return this.#held.size;
  }

  /** The tail when it is followed already: then reading from it costs the store nothing. */
  warm(topic: Topic): Tail | undefined {
    const held = this.#held.get(topic);
    return held?.unfollow ? held.tail : undefined;
  }

  /** The same, kept until `release`. */
  acquireWarm(topic: Topic): Tail | undefined {
    const held = this.#held.get(topic);
    if (!held?.unfollow) return undefined;
    held.uses += 1;
    held.idleSince = undefined;
    return held.tail;
  }

  /**
   * The tail, followed, and kept until `release`. Rejects with a ChatError when the store is away.
   * @param watcher of a client's topic: told from the first announcement on
   */
  async acquire(topic: Topic, watcher?: Watcher): Promise<Tail> {
    let held = this.#held.get(topic);
    if (!held) {
      held = this.#follow(topic);
      this.#held.set(topic, held);
    }
    held.uses += 1;
    held.idleSince = undefined;
    if (watcher) held.tail.watcher = watcher;
    try {
      await held.ready;
    } catch (error) {
      this.#release(held);
      throw error;
    }
    return held.tail;
  }

  release(tail: Tail, reader?: Reader): void {
    if (reader) tail.remove(reader);
    const held = this.#held.get(tail.topic);
    if (held?.tail === tail) this.#release(held);
  }

  /** Announcements may have been lost: every log is looked at again. */
  check(): void {
    for (const { tail, unfollow } of this.#held.values()) if (unfollow) tail.check();
  }

  /**
   * What has happened in the rooms that are followed here, since this was last asked: a log's numbers have no holes, so
   * nobody has to count.
   */
  look(most: number): { readonly rooms: number; readonly busiest: readonly RoomActivity[] } {
    let rooms = 0;
    const busiest: RoomActivity[] = [];
    for (const [topic, held] of this.#held) {
      if (!topic.startsWith('room:')) continue;
      rooms += 1;
      const { tail } = held;
      const { seq } = entryIdParts(tail.last);
      const said = Math.max(0, seq - (held.lookedAt ?? seq));
      held.lookedAt = seq;
      const least = busiest[most - 1];
      const one = { room: topicSubject(topic), said, hearers: tail.readers };
      if (least && byActivity(one, least) >= 0) continue;
      busiest.push(one);
      busiest.sort(byActivity);
      busiest.length = Math.min(busiest.length, most);
    }
    return { rooms, busiest };
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const { unfollow } of this.#held.values()) unfollow?.();
    this.#held.clear();
  }

  #release(held: Held): void {
    held.uses -= 1;
    if (held.uses === 0) held.idleSince = performance.now();
  }

  #follow(topic: Topic): Held {
    const tail = new Tail(topic, this.options);
    const held: Held = {
      tail,
      ready: undefined,
      unfollow: undefined,
      idleSince: undefined,
      uses: 0,
      asked: false,
      lookedAt: undefined,
    };
    held.ready = this.#start(held);
    // A failed start is not kept: the next reader tries anew. Whoever waits is told by `ready` itself.
    held.ready.catch(() => {
      if (this.#held.get(topic) === held) this.#held.delete(topic);
    });
    return held;
  }

  async #start(held: Held): Promise<void> {
    const { tail } = held;
    const unfollow = await this.options.store.follow(tail.topic, tail);
    try {
      await tail.start();
    } catch (error) {
      unfollow();
      throw error;
    }
    held.ready = undefined;
    if (this.#closed) unfollow();
    else held.unfollow = unfollow;
  }

  #round(turn: number): void {
    const now = performance.now();
    const due: Held[] = [];
    let index = 0;
    for (const [topic, held] of this.#held) {
      index += 1;
      if (!held.unfollow) continue;
      if (held.idleSince !== undefined && now - held.idleSince > this.#lingerMs) {
        held.unfollow();
        this.#held.delete(topic);
      } else if (index % 10 === turn && !held.asked) {
        due.push(held);
      }
    }
    for (let from = 0; from < due.length; from += ENDS_AT_ONCE)
      void this.#compare(due.slice(from, from + ENDS_AT_ONCE));
  }

  /** Asks for many ends at once, and reads only where one is not what is known here: most logs are silent. */
  async #compare(due: readonly Held[]): Promise<void> {
    const known = due.map(({ tail }) => tail.last);
    for (const held of due) held.asked = true;
    try {
      const ends = await this.options.store.ends(due.map(({ tail }) => tail.topic));
      for (const [index, { tail }] of due.entries()) {
        const end = ends[index] ?? BEGINNING;
        // What was announced while we asked may be behind it by now.
        if (end !== known[index] && end !== tail.last) tail.check();
      }
    } catch (error) {
      // The next round, or the link's coming back, looks again.
      this.options.logger.debug({ err: error }, 'the ends of logs could not be read');
    } finally {
      for (const held of due) held.asked = false;
    }
  }
}

function byActivity(a: RoomActivity, b: RoomActivity): number {
  return b.said - a.said || b.hearers - a.hearers;
}
