/** The generated browser clients where they belong: in a page, with a browser's cookies, Origin and sockets. */
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../support/chromium';
import { startServer } from '../support/server';
import { counting, generatedScript, numbering } from './generations';
import type { Generation } from './generations';

jest.setTimeout(60_000);

let browser: Browser | undefined;

beforeAll(async () => {
  browser = await launchChromium();
});

afterAll(() => browser?.close());

/** A page of the server's own origin with the script in it; what its client hears is kept in `heard`. */
async function openPage(url: string, generation: Generation, script: string, problems: string[]): Promise<Page> {
  // ActionHero's pages are their owners' and have no content security policy of ours. The page itself comes over the
  // wire: one made up by the test would belong to no network, and Chromium lets such a page reach no loopback socket.
  const context = browser!.contexts()[0] ?? (await browser!.newContext({ bypassCSP: true }));
  const page = await context.newPage();
  page.setDefaultTimeout(5000);
  page.on('pageerror', (error) => problems.push(String(error)));
  await page.goto(`${url}/api/status`);
  await page.addScriptTag({ content: script });
  await page.evaluate(`
    var client = new ${generation.global}({ reconnect: { min: 10, max: 50, retries: 500 } });
    var heard = [];
    client.on('say', function (message) { heard.push(message.message); });
    client.on('welcome', function () { heard.push('welcome'); });
    var soon = function (what, start) {
      return new Promise((resolve, reject) => {
        setTimeout(() => reject(new Error('no ' + what + '; heard: ' + JSON.stringify(heard))), 4000);
        start(resolve, reject);
      });
    };
    var ask = function (name, ...values) {
      return soon('answer to ' + name, (resolve) => client[name](...values, resolve));
    };
    var connected = function () {
      return soon('connection', (resolve, reject) =>
        client.connect((error, details) => (error ? reject(error) : resolve(details))));
    };
  `);
  return page;
}

test.each([
  ['9 to 18', counting],
  ['19 to 29', numbering],
])('two pages with the client of ActionHero %s talk, and come back after a restart', async (_versions, generation) => {
  const script = await generatedScript(generation);
  const config = { commonWeb: { httpClientMessageTTL: 300_000 } };
  const server = await startServer({ config });
  const problems: string[] = [];
  const ann = await openPage(server.url, generation, script, problems);
  const bob = await openPage(server.url, generation, script, problems);

  try {
    // Not connected yet: the client asks by XMLHttpRequest.
    expect(await ann.evaluate('ask("action", "status")')).toMatchObject({ uptime: expect.any(Number) });

    // The cookie that HTTP gave is not the page's to read, yet the socket's handshake brings it.
    const visitor = await ann.evaluate('fetch("/chat/?method=detailsView").then((response) => response.json())');
    await ann.evaluate('connected()');
    await bob.evaluate('connected()');
    expect(await ann.evaluate('client.fingerprint')).toBe((visitor as { details: { id: string } }).details.id);
    expect(await ann.evaluate('client.id')).not.toBe(await bob.evaluate('client.id'));

    await ann.evaluate('ask("roomAdd", "garden")');
    await bob.evaluate('ask("roomAdd", "garden")');
    expect(await ann.evaluate('ask("action", "status")')).toMatchObject({ context: 'response' });
    expect(await ann.evaluate('ask("say", "garden", "hello  \u{1d11e}")')).toMatchObject({ status: 'OK' });
    await bob.waitForFunction('heard.includes("hello  \u{1d11e}")');

    await server.close();
    await startServer({ config: { ...config, servers: { web: { port: server.port } } } });
    for (const page of [ann, bob]) {
      await page.waitForFunction('heard.filter((each) => each === "welcome").length === 2');
      if (!generation.rejoins) await page.evaluate('ask("roomAdd", "garden")');
      else await page.waitForFunction('client.state === "connected"');
    }
    expect(await bob.evaluate('ask("say", "garden", "again")')).toMatchObject({ status: 'OK' });
    await ann.waitForFunction('heard.includes("again")');
    expect(problems).toEqual([]);
  } finally {
    await ann.close();
    await bob.close();
  }
});
