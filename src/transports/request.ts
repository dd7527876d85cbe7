/** A request as sockets bring it: a verb or an action, with its arguments still as the client wrote them. */
import { ChatError } from '../protocol/errors';

export type Arguments = Readonly<Record<string, unknown>>;

export interface SocketRequest {
  /** A verb, or `action`. */
  readonly event: string;
  /** The verb's arguments, or the action's parameters with its name as `action`. */
  readonly params: Arguments;
  /** Its own; a fresh one otherwise. */
  readonly messageId: unknown;
  /** What an error gives back as `data` (WebSocket). */
  readonly echoed: Arguments;
  /** Why it is not done, whatever it asks for. */
  readonly refusal?: ChatError;
}

/** Parameters of one request, whatever it comes by: nobody has as many, and each costs more than its bytes say. */
export const MOST_PARAMETERS = 100;

export function tooManyParameters(): ChatError {
  return new ChatError('bad_request', `a request has ${String(MOST_PARAMETERS)} parameters at most`);
}

export function hasTooMany(params: unknown): boolean {
  return typeof params === 'object' && params !== null && Object.keys(params).length > MOST_PARAMETERS;
}

/** What follows a TCP `say`. A class, so that no JSON can pretend to be it. */
export class SaidWords {
  constructor(
    readonly first: string,
    readonly rest: string,
    readonly whole: string,
  ) {}
}

/** `{"event":"roomAdd","room":"x","messageId":7}`; an action has its parameters, and its name, in `params`. */
export function requestOf(frame: Arguments): SocketRequest {
  if (hasTooMany(frame) || hasTooMany(frame['params'])) {
    return tooMuch(frame['event'] === 'action' ? 'action' : 'unknown', frame['messageId']);
  }
  const { event, messageId, params, ...rest } = frame;
  // A token is shown to nobody, not to its owner's logs either.
  const { session: _session, ...others } = rest;
  const echoed = params === undefined ? others : { ...others, params };
  if (event === 'action') {
    const own = typeof params === 'object' && params !== null ? (params as Arguments) : {};
    return { event, params: own, messageId: messageId ?? own['messageId'], echoed };
  }
  const verb = typeof event === 'string' ? event : event === undefined ? 'undefined' : 'unknown';
  return { event: verb, params: rest, messageId, echoed };
}

/** In place of a request with too many parameters. Nothing of it is given back: to take it apart costs more than to parse it. */
export function tooMuch(event: 'action' | 'unknown', messageId: unknown): SocketRequest {
  return { event, params: {}, messageId, echoed: {}, refusal: tooManyParameters() };
}

/** What a client did not write, or wrote as null, is left out. */
export function given(params: Arguments, name: string): unknown {
  return params[name] ?? undefined;
}

/** @throws ChatError invalid_parameter */
export function textOf(params: Arguments, name: string): string | undefined {
  const value = given(params, name);
  if (value === undefined || typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new ChatError('invalid_parameter', `${name} must be text`);
}

/** @throws ChatError invalid_parameter */
export function countOf(params: Arguments, name: string): number | undefined {
  const value = given(params, name);
  if (value === undefined) return undefined;
  const count = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (typeof count === 'number' && Number.isInteger(count) && count >= 1) return count;
  throw new ChatError('invalid_parameter', `${name} must be a whole number from 1`);
}

/** @throws ChatError invalid_parameter */
export function flagOf(params: Arguments, name: string): boolean | undefined {
  const value = given(params, name);
  if (value === undefined || typeof value === 'boolean') return value;
  if (value === 'true' || value === '1' || value === 1) return true;
  if (value === 'false' || value === '0' || value === 0) return false;
  throw new ChatError('invalid_parameter', `${name} must be true or false`);
}
