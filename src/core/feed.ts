/** Reading many logs as one: what a client has not had of all it hears, oldest first, with one cursor for all. */
import { BEGINNING, type EntryId } from '../protocol/entry-id';
import type { Gap } from '../protocol/message';
import type { Batch, LogEntry } from './batch';
import type { Chat } from './chat';
import { clientTopic, presenceTopic, roomTopic, type Topic } from './entry';
import { hears, hearThrough, type Heard, type Listener } from './hear';
import { gapOf } from './verdict';
import type { Start } from './push';
import type { HeardRoom, Hearer } from './session';
import { readBatch, type Reader, type Tail } from './tail';

/** One answer's worth. */
export interface Page {
  readonly heard: readonly Heard[];
  /** Told before what follows them. */
  readonly gaps: readonly Gap[];
  /** Where the reader stands before the first thing heard, what is lost behind it. */
  readonly from: ReadonlyMap<Topic, EntryId>;
  /** Where it stands after the page. */
  readonly places: ReadonlyMap<Topic, EntryId>;
}

interface Track {
  readonly topic: Topic;
  readonly tail: Tail | undefined;
  place: EntryId;
  loss: Start['loss'];
}

/** What one answer may weigh, so that no client's backlog fills the memory: the rest comes with the next. */
const PAGE_BYTES = 1024 * 1024;

export class Feed implements Reader, Hearer {
  readonly #tracks = new Map<Topic, Track>();
  readonly #removed = new Set<Topic>();
  #open = true;
  /** Called when there may be more, or when it is over. */
  onWake: (() => void) | undefined;

  /** @param follow stay at the logs' live ends, and be woken; otherwise the logs are read once */
  constructor(
    readonly chat: Chat,
    readonly listener: Listener,
    readonly options: { readonly presence: boolean; readonly follow: boolean },
  ) {}

  get open(): boolean {
    return this.#open;
  }

  /** From the given places, or from where the client came in. */
  async start(places: ReadonlyMap<Topic, EntryId>): Promise<void> {
    const { session } = this.listener;
    const own = clientTopic(session.id);
    const rooms = [...session.rooms.keys()];
    // No place in its own log means that there was nothing when the cursor was made.
    const starts = [this.#track(own, { place: places.get(own) ?? BEGINNING, loss: undefined })];
    for (const room of rooms) starts.push(this.#trackRoom(room, places));
    await Promise.all(starts);
  }

  get places(): ReadonlyMap<Topic, EntryId> {
    const places = new Map<Topic, EntryId>();
    for (const { topic, place } of this.#tracks.values()) places.set(topic, place);
    return places;
  }

  /** What there is now, and moves on past it. Rejects with a ChatError when a log cannot be read; nothing has moved then. */
  async next(limit: number): Promise<Page> {
    for (;;) {
      const tracks = [...this.#tracks.values()];
      const batches = await Promise.all(tracks.map(async (track) => this.#batch(track, limit)));
      const page = await this.#assemble(tracks, batches, limit);
      if (page) return page;
    }
  }

  /** Nothing follows any place now, as far as this node knows; costs no read. */
  get atHead(): boolean {
    for (const { tail, place, loss } of this.#tracks.values()) if (loss || tail?.last !== place) return false;
    return true;
  }

  wake(): void {
    this.onWake?.();
  }

  roomAdded(room: string, heard: HeardRoom): void {
    if (this.#tracks.has(roomTopic(room))) return;
    this.#removed.delete(roomTopic(room));
    this.#trackRoom(room, new Map([[roomTopic(room), heard.floor]])).then(
      () => {
        this.wake();
      },
      (error: unknown) => {
        this.chat.logger.warn({ err: error, room }, 'a room could not be followed for a feed');
        this.close();
      },
    );
  }

  roomRemoved(room: string): void {
    for (const topic of [roomTopic(room), presenceTopic(room)]) {
      this.#removed.add(topic);
      const track = this.#tracks.get(topic);
      if (!track) continue;
      this.#tracks.delete(topic);
      if (track.tail) this.chat.tails.release(track.tail, this);
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const { tail } of this.#tracks.values()) if (tail) this.chat.tails.release(tail, this);
    this.#tracks.clear();
    this.wake();
  }

  // --- inside ---

  async #trackRoom(room: string, places: ReadonlyMap<Topic, EntryId>): Promise<void> {
    const topic = roomTopic(room);
    await this.#track(topic, await this.chat.placeIn(this.listener.session, room, places.get(topic)));
    if (!this.options.presence) return;
    const presence = presenceTopic(room);
    await this.#track(presence, { place: places.get(presence) ?? (await this.chat.endOf(presence)), loss: undefined });
  }

  async #track(topic: Topic, start: Start): Promise<void> {
    const tail = this.options.follow ? await this.chat.tails.acquire(topic, this) : this.chat.tails.warm(topic);
    if (!this.#open || this.#removed.has(topic) || this.#tracks.has(topic)) {
      if (this.options.follow && tail && this.#tracks.get(topic)?.tail !== tail) this.chat.tails.release(tail, this);
      return;
    }
    this.#tracks.set(topic, { topic, tail, place: start.place, loss: start.loss });
  }

  #batch(track: Track, limit: number): Batch | Promise<Batch> {
    return track.tail ? track.tail.batch(track.place) : readBatch(this.chat.store, track.topic, track.place, limit);
  }

  /** One page of the batches, or undefined when all of it was withheld and there is more to look at. */
  async #assemble(tracks: readonly Track[], batches: readonly Batch[], limit: number): Promise<Page | undefined> {
    const gaps: Gap[] = [];
    const places = new Map<Topic, EntryId>();
    const all: LogEntry[] = [];
    let more = false;
    tracks.forEach((track, index) => {
      const batch = batches[index];
      if (!batch) return;
      if (track.loss) gaps.push(gapOf(track.topic, track.loss));
      if (batch.loss) gaps.push(gapOf(track.topic, batch.loss));
      // What was lost lies behind the reader now, even when none of the entries fits this page.
      places.set(track.topic, batch.entries[0]?.prev ?? batch.end);
      all.push(...batch.entries);
      more ||= batch.more;
    });
    // A log's own order is kept: its times never fall, and the sort is stable.
    if (tracks.length > 1) all.sort((a, b) => a.ms - b.ms);
    const chosen = fitting(all, limit);
    more ||= chosen.length < all.length;

    const { middleware } = this.chat;
    const heard = middleware.hasSay
      ? await hearThrough(middleware, chosen, this.listener)
      : chosen.filter((entry) => hears(entry, this.listener)).map((entry) => ({ entry, json: entry.json }));

    const from = new Map(places);
    for (const entry of chosen) places.set(entry.topic, entry.id);
    for (const track of tracks) {
      track.place = places.get(track.topic) ?? track.place;
      track.loss = undefined;
    }
    this.chat.counters.delivered += heard.length;
    for (const { reason } of gaps) this.chat.counters.gap(reason);
    if (heard.length === 0 && gaps.length === 0 && more) return undefined;
    return { heard, gaps, from, places };
  }
}

function fitting(entries: readonly LogEntry[], limit: number): readonly LogEntry[] {
  let bytes = 0;
  let count = 0;
  for (const entry of entries) {
    bytes += entry.json.length;
    // The first always goes, however large it is.
    if (count === limit || (count > 0 && bytes > PAGE_BYTES)) return entries.slice(0, count);
    count += 1;
  }
  return entries;
}
