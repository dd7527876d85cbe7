/** The proxies' configurations in deploy/, with the proxies: every way in leads through them, and nothing is said twice. */
import http from 'node:http';
import type net from 'node:net';
import { WsClient } from '../support/clients';
import { eventually } from '../support/eventually';
import { Front, isInstalled, kinds, type FrontKind } from '../support/front';
import { HttpClient } from '../support/http-client';
import { twoNodes } from '../support/nodes';
import { ways } from '../support/transports';

const names = Object.keys(kinds) as FrontKind[];

test('the proxies that Debian has are here', () => {
  // Caddy is many times larger than the others, so it is tried where somebody has it.
  expect(names.filter((name) => name !== 'caddy' && !isInstalled(name))).toEqual([]);
});

describe.each(names.filter(isInstalled))('%s', (name) => {
  test('every way in leads through it, to whatever node', async () => {
    const { here, there } = await twoNodes({ config: { commonWeb: { trustProxy: 1 } } });
    const front = await Front.start(name, [here, there]);
    const server = { ...here, url: front.url, tcpPort: front.tcpPort };
    await eventually(async () => (await fetch(`${front.url}/readyz`)).ok, 20_000);

    const passing = ways.filter((way) => way.name !== 'TCP' || kinds[name].passesTcp);
    const chatters = await Promise.all(passing.map((way) => way.connect(server)));
    const speaker = new HttpClient(front.url);
    // One of each kind of request that a proxy may treat in a way of its own.
    await speaker.ok('say', { message: 'by GET' });
    await speaker.say('by POST');
    await speaker.request('POST', '/chat/?method=say', { message: 'both' });
    for (const [index, chatter] of chatters.entries()) {
      const heard = [await chatter.next(), await chatter.next(), await chatter.next()].map(({ message }) => message);
      expect([passing[index]?.name, ...heard]).toEqual([passing[index]?.name, 'by GET', 'by POST', 'both']);
    }
    const said = await chatters[chatters.length - 1]!.say('back');
    expect(await chatters[0]!.next()).toMatchObject({ message: 'back', id: said.id });
    for (const { api } of [here, there]) {
      const { stream = 0, websocket = 0 } = api.connections.counts();
      expect(stream + websocket).toBeGreaterThan(0);
    }
  });

  test('nobody chooses where they come from', async () => {
    const { here, there } = await twoNodes({ config: { commonWeb: { trustProxy: 1 } } });
    const front = await Front.start(name, [here, there]);
    await eventually(async () => (await fetch(`${front.url}/readyz`)).ok, 20_000);
    const headers = { 'X-Forwarded-For': '192.0.2.66' };
    const liar = await WsClient.connect(front.url, '/chat/', { headers });
    expect((await liar.data('detailsView')).remoteIP).toBe('127.0.0.1');
  });

  test.each([
    ['a say', '/chat/?method=say&message=x'],
    ['a say in other letters', '/chat/?method=s%61y&message=x'],
    ['another method', '/chat/?method=roomLeave&room=x'],
    ['a say beside what is no parameter of ours', '/chat/?METHOD=messages&method=say&message=x'],
    ['an action', '/api/dice?sides=6'],
    ['an action with the name of a method', '/api/dice?sides=6&method=messages'],
  ])('%s that a node did not answer is not asked of the other one', async (_what, address) => {
    const [one, other] = [await Swallower.listen(), await Swallower.listen()];
    const front = await Front.start(name, [one, other]);
    // Connections to both, that are used again: a proxy may repeat what fails on such a one.
    await eventually(async () => (await fetch(`${front.url}/chat/?method=status`)).ok, 20_000);
    for (let count = 0; count < 6; count += 1) await fetch(`${front.url}/chat/?method=status`);
    // HAProxy hangs up as well, the others answer for it.
    const { status } = await fetch(`${front.url}${address}`).catch(() => ({ status: 502 }));
    expect([status, one.swallowed + other.swallowed]).toEqual([502, 1]);
  });
});

const swallowers = new Set<Swallower>();

afterEach(() => {
  for (const swallower of swallowers) swallower.close();
  swallowers.clear();
});

/** A node that cuts the line instead of an answer, and is well when it is asked how it is. */
class Swallower {
  swallowed = 0;
  readonly #server = http.createServer((request, response) => {
    if (request.url === '/readyz' || request.url?.includes('method=status')) {
      response.end('OK');
      return;
    }
    this.swallowed += 1;
    request.socket.destroy();
  });

  static async listen(): Promise<Swallower & { readonly port: number; readonly tcpPort: number }> {
    const swallower = new Swallower();
    swallowers.add(swallower);
    await new Promise<void>((resolve) => swallower.#server.listen(0, '127.0.0.1', resolve));
    const { port } = swallower.#server.address() as net.AddressInfo;
    return Object.assign(swallower, { port, tcpPort: port });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
