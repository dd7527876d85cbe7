/** WebSocket frames as a client writes and reads them (RFC 6455), without fragments: no server here sends any. */
import type { Mark } from './marks';
import { scanMarks } from './marks';

const PING = 0x9;

export const upgrade = (port: number, path: string): string =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${String(port)}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

/** Masked with zeros, which leaves the text as it is. */
export function clientFrame(text: string, opcode = 0x1): Buffer {
  const length = Buffer.byteLength(text);
  const head = length < 126 ? 6 : 8;
  const frame = Buffer.alloc(head + length);
  frame[0] = 0x80 | opcode;
  if (length < 126) {
    frame[1] = 0x80 | length;
  } else {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  }
  frame.write(text, head);
  return frame;
}

/** What whole frames at the front of some bytes hold. */
export interface Frames {
  readonly marks: Mark[];
  /** Texts that hold no message. */
  readonly texts: string[];
  pings: number;
  taken: number;
}

export function readFrames(bytes: Buffer): Frames {
  const frames: Frames = { marks: [], texts: [], pings: 0, taken: 0 };
  let at = 0;
  while (at + 2 <= bytes.length) {
    let length = bytes[at + 1]! & 0x7f;
    let head = 2;
    if (length === 126) {
      if (at + 4 > bytes.length) break;
      length = bytes.readUInt16BE(at + 2);
      head = 4;
    } else if (length === 127) {
      if (at + 10 > bytes.length) break;
      length = Number(bytes.readBigUInt64BE(at + 2));
      head = 10;
    }
    const end = at + head + length;
    if (end > bytes.length) break;
    const opcode = bytes[at]! & 0xf;
    if (opcode === PING) {
      frames.pings += 1;
    } else if (opcode === 0x1 || opcode === 0x2) {
      const before = frames.marks.length;
      scanMarks(bytes, at + head, end, frames.marks);
      if (frames.marks.length === before) frames.texts.push(bytes.toString('utf8', at + head, end));
    }
    at = end;
  }
  frames.taken = at;
  return frames;
}
