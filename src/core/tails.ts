/** The tails of this node: one per log that somebody follows here, kept warm a while after the last reader went. */
import { BEGINNING } from '../protocol/entry-id';
import { ChatError } from '../protocol/errors';
import { topicSubject, type Topic } from './entry';
import { Followed, type Watcher } from './followed';
import { Rounds } from './rounds';
import type { Reader, Tail, TailOptions } from './tail';

export interface TailsOptions extends TailOptions {
  /** ms that a tail outlives its last reader, and up to `checkMs` more: the time in which a long-poll comes back. */
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

/** Logs whose ends are asked for in one call. */
const ENDS_AT_ONCE = 100;
/** Parts in which all logs have their turn: so the looks spread over the interval. */
const PARTS = 10;

export class Tails {
  readonly #followed = new Map<Topic, Followed>();
  readonly #rounds = new Rounds(this.#followed, PARTS);
  readonly #timer: NodeJS.Timeout;
  readonly #lingerMs: number;
  #closed = false;

  constructor(readonly options: TailsOptions) {
    this.#lingerMs = options.lingerMs ?? 30_000;
    const checkMs = options.checkMs ?? 5000;
    this.#timer = setInterval(() => {
      this.#round();
    }, checkMs / PARTS);
    this.#timer.unref();
  }

  get size(): number {
    return this.#followed.size;
  }

  /** The tail when it is followed already: then reading from it costs the store nothing. */
  warm(topic: Topic): Tail | undefined {
    const followed = this.#followed.get(topic);
    return followed?.ready ? undefined : followed?.tail;
  }

  /** The log is followed here, and nothing is in it: there is nothing to read, and its beginning would be told. */
  isSilent(topic: Topic): boolean {
    return this.#followed.get(topic)?.isSilent === true;
  }

  /** The warm tail, kept until `release`. */
  acquireWarm(topic: Topic): Tail | undefined {
    const tail = this.warm(topic);
    if (tail) this.#use(topic);
    return tail;
  }

  /** The tail, followed, and kept until `release`. Rejects with a ChatError when the store is away. */
  async acquire(topic: Topic): Promise<Tail> {
    const followed = this.#use(topic);
    await this.#settled(followed);
    return followed.begin();
  }

  release(tail: Tail, reader?: Reader): void {
    if (reader) tail.remove(reader);
    const followed = this.#followed.get(tail.topic);
    if (followed?.tail === tail) release(followed);
  }

  /**
   * Follows a client's topic until `unwatch`: from now on the watcher is told of changes of its record, and of its own
   * log's beginning. Rejects with a ChatError when the store is away.
   */
  async watch(topic: Topic, watcher: Watcher): Promise<void> {
    const followed = this.#use(topic);
    followed.watcher = watcher;
    await this.#settled(followed);
  }

  unwatch(topic: Topic, watcher: Watcher): void {
    const followed = this.#followed.get(topic);
    if (followed?.watcher !== watcher) return;
    followed.watcher = undefined;
    release(followed);
  }

  /** Announcements may have been lost: every log is looked at again. */
  check(): void {
    for (const followed of this.#followed.values()) if (!followed.ready) followed.check();
  }

  /**
   * What has happened in the rooms that are followed here, since this was last asked: a log's numbers have no holes, so
   * nobody has to count.
   */
  look(most: number): { readonly rooms: number; readonly busiest: readonly RoomActivity[] } {
    let rooms = 0;
    const busiest: RoomActivity[] = [];
    for (const { topic, tail } of this.#followed.values()) {
      if (!tail || !topic.startsWith('room:')) continue;
      rooms += 1;
      const least = busiest[most - 1];
      const one = { room: topicSubject(topic), said: tail.look(), hearers: tail.readers };
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
    for (const followed of this.#followed.values()) this.options.store.unfollow(followed.topic, followed);
    this.#followed.clear();
  }

  #use(topic: Topic): Followed {
    // Nobody would end it any more.
    if (this.#closed) throw new ChatError('shutting_down', '', 1);
    let followed = this.#followed.get(topic);
    if (!followed) {
      followed = new Followed(topic, this.options);
      this.#followed.set(topic, followed);
      followed.ready = this.#follow(followed);
    }
    followed.uses += 1;
    followed.idleSince = undefined;
    return followed;
  }

  async #settled(followed: Followed): Promise<void> {
    try {
      await followed.ready;
    } catch (error) {
      release(followed);
      throw error;
    }
  }

  /** A failed one is not kept: who comes next tries anew. */
  async #follow(followed: Followed): Promise<void> {
    const { topic } = followed;
    const { store } = this.options;
    try {
      await store.follow(topic, followed);
      await followed.look();
      followed.ready = undefined;
    } catch (error) {
      store.unfollow(topic, followed);
      if (this.#followed.get(topic) === followed) this.#followed.delete(topic);
      throw error;
    }
  }

  /** The next part of the logs: those that nobody uses any more go, of the others the ends are asked for. */
  #round(): void {
    const idle = performance.now() - this.#lingerMs;
    const due: Followed[] = [];
    this.#rounds.turn((followed) => {
      if (followed.ready) return;
      if (followed.idleSince !== undefined && followed.idleSince < idle) {
        this.options.store.unfollow(followed.topic, followed);
        this.#followed.delete(followed.topic);
      } else if (!followed.asked) {
        due.push(followed);
      }
    });
    for (let from = 0; from < due.length; from += ENDS_AT_ONCE)
      void this.#compare(due.slice(from, from + ENDS_AT_ONCE));
  }

  /** Asks for many ends at once, and reads only where one is not what is known here: most logs are silent. */
  async #compare(due: readonly Followed[]): Promise<void> {
    const known = due.map(({ last }) => last);
    for (const followed of due) followed.asked = true;
    try {
      const ends = await this.options.store.ends(due.map(({ topic }) => topic));
      due.forEach((followed, nth) => {
        const end = ends[nth] ?? BEGINNING;
        // What was announced while we asked may be behind it by now.
        if (end !== known[nth] && end !== followed.last) followed.check();
      });
    } catch (error) {
      // The next round, or the link's coming back, looks again.
      this.options.logger.debug({ err: error }, 'the ends of logs could not be read');
    } finally {
      for (const followed of due) followed.asked = false;
    }
  }
}

function release(followed: Followed): void {
  followed.uses -= 1;
  if (followed.uses === 0) followed.idleSince = performance.now();
}

function byActivity(a: RoomActivity, b: RoomActivity): number {
  return b.said - a.said || b.hearers - a.hearers;
}
