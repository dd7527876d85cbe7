/** Answers `method=messages`: at once, when something comes, or as a stream; and moves the client's place when it may. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Feed, type Sleeper } from '../../core/feed';
import { Page } from '../../core/page';
import { BEGINNING, compareEntryIds } from '../../protocol/entry-id';
import { pageJson, type Reading } from '../../core/reading';
import type { Session } from '../../core/session';
import { recordTTL } from '../../core/settings';
import { withCookies, type Cookies } from './cookies';
import { ACK_COOKIE, type Identified, type Identity } from './identity';
import type { Parked, Parking } from './parking';
import type { PlaceKeeper, Places } from './places';
import { sendAnswer, sendError, sendJson } from './reply';
import type { Streams } from './streams';
import { WholeAnswer } from './whole';

export interface MessagesOptions {
  readonly identity: Identity;
  readonly parking: Parking;
  readonly streams: Streams;
  readonly places: PlaceKeeper;
  readonly returnErrorCodes: boolean;
  /** The server goes. */
  readonly draining: () => boolean;
}

/** Where a reading starts, and what the client is known to have by that. */
interface Start {
  readonly places: Places;
  /** The generation of the client's record that this was read at. */
  readonly generation: number;
}

const MAX_WAIT = 60;
const NOWHERE: Start = { places: new Map(), generation: 0 };

export async function answerMessages(
  request: IncomingMessage,
  response: ServerResponse,
  who: Identified,
  reading: Reading,
  headers: Readonly<Record<string, string>>,
  options: MessagesOptions,
): Promise<void> {
  // Most polls that come back wait for nothing here: each await less is a part of what they cost.
  const start = reading.cursorMode ? { places: reading.places, generation: 0 } : await startOf(who, options.places);
  if (reading.options.stream) {
    const { places } = start;
    if (!reading.cursorMode) await settle(who, start);
    await options.streams.serve(request, response, { who, reading, places, headers, keeper: options.places });
    return;
  }
  // A server that goes keeps nobody waiting: the client comes back to another node with its cursor.
  const wait = options.draining() ? 0 : Math.min(reading.options.wait ?? 0, MAX_WAIT);
  const { chat } = who.client;
  const living = wait > 0 ? chat.sessions.live(who.client.session) : who.client.session;
  const session = living instanceof Promise ? await living : living;
  const opening = reading.open(session, start.places, wait > 0);
  const feed = opening instanceof Promise ? await opening : opening;
  // A cursor says where it starts, and nothing more is asked of that.
  const answer = new Answer(response, who, reading, reading.cursorMode ? NOWHERE : start, feed, headers, options);
  (response as Answering)[ANSWER] = answer;
  response.on('close', closed);
  try {
    // Nothing is made for those who are told nothing yet.
    if (wait === 0 || !feed.atHead) {
      const coming = feed.next(reading.limit);
      const page = coming instanceof Promise ? await coming : coming;
      if (wait === 0 || !page.isEmpty) {
        await answer.send(page);
        return;
      }
    }
    const listening = chat.sessions.listen(session, feed);
    answer.park(listening instanceof Promise ? await listening : listening, wait);
  } finally {
    if (!answer.isParked) feed.close();
  }
}

/**
 * The client's own place, where no cursor says it: what the last answer was pending is past when the client brings its
 * generation back, and comes again when it does not.
 */
async function startOf(who: Identified, keeper: PlaceKeeper): Promise<Start> {
  const { session, chat } = who.client;
  await keeper.settled(session.id);
  // Read fresh: another node may have answered this client since this session was read.
  const record = session.isNew ? undefined : await chat.store.client(session.id);
  const places = record?.places ?? session.places;
  const pending = record?.pending ?? session.pending;
  const { generation } = pending;
  if (who.acknowledged !== generation) return { places, generation };
  const further = new Map(places);
  for (const [topic, place] of pending.places) {
    // By a socket or a stream it may have gone further since.
    if (compareEntryIds(place, further.get(topic) ?? BEGINNING) > 0) further.set(topic, place);
  }
  return { places: further, generation };
}

/** A stream moves the client's place by itself from here on: an answer that is pending still would move it back. */
async function settle({ client, acknowledged }: Identified, { places, generation }: Start): Promise<void> {
  if (acknowledged === undefined) return;
  const delivery = { from: generation, confirmed: places, pending: new Map() };
  await client.chat.store.deliver(client.id, delivery, recordTTL(client.chat.settings));
}

/** On a response: what answers it. */
const ANSWER = Symbol('answer');

interface Answering extends ServerResponse {
  [ANSWER]?: Answer;
}

/** One function for all responses, which are told by `this`. */
function closed(this: Answering): void {
  this[ANSWER]?.closed();
}

/** One answer to one poll. Of what was asked it keeps what it needs: there may be a hundred thousand that wait. */
class Answer {
  /** Entries. */
  readonly limit: number;
  /** A cursor says where it starts: the server keeps no place. */
  readonly cursorMode: boolean;
  #waiting: WaitingPoll | undefined;

  constructor(
    readonly response: ServerResponse,
    readonly who: Identified,
    { limit, cursorMode }: Reading,
    readonly start: Start,
    readonly feed: Feed,
    readonly headers: Readonly<Record<string, string>>,
    readonly options: MessagesOptions,
  ) {
    this.limit = limit;
    this.cursorMode = cursorMode;
  }

  get isParked(): boolean {
    return this.#waiting !== undefined;
  }

  /** Waits for something to come; the poll's end, whatever it is, is one answer and lets go of everything. */
  park(session: Session, wait: number): void {
    // Whole ms: a fraction is an object of its own.
    const poll = new WaitingPoll(this, session, Math.ceil(performance.now() + wait * 1000));
    this.#waiting = poll;
    // It may have gone while we looked.
    if (this.response.closed) {
      poll.end();
      return;
    }
    const before = pollsOf(session);
    this.feed.sleeper = poll;
    this.options.parking.park(poll, before);
    // What came between the last look and here has woken nobody.
    poll.wake();
  }

  /** Nobody is there any more; who goes while its reads wait their turn is not read for. */
  closed(): void {
    if (this.#waiting) this.#waiting.end();
    else this.feed.close();
  }

  /** Undefined when it is out already; most are. */
  send(page: Page, superseded = false): Promise<void> | undefined {
    if (page.gaps.length === 0 && (this.cursorMode || !this.feed.moved)) {
      this.#write(page, this.who.cookies, superseded);
      return undefined;
    }
    return this.#sendAndKeep(page, superseded);
  }

  async #sendAndKeep(page: Page, superseded: boolean): Promise<void> {
    const { response, who } = this;
    const { chat, session } = who.client;
    // With the room's log its members are gone: this one was here all the time, and is one again.
    if (page.gaps.some(({ reason }) => reason === 'reset')) await chat.renewal.renew(who.client);
    const keepsPlace = !this.cursorMode && (!page.isEmpty || this.feed.moved);
    let cookies: Cookies = who.cookies;
    if (keepsPlace && who.acknowledged !== undefined) {
      cookies = new Map([...who.cookies, [ACK_COOKIE, await this.#deliver(page.places)]]);
    } else if (keepsPlace) {
      // A client without a jar cannot say that it has the answer: the best sign is that all of it was taken from us.
      response.once('finish', () => {
        this.options.places.move(chat, session, page.places);
      });
    }
    this.#write(page, cookies, superseded);
  }

  #write(page: Page, cookies: Cookies, superseded: boolean): void {
    const answer = page.made('answer', () => new WholeAnswer(pageJson(this.who.client, page)));
    const headers = withCookies(this.headers, cookies);
    if (superseded) sendJson(this.response, 200, `${answer.json.slice(0, -1)},"superseded":true}`, headers);
    else sendAnswer(this.response, answer, headers);
  }

  fail(error: unknown): void {
    const { response, who, options, headers } = this;
    const { counters } = who.client.chat;
    const errors = { errorCodes: options.returnErrorCodes, counters };
    sendError(response, error, errors, withCookies(headers, who.cookies));
  }

  /** The cookie whose coming back says that this answer arrived. */
  async #deliver(pending: Places): Promise<string> {
    const { session, chat } = this.who.client;
    const ttl = recordTTL(chat.settings);
    const delivery = { from: this.start.generation, confirmed: this.start.places, pending };
    let generation = await chat.store.deliver(session.id, delivery, ttl);
    if (generation === undefined) {
      // The store has lost the record: it is made anew, or the same would be told again and again.
      await chat.sessions.write(session, { places: this.start.places });
      generation = await chat.store.deliver(session.id, { ...delivery, from: 0 }, ttl);
    }
    return this.options.identity.ackCookie(session, generation ?? 0, this.who.secure);
  }
}

class WaitingPoll implements Parked, Sleeper {
  seat = -1;
  #over = false;
  /** Where the feed stood before what is being read for it; undefined while nothing is. */
  #before: Places | undefined;
  #again = false;

  constructor(
    readonly answer: Answer,
    readonly session: Session,
    readonly deadline: number,
  ) {}

  wake(): void {
    const { feed } = this.answer;
    if (this.#before) this.#again = true;
    else if (!this.#over && !(feed.open && feed.atHead)) this.#look();
  }

  finish(why: 'time' | 'superseded' | 'shutdown'): void {
    // What is being read may have moved the feed already, and goes out with nobody's answer now.
    const places = this.#before ?? this.answer.feed.places;
    if (this.end()) this.#send(new Page([], [], places, places), why === 'superseded');
  }

  /** False when it was over before. */
  end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    const { feed, who, options } = this.answer;
    options.parking.leave(this);
    who.client.chat.sessions.unlisten(this.session, feed);
    feed.sleeper = undefined;
    feed.close();
    return true;
  }

  #look(): void {
    const { feed, limit } = this.answer;
    if (!feed.open) {
      this.finish('shutdown');
      return;
    }
    const page = feed.next(limit);
    if (page instanceof Promise) {
      this.#again = false;
      this.#before = feed.places;
      this.#wait(page).catch((error: unknown) => this.#fail(error));
    } else if (this.end()) {
      this.#send(page, false);
    }
  }

  /** The log has to be read, or hooks are to be asked. */
  async #wait(coming: Promise<Page>): Promise<void> {
    const page = await coming;
    this.#before = undefined;
    if (!page.isEmpty) {
      if (this.end()) await this.answer.send(page);
    } else if (this.#again && !this.#over) {
      this.#look();
    }
  }

  #send(page: Page, superseded: boolean): void {
    this.answer.send(page, superseded)?.catch((error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    this.end();
    this.answer.fail(error);
  }
}

/** The client's polls that wait on this node, oldest first. */
function pollsOf(session: Session): WaitingPoll[] {
  const polls: WaitingPoll[] = [];
  for (const hearer of session.hearers) {
    if (hearer instanceof Feed && hearer.sleeper instanceof WaitingPoll) polls.push(hearer.sleeper);
  }
  return polls;
}
