/** Answers: JSON with the headers that every one of them has, and errors as the protocol writes them. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Counters } from '../../core/counters';
import { asChatError, type ChatError } from '../../protocol/errors';

/** No cache, no sniffing, no page of another site: an answer is for the one who asked. */
const ALWAYS = {
  'Content-Type': 'application/json; charset=utf-8',
  'Cache-Control': 'no-store, private',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  Vary: 'Origin, Cookie',
} as const;

/** The same as Node takes it with the least work. */
const ALWAYS_LIST: readonly string[] = Object.entries(ALWAYS).flat();

/** For an answer with no headers of its own: most of them. */
export const NO_HEADERS: Readonly<Record<string, never>> = Object.freeze({});

/**
 * False when the peer is gone, or was answered already.
 * @param bytes of the body, where they were counted already
 */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: string,
  headers: OutgoingHttpHeaders = NO_HEADERS,
  bytes = Buffer.byteLength(body),
): boolean {
  if (response.headersSent || response.destroyed) return false;
  const length = String(bytes);
  if (headers === NO_HEADERS) response.writeHead(status, [...ALWAYS_LIST, 'Content-Length', length]);
  else response.writeHead(status, { ...ALWAYS, 'Content-Length': length, ...headers });
  response.end(body);
  return true;
}

export function errorBody(error: ChatError, more: object = {}): string {
  const retry = error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter };
  return JSON.stringify({ error: `Error: ${error.message}`, code: error.code, ...retry, ...more });
}

export interface ErrorOptions {
  /** `commonWeb.returnErrorCodes`: false makes every status 200, for clients that read bodies only. */
  readonly errorCodes: boolean;
  /** Where clients of the chat are refused: an operator's mistakes are nobody's figures. */
  readonly counters?: Counters;
}

export function sendError(
  response: ServerResponse,
  thrown: unknown,
  { errorCodes, counters }: ErrorOptions,
  headers: OutgoingHttpHeaders = {},
): void {
  const error = asChatError(thrown);
  // A store that is away comes back for everybody at once: so not everybody is told the same time.
  const retryAfter = error.retryAfter ?? (error.status === 503 ? 1 + Math.floor(Math.random() * 5) : undefined);
  const retry = retryAfter === undefined ? {} : { 'Retry-After': String(retryAfter) };
  const status = errorCodes ? error.status : 200;
  if (sendJson(response, status, errorBody(error), { ...headers, ...retry })) counters?.refuse(error.code);
}
