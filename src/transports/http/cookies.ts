/** The cookies that an answer sets, and what the ones that come back are taken for. */
import type { IncomingMessage } from 'node:http';

export interface CookieOptions {
  readonly secure: boolean;
  /** Seconds; left out: as long as the browser is open. */
  readonly maxAge?: number;
}

/** What an answer sets: by name, so that the later word on a cookie replaces the one before. */
export type Cookies = ReadonlyMap<string, string>;

export function cookieHeaders(cookies: Cookies): { 'Set-Cookie'?: string[] } {
  return cookies.size > 0 ? { 'Set-Cookie': [...cookies.values()] } : {};
}

/** Lax, so that the server sees its client also on a navigation and does not think it new. */
export function setCookie(name: string, value: string, { secure, maxAge }: CookieOptions): string {
  const age = maxAge === undefined ? '' : `; Max-Age=${String(maxAge)}`;
  return `${name}=${value}; Path=/; HttpOnly; SameSite=Lax${age}${secure ? '; Secure' : ''}`;
}

/** cookie-parser turns `j:{…}` into an object and a bad signature into false: only text is a cookie's value here. */
export function cookieText(cookies: unknown, name: string): string | undefined {
  if (typeof cookies !== 'object' || cookies === null || !Object.hasOwn(cookies, name)) return undefined;
  const value = (cookies as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : undefined;
}

/**
 * A request's cookie. One that is there twice with two values is none: a neighbour on the same domain may have planted
 * the first, to have us take the browser for its own client.
 */
export function requestCookie(request: IncomingMessage & { cookies?: unknown }, name: string): string | undefined {
  const pairs = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim());
  const given = new Set(pairs.filter((pair) => pair.startsWith(`${name}=`)));
  return given.size > 1 ? undefined : cookieText(request.cookies, name);
}
