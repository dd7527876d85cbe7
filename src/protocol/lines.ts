/** Bytes in, whole lines out: the inbound half of the TCP protocol, bounded and indifferent to how bytes are cut. */

const LF = 0x0a;
const CR = 0x0d;

export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
}

/** Node's `readline` has no limit and splits on a lone CR, U+2028 and U+2029; hence our own. */
export class LineSplitter {
  #rest: Buffer[] = [];
  #restBytes = 0;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });

  /** @param maxBytes of one line, its end not counted; 0 for no limit */
  constructor(readonly maxBytes: number) {}

  /**
   * The lines that `chunk` completes; `undefined` stands for a line that is not valid UTF-8.
   * @throws LineTooLong as soon as a line cannot fit any more
   */
  push(chunk: Buffer): (string | undefined)[] {
    const lines: (string | undefined)[] = [];
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LF, start);
      if (end < 0) break;
      lines.push(this.#complete(chunk.subarray(start, end)));
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
    return lines;
  }

  #complete(piece: Buffer): string | undefined {
    let line = piece;
    if (this.#rest.length > 0) {
      line = Buffer.concat([...this.#rest, piece]);
      this.#rest = [];
      this.#restBytes = 0;
    }
    if (line.at(-1) === CR) line = line.subarray(0, -1);
    if (this.maxBytes > 0 && line.length > this.maxBytes) throw new LineTooLong();
    try {
      return this.#decoder.decode(line);
    } catch {
      return undefined;
    }
  }

  #keep(piece: Buffer): void {
    this.#rest.push(piece);
    this.#restBytes += piece.length;
    // One byte more may be the CR of a line that just fits.
    if (this.maxBytes > 0 && this.#restBytes > this.maxBytes + 1) throw new LineTooLong();
  }
}
