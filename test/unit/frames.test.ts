/** The bytes that carry one JSON text on each kind of link. */
import fc from 'fast-check';
import * as ws from 'ws';
import { ndjsonLine, serverSentEvent, tcpLine, webSocketFrame } from '../../src/protocol/frames';

/** The reading half of `ws`, which its types leave out. */
const { Receiver } = ws as unknown as { Receiver: new (options: object) => NodeJS.WritableStream };

/** What a client of RFC 6455 makes of the bytes. */
function received(bytes: Buffer): string[] {
  const texts: string[] = [];
  const receiver = new Receiver({ isServer: false, allowSynchronousEvents: true });
  receiver.on('message', (data: Buffer, isBinary: boolean) => texts.push(isBinary ? 'binary' : data.toString()));
  receiver.write(bytes);
  return texts;
}

test.each([0, 1, 125, 126, 127, 65_535, 65_536, 100_000])('a WebSocket frame of %d bytes', (length) => {
  const text = 'x'.repeat(length);
  const frame = webSocketFrame(text);
  expect(received(frame)).toEqual([text]);
  expect(frame.length).toBe(length + (length < 126 ? 2 : length < 65_536 ? 4 : 10));
});

test('WebSocket frames in one piece are as many messages, of any text', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', size: 'medium' }), { minLength: 1 }), (texts) => {
      expect(received(Buffer.concat(texts.map(webSocketFrame)))).toEqual(texts);
    }),
  );
});

/** Any JSON object, with line ends and the like in its texts. */
const message = fc.dictionary(
  fc.string(),
  fc.oneof(fc.json(), fc.string({ unit: 'grapheme' }), fc.constant('a\r\nb\u2028c')),
);

test('a TCP line is one line', () => {
  fc.assert(
    fc.property(message, (value) => {
      const line = tcpLine(JSON.stringify(value)).toString();
      expect(line.endsWith('\r\n')).toBe(true);
      expect(line.slice(0, -2)).not.toMatch(/[\r\n]/);
      expect(JSON.parse(line)).toEqual(value);
    }),
  );
});

test('a server-sent event has its data in one line, and forges no other event', () => {
  fc.assert(
    fc.property(message, (value) => {
      const lines = serverSentEvent('say', JSON.stringify(value), 'cursor').split(/\r\n|\r|\n/);
      expect(lines).toEqual(['id: cursor', 'event: say', `data: ${JSON.stringify(value)}`, '', '']);
    }),
  );
});

test('an NDJSON line is the object with a cursor', () => {
  expect(ndjsonLine('{"message":"x"}', 'abc')).toBe('{"message":"x","cursor":"abc"}\n');
});
