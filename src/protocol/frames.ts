/** Outbound framing: the bytes that carry one JSON text on each kind of link. Made once per entry, never per hearer. */

/** RFC 6455 section 5.2: a final, unmasked text frame, as a server sends it. */
export function webSocketFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const head = length < 126 ? 2 : length < 65536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(head + length);
  frame[0] = 0x81;
  if (head === 2) {
    frame[1] = length;
  } else if (head === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  frame.write(text, head, 'utf8');
  return frame;
}

/** RFC 6455 section 5.5.3: a pong with the ping's own data, of which there are 125 bytes at most. */
export function webSocketPong(data: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x8a, data.length]), data]);
}

/** One line of the TCP protocol. JSON text holds no raw line end, so no message can forge one. */
export function tcpLine(text: string): Buffer {
  return Buffer.from(`${text}\r\n`);
}

/**
 * One server-sent event (WHATWG HTML, section 9.2). `data` is one line of JSON; `event` and `id` are only ever ours.
 * JSON keeps U+2028 and the like inside a line: the event stream breaks lines at CR and LF alone.
 */
export function serverSentEvent(event: string, data: string, id: string): string {
  return `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`;
}

/** A JSON object's text with a `cursor` added: one line of an NDJSON stream. */
export function ndjsonLine(json: string, cursor: string): string {
  return `${json.slice(0, -1)},"cursor":"${cursor}"}\n`;
}

/** RFC 9112 section 7.1: one chunk of an HTTP body that goes on. */
export function httpChunk(text: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
}
