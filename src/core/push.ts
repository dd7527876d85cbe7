/** Pushing to one link (WebSocket, TCP): a reader per log, each catching up from it and then following. */
import { BEGINNING, type EntryId } from '../protocol/entry-id';
import { Arrivals } from './arrivals';
import { joinFrames, type Batch, type PushFormat } from './batch';
import type { Chat } from './chat';
import { cursorOf } from './cursors';
import { presenceTopic, roomTopic, type Topic } from './entry';
import { hears, hearsAll, hearThrough, type Listener } from './hear';
import type { HeardRoom, Hearer } from './session';
import type { Floors } from './store';
import type { Reader, Tail } from './tail';
import { gapOf, type Loss } from './verdict';

/** What a transport gives: a way out, and a word when it is full. */
export interface PushLink {
  readonly format: PushFormat;
  /** The peer has not taken what it was sent: nothing more is pushed until `Pusher.drained`. */
  readonly congested: boolean;
  /** Whole frames; never refused, but makes `congested` true. */
  push(bytes: Buffer): void;
  /** One JSON text in this link's framing. */
  frame(json: string): Buffer;
  /** The log cannot be read or the client is to go: the peer comes back and resumes. */
  cutOff(reason: string): void;
}

export interface Start {
  readonly place: EntryId;
  readonly loss: Loss | undefined;
}

/** ms after which a log that could not be read is read again, at least. */
const RETRY = 500;

class PushReader implements Reader {
  seat = -1;
  #place: EntryId;
  /** A loss that is known from elsewhere than the log, told before anything else. */
  #told: Loss | undefined;
  #busy = false;
  /** The room was left, or the link is gone. */
  #over = false;
  #again = false;
  #retrying = false;

  constructor(
    readonly tail: Tail,
    readonly pusher: Pusher,
    start: Start,
  ) {
    this.#place = start.place;
    this.#told = start.loss;
  }

  get place(): EntryId {
    return this.#place;
  }

  #isHeard(): boolean {
    return !this.#over && this.pusher.open;
  }

  /** Nothing more is pushed, be it that it was read for already. */
  end(): void {
    this.#over = true;
    this.pusher.chat.tails.release(this.tail, this);
  }

  wake(): void {
    if (this.#over) return;
    if (this.#busy) {
      this.#again = true;
      return;
    }
    if (this.#told) {
      this.#tell(this.#told);
      this.#told = undefined;
    }
    while (this.#place !== this.tail.last && this.pusher.ready) {
      const batch = this.tail.batch(this.#place, this.pusher.listener.client.peer);
      if (batch instanceof Promise || this.pusher.chat.middleware.hasSay) {
        void this.#pump(batch);
        return;
      }
      if (!this.#advance(batch)) return;
      if (batch.entries.length > 0) this.#deliver(batch);
    }
  }

  /** The general path: the log has to be read, or hooks are to be asked; one batch at a time, as the peer takes them. */
  async #pump(first: Batch | Promise<Batch>): Promise<void> {
    this.#busy = true;
    try {
      const batch = await first;
      if (!this.#isHeard() || !this.pusher.ready || !this.#advance(batch)) return;
      if (!this.pusher.chat.middleware.hasSay) {
        this.#deliver(batch);
      } else {
        const heard = await hearThrough(this.pusher.chat.middleware, batch.entries, this.pusher.listener);
        const { link } = this.pusher;
        if (heard.length > 0 && this.#isHeard()) {
          link.push(Buffer.concat(heard.map(({ json }) => link.frame(json))));
          this.pusher.chat.counters.delivered += heard.length;
        }
      }
      this.#again = true;
    } catch (error) {
      // The place stays, and the tail knows already what could not be read here: nobody else would wake us for it.
      this.#retry();
      this.pusher.chat.logger.debug({ err: error, topic: this.tail.topic }, 'a log could not be read for a link');
    } finally {
      this.#busy = false;
    }
    if (this.#again) {
      this.#again = false;
      this.wake();
    }
  }

  #retry(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    const retry = (): void => {
      this.#retrying = false;
      this.wake();
    };
    setTimeout(retry, RETRY * (1 + Math.random())).unref();
  }

  /** Moves on, telling what is lost first. False when the store has nothing and nothing to tell. */
  #advance(batch: Batch): boolean {
    if (batch.loss) this.#tell(batch.loss);
    const moved = batch.end !== this.#place;
    this.#place = batch.end;
    return moved;
  }

  #deliver(batch: Batch): void {
    const { link, listener, chat } = this.pusher;
    if (hearsAll(batch, listener)) {
      chat.counters.delivered += batch.entries.length;
      if (batch.entries.length > 0) link.push(batch.joined(link.format));
      return;
    }
    const heard = batch.entries.filter((entry) => hears(entry, listener));
    chat.counters.delivered += heard.length;
    if (heard.length > 0) link.push(joinFrames(heard, link.format));
  }

  #tell(loss: Loss): void {
    const { link, chat } = this.pusher;
    chat.counters.gap(loss.reason);
    link.push(link.frame(JSON.stringify({ context: 'gap', ...gapOf(this.tail.topic, loss) })));
  }
}

const NOBODY: readonly PushReader[] = [];

export class Pusher implements Hearer {
  /** A list, made anew with every change: most links have two, and there may be a hundred thousand links. */
  #readers: readonly PushReader[] = NOBODY;
  #arrivals: Arrivals | undefined;
  #open = true;
  /** It is known where it stands in the client's own log: before everything, unless it follows it. */
  #started = false;

  constructor(
    readonly chat: Chat,
    readonly link: PushLink,
    readonly listener: Listener,
    readonly presence: boolean,
  ) {}

  get open(): boolean {
    return this.#open;
  }

  get ready(): boolean {
    return this.#open && !this.link.congested;
  }

  /** From the given places, or from where the client came in. */
  async start(places: ReadonlyMap<Topic, EntryId>): Promise<void> {
    const { session } = this.listener;
    const starts: Promise<void>[] = [];
    const place = places.get(session.topic) ?? BEGINNING;
    this.#started = true;
    // At the beginning of a log in which there is nothing, nothing is missed until it begins.
    if (place !== BEGINNING || !this.chat.tails.isSilent(session.topic)) starts.push(this.#followOwn(place));
    for (const room of session.rooms.keys()) starts.push(this.#followRoom(room, places));
    await Promise.all(starts);
  }

  /** The peer has taken what it was sent. */
  drained(): void {
    for (const reader of this.#readers) reader.wake();
  }

  /** Everything up to here was pushed. */
  get places(): ReadonlyMap<Topic, EntryId> {
    const places = new Map<Topic, EntryId>();
    for (const { tail, place } of this.#readers) places.set(tail.topic, place);
    return places;
  }

  get cursor(): string {
    return cursorOf(this.chat, this.places);
  }

  roomAdded(room: string, heard: HeardRoom): void {
    if (this.#follows(roomTopic(room))) return;
    this.#followRoom(room, floorsOf(room, heard)).catch((error: unknown) => {
      this.chat.logger.warn({ err: error, room }, 'a room could not be followed for a link');
      this.link.cutOff('a room cannot be followed');
    });
  }

  roomRemoved(room: string): void {
    for (const topic of [roomTopic(room), presenceTopic(room)]) {
      this.#arrivals?.cancel(topic);
      const reader = this.#readers.find(({ tail }) => tail.topic === topic);
      if (!reader) continue;
      this.#readers = this.#readers.filter((other) => other !== reader);
      reader.end();
    }
  }

  ownLogBegun(): void {
    if (!this.#started) return;
    this.#followOwn(BEGINNING).catch((error: unknown) => {
      this.chat.logger.warn({ err: error }, "a client's own log could not be followed for a link");
      this.link.cutOff('what is said to the client alone cannot be followed');
    });
  }

  close(reason: string): void {
    this.link.cutOff(reason);
  }

  /** Ends it; the link itself is the transport's to close. */
  stop(): void {
    this.#open = false;
    for (const reader of this.#readers) reader.end();
    this.#readers = NOBODY;
  }

  #follows(topic: Topic): boolean {
    return this.#arrivals?.has(topic) === true || this.#readers.some(({ tail }) => tail.topic === topic);
  }

  #followOwn(place: EntryId): Promise<void> {
    return this.#follow(this.listener.session.topic, () => ({ place, loss: undefined }));
  }

  async #followRoom(room: string, places: ReadonlyMap<Topic, EntryId>): Promise<void> {
    const { chat, presence } = this;
    const { session } = this.listener;
    const messages = this.#follow(roomTopic(room), (topic) => chat.standing.placeIn(session, room, places.get(topic)));
    const events = presence
      ? this.#follow(presenceTopic(room), async (topic) => {
          const place = await chat.standing.presencePlaceIn(session, room, places.get(topic));
          return { place, loss: undefined };
        })
      : undefined;
    await Promise.all([messages, events]);
  }

  async #follow(topic: Topic, startOf: (topic: Topic) => Start | Promise<Start>): Promise<void> {
    if (this.#follows(topic)) return;
    const arrived = (this.#arrivals ??= new Arrivals()).begin(topic);
    let tail: Tail;
    let start: Start;
    try {
      start = await startOf(topic);
      tail = await this.chat.tails.acquire(topic);
    } catch (error) {
      arrived();
      throw error;
    }
    if (!arrived() || !this.#open) {
      this.chat.tails.release(tail);
      return;
    }
    const reader = new PushReader(tail, this, start);
    tail.add(reader);
    this.#readers = this.#readers.concat(reader);
    reader.wake();
  }
}

/** The places in a room's logs where a client came in. */
export function floorsOf(room: string, { floor, presenceFloor }: Floors): Map<Topic, EntryId> {
  return new Map([
    [roomTopic(room), floor],
    [presenceTopic(room), presenceFloor],
  ]);
}
