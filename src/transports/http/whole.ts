/** Answers whose head is always the same, put together once and written at once. */
import type { ServerResponse } from 'node:http';

/** Seconds that a connection is kept without a request: longer than the 60 s after which a proxy drops its idle ones. */
export const KEPT_ALIVE = 65;

/** No cache, no sniffing, no page of another site: an answer is for the one who asked. */
export const ALWAYS = {
  'Content-Type': 'application/json; charset=utf-8',
  'Cache-Control': 'no-store, private',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  Vary: 'Origin, Cookie',
} as const;

const HEAD = [
  'HTTP/1.1 200 OK',
  ...Object.entries(ALWAYS).map(([name, value]) => `${name}: ${value}`),
  'Connection: keep-alive',
  `Keep-Alive: timeout=${String(KEPT_ALIVE)}`,
  'Date: ',
].join('\r\n');

/**
 * On responses of our own server, which nobody has wrapped. node:http puts a head together from its headers and checks
 * each of them, for every answer, and writes it and the body as two: together as much as all else that a poll costs.
 * What it has of a head, when there is one, it writes as it is; so here that is the whole answer, which only has to be
 * ended.
 */
export const SEND_WHOLE = Symbol('send whole');

export interface TakesWhole extends ServerResponse {
  /** @param text of one byte a character, its head as `WholeAnswer` makes it */
  [SEND_WHOLE]?: (text: string) => void;
}

export function endWith(response: ServerResponse, text: string): void {
  (response as unknown as { _header: string })._header = text;
  response.end();
}

/** A body with its head, for one or for many. */
export class WholeAnswer {
  #date = '';
  #text = '';

  constructor(readonly json: string) {}

  /** A character for each byte, as node:http writes heads. */
  get text(): string {
    const date = dateNow();
    if (date === this.#date) return this.#text;
    const { json } = this;
    const bytes = Buffer.byteLength(json);
    const body = bytes === json.length ? json : Buffer.from(json).toString('latin1');
    this.#date = date;
    this.#text = `${HEAD}${date}\r\nContent-Length: ${String(bytes)}\r\n\r\n${body}`;
    return this.#text;
  }
}

let second = 0;
let date = '';

/** RFC 9110 section 5.6.7, made once a second. */
function dateNow(): string {
  const now = Math.floor(Date.now() / 1000);
  if (now !== second) {
    second = now;
    date = new Date(now * 1000).toUTCString();
  }
  return date;
}
