/** What a connection's last request has shown, and for which next one that counts. */
import type { IncomingMessage } from 'node:http';
import { passedBefore, rememberPassed, type Passed } from '../../src/transports/http/same-headers';

const passed: Passed = {
  cors: undefined,
  shown: { bearer: undefined, cookie: 'abc', cookieReading: undefined },
};
const request = (socket: object, ...rawHeaders: string[]): IncomingMessage =>
  ({ socket, rawHeaders }) as unknown as IncomingMessage;

const known = ['Host', 'chat.example.com', 'Cookie', 'sessionID=abc'];

test('the same headers on the same connection', () => {
  const socket = {};
  expect(passedBefore(request(socket, ...known))).toBeUndefined();
  rememberPassed(request(socket, ...known), passed);
  for (let again = 0; again < 3; again += 1) expect(passedBefore(request(socket, ...known))).toMatchObject(passed);
  expect(passedBefore(request({}, ...known))).toBeUndefined();
});

test.each([
  ['one more', [...known, 'Origin', 'https://evil.test']],
  ['one less', known.slice(0, 2)],
  ['none', []],
  ['another value', ['Host', 'chat.example.com', 'Cookie', 'sessionID=abd']],
  ['another name', ['Host', 'chat.example.com', 'cookie', 'sessionID=abc']],
  ['another order', [...known.slice(2), ...known.slice(0, 2)]],
])('%s: nothing is known of it, and nothing is forgotten', (_what, headers) => {
  const socket = {};
  rememberPassed(request(socket, ...known), passed);
  expect(passedBefore(request(socket, ...headers))).toBeUndefined();
  expect(passedBefore(request(socket, ...known))).toMatchObject(passed);
});

test('what is long does not stay with a connection, nor does what was there before it', () => {
  const socket = {};
  rememberPassed(request(socket, ...known), passed);
  const long = [...known, 'X-Long', 'x'.repeat(2048)];
  rememberPassed(request(socket, ...long), passed);
  expect(passedBefore(request(socket, ...long))).toBeUndefined();
  expect(passedBefore(request(socket, ...known))).toBeUndefined();
});
