/** Cookies: what is set, and what those that come back are taken for. */
import type { IncomingMessage } from 'node:http';
import { requestCookie, setCookie, withCookies } from '../../src/transports/http/cookies';
import { heapInUse } from '../support/collected';

test.each([
  [{ secure: false }, 'a=b; Path=/; HttpOnly; SameSite=Lax'],
  [{ secure: true }, 'a=b; Path=/; HttpOnly; SameSite=Lax; Secure'],
  [{ secure: false, maxAge: 300 }, 'a=b; Path=/; HttpOnly; SameSite=Lax; Max-Age=300'],
  [{ secure: true, maxAge: 0 }, 'a=b; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; Secure'],
])('%j', (options, line) => {
  expect(setCookie('a', 'b', options)).toBe(line);
});

test('the later word on a cookie replaces the one before; none is no header', () => {
  const cookies = new Map([
    ['a', 'a=1'],
    ['b', 'b=1'],
  ]);
  const headers = { Vary: 'Origin' };
  const set = withCookies(headers, new Map([...cookies, ['a', 'a=2']]));
  expect(set).toEqual({ Vary: 'Origin', 'Set-Cookie': ['a=2', 'b=1'] });
  expect(withCookies(headers, new Map())).toBe(headers);
});

test.each([
  [undefined, undefined],
  ['', undefined],
  ['sid=abc', 'abc'],
  ['other=1; sid=abc; more=2', 'abc'],
  ['sid=', ''],
  ['xsid=abc', undefined],
  ['SID=abc', undefined],
  ['sid=a%20b', 'a b'],
  ['sid=a%zz', 'a%zz'],
  ['sid="abc"', 'abc'],
  ['sid="', ''],
  [' sid = abc ', 'abc'],
  ['sid =abc; sid=def', undefined],
  ['sid=j:{"a":1}', undefined],
  ['sid=abc; sid=abc', 'abc'],
  ['sid=abc; sid=def', undefined],
  ['sid=abc;sid=def', undefined],
  ['sid=abc; x=1; sid=', undefined],
  ['__proto__=abc', undefined],
])('%s', (cookie, value) => {
  const request = { headers: { cookie } } as unknown as IncomingMessage;
  expect(requestCookie(request, 'sid')).toBe(value);
  for (const name of ['toString', 'constructor', '__proto__']) {
    if (!cookie?.startsWith(name)) expect(requestCookie(request, name)).toBeUndefined();
  }
});

test('a cookie that is kept keeps nothing of the header it came in', () => {
  const kept: unknown[] = [];
  const before = heapInUse();
  for (let nth = 0; nth < 100; nth += 1) {
    const cookie = `filling=${'x'.repeat(12_000)}; __room=the-name-of-a-room-${nth}`;
    kept.push(requestCookie({ headers: { cookie } } as unknown as IncomingMessage, '__room'));
  }
  expect((heapInUse() - before) / 100).toBeLessThan(4000);
  expect(kept.at(-1)).toBe('the-name-of-a-room-99');
});
