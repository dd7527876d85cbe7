/** A request's parameters: what is taken apart, what is refused, and what survives as it was sent. */
import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { ChatError } from '../../src/protocol/errors';
import { bodyParams, formParams, parseJson, queryParams } from '../../src/transports/http/params';

function outcome(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error instanceof ChatError ? error.code : error;
  }
}

const request = (type: string | undefined, url = '/'): IncomingMessage =>
  ({ url, headers: type === undefined ? {} : { 'content-type': type } }) as unknown as IncomingMessage;

test.each([
  ['', {}],
  ['a=1&b=2', { a: '1', b: '2' }],
  ['a', { a: '' }],
  ['a=', { a: '' }],
  ['=a', { '': 'a' }],
  ['&&a=1&', { a: '1' }],
  ['a=b=c', { a: 'b=c' }],
  ['a+b=c+d%20e%2Bf', { 'a b': 'c d e+f' }],
  ['m=gr%C3%BC%C3%9F%F0%9D%84%9E', { m: 'grüß𝄞' }],
  ['a[]=1&a[b]=2&a.c=3', { 'a[]': '1', 'a[b]': '2', 'a.c': '3' }],
  ['a=%00%0D%0A', { a: '\0\r\n' }],
  ['a=1&a=1', 'repeated_parameter'],
  ['a=1&%61=2', 'repeated_parameter'],
  ['toString=1&toString=2', 'repeated_parameter'],
  [Array.from({ length: 101 }, (_, nth) => `a${nth}`).join('&'), 'bad_request'],
  ['a=%', 'invalid_encoding'],
  ['a=%zz', 'invalid_encoding'],
  ['%ff=1', 'invalid_encoding'],
  ['a=%C3', 'invalid_encoding'],
  ['a=%ED%A0%80', 'invalid_encoding'],
  ['a=%C0%80', 'invalid_encoding'],
])('form %j', (text, expected) => {
  const got = outcome(() => formParams(text));
  expect(typeof got === 'object' ? { ...got } : got).toEqual(expected);
});

test('names that objects answer to are names like any other', () => {
  const params = formParams('__proto__=a&constructor=b&toString=c');
  for (const name of Object.getOwnPropertyNames(Object.prototype)) expect(name in formParams('')).toBe(false);
  expect(Object.entries(params)).toEqual([
    ['__proto__', 'a'],
    ['constructor', 'b'],
    ['toString', 'c'],
  ]);
  const body = bodyParams(request('application/json'), Buffer.from('{"__proto__":{"polluted":1}}'));
  expect(Object.keys(body)).toEqual(['__proto__']);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});

test('any text arrives as it was sent', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(formParams(`m=${encodeURIComponent(text)}`)['m']).toBe(text);
      expect(formParams(new URLSearchParams({ m: text }).toString())['m']).toBe(text);
      expect(parseJson(JSON.stringify({ m: text }))).toEqual({ m: text });
    }),
  );
});

test('the query is what follows the first question mark', () => {
  expect({ ...queryParams(request(undefined, '/chat/?a=?b&c=1')) }).toEqual({ a: '?b', c: '1' });
  expect(queryParams(request(undefined, '/chat/'))).toEqual({});
});

test.each([
  [undefined, 'a=1', { a: '1' }],
  ['', 'a=1', { a: '1' }],
  ['application/x-www-form-urlencoded', 'a=1\r\n', { a: '1' }],
  ['Application/X-WWW-Form-Urlencoded; charset=utf-8', 'a=1', { a: '1' }],
  ['application/json', '{"a":[1]}', { a: [1] }],
  ['application/json;charset=utf-8', '{"a":"\\ud834\\udd1e"}', { a: '𝄞' }],
  ['application/json', '{"a":"\\udd1e\\ud834"}', 'invalid_encoding'],
  ['application/json', '{"\\ud834":1}', 'invalid_encoding'],
  ['application/json', '{"a":{"b":["\\ud834"]}}', 'invalid_encoding'],
  ['application/json', '{"a":1,"b":{"a":2,"c":[{"a":3},{"a":4}]}}', { a: 1, b: { a: 2, c: [{ a: 3 }, { a: 4 }] } }],
  ['application/json', String.raw`{"a":"\\\":\"","b":":{"}`, { a: String.raw`\":"`, b: ':{' }],
  ['application/json', '{"a":1,"a":1}', 'repeated_parameter'],
  ['application/json', '{"a":{"x":":"},"\\u0061":2}', 'repeated_parameter'],
  [
    'application/json',
    JSON.stringify(Object.fromEntries(Array.from({ length: 101 }, (_, nth) => [nth, 1]))),
    'bad_request',
  ],
  ['application/json', '\ufeff{"a":"1"}', { a: '1' }],
  ['application/x-www-form-urlencoded', '\ufeffa=\ufeff1', { a: '\ufeff1' }],
  ['application/x-www-form-urlencoded', 'a=é', { a: 'é' }],
  ['Application/X-WWW-Form-urlencoded ; charset=utf-8', 'a=1', { a: '1' }],
  ['application/json', '{', 'invalid_json'],
  ['application/json', 'null', 'invalid_json'],
  ['application/json', '[]', 'invalid_json'],
  ['application/json', '1', 'invalid_json'],
  ['text/plain', '{}', 'bad_request'],
  ['multipart/form-data; boundary=x', 'a', 'bad_request'],
])('a body of type %s: %s', (type, text, expected) => {
  const got = outcome(() => bodyParams(request(type), Buffer.from(text)));
  expect(typeof got === 'object' ? { ...got } : got).toEqual(expected);
});

test('bytes that are no UTF-8 are refused, and no body is no parameters', () => {
  for (const type of ['application/json', 'application/x-www-form-urlencoded']) {
    expect(outcome(() => bodyParams(request(type), Buffer.from([0x61, 0x3d, 0xff])))).toBe('invalid_encoding');
    expect(bodyParams(request(type), Buffer.alloc(0))).toEqual({});
    expect(bodyParams(request(type), undefined)).toEqual({});
  }
});

test('what an application around us has parsed is taken as it is, but for lists out of a form', () => {
  const form = request('application/x-www-form-urlencoded');
  expect({ ...bodyParams(form, { a: '1' }) }).toEqual({ a: '1' });
  expect(outcome(() => bodyParams(form, { a: ['1', '2'] }))).toBe('repeated_parameter');
  expect(outcome(() => bodyParams(form, { a: { b: '1' } }))).toBe('repeated_parameter');
  expect({ ...bodyParams(request('application/json'), { a: ['1'] }) }).toEqual({ a: ['1'] });
  expect(outcome(() => bodyParams(request('application/json'), []))).toBe('invalid_json');
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, nth) => [`a${String(nth)}`, 'x']));
  for (const asked of [form, request('application/json')]) {
    expect(outcome(() => bodyParams(asked, many))).toBe('bad_request');
  }
});
