/** What the core needs to know of the settings; config.ts has the names, defaults and reasons. Times in ms. */
export interface ChatSettings {
  readonly serverName: string;
  readonly defaultRoom: string | null;
  readonly startingRooms: readonly string[];
  readonly createRoomsOnJoin: boolean;
  /** How long a dropped link keeps its rooms. */
  readonly reconnectGrace: number;
  /** A node's members are gone this long after it was killed. */
  readonly nodeLease: number;
  /** Speakers hear themselves. */
  readonly echo: boolean;
  /** null: HTTP clients have no chat. */
  readonly httpClientMessageTTL: number | null;
  readonly messageTTL: number;
  /** How many messages one answer of `history` holds at most. 0: there is no history. */
  readonly history: number;
  readonly roomsPerClient: number;
  /** Rooms there may be before joining makes no new ones. 0: any number. */
  readonly rooms: number;
  readonly membersListed: number;
  readonly messageBytes: number;
}

/** A record's life when HTTP chat is off: the time in which a socket may resume. */
const SOCKET_SESSION_TTL = 300_000;
/** How long an HTTP client is shown that has not come back yet: a curl that never returns is no lasting member. */
export const FIRST_WEB_LEASE = 60_000;
/** A client's own `key` is remembered so long; a key that the node made, for resends, only so long. */
export const CLIENT_KEY_MS = 300_000;
export const NODE_KEY_MS = 15_000;

/** ms after its last visit that a client may come back and find everything as it was. */
export function sessionTTL(settings: ChatSettings): number {
  return settings.httpClientMessageTTL ?? SOCKET_SESSION_TTL;
}

/** A client's visits within so long are one renewal, so that a busy poller costs the store nothing. */
export function renewalPause(settings: ChatSettings): number {
  return sessionTTL(settings) / 4;
}

/** What a record and a web client's lease are given: a visit that did not renew them has its whole time still. */
export function recordTTL(settings: ChatSettings): number {
  return sessionTTL(settings) + renewalPause(settings);
}
