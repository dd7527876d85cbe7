/** Streams over HTTP: server-sent events and NDJSON, as fast as the peer takes them, from the log and from nowhere else. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { httpChunk, ndjsonLine, serverSentEvent } from '../../protocol/frames';
import { ChatError } from '../../protocol/errors';
import { cursorOf } from '../../core/cursors';
import type { Feed, Sleeper } from '../../core/feed';
import type { Page } from '../../core/page';
import { ReadTurns } from '../../core/read-turns';
import type { Reading } from '../../core/reading';
import type { Session } from '../../core/session';
import { SlowPeers, takenFrom, type Watched } from '../slow-peers';
import { isOverdue } from '../turns';
import { withCookies } from './cookies';
import type { Identified } from './identity';
import type { PlaceKeeper, Places } from './places';

export interface StreamsOptions {
  readonly perClient: number;
  /** Bytes unsent at which writing stops until the peer has taken them. */
  readonly bufferSoft: number;
  /** ms that a peer may take nothing before it is cut off; it comes back with its cursor. */
  readonly stuck: number;
  readonly heartbeat?: number;
}

/** What a stream is asked for. */
export interface Asked {
  readonly who: Identified;
  readonly reading: Reading;
  /** Where it starts. */
  readonly places: Places;
  readonly headers: Readonly<Record<string, string>>;
  /** Moves the place of a client that has no cursor. */
  readonly keeper: PlaceKeeper;
}

const TYPES = { sse: 'text/event-stream; charset=utf-8', ndjson: 'application/x-ndjson; charset=utf-8' } as const;
const TICK = 1000;
const HEARTBEAT = 20_000;

export class Streams {
  readonly #open = new Set<Stream>();
  /** Streams of each client, those included that are still being opened. */
  readonly #ofClient = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  readonly #slow: SlowPeers;
  /** Pages that had to be waited for come to many at once, up to a megabyte to each. */
  readonly #turns = new ReadTurns({ atOnce: 1, waiting: Infinity });
  #closing = false;

  constructor(readonly options: StreamsOptions) {
    this.#slow = new SlowPeers(options.stuck);
  }

  get size(): number {
    return this.#open.size;
  }

  /** @throws ChatError too_many_requests, or why a log cannot be read; nothing was answered then */
  async serve(request: IncomingMessage, response: ServerResponse, asked: Asked): Promise<void> {
    const { who, reading, places } = asked;
    const { chat, id } = who.client;
    this.#enter(id);
    let session: Session;
    let feed: Feed | undefined;
    try {
      session = await chat.sessions.live(who.client.session);
      feed = await reading.open(session, places, true);
      await chat.holding.attach(session, feed);
    } catch (error) {
      feed?.close();
      this.#leave(id);
      throw error;
    }

    const stream = new Stream(response, asked, session, feed, this.options, this.#slow, this.#turns);
    const ended = (): void => {
      this.#open.delete(stream);
      if (this.#open.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
      this.#leave(id);
      stream.ended();
    };
    // It may have gone while we looked.
    if (response.closed) {
      ended();
      return;
    }
    this.#open.add(stream);
    this.#timer ??= setInterval(() => {
      for (const each of this.#open) each.tick();
    }, TICK);
    response.once('close', ended);
    // A stream has no end that an idle socket's timeout should find.
    request.socket.setTimeout(0);
    stream.begin();
    // An EventSource comes back after an answer that ends, and gives up at an error.
    if (this.#closing) stream.finish();
  }

  /** The server goes: streams end, each with its own time to come back. */
  close(): void {
    this.#closing = true;
    for (const stream of this.#open) stream.finish();
  }

  #enter(client: string): void {
    const { perClient } = this.options;
    const own = this.#ofClient.get(client) ?? 0;
    if (perClient > 0 && own >= perClient) throw new ChatError('too_many_requests', '', 5);
    this.#ofClient.set(client, own + 1);
  }

  #leave(client: string): void {
    const left = (this.#ofClient.get(client) ?? 1) - 1;
    if (left > 0) this.#ofClient.set(client, left);
    else this.#ofClient.delete(client);
  }
}

class Stream implements Watched, Sleeper {
  readonly format: 'sse' | 'ndjson';
  /** Nothing more is written. */
  #over = false;
  /** A page is on its way. */
  #reading = false;
  #again = false;
  /** The peer has more to take than it should: nothing is written until it has. */
  #congested = false;
  #beatAt = performance.now();
  /** Written out whole, and not yet kept in the client's record. */
  #unsaved: Places | undefined;

  constructor(
    readonly response: ServerResponse,
    readonly asked: Asked,
    readonly session: Session,
    readonly feed: Feed,
    readonly options: StreamsOptions,
    readonly slow: SlowPeers,
    readonly turns: ReadTurns,
  ) {
    this.format = asked.reading.options.stream === 'ndjson' ? 'ndjson' : 'sse';
  }

  begin(): void {
    const { response, feed, asked } = this;
    response.writeHead(200, {
      'Content-Type': TYPES[this.format],
      'Cache-Control': 'no-store, private',
      'X-Content-Type-Options': 'nosniff',
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Referrer-Policy': 'no-referrer',
      // nginx and the proxies that follow it would collect a stream until it ends.
      'X-Accel-Buffering': 'no',
      Vary: 'Origin, Cookie, Accept',
      ...withCookies(asked.headers, asked.who.cookies),
    });
    response.flushHeaders();
    response.on('error', () => response.destroy());
    feed.sleeper = this;
    if (this.format === 'sse') {
      // An event without data is given to nobody, but its id is kept: so a reader that has heard nothing yet comes back
      // with its place as well (WHATWG HTML 9.2.6).
      const cursor = cursorOf(asked.who.client.chat, feed.places);
      response.write(`retry: ${String(1000 + Math.floor(Math.random() * 2000))}\nid: ${cursor}\n\n`);
    }
    this.wake();
  }

  /** Ends politely; the client comes back after a time of its own. */
  finish(): void {
    if (this.#over) return;
    this.#over = true;
    // A peer that does not take its end either is cut off like any other that takes nothing.
    this.slow.add(this);
    if (this.format === 'sse') this.response.write(`retry: ${String(500 + Math.floor(Math.random() * 4500))}\n\n`);
    this.response.end();
  }

  /** The response is closed: lets go of everything. */
  ended(): void {
    const { chat } = this.asked.who.client;
    this.#over = true;
    this.slow.remove(this);
    this.feed.sleeper = undefined;
    chat.holding.detach(this.session, this.feed, false);
    this.feed.close();
    this.#save();
  }

  get progress(): number {
    const { socket } = this.response;
    return socket ? takenFrom(socket) : 0;
  }

  cutOff(): void {
    this.response.destroy();
  }

  tick(): void {
    if (this.#over) return;
    this.#save();
    const now = performance.now();
    if (this.#congested || now - this.#beatAt < (this.options.heartbeat ?? HEARTBEAT)) return;
    this.#beatAt = now;
    // An empty line is no message to anybody who reads lines of JSON.
    this.response.write(this.format === 'sse' ? ':\n\n' : '\n');
  }

  wake(): void {
    if (this.#reading) {
      this.#again = true;
      return;
    }
    const { feed, asked } = this;
    while (!this.#over && feed.open && !this.#congested && !feed.atHead) {
      const page = feed.next(asked.reading.limit);
      if (page instanceof Promise) {
        this.#again = false;
        void this.#wait(page);
        return;
      }
      this.#write(page);
    }
    if (!feed.open) this.finish();
  }

  /** The log has to be read, or hooks are to be asked. */
  async #wait(coming: Promise<Page>): Promise<void> {
    this.#reading = true;
    try {
      const page = await coming;
      await this.turns.run(this.asked.who.client.peer.remoteIP, async () => {
        if (isOverdue()) await new Promise(setImmediate);
        this.#write(page);
      });
      this.#reading = false;
      if (!page.isEmpty || this.#again) this.wake();
      else if (!this.feed.open) this.finish();
    } catch (error) {
      // Nothing has moved: the client comes back with its cursor and goes on there.
      const { chat, id } = this.asked.who.client;
      chat.logger.debug({ err: error, client: id }, 'a stream could not go on');
      this.finish();
    }
  }

  #write(page: Page): void {
    if (this.#over || page.isEmpty) return;
    const { response, options, asked } = this;
    const { socket } = response;
    const { bufferSoft } = options;
    // Past our own server's heads the socket is this response's alone, and takes bytes that all streams at this place
    // share; a chunk made by Node would be four writes of its own for each of them.
    const form = socket && response.chunkedEncoding ? `${this.format}, chunked` : this.format;
    const bytes = page.made(form, () => this.#encode(page, form !== this.format));
    const out = form === this.format ? response : socket;
    this.#beatAt = performance.now();
    const full = bufferSoft > 0 && response.writableLength + bytes.length > bufferSoft;
    if (full || !asked.reading.cursorMode) {
      // Not 'drain': a limit below the socket's own high-water mark would never see it.
      out?.write(bytes, (error) => {
        if (!error) this.#taken(page);
      });
    } else {
      out?.write(bytes);
    }
    if (!full || response.writableLength <= bufferSoft) return;
    this.#congested = true;
    this.slow.add(this);
  }

  #taken(page: Page): void {
    this.#unsaved = page.places;
    if (!this.#congested || this.#over || this.response.writableLength > this.options.bufferSoft) return;
    this.#congested = false;
    this.slow.remove(this);
    this.wake();
  }

  #encode(page: Page, chunked: boolean): Buffer {
    const { chat } = this.asked.who.client;
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
    return chunked ? httpChunk(lines.join('')) : Buffer.from(lines.join(''));
  }

  /** A stream without a cursor moves the client's place as its writes leave us. */
  #save(): void {
    const { reading, keeper, who } = this.asked;
    const places = this.#unsaved;
    this.#unsaved = undefined;
    if (places && !reading.cursorMode) keeper.move(who.client.chat, this.session, places);
  }
}
