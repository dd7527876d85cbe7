/** Whose address a request has: the peer's, or what trusted proxies write, in the ways that proxies write it. */
import type { IncomingMessage } from 'node:http';
import { originsOf, type TrustProxy } from '../../src/transports/address';

function request(peer: string | undefined, forwarded?: string): IncomingMessage {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  return { headers, socket: { remoteAddress: peer } } as unknown as IncomingMessage;
}

const proxy = '10.0.0.1';

test.each<[string, TrustProxy, string | undefined, string]>([
  ['nobody is believed', 0, '203.0.113.1', proxy],
  ['the proxy says nothing', 1, undefined, proxy],
  ['the proxy says who it is', 1, '203.0.113.1', '203.0.113.1'],
  ['the client has written something before', 1, '198.51.100.9, 203.0.113.1', '203.0.113.1'],
  ['IPv6', 1, '2001:db8::1', '2001:db8::1'],
  ['IPv6 that holds IPv4', 1, '::ffff:203.0.113.1', '::ffff:203.0.113.1'],
  ['IPv4 with a port', 1, '203.0.113.1:4711', '203.0.113.1'],
  ['IPv6 with a port', 1, '[2001:db8::1]:4711', '2001:db8::1'],
  ['IPv6 in brackets', 1, '[2001:db8::1]', '2001:db8::1'],
  ['not known', 1, 'unknown', proxy],
  ['hidden', 1, '_hidden', proxy],
  ['hidden, with a port', 1, '_hidden:4711', proxy],
  ['empty', 1, '', proxy],
  ['a comma alone', 1, ',', proxy],
  ['empty, behind what the client has written', 1, '198.51.100.9, ', proxy],
  ['a name', 1, 'host.example.com', proxy],
  ['a number', 1, '1', proxy],
  ['another form of a number', 1, '0x7f.1', proxy],
  ['bytes that are too large', 1, '203.0.113.256', proxy],
  ['a port that is none', 1, '203.0.113.1:x', proxy],
  ['IPv4 in brackets', 1, '[203.0.113.1]:80', proxy],
  ['as RFC 7239 has it', 1, 'for=203.0.113.1', proxy],
  ['two proxies', 2, '203.0.113.1, 10.0.0.2', '203.0.113.1'],
  ['two proxies, the inner one with a port', 2, '203.0.113.1, 10.0.0.2:80', '203.0.113.1'],
  ['two proxies, and no client', 2, '10.0.0.2', '10.0.0.2'],
  ['two proxies, and a client that is not told', 2, 'unknown, 10.0.0.2', '10.0.0.2'],
  ['two proxies, one of which is not told: what stands before it is anybody’s', 2, '203.0.113.1, unknown', proxy],
  ['named ones', ['10.0.0.0/8'], '198.51.100.9, 203.0.113.1, 10.0.0.2', '203.0.113.1'],
  ['named ones, with ports', ['10.0.0.0/8'], '198.51.100.9, 203.0.113.1:80, 10.0.0.2:80', '203.0.113.1'],
  ['named ones, and nobody else', ['10.0.0.0/8'], '10.0.0.3, 10.0.0.2', '10.0.0.3'],
  ['others than the peer', ['192.0.2.1'], '203.0.113.1', proxy],
])('%s: by %j, %j is %s', (_what, trust, forwarded, address) => {
  expect(originsOf(trust).address(request(proxy, forwarded))).toBe(address);
});

test('a peer without an address, as over a Unix socket, is believed by number, and has none itself', () => {
  expect(originsOf(1).address(request(undefined, '203.0.113.1'))).toBe('203.0.113.1');
  expect(originsOf(1).address(request(undefined, 'unknown'))).toBe('');
  expect(originsOf(0).address(request(undefined, '203.0.113.1'))).toBe('');
  expect(originsOf([proxy]).address(request(undefined, '203.0.113.1'))).toBe('');
});
