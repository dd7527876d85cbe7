/** What the store in memory holds, in bytes: about, and rather too many than too few. */

export class Budget {
  #used = 0;

  /** @param most 0: any number */
  constructor(readonly most: number) {}

  get used(): number {
    return this.#used;
  }

  /** Nothing more should come in. */
  get full(): boolean {
    return this.most > 0 && this.#used >= this.most;
  }

  /** @param bytes less than nothing, when something is let go of */
  add(bytes: number): void {
    this.#used += bytes;
  }
}

/** V8 keeps a text in one byte for each character, or in two where one of them has no place in Latin-1. */
export function bytesOf(text: string): number {
  // eslint-disable-next-line no-control-regex -- the first 256 characters, whatever they are
  return /^[\u0000-\u00ff]*$/.test(text) ? text.length : 2 * text.length;
}
