/** Answers: JSON with the headers that every one of them has, and errors as the protocol writes them. */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Counters } from '../../core/counters';
import { asChatError, type ChatError } from '../../protocol/errors';
import { ALWAYS, SEND_WHOLE, type TakesWhole, type WholeAnswer } from './whole';

/** For an answer with no headers of its own: most of them. */
export const NO_HEADERS: Readonly<Record<string, never>> = Object.freeze({});

/** False when the peer is gone, or was answered already. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: string,
  headers: OutgoingHttpHeaders = NO_HEADERS,
): boolean {
  if (response.headersSent || response.destroyed) return false;
  response.writeHead(status, { 'Content-Length': String(Buffer.byteLength(body)), ...ALWAYS, ...headers });
  response.end(body);
  return true;
}

/** What was asked for; the same answer may go to many. */
export function sendAnswer(response: TakesWhole, answer: WholeAnswer, headers: OutgoingHttpHeaders): void {
  const sendWhole = headers === NO_HEADERS ? response[SEND_WHOLE] : undefined;
  // Where the connection does not go on, node:http has to say so and to close it.
  const isPlain = response.shouldKeepAlive && !response.headersSent && !response.destroyed;
  if (sendWhole && isPlain) sendWhole.call(response, answer.text);
  else sendJson(response, 200, answer.json, headers);
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
