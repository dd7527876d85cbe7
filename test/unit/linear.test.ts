/** No text keeps us reading for longer than its length explains. */
import { networkOf } from '../../src/core/network';
import { parseEntryId } from '../../src/protocol/entry-id';
import { LineSplitter } from '../../src/protocol/lines';
import { roomNameOrUndefined } from '../../src/protocol/room';
import { parseTcpLine } from '../../src/protocol/tcp-request';
import { parseAnnouncement } from '../../src/store/redis/announcement';
import { bytesOf } from '../../src/store/memory-budget';
import { requestCookie } from '../../src/transports/http/cookies';
import { formParams, parseJson } from '../../src/transports/http/params';
import { Tokens } from '../../src/core/tokens';
import { Guard } from '../../src/transports/guard';
import { originsOf } from '../../src/transports/address';
import type { IncomingMessage } from 'node:http';

const LENGTH = 200_000;
const pieces = [
  'a',
  ' ',
  'a ',
  '1',
  '1-',
  '.',
  'a.',
  ':',
  '0:',
  '::',
  '=',
  '&',
  'a=&',
  '%',
  '\\ud8',
  '{',
  '[',
  '"',
  '-',
  ';',
  '; ',
  '\n',
  '\r\n',
  '1\n',
  '\u00e9',
  '\u0301',
  '\u{1d11e}',
];
const ends = ['', '!', '\u0000'];

const guard = new Guard({
  allowedOrigins: ['https://*.example.com'],
  allowedHosts: ['example.com'],
  origins: originsOf(0),
});
const withHeader = (name: string, value: string): IncomingMessage =>
  ({ headers: { host: 'x', [name]: value }, rawHeaders: [], socket: {} }) as unknown as IncomingMessage;
const tokens = new Tokens('a secret for this test alone, thirty-two');

/** Whether they throw is not the question. */
const readers: Readonly<Record<string, (text: string) => unknown>> = {
  'a room': roomNameOrUndefined,
  'a place': parseEntryId,
  'an address': networkOf,
  'a line': parseTcpLine,
  'an announcement': (text) => parseAnnouncement(`1\n5-1\n5-0\n${text}`),
  'a size': bytesOf,
  'a form': formParams,
  JSON: parseJson,
  'a token': (text) => tokens.read(text),
  'a cookie': (text) => requestCookie(withHeader('cookie', text), 'sessionID'),
  'an origin': (text) => guard.originAllowed(`https://${text}.example.com`, withHeader('origin', text)),
  'a referrer': (text) => guard.checkSite(withHeader('referer', text), false),
  'an Accept': (text) => guard.checkSite(withHeader('accept', text), true),
  'a forwarded address': (text) => originsOf(2).address(withHeader('x-forwarded-for', text)),
  'a host': (text) => guard.checkHost(withHeader('host', text)),
  lines: (text) => [...new LineSplitter(0).push(Buffer.from(text))].length,
};

test.each(Object.entries(readers))(
  '%s: reads a long text, whatever it repeats, in no time',
  (_what, read) => {
    for (const piece of pieces) {
      for (const end of ends) {
        const text = piece.repeat(LENGTH / piece.length) + end;
        const began = performance.now();
        try {
          read(text);
        } catch {
          // Refused.
        }
        // What grows with the square of the length would take twenty.
        expect([piece, end, performance.now() - began < 4000]).toEqual([piece, end, true]);
      }
    }
  },
  60_000,
);
