/** Streams over HTTP: server-sent events and NDJSON, as fast as the peer takes them, from the log and from nowhere else. */
import type { Request, Response } from 'express';
import { ndjsonLine, serverSentEvent } from '../../protocol/frames';
import type { EntryId } from '../../protocol/entry-id';
import { ChatError } from '../../protocol/errors';
import { cursorOf } from '../../core/cursors';
import type { Topic } from '../../core/entry';
import type { Feed, Page } from '../../core/feed';
import type { Reading } from '../../core/reading';
import type { Identified } from './identity';

export interface StreamsOptions {
  readonly perClient: number;
  /** Bytes unsent at which writing stops until the peer has taken them. */
  readonly bufferSoft: number;
  /** ms that a peer may take nothing before it is cut off; it comes back with its cursor. */
  readonly stuck: number;
  readonly heartbeat?: number;
}

const TYPES = { sse: 'text/event-stream; charset=utf-8', ndjson: 'application/x-ndjson; charset=utf-8' } as const;
const TICK = 1000;
const HEARTBEAT = 20_000;

export class Streams {
  readonly #open = new Set<Stream>();
  #timer: NodeJS.Timeout | undefined;

  constructor(readonly options: StreamsOptions) {}

  get size(): number {
    return this.#open.size;
  }

  async serve(
    request: Request,
    response: Response,
    who: Identified,
    reading: Reading,
    places: ReadonlyMap<Topic, EntryId>,
    headers: Readonly<Record<string, string>>,
  ): Promise<void> {
    const { client } = who;
    const { perClient } = this.options;
    const own = [...this.#open].filter((stream) => stream.client === client.id).length;
    if (perClient > 0 && own >= perClient) throw new ChatError('too_many_requests', '', 5);

    const session = await client.chat.sessions.live(client.session);
    const feed = await reading.open(session, places, true);
    await client.chat.sessions.attach(session, feed, true);
    const stream = new Stream(response, who, reading, feed, this.options);
    this.#open.add(stream);
    this.#timer ??= setInterval(() => {
      for (const each of this.#open) each.tick();
    }, TICK);

    response.writeHead(200, {
      'Content-Type': TYPES[stream.format],
      'Cache-Control': 'no-store, private',
      'X-Content-Type-Options': 'nosniff',
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Referrer-Policy': 'no-referrer',
      // nginx and the proxies that follow it would collect a stream until it ends.
      'X-Accel-Buffering': 'no',
      Vary: 'Origin, Cookie, Accept',
      ...headers,
      ...(who.cookies.length > 0 ? { 'Set-Cookie': who.cookies } : {}),
    });
    response.flushHeaders();
    // A stream has no end that an idle socket's timeout should find.
    request.socket.setTimeout(0);

    response.once('close', () => {
      this.#open.delete(stream);
      if (this.#open.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
      client.chat.sessions.detach(session, feed, { held: true, clean: false });
      stream.ended();
    });
    stream.run();
  }

  /** The server goes: streams end, each with its own time to come back. */
  close(): void {
    for (const stream of this.#open) stream.finish();
  }
}

class Stream {
  readonly format: 'sse' | 'ndjson';
  #running = false;
  #again = false;
  #congestedSince: number | undefined;
  #beatAt = performance.now();
  /** Written out whole, and not yet kept in the client's record. */
  #unsaved: ReadonlyMap<Topic, EntryId> | undefined;

  constructor(
    readonly response: Response,
    readonly who: Identified,
    readonly reading: Reading,
    readonly feed: Feed,
    readonly options: StreamsOptions,
  ) {
    this.format = reading.options.stream === 'ndjson' ? 'ndjson' : 'sse';
    feed.onWake = () => {
      this.run();
    };
    response.on('drain', () => {
      this.#congestedSince = undefined;
      this.run();
    });
    if (this.format === 'sse') {
      // An event without data is given to nobody, but its id is kept: so a reader that has heard nothing yet comes back
      // with its place as well (WHATWG HTML 9.2.6).
      const cursor = cursorOf(who.client.chat, feed.places);
      response.write(`retry: ${String(1000 + Math.floor(Math.random() * 2000))}\nid: ${cursor}\n\n`);
    }
  }

  get client(): string {
    return this.who.client.id;
  }

  run(): void {
    if (this.#running) this.#again = true;
    else void this.#loop();
  }

  /** Ends politely; the client comes back after a time of its own. */
  finish(): void {
    if (this.format === 'sse') this.response.write(`retry: ${String(500 + Math.floor(Math.random() * 4500))}\n\n`);
    this.response.end();
  }

  ended(): void {
    this.feed.onWake = undefined;
    this.feed.close();
    this.#save();
  }

  tick(): void {
    const now = performance.now();
    if (this.#congestedSince !== undefined && now - this.#congestedSince > this.options.stuck) {
      this.response.destroy();
      return;
    }
    this.#save();
    if (now - this.#beatAt < (this.options.heartbeat ?? HEARTBEAT) || this.#congestedSince !== undefined) return;
    this.#beatAt = now;
    // An empty line is no message to anybody who reads lines of JSON.
    this.response.write(this.format === 'sse' ? ':\n\n' : '\n');
  }

  async #loop(): Promise<void> {
    this.#running = true;
    try {
      do {
        this.#again = false;
        while (this.feed.open && this.#congestedSince === undefined && !this.feed.atHead) {
          const page = await this.feed.next(this.reading.limit);
          this.#write(page);
          if (page.heard.length === 0 && page.gaps.length === 0) break;
        }
      } while (this.#again);
      if (!this.feed.open) this.finish();
    } catch (error) {
      // Nothing has moved: the client comes back with its cursor and goes on there.
      this.who.client.chat.logger.debug({ err: error, client: this.client }, 'a stream could not go on');
      this.finish();
    } finally {
      this.#running = false;
    }
  }

  #write(page: Page): void {
    const text = this.#encode(page);
    if (text !== '') {
      const places = page.places;
      this.response.write(text, (error) => {
        if (!error) this.#unsaved = places;
      });
      this.#beatAt = performance.now();
    }
    const { writableLength } = this.response;
    if (this.options.bufferSoft > 0 && writableLength > this.options.bufferSoft)
      this.#congestedSince = performance.now();
  }

  #encode(page: Page): string {
    const { chat } = this.who.client;
    const places = new Map(page.from);
    const before = page.gaps.length > 0 ? cursorOf(chat, places) : '';
    const lines = page.gaps.map((gap) => {
      const json = JSON.stringify({ context: 'gap', ...gap });
      return this.format === 'sse' ? serverSentEvent('gap', json, before) : ndjsonLine(json, before);
    });
    for (const { entry, json } of page.heard) {
      places.set(entry.topic, entry.id);
      const cursor = cursorOf(chat, places);
      const event = entry.isPresence ? 'presence' : 'say';
      lines.push(this.format === 'sse' ? serverSentEvent(event, json, cursor) : ndjsonLine(json, cursor));
    }
    return lines.join('');
  }

  /** A stream without a cursor moves the client's place as its writes leave us. */
  #save(): void {
    const places = this.#unsaved;
    if (!places || this.reading.cursorMode) return;
    this.#unsaved = undefined;
    const { client } = this.who;
    client.chat.sessions.write(client.session, { places }).catch((error: unknown) => {
      client.chat.logger.warn({ err: error, client: client.id }, 'a place was not kept; its messages will come again');
    });
  }
}
