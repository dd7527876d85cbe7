/** How long to wait before the next try. */

export interface BackoffOptions {
  /** ms: the first wait is anything up to this, each further one up to twice as much. */
  readonly base: number;
  /** ms: and never more than this. */
  readonly most: number;
}

/**
 * Full jitter: all of the wait is random, so that the clients of a server that went do not come back in waves. What the
 * server asks for comes on top: it is the least, and everybody was told the same.
 * @param failures so far in a row, from 0
 * @param retryAfter seconds
 */
export function backoff(
  { base, most }: BackoffOptions,
  failures: number,
  retryAfter = 0,
  random = Math.random,
): number {
  return retryAfter * 1000 + random() * Math.min(most, base * 2 ** failures);
}
