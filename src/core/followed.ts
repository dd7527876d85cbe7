/** One log that this node follows: what the store announces of it, and its tail once there is anything to read. */
import { BEGINNING, type EntryId } from '../protocol/entry-id';
import type { Entry, Topic } from './entry';
import type { Follower } from './store';
import { Tail, type TailOptions } from './tail';

/** Who looks to the record of the client whose topic it is. */
export interface Watcher {
  changed(version: number): void;
  /** It is not known what was announced meanwhile. */
  stale(): void;
  /** The client's own log has a tail from now on: whoever hears for the client has to follow it. */
  begun(): void;
}

/**
 * A client's own log has no tail until something is in it, or somebody stands in it: in most of them nothing is ever said,
 * and there is one for everybody who is connected.
 */
export class Followed implements Follower {
  tail: Tail | undefined;
  /** Resolves when it is followed, and read for the first time; undefined once it is. */
  ready: Promise<void> | undefined;
  /** Of a client's topic, its session. */
  watcher: Watcher | undefined;
  /** By the steady clock; undefined while it is in use. */
  idleSince: number | undefined;
  uses = 0;
  /** Its end is being asked for. */
  asked = false;

  constructor(
    readonly topic: Topic,
    readonly options: TailOptions,
  ) {}

  /** Nothing is in it, as far as is known here, and nobody stands anywhere in it. */
  get isSilent(): boolean {
    return this.ready === undefined && this.tail === undefined;
  }

  /** What the log is known to end with. */
  get last(): EntryId {
    return this.tail?.last ?? BEGINNING;
  }

  /** To be called once followed: what comes from then on is announced. Rejects with a ChatError. */
  async look(): Promise<void> {
    const { state } = await this.options.store.read(this.topic, BEGINNING, 0);
    if (state) this.begin();
    this.tail?.start(state?.last ?? BEGINNING);
  }

  begin(): Tail {
    const tail = this.tail ?? new Tail(this.topic, this.options);
    if (tail === this.tail) return tail;
    this.tail = tail;
    this.watcher?.begun();
    return tail;
  }

  /** Looks whether the log goes on behind what is known; costs one read. */
  check(): void {
    if (this.tail) {
      this.tail.check();
      return;
    }
    this.look().catch((error: unknown) => {
      // The next look at the log's end, or the link's coming back, tries again.
      this.options.logger.debug({ topic: this.topic, err: error }, 'a log could not be looked at');
    });
  }

  // --- what the store announces ---

  entry(entry: Entry): void {
    this.begin().entry(entry);
  }

  changed(version: number): void {
    this.watcher?.changed(version);
  }

  stale(): void {
    this.watcher?.stale();
    this.check();
  }
}
