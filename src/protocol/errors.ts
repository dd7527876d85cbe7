/** Every error that a client can be told: a stable code, an HTTP status and the text that people read. */

interface ErrorKind {
  readonly status: number;
  /** `%s` stands for the detail (a room, a verb, a parameter). */
  readonly text: string;
}

/** `docs/errors.md` explains each of them; a test holds the two together. */
export const errorCatalogue = {
  invalid_parameter: { status: 400, text: '%s' },
  repeated_parameter: { status: 400, text: '%s was given more than once' },
  invalid_encoding: { status: 400, text: 'the request is not valid UTF-8' },
  invalid_json: { status: 400, text: 'the request is not valid JSON' },
  bad_request: { status: 400, text: '%s' },
  method_required: { status: 400, text: 'method is a required parameter for this action' },
  message_required: { status: 400, text: 'message is required to use the say method' },
  room_required: { status: 400, text: 'a room is required' },
  room_change_needs_room: { status: 400, text: 'room is required to use the roomChange method' },
  room_and_message_required: { status: 400, text: 'both room and message are required' },
  invalid_room_name: {
    status: 400,
    text: 'a room name is 1-100 letters, digits or any of _ . : @ / # + ~ = - without spaces',
  },
  unauthorized: { status: 401, text: 'this needs a bearer token' },
  session_expired: { status: 401, text: 'this session has expired; connect again' },
  session_unknown: { status: 401, text: 'this session is not known; connect again' },
  not_in_room: { status: 403, text: 'connection not in this room (%s)' },
  forbidden: { status: 403, text: '%s' },
  dropped: { status: 403, text: 'the message was dropped' },
  cross_site: { status: 403, text: 'requests from another site are not allowed' },
  chat_disabled: { status: 403, text: 'chatting via web clients is not enabled' },
  history_disabled: { status: 403, text: 'history is not enabled' },
  too_many_rooms: { status: 403, text: 'you are in too many rooms (%s at most)' },
  unknown_method: { status: 404, text: '%s is not a known chat method' },
  unknown_action: { status: 404, text: 'unknown action or invalid apiVersion' },
  unknown_verb: { status: 404, text: 'verb not found or not allowed (%s)' },
  room_not_found: { status: 404, text: 'room does not exist' },
  not_found: { status: 404, text: '%s was not found' },
  method_not_allowed: { status: 405, text: '%s' },
  already_in_room: { status: 409, text: 'connection already in this room (%s)' },
  room_exists: { status: 409, text: 'room exists' },
  too_large: { status: 413, text: '%s' },
  wrong_host: { status: 421, text: 'this server does not answer for that host' },
  too_many_requests: { status: 429, text: 'too many requests; try again later' },
  too_many_pending: { status: 429, text: 'you have too many pending requests' },
  internal: { status: 500, text: 'the server failed to do this' },
  capacity: { status: 503, text: 'the server is full; try again later' },
  shutting_down: { status: 503, text: 'the server is shutting down' },
  store_unavailable: { status: 503, text: 'the store cannot be reached; nothing was done' },
  outcome_unknown: {
    status: 503,
    text: 'the store did not answer in time; it is not known whether this was done: repeat it with the same key',
  },
  store_full: { status: 507, text: 'the store is full; nothing was done' },
} as const satisfies Readonly<Record<string, ErrorKind>>;

export type ErrorCode = keyof typeof errorCatalogue;

/** An error for a client to read. Anything else that is thrown is a bug: logged whole, shown as `internal`. */
export class ChatError extends Error {
  override readonly name = 'ChatError';
  readonly status: number;

  /**
   * @param detail fills the text's `%s`
   * @param retryAfter seconds after which trying again makes sense
   */
  constructor(
    readonly code: ErrorCode,
    detail = '',
    readonly retryAfter?: number,
  ) {
    const kind = errorCatalogue[code];
    super(kind.text.replace('%s', () => detail));
    this.status = kind.status;
  }
}

/** What a client may know of anything that was thrown. */
export function asChatError(error: unknown): ChatError {
  return error instanceof ChatError ? error : new ChatError('internal');
}
