/**
 * Who polls over a kept connection sends the same headers each time: what they alone decide was decided by its first
 * request. Only on connections of our own server: around one of somebody else's, a middleware may have changed them.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { CorsHeaders } from '../guard';
import type { Shown } from './identity';

/** What was found out of a request that may act. */
export interface Passed {
  readonly cors: CorsHeaders | undefined;
  readonly shown: Shown;
}

interface Remembered extends Passed {
  /** The last request's own list, which it keeps anyway while it waits. */
  rawHeaders: readonly string[];
}

/** Characters of them all: they stay with a connection for as long as it is open, whether anybody asks over it or not. */
const MOST = 2048;

const LAST = Symbol('last');

interface Remembering extends Socket {
  [LAST]?: Remembered | undefined;
}

/** Undefined when this connection's last request that passed had other headers, in whatever way. */
export function passedBefore({ socket, rawHeaders }: IncomingMessage): Passed | undefined {
  const last = (socket as Remembering)[LAST];
  if (last?.rawHeaders.length !== rawHeaders.length) return undefined;
  for (let at = 0; at < rawHeaders.length; at += 1) if (last.rawHeaders[at] !== rawHeaders[at]) return undefined;
  last.rawHeaders = rawHeaders;
  return last;
}

export function rememberPassed({ socket, rawHeaders }: IncomingMessage, { cors, shown }: Passed): void {
  let length = 0;
  for (const text of rawHeaders) length += text.length;
  (socket as Remembering)[LAST] = length > MOST ? undefined : { rawHeaders, cors, shown };
}
