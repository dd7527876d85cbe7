/** HTTP answers, WebSocket frames and lines, read by hand from bytes that may end anywhere. */

export interface Head {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly cookies: readonly string[];
}

/** Reads one answer; `onBody` gets the decoded body in pieces. */
export class AnswerReader {
  head: Head | undefined;
  complete = false;
  #rest: Buffer = Buffer.alloc(0);
  /** Bytes of the body, or of the present chunk, that are still to come; undefined before a chunk's size is read. */
  #left: number | undefined;

  constructor(readonly onBody: (bytes: Buffer) => void) {}

  /** False once the answer is complete. */
  push(bytes: Buffer): boolean {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    if (!this.head && !this.#readHead()) return true;
    while (!this.complete && this.#step()) continue;
    return !this.complete;
  }

  /** What came behind the head: the first bytes of another protocol. */
  takeRest(): Buffer {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest;
  }

  get #isChunked(): boolean {
    return this.head?.headers.get('transfer-encoding') === 'chunked';
  }

  #readHead(): boolean {
    const end = this.#rest.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const [first = '', ...lines] = this.#rest.toString('latin1', 0, end).split('\r\n');
    const pairs = lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
    this.head = {
      status: Number(first.split(' ')[1]),
      headers: new Map(pairs),
      cookies: pairs.filter(([name]) => name === 'set-cookie').map(([, value]) => value),
    };
    this.#rest = this.#rest.subarray(end + 4);
    if (!this.#isChunked) this.#left = Number(this.head.headers.get('content-length') ?? Infinity);
    if (this.head.status === 101) this.complete = true;
    return true;
  }

  /** Reads on; false when more bytes are needed. */
  #step(): boolean {
    if (this.#left === undefined) {
      const end = this.#rest.indexOf('\r\n');
      if (end < 0) return false;
      const size = parseInt(this.#rest.toString('latin1', 0, end), 16);
      this.#rest = this.#rest.subarray(end + 2);
      if (size === 0) this.complete = true;
      // With the line's end that follows a chunk's bytes.
      else this.#left = size + 2;
      return true;
    }
    const piece = this.#rest.subarray(0, this.#left);
    this.#rest = this.#rest.subarray(piece.length);
    const before = this.#left;
    this.#left -= piece.length;
    if (this.#isChunked) {
      // The two bytes of the line's end are not the body's.
      this.onBody(piece.subarray(0, Math.max(0, Math.min(piece.length, before - 2))));
      if (this.#left === 0) this.#left = undefined;
      return this.#left === undefined;
    }
    this.onBody(piece);
    if (this.#left === 0) this.complete = true;
    return false;
  }
}

/** Whole pieces between ends; what is left over is nobody's. */
export class Splitter {
  #rest: Buffer = Buffer.alloc(0);

  constructor(readonly end: string) {}

  push(bytes: Buffer): string[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const last = this.#rest.lastIndexOf(this.end);
    if (last < 0) return [];
    const whole = this.#rest.toString('utf8', 0, last);
    this.#rest = this.#rest.subarray(last + this.end.length);
    return whole.split(this.end);
  }
}

export interface WebSocketFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  push(bytes: Buffer): WebSocketFrame[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const frames: WebSocketFrame[] = [];
    for (;;) {
      const { length } = this.#rest;
      if (length < 2) return frames;
      const short = this.#rest[1]! & 0x7f;
      const headed = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (length < headed) return frames;
      const size =
        short === 126 ? this.#rest.readUInt16BE(2) : short === 127 ? Number(this.#rest.readBigUInt64BE(2)) : short;
      if (length < headed + size) return frames;
      frames.push({ opcode: this.#rest[0]! & 0x0f, payload: this.#rest.subarray(headed, headed + size) });
      this.#rest = this.#rest.subarray(headed + size);
    }
  }
}

/** A client's frame, masked with zeros as RFC 6455 lets it be. */
export function clientFrame(payload: string | Buffer, opcode = 1): Buffer {
  const bytes = Buffer.from(payload as string);
  const head = bytes.length < 126 ? Buffer.from([0x80 | opcode, 0x80 | bytes.length]) : Buffer.alloc(4);
  if (bytes.length >= 126) {
    head[0] = 0x80 | opcode;
    head[1] = 0x80 | 126;
    head.writeUInt16BE(bytes.length, 2);
  }
  return Buffer.concat([head, Buffer.alloc(4), bytes]);
}
