/** Bytes in, whole lines out: the inbound half of the TCP protocol, bounded and indifferent to how bytes are cut. */

const LF = 0x0a;
const CR = 0x0d;
const MANY_PIECES = 64;

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
   * The lines that `chunk` completes, one by one, so that those before a line that is too long are had;
   * `undefined` stands for a line that is not valid UTF-8.
   * @throws LineTooLong as soon as a line cannot fit any more
   */
  *push(chunk: Buffer): Generator<string | undefined, void> {
    let start = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, start)) {
      yield this.#complete(chunk.subarray(start, end));
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
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
    // A line that drips in byte by byte would otherwise be as many buffers, each far larger than its byte.
    if (this.#rest.length > MANY_PIECES) this.#rest = [Buffer.concat(this.#rest)];
    // One byte more may be the CR of a line that just fits.
    if (this.maxBytes > 0 && this.#restBytes > this.maxBytes + 1) throw new LineTooLong();
  }
}
