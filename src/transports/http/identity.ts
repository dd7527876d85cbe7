/** Who a request is from: a bearer token, our cookie, what its kind of client has in common, or somebody new. */
import type { IncomingMessage } from 'node:http';
import { ChatError } from '../../protocol/errors';
import type { Chat } from '../../core/chat';
import { Client } from '../../core/client';
import type { Peer } from '../../core/connection';
import type { Rates } from '../../core/rate';
import { Session } from '../../core/session';
import { sessionTTL } from '../../core/settings';
import type { TokenReading } from '../../core/tokens';
import type { Origins } from '../address';
import { NO_COOKIES, requestCookie, setCookie, type Cookies } from './cookies';
import type { Params } from './params';

export interface IdentityOptions {
  readonly chat: Chat;
  readonly rates: Rates;
  readonly origins: Origins;
  readonly cookieKey: string;
  /** Clients without a cookie are known by their address and headers; those that look alike are one client. */
  readonly onlyStaticElements: boolean;
}

export interface Identified {
  readonly client: Client;
  /** Cookies to set with the answer: to be looked at when it is made, as it may turn out late that there are any. */
  cookies: Cookies;
  /** The generation that the client's `chatAck` brings back; undefined when it keeps no such cookie. */
  readonly acknowledged: number | undefined;
  readonly secure: boolean;
  /** The token, where the client is to have it in the answer itself (`connect`). */
  readonly token: string | undefined;
}

type OurToken = Extract<TokenReading, { readonly outcome: 'ours' }>;

/** What a request shows of who it is from; read once for all that asks. */
export interface Shown {
  readonly bearer: TokenReading | undefined;
  /** Our cookie, when it is one. */
  readonly cookie: string | undefined;
  readonly cookieReading: OurToken | undefined;
}

export const ACK_COOKIE = 'chatAck';
export const ROOM_COOKIE = '__room';

/** The headers of a fingerprint: they stay the same from request to request of one client. No header names an id. */
const STATIC_HEADERS = ['user-agent', 'accept-language', 'accept-encoding'] as const;

/**
 * Seconds that our cookies outlive the record. A stream keeps its client without ever setting a cookie again, and who
 * comes back late is told under its old id what it has missed.
 */
const COOKIE_GRACE = 86_400;

/** What of a record's time of birth goes into `chatAck`. */
const BIRTHS = 1_000_000;

export class Identity {
  constructor(readonly options: IdentityOptions) {}

  shown(request: IncomingMessage): Shown {
    const cookie = requestCookie(request, this.options.cookieKey);
    return { bearer: this.#bearer(request), cookie, cookieReading: this.#ours(cookie) };
  }

  /** The request would be known by what its kind of client sends, so nothing but its shape protects it. */
  isLookalike(shown: Shown): boolean {
    return this.options.onlyStaticElements && isStranger(shown);
  }

  /**
   * @param anonymous any site's page may have made the request: who the browser is known as is not listened to, and no
   * cookie is set
   * @throws ChatError session_unknown, session_expired, too_many_requests
   */
  identify(
    request: IncomingMessage,
    params: Params,
    { bearer, cookie, cookieReading }: Shown,
    anonymous: boolean,
  ): Identified | Promise<Identified> {
    if (bearer?.outcome === 'forged') throw new ChatError('session_unknown');
    if (bearer?.outcome === 'ours') {
      const session = this.options.chat.sessions.load(bearer.id);
      if (session instanceof Promise) return this.#byBearer(request, params, bearer, session);
      return this.#identified(request, params, session);
    }
    if (anonymous) return this.#anonymous(request, params);
    if (cookie !== undefined && cookieReading) return this.#byCookie(request, params, cookie, cookieReading);
    return this.options.onlyStaticElements ? this.#lookalike(request, params) : this.#stranger(request, params);
  }

  /**
   * Who only says something in a room that it names, known by its id; its record is read when the room does not know it.
   * @returns undefined where the record is needed in any case
   */
  speaker(request: IncomingMessage, params: Params, shown: Shown, anonymous: boolean): Identified | undefined {
    const { chat, rates } = this.options;
    const token = anonymous || shown.bearer?.outcome === 'forged' ? undefined : shown.cookieReading;
    const id = shown.bearer?.outcome === 'ours' ? shown.bearer.id : token?.id;
    if (id === undefined || !chat.saying.maySayUnread(id)) return undefined;
    const read = async (): Promise<Session> => {
      const found = await this.identify(request, params, shown, anonymous);
      who.cookies = found.cookies;
      return found.client.session;
    };
    const peer = this.#peer(request, params, id);
    const client = new Client(chat, new Session(id), peer, rates, read);
    // Not with a spread of UNMARKED: what is written behind one takes V8 twenty times as long, here with each say.
    const who: Identified = {
      client,
      cookies: NO_COOKIES,
      acknowledged: undefined,
      secure: this.#secure(request),
      token: undefined,
    };
    return who;
  }

  /** A new client that keeps its token itself. */
  async connect(request: IncomingMessage, params: Params): Promise<Identified> {
    const { session, token } = await this.#make(request, params);
    return this.#identified(request, params, session, { ...UNMARKED, token });
  }

  /** Who a handshake's cookie says it is, for a socket's `fingerprint` and `resume`. */
  fromHandshake(request: IncomingMessage): OurToken | undefined {
    return this.#ours(requestCookie(request, this.options.cookieKey));
  }

  /** The token that a handshake brings itself; one that has not our form is meant for an application around us. */
  tokenOf(request: IncomingMessage): string | undefined {
    const token = bearerOf(request);
    return this.#bearer(request)?.outcome === 'foreign' ? undefined : token;
  }

  /**
   * The cookie whose coming back says that an answer arrived: its generation, marked with when the record was made, so
   * that what confirmed an answer of a former record of this client confirms none of this one.
   */
  ackCookie(session: Session, generation: number, secure: boolean): string {
    const ack = generation * BIRTHS + (session.connectedAt % BIRTHS);
    return setCookie(ACK_COOKIE, String(ack), { secure, maxAge: this.#maxAge });
  }

  /** Signed for this client, so that a cookie planted by a neighbour on the same host moves nobody. */
  roomCookie(client: string, room: string, secure: boolean): string {
    return setCookie(ROOM_COOKIE, `${encodeURIComponent(room)}.${this.#roomSignature(client, room)}`, { secure });
  }

  #byCookie(
    request: IncomingMessage,
    params: Params,
    cookie: string,
    reading: OurToken,
  ): Identified | Promise<Identified> {
    const known = (session: Session): Identified =>
      this.#identified(request, params, session, {
        acknowledged: acknowledgedBy(session, requestCookie(request, ACK_COOKIE)),
        // The browser's clock runs against the cookie as ours does against the record: both are renewed together.
        cookies: this.options.chat.renewal.isDue(session.id) ? new Map([this.#cookie(request, cookie)]) : NO_COOKIES,
        token: undefined,
      });
    const session = this.options.chat.sessions.load(reading.id);
    if (!(session instanceof Promise)) return known(session);
    return session.then((found) => (found ? known(found) : this.#revived(request, params, cookie, reading)));
  }

  async #revived(request: IncomingMessage, params: Params, cookie: string, reading: OurToken): Promise<Identified> {
    const { chat } = this.options;
    const peer = this.#peer(request, params, reading.id);
    // A record made anew costs what a new one does, and a token can be kept for as long as one likes.
    this.options.rates.newClient(peer.remoteIP);
    const revived = await chat.welcome(reading.id, peer, await chat.lostHow(reading.issuedAt));
    await this.#backInto(revived, peer, requestCookie(request, ROOM_COOKIE));
    return this.#identified(request, params, revived, {
      acknowledged: 0,
      cookies: this.#cookies(request, cookie, revived),
      token: undefined,
    });
  }

  async #byBearer(
    request: IncomingMessage,
    params: Params,
    { id, issuedAt }: OurToken,
    loading: Promise<Session | undefined>,
  ): Promise<Identified> {
    const { chat, rates } = this.options;
    const session = await loading;
    if (session) return this.#identified(request, params, session);
    if ((await chat.lostHow(issuedAt)) === 'expired') throw new ChatError('session_expired');
    const peer = this.#peer(request, params, id);
    rates.newClient(peer.remoteIP);
    return this.#identified(request, params, await chat.welcome(id, peer, 'reset'));
  }

  async #anonymous(request: IncomingMessage, params: Params): Promise<Identified> {
    return this.#identified(request, params, (await this.#make(request, params)).session);
  }

  async #lookalike(request: IncomingMessage, params: Params): Promise<Identified> {
    const { chat, rates, origins } = this.options;
    const address = origins.address(request);
    const headers = STATIC_HEADERS.map((name) => request.headers[name] ?? '');
    const id = chat.tokens.fingerprintId([address, ...headers]);
    const session = await chat.sessions.load(id);
    if (session) return this.#identified(request, params, session);
    rates.newClient(address);
    const made = await chat.welcome(id, this.#peer(request, params, id), formerLife(params));
    return this.#identified(request, params, made);
  }

  async #stranger(request: IncomingMessage, params: Params): Promise<Identified> {
    const { session, token } = await this.#make(request, params);
    const cookies = this.#cookies(request, token, session);
    return this.#identified(request, params, session, { acknowledged: 0, cookies, token: undefined });
  }

  async #make(request: IncomingMessage, params: Params): Promise<{ session: Session; token: string }> {
    const { chat, rates, origins } = this.options;
    rates.newClient(origins.address(request));
    const token = chat.tokens.issue(Date.now());
    const id = chat.tokens.id(token);
    return { session: await chat.welcome(id, this.#peer(request, params, id), formerLife(params)), token };
  }

  /** `__room` says where the client was before its record was lost. It is no more than a hint: the hooks decide. */
  async #backInto(session: Session, peer: Peer, cookie: string | undefined): Promise<void> {
    const { chat, rates } = this.options;
    // It is decoded already; the signature is after the last dot, and holds none.
    const dot = cookie?.lastIndexOf('.') ?? -1;
    if (cookie === undefined || dot < 1) return;
    const room = cookie.slice(0, dot);
    if (cookie.slice(dot + 1) !== this.#roomSignature(session.id, room) || room === session.room) return;
    try {
      await chat.rooms.changeRoom(chat.connection(session, peer), room, {
        revived: session.revived,
        making: () => rates.newRoom(peer.remoteIP),
      });
    } catch (error) {
      if (!(error instanceof ChatError) || error.status >= 500) throw error;
    }
  }

  #identified(
    request: IncomingMessage,
    params: Params,
    session: Session,
    { acknowledged, cookies, token }: Pick<Identified, 'cookies' | 'acknowledged' | 'token'> = UNMARKED,
  ): Identified {
    const { chat, rates } = this.options;
    const client = new Client(chat, session, this.#peer(request, params, session.id), rates);
    return { client, cookies, acknowledged, secure: this.#secure(request), token };
  }

  #bearer(request: IncomingMessage): TokenReading | undefined {
    const found = bearerOf(request);
    return found === undefined ? undefined : this.options.chat.tokens.read(found);
  }

  #ours(token: string | undefined): OurToken | undefined {
    const reading = token === undefined ? undefined : this.options.chat.tokens.read(token);
    return reading?.outcome === 'ours' ? reading : undefined;
  }

  #secure(request: IncomingMessage): boolean {
    return this.options.origins.secure(request);
  }

  get #maxAge(): number {
    return Math.ceil(sessionTTL(this.options.chat.settings) / 1000) + COOKIE_GRACE;
  }

  #cookie(request: IncomingMessage, token: string): [string, string] {
    const { cookieKey } = this.options;
    return [cookieKey, setCookie(cookieKey, token, { secure: this.#secure(request), maxAge: this.#maxAge })];
  }

  /** The token and the first `chatAck` with it: a client that then brings only the one back keeps no jar. */
  #cookies(request: IncomingMessage, token: string, session: Session): Cookies {
    return new Map([this.#cookie(request, token), [ACK_COOKIE, this.ackCookie(session, 0, this.#secure(request))]]);
  }

  #roomSignature(client: string, room: string): string {
    return this.options.chat.tokens.sign('room', `${client} ${room}`);
  }

  #peer(request: IncomingMessage, params: Params, id: string): Peer {
    return new WebPeer(id, this.options.origins.address(request), request, params);
  }
}

/** Nothing of ours says who it is from. */
export function isStranger({ bearer, cookieReading }: Shown): boolean {
  return bearer?.outcome !== 'ours' && cookieReading === undefined;
}

/** A client that keeps no cookie of ours. */
const UNMARKED = { acknowledged: undefined, cookies: NO_COOKIES, token: undefined } as const;

class WebPeer implements Peer {
  readonly type = 'web';

  constructor(
    readonly fingerprint: string,
    readonly remoteIP: string,
    readonly request: IncomingMessage,
    readonly params: Params,
  ) {}

  get remotePort(): number {
    return this.request.socket.remotePort ?? 0;
  }

  destroy(): void {
    this.request.socket.destroy();
  }
}

/** What a request brings as its bearer token, ours or somebody else's. */
function bearerOf({ headers }: IncomingMessage): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
}

/** Whoever brings a cursor was here before, and has lost what it was known by. */
function formerLife({ method, after }: Params): 'expired' | undefined {
  return method === 'messages' && Boolean(after) ? 'expired' : undefined;
}

/** The generation that a `chatAck` brings back; -1 for one of a former record, which confirms nothing. */
function acknowledgedBy(session: Session, cookie: string | undefined): number | undefined {
  if (cookie === undefined || !/^\d{1,15}$/.test(cookie)) return undefined;
  const ack = Number(cookie);
  return ack % BIRTHS === session.connectedAt % BIRTHS ? Math.floor(ack / BIRTHS) : -1;
}
