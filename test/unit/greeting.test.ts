import { greeting, type Greeted } from '../../src/greeting';

const on = (host: string, allowedHosts: readonly string[] | null, httpClientMessageTTL: number | null = 1): string =>
  greeting(
    {
      url: `http://${host}:8080/`,
      tcp: { host, port: 5000 },
      admin: { url: 'http://127.0.0.1:9100/' },
      config: { commonWeb: { httpClientMessageTTL, allowedHosts } },
    } as unknown as Greeted,
    true,
  );

test.each([
  ['127.0.0.1', ['localhost'], '127.0.0.1'],
  ['0.0.0.0', null, 'localhost'],
  ['[::]', null, 'localhost'],
  ['0.0.0.0', ['chat.example.com', 'localhost'], 'localhost'],
  ['0.0.0.0', ['chat.example.com', '127.0.0.1'], '127.0.0.1'],
  ['0.0.0.0', ['localhost:8443', 'chat.example.com'], 'chat.example.com'],
  ['0.0.0.0', ['localhost:8443'], '0.0.0.0'],
  ['0.0.0.0', [], '0.0.0.0'],
])('on %s, answering %j, it is asked as %s', (host, allowedHosts, asked) => {
  expect(on(host, allowedHosts)).toContain(`curl -N "http://${asked}:8080/chat/?method=messages&stream=ndjson"`);
});

test('a plain socket goes to an address that leads somewhere', () => {
  expect(on('0.0.0.0', null)).toContain('  nc localhost 5000\n');
  expect(on('127.0.0.1', null)).toContain('  nc 127.0.0.1 5000\n');
});

test('without chat over HTTP there is nothing to try', () => {
  expect(on('127.0.0.1', null, null)).toBe('earshot listening on http://127.0.0.1:8080/ (tcp 127.0.0.1:5000)\n');
});
