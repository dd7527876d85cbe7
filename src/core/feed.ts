/** Reading many logs as one: what a client has not had of all it hears, oldest first, with one cursor for all. */
import { Arrivals } from './arrivals';
import { BEGINNING, compareEntryIds, type EntryId } from '../protocol/entry-id';
import { ChatError } from '../protocol/errors';
import type { Gap } from '../protocol/message';
import type { Batch, LogEntry } from './batch';
import type { Chat } from './chat';
import { presenceTopic, roomTopic, topicSubject, type Topic } from './entry';
import { hears, hearsAll, hearThrough, type Listener } from './hear';
import { fitting, Page, PAGE_BYTES } from './page';
import { gapOf } from './verdict';
import { floorsOf, type Start } from './push';
import type { HeardRoom, Hearer, Session } from './session';
import { BATCH_ENTRIES, readBatch, type Reader, type Tail } from './tail';

/** Who waits for a feed to have something. */
export interface Sleeper {
  wake(): void;
}

/** Where a feed stands in one of its logs. */
class Track implements Reader {
  seat = -1;

  constructor(
    readonly feed: Feed,
    readonly topic: Topic,
    readonly tail: Tail | undefined,
    public place: EntryId,
    public loss: Start['loss'],
  ) {}

  wake(): void {
    this.feed.wake();
  }
}

const NOWHERE: readonly Track[] = [];

export class Feed implements Hearer, Listener {
  /** A list: most clients hear two logs, and few more than fifty. Made anew with every change, of just that length. */
  #tracks: readonly Track[] = NOWHERE;
  #arrivals: Arrivals | undefined;
  #open = true;
  /** It has read past something since it began, be it that nothing of it was for this client. */
  moved = false;
  /** Woken when there may be more, or when it is over. */
  sleeper: Sleeper | undefined;

  readonly session: Session;
  readonly client: Listener['client'];
  readonly echo: boolean;
  readonly #presence: boolean;
  readonly #follow: boolean;

  /**
   * @param options.follow stay at the logs' live ends, and be woken; otherwise the logs are read once. Of a client's own log
   * in which there is nothing yet, a session tells those who hear for it: see `Sessions.listen`
   */
  constructor(
    readonly chat: Chat,
    { session, client, echo }: Listener,
    options: { readonly presence: boolean; readonly follow: boolean },
  ) {
    this.session = session;
    this.client = client;
    this.echo = echo;
    this.#presence = options.presence;
    this.#follow = options.follow;
  }

  get open(): boolean {
    return this.#open;
  }

  /** From the given places, or from where the client came in. Undefined when it has begun: all it reads is known here. */
  start(places: ReadonlyMap<Topic, EntryId>): Promise<unknown> | undefined {
    const { session } = this;
    const starts: Promise<void>[] = [];
    const own = session.topic;
    // No place in its own log means that there was nothing when the cursor was made.
    const ownPlace = places.get(own) ?? BEGINNING;
    // At the beginning of a log in which there is nothing, nothing is missed until it begins.
    const isSilent = ownPlace === BEGINNING && this.chat.tails.isSilent(own);
    if (!isSilent && !this.#trackWarm(own, ownPlace)) starts.push(this.#trackOwn(ownPlace));
    for (const [room, { floor }] of session.rooms) {
      const topic = roomTopic(room);
      const given = places.get(topic);
      const known = given !== undefined && compareEntryIds(given, floor) >= 0 && !this.#presence;
      if (!known || !this.#trackWarm(topic, given)) starts.push(this.#trackRoom(room, places));
    }
    return starts.length > 0 ? Promise.all(starts) : undefined;
  }

  get places(): ReadonlyMap<Topic, EntryId> {
    const places = new Map<Topic, EntryId>();
    for (const { topic, place } of this.#tracks) places.set(topic, place);
    return places;
  }

  /**
   * What there is now, and moves on past it: at once where all of it is known here, in one piece with everybody who is
   * given the same. Rejects with a ChatError when a log cannot be read; nothing has moved then.
   */
  next(limit: number): Page | Promise<Page> {
    return this.#shared(limit) ?? this.#read(limit);
  }

  /** Nothing follows any place now, as far as this node knows; costs no read. */
  get atHead(): boolean {
    for (const { tail, place, loss } of this.#tracks) if (loss || tail?.last !== place) return false;
    return true;
  }

  wake(): void {
    this.sleeper?.wake();
  }

  roomAdded(room: string, heard: HeardRoom): void {
    if (!this.#reads(roomTopic(room))) this.#begins(this.#trackRoom(room, floorsOf(room, heard)), { room });
  }

  ownLogBegun(): void {
    if (!this.#reads(this.session.topic)) this.#begins(this.#trackOwn(BEGINNING), {});
  }

  roomRemoved(room: string): void {
    if (!this.#open) return;
    for (const topic of [roomTopic(room), presenceTopic(room)]) {
      this.#arrivals?.cancel(topic);
      for (const track of this.#tracks) if (track.topic === topic) this.#letGo(track);
      this.#tracks = this.#tracks.filter((track) => track.topic !== topic);
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    // They are still where it stands: whoever it ended for is told that.
    for (const track of this.#tracks) this.#letGo(track);
    this.wake();
  }

  // --- inside ---

  #begins(tracking: Promise<void>, what: object): void {
    tracking.then(
      () => {
        this.wake();
      },
      (error: unknown) => {
        this.chat.logger.warn({ err: error, ...what }, 'a log could not be followed for a feed');
        this.close();
      },
    );
  }

  #trackOwn(place: EntryId): Promise<void> {
    return this.#track(this.session.topic, () => ({ place, loss: undefined }));
  }

  #reads(topic: Topic): boolean {
    return this.#arrivals?.has(topic) === true || this.#tracks.some((track) => track.topic === topic);
  }

  #trackWarm(topic: Topic, place: EntryId): boolean {
    const { tails } = this.chat;
    const tail = this.#follow ? tails.acquireWarm(topic) : tails.warm(topic);
    if (!tail) return false;
    const track = new Track(this, topic, tail, place, undefined);
    if (this.#follow) tail.add(track);
    this.#tracks = this.#tracks.length === 0 ? [track] : this.#tracks.concat(track);
    return true;
  }

  async #trackRoom(room: string, places: ReadonlyMap<Topic, EntryId>): Promise<void> {
    const { chat } = this;
    const { session } = this;
    const messages = this.#track(roomTopic(room), (topic) => chat.standing.placeIn(session, room, places.get(topic)));
    const events = this.#presence
      ? this.#track(presenceTopic(room), async (topic) => {
          const place = await chat.standing.presencePlaceIn(session, room, places.get(topic));
          return { place, loss: undefined };
        })
      : undefined;
    await Promise.all([messages, events]);
  }

  async #track(topic: Topic, startOf: (topic: Topic) => Start | Promise<Start>): Promise<void> {
    if (this.#reads(topic)) return;
    const { tails } = this.chat;
    const arrived = (this.#arrivals ??= new Arrivals()).begin(topic);
    let tail: Tail | undefined;
    let start: Start;
    try {
      start = await startOf(topic);
      tail = this.#follow ? await tails.acquire(topic) : tails.warm(topic);
    } catch (error) {
      arrived();
      throw error;
    }
    if (!arrived() || !this.#open) {
      if (this.#follow && tail) tails.release(tail);
      return;
    }
    const track = new Track(this, topic, tail, start.place, start.loss);
    if (this.#follow) tail?.add(track);
    this.#tracks = this.#tracks.concat(track);
  }

  /** A tail that was only looked at, because others follow it, is theirs. */
  #letGo(track: Track): void {
    if (track.tail && this.#follow) this.chat.tails.release(track.tail, track);
  }

  /**
   * No log has anything, or one has, and all of it is for this reader: then it is the same page for all who stand at these
   * places. Undefined when there is anything else to think of.
   */
  #shared(limit: number): Page | undefined {
    let growing: Track | undefined;
    let others = '';
    for (const track of this.#tracks) {
      const { tail, topic, place, loss } = track;
      if (!tail || loss) return undefined;
      if (tail.last === place) {
        if (isPlace(topic, place)) others += `${topic} ${place} `;
        continue;
      }
      if (growing) return undefined;
      growing = track;
    }
    // Nothing follows any of the places.
    if (!growing) return this.#pageOf([]);
    if (!growing.tail || this.chat.middleware.hasSay) return undefined;
    const batch = growing.tail.batch(growing.place, this.client.peer);
    if (batch instanceof Promise || batch.loss || batch.entries.length === 0) return undefined;
    if (batch.entries.length > limit || batch.length > PAGE_BYTES || !hearsAll(batch, this)) return undefined;

    return this.#give(growing, batch, others, batch.entries);
  }

  /**
   * The same of what had to be read: those who fell behind together wait for one read, and would make as many pages of it.
   * Of more than one page it is the first one.
   */
  #sharedRead(tracks: readonly Track[], batches: readonly Batch[], limit: number): Page | undefined {
    // A room may have come or gone meanwhile.
    if (tracks !== this.#tracks || this.chat.middleware.hasSay) return undefined;
    let growing: { readonly track: Track; readonly batch: Batch } | undefined;
    let others = '';
    for (const [index, track] of tracks.entries()) {
      const batch = batches[index];
      const { topic, place, loss } = track;
      if (!batch || loss || batch.loss) return undefined;
      if (batch.entries.length > 0) {
        if (growing) return undefined;
        growing = { track, batch };
      } else if (batch.end !== place) {
        return undefined;
      } else if (isPlace(topic, place)) {
        others += `${topic} ${place} `;
      }
    }
    if (!growing || !hearsAll(growing.batch, this)) return undefined;
    return this.#give(growing.track, growing.batch, others, fitting(growing.batch.entries, limit, this));
  }

  /** Moves past these entries, the first of the batch, in one page with everybody who is given as many of it. */
  #give(growing: Track, batch: Batch, others: string, entries: readonly LogEntry[]): Page {
    const page = batch.page(`${others}${String(entries.length)}`, () => this.#pageOf(entries));
    growing.place = entries.at(-1)?.id ?? batch.end;
    this.moved = true;
    this.chat.counters.delivered += entries.length;
    return page;
  }

  #pageOf(entries: readonly LogEntry[]): Page {
    const from = new Map<Topic, EntryId>();
    for (const { topic, place } of this.#tracks) if (isPlace(topic, place)) from.set(topic, place);
    const places = new Map(from);
    const [first] = entries;
    if (first) {
      from.set(first.topic, first.prev);
      places.set(first.topic, entries.at(-1)?.id ?? first.id);
    }
    const heard = entries.map((entry) => ({ entry, json: entry.json }));
    return new Page(heard, [], from, places);
  }

  async #read(limit: number): Promise<Page> {
    // Once all of it was withheld, likely more is.
    for (let most = limit; ; most = BATCH_ENTRIES) {
      const tracks = this.#tracks;
      const began = performance.now();
      const batches = await Promise.all(tracks.map(async (track) => this.#batch(track, most)));
      if (this.chat.sessions.isLate(began)) await this.chat.sessions.refresh(this.session);
      if (!this.#areHeard(tracks)) continue;
      const page = this.#sharedRead(tracks, batches, limit) ?? (await this.#assemble(tracks, batches, limit));
      if (page) return page;
    }
  }

  /** False when one of the rooms was left while it was read: nothing that was said there since is for this client. */
  #areHeard(tracks: readonly Track[]): boolean {
    for (const { topic } of tracks) if (!this.#isHeard(topic)) this.roomRemoved(topicSubject(topic));
    return tracks.every((track) => this.#tracks.includes(track));
  }

  #isHeard(topic: Topic): boolean {
    return topic.startsWith('client:') || this.session.rooms.has(topicSubject(topic));
  }

  #batch(track: Track, limit: number): Batch | Promise<Batch> {
    const { tail, topic, place } = track;
    const { peer } = this.client;
    if (tail) return tail.batch(place, peer);
    const { store, reads } = this.chat;
    return reads.run(peer.remoteIP, () => {
      // Whoever asked may have gone while it waited.
      if (!this.#open) throw new ChatError('shutting_down');
      return readBatch(store, topic, place, limit);
    });
  }

  /** One page of the batches, or undefined when all of it was withheld and there is more to look at. */
  async #assemble(tracks: readonly Track[], batches: readonly Batch[], limit: number): Promise<Page | undefined> {
    const gaps: Gap[] = [];
    const places = new Map<Topic, EntryId>();
    let all: LogEntry[] = [];
    let more = false;
    // What a log holds beyond this is not known yet: nothing later of another one may come before it.
    let horizon = Infinity;
    tracks.forEach((track, index) => {
      const batch = batches[index];
      if (!batch) return;
      if (track.loss) gaps.push(gapOf(track.topic, track.loss));
      if (batch.loss) gaps.push(gapOf(track.topic, batch.loss));
      // What was lost lies behind the reader now, even when none of the entries fits this page.
      places.set(track.topic, batch.entries[0]?.prev ?? batch.end);
      all.push(...batch.entries);
      more ||= batch.more;
      if (batch.more) horizon = Math.min(horizon, batch.entries.at(-1)?.ms ?? Infinity);
    });
    if (tracks.length > 1 && horizon < Infinity) all = all.filter(({ ms }) => ms <= horizon);
    // A log's own order is kept: its times never fall, and the sort is stable.
    if (tracks.length > 1) all.sort((a, b) => a.ms - b.ms);
    const chosen = fitting(all, limit, this);
    more ||= chosen.length < all.length;

    const { middleware } = this.chat;
    // Hooks may take their time, in which it may have been put out.
    const heard = middleware.hasSay
      ? (await hearThrough(middleware, chosen, this)).filter(({ entry }) => this.#isHeard(entry.topic))
      : chosen.filter((entry) => hears(entry, this)).map((entry) => ({ entry, json: entry.json }));

    const from = new Map(places);
    for (const entry of chosen) places.set(entry.topic, entry.id);
    for (const track of tracks) {
      const place = places.get(track.topic) ?? track.place;
      this.moved ||= place !== track.place;
      track.place = place;
      track.loss = undefined;
    }
    this.chat.counters.delivered += heard.length;
    for (const { reason } of gaps) this.chat.counters.gap(reason);
    if (heard.length === 0 && gaps.length === 0 && more) return undefined;
    return new Page(heard, gaps, from, places);
  }
}

/** A client's own log has none while it is empty: see cursorOf. */
function isPlace(topic: Topic, place: EntryId): boolean {
  return place !== BEGINNING || !topic.startsWith('client:');
}
