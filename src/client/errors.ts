/** What can go wrong, with the server's own codes, and what is worth another try. */

import type { Answer } from './parsed';

/** docs/errors.md has the server's codes. The client's own: `unreachable`, `outcome_unknown`, `closed`, `unusable`. */
export class ChatError extends Error {
  override readonly name = 'ChatError';

  /** @param retryAfter seconds after which trying again makes sense, where the server said so */
  constructor(
    readonly code: string,
    message: string = code,
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

/** What an answer was refused with: an answer that was not may well have a `code` of its own. */
export function refusedBy({ error, code, retryAfter }: Answer): ChatError | undefined {
  if (typeof code !== 'string' || typeof error !== 'string') return undefined;
  return new ChatError(code, error.replace(/^Error: /, ''), retryAfter as number | undefined);
}

const passing = new Set([
  'unreachable',
  'too_many_requests',
  'too_many_pending',
  'capacity',
  'shutting_down',
  'store_unavailable',
  'outcome_unknown',
  // Over HTTP. A WebSocket may be on its way.
  'chat_disabled',
]);

/** The same may work a little later. */
export function isPassing(error: unknown): boolean {
  return error instanceof ChatError && passing.has(error.code);
}

/** The server does not know the token (any more), `session_unknown` or `session_expired`: a new client has to be made. */
export function isForgotten(error: unknown): boolean {
  return error instanceof ChatError && error.code.startsWith('session_');
}

export function asChatError(error: unknown): ChatError {
  return error instanceof ChatError ? error : new ChatError('unreachable', String(error));
}
