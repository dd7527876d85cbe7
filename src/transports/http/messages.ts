/** Answers `method=messages`: at once, when something comes, or as a stream; and moves the client's place when it may. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Feed, Page } from '../../core/feed';
import { pageJson, type Reading } from '../../core/reading';
import type { Session } from '../../core/session';
import { sessionTTL } from '../../core/settings';
import { withCookies, type Cookies } from './cookies';
import { ACK_COOKIE, type Identified, type Identity } from './identity';
import type { Parked, Parking } from './parking';
import type { PlaceKeeper, Places } from './places';
import { sendError, sendJson } from './reply';
import type { Streams } from './streams';

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

export async function answerMessages(
  request: IncomingMessage,
  response: ServerResponse,
  who: Identified,
  reading: Reading,
  headers: Readonly<Record<string, string>>,
  options: MessagesOptions,
): Promise<void> {
  const start = await startOf(who, reading, options.places);
  if (reading.options.stream) {
    const { places } = start;
    if (!reading.cursorMode) await settle(who, start);
    await options.streams.serve(request, response, { who, reading, places, headers, keeper: options.places });
    return;
  }
  // A server that goes keeps nobody waiting: the client comes back to another node with its cursor.
  const wait = options.draining() ? 0 : Math.min(reading.options.wait ?? 0, MAX_WAIT);
  const { chat } = who.client;
  const session = wait > 0 ? await chat.sessions.live(who.client.session) : who.client.session;
  const feed = await reading.open(session, start.places, wait > 0);
  let parked = false;
  try {
    const answer = new Answer(response, who, reading, start, feed, headers, options);
    const page = await feed.next(reading.limit);
    if (wait === 0 || !isEmpty(page)) {
      await answer.send(page);
      return;
    }
    parked = true;
    await park(answer, session, wait, options.parking);
  } finally {
    if (!parked) feed.close();
  }
}

/**
 * A cursor says it all. Otherwise the client's own place: what the last answer was pending is past when the client
 * brings its generation back, and comes again when it does not.
 */
async function startOf(who: Identified, reading: Reading, keeper: PlaceKeeper): Promise<Start> {
  const { session, chat } = who.client;
  if (reading.cursorMode) return { places: reading.places, generation: 0 };
  await keeper.settled(session.id);
  // Read fresh: another node may have answered this client since this session was read.
  const record = session.isNew ? undefined : await chat.store.client(session.id);
  const places = record?.places ?? session.places;
  const pending = record?.pending ?? session.pending;
  const arrived = who.acknowledged === pending.generation;
  return { places: arrived ? new Map([...places, ...pending.places]) : places, generation: pending.generation };
}

/** A stream moves the client's place by itself from here on: an answer that is pending still would move it back. */
async function settle({ client, acknowledged }: Identified, { places, generation }: Start): Promise<void> {
  if (acknowledged === undefined) return;
  const delivery = { from: generation, confirmed: places, pending: new Map() };
  await client.chat.store.deliver(client.id, delivery, sessionTTL(client.chat.settings));
}

function isEmpty(page: Page): boolean {
  return page.heard.length === 0 && page.gaps.length === 0;
}

/** One answer to one poll. */
class Answer {
  /** Where the feed stood before it was read. */
  readonly #from: Places;

  constructor(
    readonly response: ServerResponse,
    readonly who: Identified,
    readonly reading: Reading,
    readonly start: Start,
    readonly feed: Feed,
    readonly headers: Readonly<Record<string, string>>,
    readonly options: MessagesOptions,
  ) {
    this.#from = feed.places;
  }

  async send(page: Page, more: object = {}): Promise<void> {
    const { response, reading, who } = this;
    const { chat, session, connection } = who.client;
    // With the room's log its members are gone: this one was here all the time, and is one again.
    if (page.gaps.some(({ reason }) => reason === 'reset')) await chat.renewal.renew(session, connection);
    const moved = !isEmpty(page) || [...page.places].some(([topic, place]) => this.#from.get(topic) !== place);
    const keepsPlace = !reading.cursorMode && moved;
    let cookies: Cookies = who.cookies;
    if (keepsPlace && who.acknowledged !== undefined) {
      cookies = new Map([...who.cookies, [ACK_COOKIE, await this.#deliver(page.places)]]);
    } else if (keepsPlace) {
      // A client without a jar cannot say that it has the answer: the best sign is that all of it was taken from us.
      response.once('finish', () => {
        this.options.places.move(chat, session, page.places);
      });
    }
    const body = pageJson(who.client, page);
    const text = Object.keys(more).length === 0 ? body : `${body.slice(0, -1)},${JSON.stringify(more).slice(1)}`;
    sendJson(response, 200, text, withCookies(this.headers, cookies));
  }

  fail(error: unknown): void {
    const { response, who, options, headers } = this;
    sendError(response, error, options.returnErrorCodes, withCookies(headers, who.cookies));
  }

  /** The cookie whose coming back says that this answer arrived. */
  async #deliver(pending: Places): Promise<string> {
    const { session, chat } = this.who.client;
    const ttl = sessionTTL(chat.settings);
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

/** Waits for something to come; the poll's end, whatever it is, is one answer and lets go of everything. */
async function park(answer: Answer, session: Session, wait: number, parking: Parking): Promise<void> {
  const { feed, response, reading, who } = answer;
  const live = await who.client.chat.sessions.attach(session, feed, false);
  let over = false;
  let looking = false;
  let again = false;

  const end = (): boolean => {
    if (over) return false;
    over = true;
    parking.leave(poll);
    who.client.chat.sessions.detach(live, feed, { held: false, clean: true });
    feed.onWake = undefined;
    feed.close();
    return true;
  };
  const poll: Parked = {
    client: session.id,
    deadline: performance.now() + wait * 1000,
    finish: (why) => {
      const nothing: Page = { heard: [], gaps: [], from: feed.places, places: feed.places };
      if (end()) answer.send(nothing, why === 'superseded' ? { superseded: true } : {}).catch(fail);
    },
  };
  const fail = (error: unknown): void => {
    end();
    answer.fail(error);
  };
  /** Asked through a function: TypeScript does not see that `end` and a wake-up come while `look` waits. */
  const wanted = (): boolean => again && !over;
  const look = async (): Promise<void> => {
    looking = true;
    do {
      again = false;
      if (!feed.open) {
        poll.finish('shutdown');
        return;
      }
      const page = await feed.next(reading.limit);
      if (!isEmpty(page) && end()) {
        await answer.send(page);
        return;
      }
    } while (wanted());
    looking = false;
  };
  feed.onWake = () => {
    if (looking) again = true;
    else if (!over && !(feed.open && feed.atHead)) look().catch(fail);
  };

  response.on('close', end);
  // It may have gone while we looked.
  if (response.closed) end();
  else {
    parking.park(poll);
    // What came between the last look and here has woken nobody.
    feed.wake();
  }
}
