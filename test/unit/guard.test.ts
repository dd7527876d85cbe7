/** Which requests may act: the marks that browsers set, one by one, and all that only looks like an allowed origin. */
import type { IncomingMessage } from 'node:http';
import { ChatError } from '../../src/protocol/errors';
import { originsOf } from '../../src/transports/address';
import { Guard } from '../../src/transports/guard';

interface Marks {
  readonly origin?: string;
  readonly site?: string;
  readonly referer?: string;
  readonly accept?: string;
  readonly agent?: string;
  readonly xChat?: string;
  readonly language?: string;
  readonly purpose?: string;
  readonly older?: Readonly<Record<string, string>>;
  readonly host?: string | undefined;
}

function request(
  { origin, site, referer, accept, agent, xChat, language, purpose, older, host = 'chat.test:8080' }: Marks,
  tls = false,
): IncomingMessage {
  const all = {
    origin,
    'sec-fetch-site': site,
    referer,
    accept,
    'user-agent': agent,
    'x-chat': xChat,
    'accept-language': language,
    'sec-purpose': purpose,
    ...older,
    host,
  };
  const headers = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return {
    headers,
    rawHeaders: Object.entries(headers).flat(),
    socket: { encrypted: tls, remoteAddress: '127.0.0.1' },
  } as unknown as IncomingMessage;
}

function guard(allowedOrigins: readonly string[] = [], allowedHosts: readonly string[] | null = null): Guard {
  return new Guard({ allowedOrigins, allowedHosts, origins: originsOf(0) });
}

function verdict(work: () => void): string {
  try {
    work();
    return 'allowed';
  } catch (error) {
    return error instanceof ChatError ? error.code : String(error);
  }
}

const html = 'text/html,application/xhtml+xml,*/*;q=0.8';
const image = 'image/avif,image/webp,*/*;q=0.8';

describe('a request by', () => {
  test.each<[string, Marks, boolean]>([
    ['curl', { accept: '*/*' }, true],
    ['our page, ahead of a link', { site: 'same-origin', purpose: 'prefetch', accept: html }, true],
    ["another page's rule to prefetch", { site: 'none', purpose: 'prefetch', accept: html }, false],
    ["another page's rule to prerender", { site: 'none', purpose: 'prefetch;prerender', accept: html }, false],
    ['the same on plain HTTP', { purpose: 'prefetch', accept: '*/*' }, false],
    ['a browser that says prefetch as it used to', { site: 'none', older: { purpose: 'prefetch' } }, false],
    ['one that says prefetch as Firefox did', { older: { 'x-moz': 'prefetch' } }, false],
    ['one that says preview as Safari does', { older: { purpose: 'preview', 'x-purpose': 'preview' } }, false],
    ['one that says preview by its other name', { older: { 'x-purpose': 'Preview' } }, false],
    ['a program with a purpose of its own', { older: { purpose: 'bot', 'x-purpose': 'chat', 'x-moz': '1' } }, true],
    ['a program that says nothing', {}, true],
    ['our page', { site: 'same-origin', accept: '*/*', referer: 'http://chat.test:8080/' }, true],
    ['our page on plain HTTP', { accept: '*/*', referer: 'http://chat.test:8080/page' }, true],
    ['our page, posting', { origin: 'http://chat.test:8080', site: 'same-origin' }, true],
    ['a typed address', { site: 'none', accept: html }, true],
    ['a fetch from elsewhere', { origin: 'https://evil.test', site: 'cross-site' }, false],
    ['a fetch without CORS from elsewhere', { site: 'cross-site', accept: '*/*' }, false],
    ['a picture elsewhere', { site: 'cross-site', accept: image }, false],
    ['a link elsewhere', { site: 'cross-site', accept: html }, false],
    ['another port of this host', { site: 'same-site' }, false],
    ['another port of this host, posting', { origin: 'http://chat.test:3000', site: 'same-site' }, false],
    ['a mark that nobody knows', { site: 'new-kind' }, false],
    ['a picture elsewhere, on plain HTTP', { accept: image }, false],
    ['a link elsewhere, on plain HTTP, without a referrer', { accept: html }, false],
    ['a fetch from elsewhere, on plain HTTP', { accept: '*/*', referer: 'http://evil.test/x' }, false],
    ['a referrer that is no address', { referer: 'chat.test:8080' }, false],
    ['a sandboxed frame', { origin: 'null', site: 'same-origin' }, false],
    ['our origin, with a mark that belies it', { origin: 'https://evil.test', site: 'same-origin' }, false],
  ])('%s: %j', (_who, marks, allowed) => {
    const expected = allowed ? 'allowed' : 'cross_site';
    expect(verdict(() => guard().checkSite(request(marks), false))).toBe(expected);
  });

  test.each<[string, Marks, boolean]>([
    ['curl', { agent: 'curl/8' }, true],
    ['a browser with no mark', { agent: 'Mozilla/5.0', accept: '*/*' }, false],
    ['a page that says who it is', { agent: 'Mozilla/5.0', xChat: '1' }, true],
    ['our page', { agent: 'Mozilla/5.0', site: 'same-origin' }, true],
  ])('one that is known by its looks only: %s', (_who, marks, allowed) => {
    expect(verdict(() => guard().checkSite(request(marks), true))).toBe(allowed ? 'allowed' : 'cross_site');
  });
});

describe('the first word of a client that nobody knows yet, by', () => {
  const browser = { agent: 'Mozilla/5.0', language: 'en', accept: '*/*' };

  test.each<[string, Marks, boolean]>([
    ['curl', { agent: 'curl/8', accept: '*/*' }, true],
    ['a program that calls itself a browser', { agent: 'Mozilla/5.0 (Windows NT) WindowsPowerShell/5.1' }, true],
    ['a page that keeps back where it is', browser, false],
    ['the same, with a language of its own', { ...browser, language: '' }, false],
    ['our page', { ...browser, site: 'same-origin' }, true],
    ['our page on plain HTTP', { ...browser, referer: 'http://chat.test:8080/' }, true],
    ['our page, posting', { ...browser, origin: 'http://chat.test:8080' }, true],
    ['our page that says so', { ...browser, xChat: '1' }, true],
  ])('%s: %j', (_who, marks, allowed) => {
    expect(verdict(() => guard().checkStranger(request(marks)))).toBe(allowed ? 'allowed' : 'cross_site');
  });
});

describe('an origin', () => {
  test.each([
    ['http://chat.test:8080', true],
    ['HTTP://CHAT.TEST:8080', true],
    // A proxy that ends TLS and does not tell.
    ['https://chat.test:8080', true],
    ['http://chat.test', false],
    ['http://chat.test:80', false],
    ['http://chat.test:8081', false],
    ['http://chat.test.:8080', false],
    ['http://evil-chat.test:8080', false],
    ['http://chat.test:8080.evil.test', false],
    ['http://chat.test:8080@evil.test', false],
    ['ftp://chat.test:8080', false],
    ['null', false],
    ['', false],
  ])('of our own host: %s', (origin, allowed) => {
    expect(guard().originAllowed(origin, request({}))).toBe(allowed);
    const upgrade = verdict(() => guard().checkUpgrade(request({ origin })));
    expect(upgrade).toBe(allowed ? 'allowed' : 'cross_site');
  });

  test('of plain HTTP is not ours when we speak TLS: whoever is in the way could have written that page', () => {
    expect(guard().originAllowed('http://chat.test', request({ host: 'chat.test' }, true))).toBe(false);
    expect(guard().originAllowed('https://chat.test', request({ host: 'chat.test' }, true))).toBe(true);
  });

  test.each([
    ['https://example.com', true],
    ['https://EXAMPLE.com', true],
    ['https://a.example.org', true],
    ['https://a.b-c.example.org', true],
    ['https://example.org', false],
    ['http://a.example.org', false],
    ['https://evil-example.org', false],
    ['https://evil.test/.example.org', false],
    ['https://evil.test#.example.org', false],
    ['https://evil.test?.example.org', false],
    ['https://evil.test:1.example.org', false],
    ['https://user@a.example.org', false],
    ['https://.example.org', false],
    ['https://a..example.org', false],
    ['https://a.example.org.', false],
    ['https://a.example.org:8443', false],
    ['https://a.example.net:8443', true],
    ['https://a.example.net', false],
    ['https://example.com.evil.test', false],
    ['https://xn--exmple-cua.com', false],
    ['null', false],
  ])('in the list: %s', (origin, allowed) => {
    const listed = guard(['https://example.com', 'https://*.example.org', 'https://*.example.net:8443']);
    const asked = request({ origin });
    expect(listed.originAllowed(origin, asked)).toBe(allowed);
    expect(listed.isAnonymous(asked)).toBe(false);
    const cors = listed.cors(asked);
    if (!allowed) {
      expect(cors).toBeUndefined();
      return;
    }
    expect(cors).toEqual({
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Allow-Credentials': 'true',
      'Cross-Origin-Resource-Policy': 'cross-origin',
    });
  });

  test('in the list may speak, and so may what it has fetched ahead; no other may', () => {
    const ahead = (origin: string): IncomingMessage => request({ origin, site: 'cross-site', purpose: 'prefetch' });
    const listed = guard(['https://example.com']);
    expect(verdict(() => listed.checkSite(ahead('https://example.com'), false))).toBe('allowed');
    expect(verdict(() => listed.checkSite(ahead('https://evil.test'), false))).toBe('cross_site');
  });

  test('* is all but null, without credentials, and not our own page', () => {
    const any = guard(['*']);
    const elsewhere = request({ origin: 'https://evil.test', site: 'cross-site' });
    expect(verdict(() => any.checkSite(elsewhere, false))).toBe('allowed');
    expect(any.isAnonymous(elsewhere)).toBe(true);
    expect(any.cors(elsewhere)).toEqual({
      'Access-Control-Allow-Origin': '*',
      'Cross-Origin-Resource-Policy': 'cross-origin',
    });
    const own = request({ origin: 'http://chat.test:8080', site: 'same-origin' });
    expect([any.isAnonymous(own), any.cors(own)]).toEqual([false, undefined]);
    expect(any.isAnonymous(request({}))).toBe(false);
    expect(verdict(() => any.checkSite(request({ origin: 'null' }), false))).toBe('cross_site');
    // What brings no Origin is allowed to nobody by a list.
    expect(verdict(() => any.checkSite(request({ site: 'cross-site' }), false))).toBe('cross_site');
  });
});

test.each([
  ['localhost', true],
  ['LOCALHOST:8080', true],
  ['127.0.0.1:1', true],
  ['[::1]', true],
  ['[::1]:8080', true],
  ['chat.test:9000', true],
  ['chat.test', false],
  ['chat.test:9001', false],
  ['localhost.', false],
  ['localhost.evil.test', false],
  ['evil.test', false],
  ['::1', false],
  ['', false],
  [undefined, false],
])('a request for the host %s', (host, allowed) => {
  const hosts = guard([], ['localhost', '127.0.0.1', '[::1]', 'Chat.test:9000']);
  const asked = request({});
  if (host === undefined) delete asked.headers.host;
  else asked.headers.host = host;
  expect(verdict(() => hosts.checkHost(asked))).toBe(allowed ? 'allowed' : 'wrong_host');
  expect(verdict(() => guard().checkHost(asked))).toBe('allowed');
});

test('two Hosts are none, even where any host is answered', () => {
  const asked = request({});
  asked.rawHeaders.push('hOsT', 'evil.test');
  expect(verdict(() => guard().checkHost(asked))).toBe('bad_request');
});
