/** The cookies that an answer sets, and what the ones that come back are taken for. */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';

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

/**
 * A request's cookie. One that is there twice with two values is none: a neighbour on the same domain may have planted
 * the first, to have us take the browser for its own client.
 */
export function requestCookie({ headers }: IncomingMessage, name: string): string | undefined {
  if (headers.cookie === undefined) return undefined;
  let found: string | undefined;
  for (const part of headers.cookie.split(';')) {
    const equals = part.indexOf('=');
    if (equals < 0 || part.slice(0, equals).trim() !== name) continue;
    const value = part.slice(equals + 1).trim();
    if (found !== undefined && found !== value) return undefined;
    found = value;
  }
  return found && decoded(found);
}

/** RFC 6265 section 4.1.1 lets a value stand in quotes. */
function decoded(value: string): string {
  const bare = value.startsWith('"') && value.endsWith('"') && value.length > 1 ? value.slice(1, -1) : value;
  try {
    return bare.includes('%') ? decodeURIComponent(bare) : bare;
  } catch {
    return bare;
  }
}
