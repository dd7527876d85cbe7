/** The operator's page in a browser: signing in, what it shows of two nodes, and what can be done with it. */
import { z } from 'zod';
import { defineAction } from '../../src';
import { openPage } from '../support/browser-page';
import { WsClient } from '../support/clients';
import { eventually } from '../support/eventually';
import { twoNodes } from '../support/nodes';
import { startServer } from '../support/server';

const TOKEN = 'the operator has a token';
const SCRIPT = '<img src=x onerror="document.title = 1">';

/** So that there is an attribute which would be harmful if it were taken for HTML. */
const introduce = defineAction({
  name: 'introduce',
  description: 'I keep your name',
  inputs: z.object({ as: z.string() }),
  run: async ({ params, connection }) => {
    await connection.set('name', params.as);
    return {};
  },
});

test('the operator signs in, sees two nodes and what is said, speaks to a room, and puts somebody out', async () => {
  const { here, there } = await twoNodes({ config: { admin: { port: 0, token: TOKEN } }, actions: [introduce] });
  const ann = await WsClient.connect(here.url);
  const bob = await WsClient.connect(there.url);
  for (const one of [ann, bob]) await one.data('roomAdd', { room: 'games/chess' });
  await bob.act('introduce', { as: SCRIPT });

  const page = await openPage(here.admin!.url, /status of 401/);
  await page.fill('#token', 'I guess');
  await page.click('#sign-in button');
  await page.waitForSelector('#sign-in-problem:text("token")');
  await page.fill('#token', TOKEN);
  await page.keyboard.press('Enter');

  // Both nodes, this one told from the other, and each one's connection.
  await page.locator('#nodes tbody tr').nth(1).waitFor();
  expect(await page.locator('#nodes td:text("this one")').count()).toBe(1);
  await page.waitForSelector('#tiles li:has-text("connections") b:text-is("2")');
  expect(await page.textContent('#health')).toBe('ready');
  expect(await page.locator('figure canvas').count()).toBe(6);

  // What is said is seen in the plots' figures and among the busy rooms: as a rate, so it takes two beats of a node.
  await eventually(async () => {
    await ann.say('hello', { room: 'games/chess' });
    return (await page.textContent('#busiest tr[data-key="games/chess"] td')) !== '0';
  }, 20_000);
  await page.locator('.series:text-matches("^accepted .*[1-9]")').waitFor();

  // A room by a part of its name; who is in it; what a member is, as text.
  await page.fill('#match', 'CHESS');
  await page.click('#rooms button:text-is("games/chess")');
  expect(await page.textContent('#room-name')).toBe('games/chess');
  const member = page.locator(`#members tr[data-key="${bob.id}"]`);
  await member.locator('summary').click();
  await member.locator(`dd:text-is(${JSON.stringify(JSON.stringify(SCRIPT))})`).waitFor();
  expect(await page.title()).toBe('earshot: operator');

  await page.fill('#say-from', 'the house');
  await page.fill('#say-message', 'closing in five minutes');
  await page.click('#say button');
  const wanted = { message: 'closing in five minutes', from: 'the house', room: 'games/chess' };
  for (const one of [ann, bob]) {
    expect(await one.heard.next(({ from }) => from === 'the house')).toMatchObject(wanted);
  }
  await page.waitForSelector('#said:text("Said in games/chess")');

  // One press is not enough.
  await member.getByRole('button').click();
  await member.getByRole('button', { name: `Remove ${bob.id}` }).click();
  await member.waitFor({ state: 'detached' });
  const { members } = await ann.data('roomView', { room: 'games/chess' });
  expect(Object.keys(members as object)).toEqual([ann.id]);
});

test('on loopback nobody signs in; a server that goes away is told of, and so is one that is back', async () => {
  const server = await startServer({ config: { admin: { port: 0 } } });
  const { url, port } = server.admin!;
  const page = await openPage(url, /ERR_CONNECTION_REFUSED/, {
    colorScheme: 'dark',
    viewport: { width: 360, height: 700 },
  });
  await page.waitForSelector('#nodes tbody tr');
  expect(await page.isHidden('#sign-out')).toBe(true);
  // Nothing stands out to the side on a phone.
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
  await server.close();
  await page.waitForSelector('#health[data-state="bad"]:text("no answer since")');
  await startServer({ config: { admin: { port } } });
  await page.waitForSelector('#health[data-state="good"]');
});

test('rates, quantiles and sums are what the records say', async () => {
  const server = await startServer({ config: { admin: { port: 0 } } });
  const page = await openPage(server.admin!.url);
  const told = await page.evaluate(async (url) => {
    const { Figures, quantile } = (await import(`${url}figures.js`)) as {
      Figures: new () => { look(records: object[]): Record<string, unknown> };
      quantile: (calls: object, part: number) => number | null;
    };
    const record = (id: string, at: number, accepted: number, more: object = {}): object => ({
      ...{ id, at, accepted, delivered: accepted * 10, refused: { a: accepted }, gaps: {}, malformed: 0, skipped: 0 },
      ...{ connections: { poll: 2 }, eventLoop: { p50: 1, p99: 2, max: 3 }, redis: null, busiest: [], ...more },
    });
    const figures = new Figures();
    const rates = (records: object[]): unknown[] => {
      const { in: into, out, refused, connections, busiest } = figures.look(records);
      return [into, out, refused, (connections as { poll: number }).poll, busiest];
    };
    const busy = (said: number, hearers: number): object => ({ busiest: [{ room: 'x', said, hearers }] });
    return {
      first: rates([record('a', 1000, 500), record('b', 1000, 7)]),
      // b has not told anything new.
      second: rates([record('a', 3000, 600, busy(8, 5)), record('b', 1000, 7)]),
      third: rates([record('a', 3000, 600, busy(8, 5)), record('b', 2000, 17, busy(4, 2))]),
      // b is gone, and a has begun anew under another id.
      fourth: rates([record('c', 9000, 3)]),
      quantiles: [0.5, 0.75, 1].map((part) => quantile({ bounds: [1, 2, 4], counts: [0, 2, 2, 0] }, part)),
      none: quantile({ bounds: [1], counts: [0, 0] }, 0.5),
      endless: quantile({ bounds: [1, 2], counts: [0, 0, 3] }, 0.5),
    };
  }, server.admin!.url);
  expect(told).toEqual({
    first: [0, 0, 0, 4, []],
    second: [50, 500, 50, 4, [{ room: 'x', rate: 4, hearers: 5 }]],
    third: [60, 600, 60, 4, [{ room: 'x', rate: 4, hearers: 7 }]],
    fourth: [0, 0, 0, 2, []],
    quantiles: [2, 3, 4],
    none: null,
    endless: 2,
  });
});
