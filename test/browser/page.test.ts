/** The page at `/`: two people, a terminal of each kind, a reload, and a server that goes and comes back. */
import { execFile } from 'node:child_process';
import { createConnection } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { bundleClient } from '../support/bundled-client';
import { openPage } from '../support/browser-page';
import { WsClient } from '../support/clients';
import { eventually } from '../support/eventually';
import { startServer, type ServerUnderTest } from '../support/server';

const run = promisify(execFile);
const config = { servers: { web: { page: true } }, chat: { history: 100 } };

beforeAll(bundleClient);

const said = (page: Page, text: string) => page.locator('#conversation .said', { hasText: text });

async function say(page: Page, text: string): Promise<void> {
  await page.fill('#message', text);
  await page.press('#message', 'Enter');
}

/** Lines that the page shows for a terminal. */
async function lines(page: Page, way: string): Promise<string[]> {
  return page.locator(`#ways dt:text-is("${way}") + dd code`).allTextContents();
}

async function chatter(server: ServerUnderTest, room = ''): Promise<Page> {
  const page = await openPage(`${server.url}/${room}`, /net::ERR|WebSocket connection|status of 40[13]/);
  await page.waitForSelector('#link[data-state="websocket"]');
  return page;
}

test('two tabs talk, in more than one room; who is here is shown, and what is said is text', async () => {
  const server = await startServer({ config });
  const [ann, bob] = [await chatter(server), await chatter(server)];
  await say(ann, 'hello <b>bob</b>');
  await said(bob, 'hello <b>bob</b>').waitFor();
  await said(ann, 'hello <b>bob</b>').waitFor();
  await ann.locator('#people li').nth(1).waitFor();
  expect(await ann.locator('#people li').count()).toBe(2);
  expect(await ann.locator('.waiting li').count()).toBe(0);

  await ann.fill('#join-room', 'kitchen');
  await ann.press('#join-room', 'Enter');
  await ann.waitForSelector('h2:text-is("kitchen")');
  expect(ann.url()).toMatch(/#kitchen$/);
  await ann.focus('#rooms button:has-text("defaultRoom")');
  await say(bob, 'where are you');
  await ann.waitForSelector('#rooms button:has-text("defaultRoom") .unread :text("1")');
  expect(await ann.evaluate('document.activeElement.textContent')).toContain('defaultRoom');
  await ann.press('#message', 'Alt+ArrowUp');
  await said(ann, 'where are you').waitFor();

  // Somebody who has the link comes into the same room, and hears what was said before.
  await say(ann, 'back');
  const cem = await chatter(server, '#kitchen');
  await cem.waitForSelector('h2:text-is("kitchen")');
  await cem.click('#rooms button:has-text("defaultRoom")');
  await said(cem, 'hello <b>bob</b>').waitFor();
  await cem.fill('#join-room', 'not a room');
  await cem.press('#join-room', 'Enter');
  await cem.waitForSelector('#join-problem:text("room name")');
  await cem.click('#leave');
  await cem.waitForSelector('h2:text-is("kitchen")');
});

test('who is taken out of a room is told when it speaks there, and a page that is loaded anew does not go back', async () => {
  const server = await startServer({ config });
  const ann = await chatter(server, '#kitchen');
  await ann.waitForSelector('h2:text-is("kitchen")');
  await server.api.chatRoom.removeMember((await ann.getAttribute('#me', 'title'))!, 'kitchen');
  await say(ann, 'still here?');
  await ann.waitForSelector('.failed:has-text("not in this room")');
  await ann.waitForSelector('#rooms button:has-text("kitchen")', { state: 'detached' });
  await ann.reload();
  await ann.waitForSelector('h2:text-is("defaultRoom")');
  expect(await ann.locator('#rooms button').allTextContents()).toEqual([expect.stringContaining('defaultRoom')]);
});

test('the lines for a terminal bring into this room, and what is said there appears', async () => {
  const server = await startServer({ config });
  const page = await chatter(server, '#games/chess');
  await page.waitForSelector('h2:text-is("games/chess")');
  const folder = mkdtempSync(path.join(tmpdir(), 'earshot-ways-'));
  try {
    const [join = '', speak = '', listen = ''] = await lines(page, 'curl');
    for (const line of [join, speak]) await run('sh', ['-c', line], { cwd: folder });
    await said(page, 'hello from curl').waitFor();
    await say(page, 'hello curl');
    await said(page, 'hello curl').waitFor();
    const { stdout } = await run('sh', ['-c', `${listen} -s --max-time 1 || true`], { cwd: folder });
    expect(stdout).toContain('"message":"hello curl"');
  } finally {
    rmSync(folder, { recursive: true });
  }

  const [nc = '', ...typed] = await lines(page, 'nc');
  expect(nc).toBe(`nc 127.0.0.1 ${server.tcpPort}`);
  const socket = createConnection(server.tcpPort, '127.0.0.1');
  socket.end(typed.map((line) => `${line}\n`).join(''));
  await said(page, 'hello from nc').waitFor();
  socket.destroy();

  const [wscat = '', ...frames] = await lines(page, 'wscat');
  expect(wscat).toBe(`npx wscat -c ${server.url.replace('http', 'ws')}/chat/`);
  const webSocket = await WsClient.connect(server.url);
  for (const frame of frames) webSocket.send(JSON.parse(frame));
  await said(page, 'hello from wscat').waitFor();
});

test('a reload loses nothing and tells nobody; a restart of the server is shown, and gaps are', async () => {
  const server = await startServer({ config });
  const page = await chatter(server);
  const ann = await WsClient.connect(server.url);
  await ann.data('resume', { session: ann.session, presence: true });
  await ann.say('before');
  await said(page, 'before').waitFor();
  await say(page, 'mine');
  const me = await page.textContent('#me');
  await page.goto('about:blank');
  await ann.say('meanwhile');
  await page.goBack();
  await said(page, 'meanwhile').waitFor();
  expect(await page.locator('#conversation .said').allTextContents()).toHaveLength(3);
  await page.waitForSelector(`#me:text-is(${JSON.stringify(me)})`);
  expect(await page.locator('.said.own').count()).toBe(1);
  expect(ann.others.all.filter(({ event }) => event === 'leave')).toEqual([]);

  await server.close();
  await page.waitForSelector('#link[data-state="away"]');
  await say(page, 'patience');
  await startServer({ config: { ...config, servers: { web: { page: true, port: server.port } } } });
  await page.waitForSelector('#link[data-state="websocket"]');
  await page.waitForSelector('#conversation .gap');
});

test('what a hook rewrites, or keeps from its speaker, is shown once and does not wait for ever', async () => {
  const server = await startServer({
    config,
    middleware: [
      {
        name: 'moderation',
        onSayReceive: (_connection, _room, payload) => ({ ...payload, message: `${String(payload.message)}!` }),
        say: (connection, _room, payload) =>
          payload.from === connection.id && payload.message === 'whisper!' ? null : payload,
        leave: () => {
          throw new Error('nobody leaves');
        },
      },
    ],
  });
  const [page, other] = [await chatter(server), await chatter(server)];
  await page.waitForSelector('h2:text-is("defaultRoom")');
  for (const text of ['rewritten', 'whisper', 'last']) await say(page, text);
  await said(other, 'last!').waitFor();
  await said(page, 'last!').waitFor();
  await page.locator('.waiting li').waitFor({ state: 'detached' });
  expect(await page.locator('#conversation .said .text').allTextContents()).toEqual(['rewritten!', 'whisper', 'last!']);

  await page.fill('#join-room', 'kitchen');
  await page.press('#join-room', 'Enter');
  await page.waitForSelector('h2:text-is("kitchen")');
  await page.click('#leave');
  await page.waitForSelector('#join-problem:text("kitchen: nobody leaves")');
});

test('a room that is no room, or refuses, is told of, and the page is there', async () => {
  const server = await startServer({ config });
  const malformed = await chatter(server, '#%E0%A4');
  await malformed.waitForSelector('h2:text-is("defaultRoom")');
  const refused = await chatter(server, '#not%20a%20room');
  await refused.waitForSelector('h2:text-is("defaultRoom")');
  await refused.waitForSelector('#join-problem:text("not a room: ")');

  // On an IPv6 address nc wants no brackets.
  const nc: unknown = await malformed.evaluate(`import('/ways.js').then(({ waysInto }) =>
    waysInto('x', { tcp: { port: 5000 } }, new URL('http://[::1]:8080/'))[1][1][0])`);
  expect(nc).toBe('nc ::1 5000');
});

test('lines have their order by the log, and who comes and goes pushes no message off', async () => {
  const server = await startServer({ config });
  const page = await chatter(server);
  const shown: unknown = await page.evaluate(`import('/conversation.js').then(({ Conversation }) => {
    const message = (seq) => ({ room: 'x', from: 'ann', sentAt: 1000 + seq, id: 1000 + seq + '-' + seq, message: String(seq) });
    const texts = ({ list }) => [...list.children].map((item) => item.querySelector('.text')?.textContent ?? item.className);
    const conversation = new Conversation('x', () => 'me');
    for (const seq of [2, 3]) conversation.said(message(seq));
    conversation.gap({ reason: 'expired', lost: null });
    conversation.said(message(6));
    conversation.remember([1, 2, 3, 5, 6].map(message));
    conversation.said(message(5));
    const open = texts(conversation);
    conversation.remember([4].map(message));
    conversation.gap({ reason: 'expired', lost: null });
    conversation.gap({ reason: 'trimmed', lost: 2 });
    conversation.remember([5, 6].map(message));
    conversation.people = new Set(['bob']);
    conversation.unlisted = 2;
    for (let at = 0; at < 600; at += 1) conversation.moved({ event: at % 2 ? 'leave' : 'join', id: 'cem', at });
    conversation.moved({ event: 'leave', id: 'unlisted' });
    conversation.keep();
    conversation.keepNow();
    const again = new Conversation('x', () => 'me');
    const people = conversation.people.size + conversation.unlisted;
    return { open, lines: texts(conversation).slice(0, 8), all: conversation.lines.length, kept: texts(again), people };
  })`);
  // A message between is missing still; then none is, and only what is known to be lost is told.
  const open = ['1', '2', '3', 'gap', '5', '6'];
  const lines = ['1', '2', '3', '4', '5', '6', 'gap'];
  expect(shown).toEqual({ open, lines: [...lines, 'presence'], all: 57, kept: lines, people: 2 });
});

test('on a phone the panels are drawers; everything has a name', async () => {
  const server = await startServer({ config });
  const page = await openPage(server.url, /^$/, { viewport: { width: 360, height: 640 }, hasTouch: true });
  await page.waitForSelector('#link[data-state="websocket"]');
  expect(await page.locator('#rooms-panel').isVisible()).toBe(false);
  await page.click('#show-people');
  await eventually(() =>
    page.evaluate('document.querySelector("#people-panel").getBoundingClientRect().right === innerWidth'),
  );
  expect(await page.locator('#ways').isVisible()).toBe(true);
  await page.keyboard.press('Escape');
  await page.waitForSelector('#ways', { state: 'hidden' });
  await page.click('#show-rooms');
  await page.fill('#join-room', 'kitchen');
  await page.click('#join button');
  await page.waitForSelector('h2:text-is("kitchen")');
  await page.waitForSelector('#rooms', { state: 'hidden' });
  await page.click('#show-people');
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
  const nameless = await page.evaluate(
    `[...document.querySelectorAll('button, input, textarea')].filter((field) =>
       !(field.textContent.trim() || field.ariaLabel || field.labels?.length)).map((field) => field.outerHTML)`,
  );
  expect(nameless).toEqual([]);
  expect(await page.evaluate('document.querySelectorAll("main, h1, h2").length')).toBe(3);
});

test('a long name and bad news have their place on a phone', async () => {
  const server = await startServer({ config });
  const long = `a-room-${'with-a-long-name-'.repeat(4)}`;
  const page = await openPage(`${server.url}/#${long}`, /net::ERR|WebSocket connection|status of 40[13]/, {
    viewport: { width: 360, height: 640 },
  });
  await page.waitForSelector(`h2:text-is("${long}")`);
  await server.close();
  await page.waitForSelector('#link-state:text("offline")');
  const rights = await page.evaluate(
    `['#show-people', '#say button'].map((each) => document.querySelector(each).getBoundingClientRect().right)`,
  );
  expect(Math.max(...(rights as number[]))).toBeLessThanOrEqual(360);
});
