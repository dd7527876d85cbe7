/** Texts that are kept for longer than what they came in. */

/** Characters more that may be kept with one. */
const SPARE = 256;

/**
 * V8 makes of a longer text that is cut out of another a view of that other, which stays in memory as long as the view: a
 * room's name would keep the whole request that it came in.
 * @param text well-formed
 * @param cutOutOf characters of what it was cut out of, at most
 * @returns the same, by itself where that keeps much less
 */
export function ownText(text: string, cutOutOf: number): string {
  return cutOutOf - text.length > SPARE ? Buffer.from(text).toString() : text;
}
