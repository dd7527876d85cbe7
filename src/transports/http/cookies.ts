/** The cookies that an answer sets, and what the ones that come back are taken for. */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import cookieParser from 'cookie-parser';
import { ownText } from '../../protocol/own-text';

export interface CookieOptions {
  readonly secure: boolean;
  /** Seconds; left out: as long as the browser is open. */
  readonly maxAge?: number;
}

/** What an answer sets: by name, so that the later word on a cookie replaces the one before. */
export type Cookies = ReadonlyMap<string, string>;

export const NO_COOKIES: Cookies = new Map();

/** The headers of an answer that sets cookies; the very same ones when it sets none. */
export function withCookies<H extends OutgoingHttpHeaders>(headers: H, cookies: Cookies): H | OutgoingHttpHeaders {
  return cookies.size > 0 ? { ...headers, 'Set-Cookie': [...cookies.values()] } : headers;
}

/** Lax, so that the server sees its client also on a navigation and does not think it new. */
export function setCookie(name: string, value: string, { secure, maxAge }: CookieOptions): string {
  const age = maxAge === undefined ? '' : `; Max-Age=${String(maxAge)}`;
  return `${name}=${value}; Path=/; HttpOnly; SameSite=Lax${age}${secure ? '; Secure' : ''}`;
}

/** What cookie-parser makes of a request, which an application around us may have had done already. */
interface Parsed extends IncomingMessage {
  readonly cookies?: Readonly<Record<string, unknown>>;
}

const parse = cookieParser() as unknown as (request: Parsed, response: unknown, next: () => void) => void;

/**
 * A request's cookie. One that is there twice with two values is none: a neighbour on the same domain may have planted
 * the first, to have us take the browser for its own client.
 */
export function requestCookie(request: Parsed, name: string): string | undefined {
  const { cookie } = request.headers;
  if (cookie === undefined) return undefined;
  let found: string | undefined;
  for (const part of cookie.split(';')) {
    const equals = part.indexOf('=');
    if (equals < 0 || part.slice(0, equals).trim() !== name) continue;
    const value = part.slice(equals + 1).trim();
    if (found !== undefined && found !== value) return undefined;
    found = value;
  }
  if (found === undefined) return undefined;
  parse(request, undefined, () => undefined);
  // It turns `j:{…}` into an object and a bad signature into false: only text is a cookie's value here.
  const value = request.cookies?.[name];
  return typeof value === 'string' ? ownText(value, cookie.length) : undefined;
}
