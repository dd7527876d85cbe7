/** HTTP answers as a client on a kept connection reads them: whole ones, and bodies that never end, in chunks. */

export interface Answer {
  readonly status: number;
  readonly head: string;
  /** Where the body is in the bytes. */
  readonly from: number;
  readonly to: number;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const LF = 0x0a;

/** The first answer, when all of it is there. */
export function readAnswer(bytes: Buffer): Answer | undefined {
  const end = bytes.indexOf(HEAD_END);
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  const from = end + HEAD_END.length;
  const to = from + Number(length ?? 0);
  if (to > bytes.length) return undefined;
  return { status: Number(head.slice(9, 12)), head, from, to };
}

/** The head of an answer whose body comes in chunks, and where that begins. */
export function readHead(bytes: Buffer): { status: number; end: number } | undefined {
  const end = bytes.indexOf(HEAD_END);
  if (end < 0) return undefined;
  return { status: Number(bytes.toString('latin1', 9, 12)), end: end + HEAD_END.length };
}

/** Calls with the range of each whole chunk; the number of bytes that those took. */
export function readChunks(bytes: Buffer, visit: (from: number, to: number) => void): number {
  let at = 0;
  for (;;) {
    const line = bytes.indexOf(LF, at);
    if (line < 0) return at;
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
    const end = line + 1 + size + 2;
    if (end > bytes.length) return at;
    visit(line + 1, line + 1 + size);
    at = end;
  }
}
