/** Who a request is from: a bearer token, our cookie, what its kind of client has in common, or somebody new. */
import type { Request } from 'express';
import { ChatError } from '../../protocol/errors';
import type { Chat } from '../../core/chat';
import { Client } from '../../core/client';
import type { Peer } from '../../core/connection';
import type { Rates } from '../../core/rate';
import type { Session } from '../../core/session';
import { sessionTTL } from '../../core/settings';
import type { Origins } from '../address';
import { cookieText, setCookie } from './cookies';
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
  /** Cookies to set with the answer. */
  readonly cookies: string[];
  /** The generation that the client's `chatAck` brings back; undefined when it keeps no such cookie. */
  readonly acknowledged: number | undefined;
  readonly secure: boolean;
  /** The token, where the client is to have it in the answer itself (`connect`). */
  readonly token: string | undefined;
}

export const ACK_COOKIE = 'chatAck';
export const ROOM_COOKIE = '__room';

/** The headers of a fingerprint: they stay the same from request to request of one client. No header names an id. */
const STATIC_HEADERS = ['user-agent', 'accept-language', 'accept-encoding'] as const;

export class Identity {
  constructor(readonly options: IdentityOptions) {}

  /** The request would be known by what its kind of client sends, so nothing but its shape protects it. */
  isLookalike(request: Request): boolean {
    const { onlyStaticElements, cookieKey } = this.options;
    return onlyStaticElements && !this.#bearer(request) && cookieText(request.cookies, cookieKey) === undefined;
  }

  /** @throws ChatError session_unknown, session_expired, too_many_requests */
  async identify(request: Request, params: Params): Promise<Identified> {
    const { chat, origins, cookieKey, onlyStaticElements } = this.options;
    const secure = origins.secure(request);
    const peer = this.#peer(request, params);
    const known = (session: Session, acknowledged?: number): Identified => {
      const client = new Client(chat, session, peer(session.id), this.options.rates);
      return { client, cookies: [], acknowledged, secure, token: undefined };
    };

    const bearer = this.#bearer(request);
    if (bearer !== undefined) {
      const reading = chat.tokens.read(bearer);
      if (reading.outcome === 'forged') throw new ChatError('session_unknown');
      if (reading.outcome === 'ours') return known(await this.#bearerSession(reading, peer(reading.id)));
    }

    const cookie = cookieText(request.cookies, cookieKey);
    const reading = cookie === undefined ? undefined : chat.tokens.read(cookie);
    if (cookie !== undefined && reading?.outcome === 'ours') {
      const session = await chat.sessions.load(reading.id);
      const ack = cookieText(request.cookies, ACK_COOKIE);
      const acknowledged = ack !== undefined && /^\d{1,15}$/.test(ack) ? Number(ack) : undefined;
      const maxAge = Math.ceil(sessionTTL(chat.settings) / 1000);
      if (session) {
        const identified = known(session, acknowledged);
        // The browser's clock runs against the cookie as ours does against the record: both are renewed together.
        if (chat.isDue(session)) identified.cookies.push(setCookie(cookieKey, cookie, { secure, maxAge }));
        return identified;
      }
      const revived = await this.#revive(reading, peer(reading.id));
      await this.#backInto(revived, peer(reading.id), cookieText(request.cookies, ROOM_COOKIE));
      return { ...known(revived, acknowledged ?? 0), cookies: [setCookie(cookieKey, cookie, { secure, maxAge })] };
    }

    if (onlyStaticElements) {
      const headers = STATIC_HEADERS.map((name) => request.headers[name] ?? '');
      const id = chat.tokens.fingerprintId([origins.address(request), ...headers]);
      const session = await chat.sessions.load(id);
      if (session) return known(session);
      this.options.rates.newClient(origins.address(request));
      return known(await chat.welcome(id, peer(id), 'expired'));
    }

    const made = await this.#make(request, peer);
    const maxAge = Math.ceil(sessionTTL(chat.settings) / 1000);
    const cookies = [
      setCookie(cookieKey, made.token, { secure, maxAge }),
      setCookie(ACK_COOKIE, '0', { secure, maxAge }),
    ];
    return { ...known(made.session, 0), cookies };
  }

  /** A new client that keeps its token itself. */
  async connect(request: Request, params: Params): Promise<Identified> {
    const { chat, rates, origins } = this.options;
    const peer = this.#peer(request, params);
    const { session, token } = await this.#make(request, peer);
    const client = new Client(chat, session, peer(session.id), rates);
    return { client, cookies: [], acknowledged: undefined, secure: origins.secure(request), token };
  }

  /** The public id behind a handshake's cookie, for a socket's `fingerprint`. */
  cookieId(cookies: unknown): string | undefined {
    const cookie = cookieText(cookies, this.options.cookieKey);
    const reading = cookie === undefined ? undefined : this.options.chat.tokens.read(cookie);
    return reading?.outcome === 'ours' ? reading.id : undefined;
  }

  async #make(request: Request, peer: (id: string) => Peer): Promise<{ session: Session; token: string }> {
    const { chat, rates, origins } = this.options;
    rates.newClient(origins.address(request));
    const token = chat.tokens.issue(Date.now());
    const id = chat.tokens.id(token);
    return { session: await chat.welcome(id, peer(id)), token };
  }

  async #bearerSession(reading: { readonly id: string; readonly issuedAt: number }, peer: Peer): Promise<Session> {
    const { chat } = this.options;
    const session = await chat.sessions.load(reading.id);
    if (session) return session;
    if ((await chat.lostHow(reading.issuedAt)) === 'expired') throw new ChatError('session_expired');
    return chat.welcome(reading.id, peer, 'reset');
  }

  async #revive(reading: { readonly id: string; readonly issuedAt: number }, peer: Peer): Promise<Session> {
    const { chat } = this.options;
    return chat.welcome(reading.id, peer, await chat.lostHow(reading.issuedAt));
  }

  /** `__room` says where the client was before its record was lost. It is no more than a hint: the hooks decide. */
  async #backInto(session: Session, peer: Peer, cookie: string | undefined): Promise<void> {
    const { chat } = this.options;
    const room = cookie === undefined ? undefined : readRoomCookie(chat, session.id, cookie);
    if (room === undefined || room === session.room) return;
    try {
      await chat.changeRoom(session, chat.connection(session, peer).connection, room);
    } catch (error) {
      if (!(error instanceof ChatError)) throw error;
    }
  }

  #bearer(request: Request): string | undefined {
    const found = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '');
    return found?.[1];
  }

  #peer(request: Request, params: Params): (id: string) => Peer {
    const remoteIP = this.options.origins.address(request);
    return (id) => ({
      type: 'web',
      fingerprint: id,
      remoteIP,
      remotePort: request.socket.remotePort ?? 0,
      params,
      destroy: () => request.socket.destroy(),
    });
  }
}

/** Signed for this client, so that a cookie planted by a neighbour on the same host moves nobody. */
export function roomCookie(chat: Chat, client: string, room: string): string {
  return `${encodeURIComponent(room)}.${chat.tokens.sign('room', `${client} ${room}`)}`;
}

function readRoomCookie(chat: Chat, client: string, cookie: string): string | undefined {
  // cookie-parser has decoded it; the signature is after the last dot, and holds none.
  const dot = cookie.lastIndexOf('.');
  const room = cookie.slice(0, dot);
  return dot > 0 && cookie.slice(dot + 1) === chat.tokens.sign('room', `${client} ${room}`) ? room : undefined;
}
