/** The client library in a real browser: its cookie, its tabs, its network. */
import { build } from 'esbuild';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { bundleClient } from '../support/bundled-client';
import { openPage } from '../support/browser-page';
import { WsClient } from '../support/clients';
import { eventually } from '../support/eventually';
import { MeddlingProxy } from '../support/meddling-proxy';
import { startServer } from '../support/server';

beforeAll(bundleClient);

const NETWORK = /net::ERR|WebSocket connection|Failed to load resource/;

/** A client in that page; what it hears is kept there. */
async function chatIn(page: Page, options: object = {}): Promise<string> {
  await page.evaluate(`import('/chat/client.js').then(({ connect }) => {
    window.heard = [];
    window.links = [];
    window.gaps = [];
    window.chat = connect('/', { backoff: { base: 50, most: 200 }, ...${JSON.stringify(options)} });
    chat.on('say', ({ message }) => heard.push(message));
    chat.on('open', ({ link }) => links.push(link));
    chat.on('gap', (gap) => gaps.push(gap));
  })`);
  return eventually(() => page.evaluate<string | undefined>('links.length > 0 ? chat.id : undefined'));
}

const heard = (page: Page): Promise<unknown> => page.evaluate('heard');

test('the tabs of a browser are one participant, and two of them hold streams; all of them hear everything once', async () => {
  const server = await startServer();
  const tabs = [await openPage(`${server.url}/api/status`, NETWORK)];
  while (tabs.length < 4) {
    const tab = await tabs[0]!.context().newPage();
    await tab.goto(`${server.url}/api/status`);
    tabs.push(tab);
  }
  // All at once: whoever is first is given the cookie, and the others are the same.
  const ids = await Promise.all(tabs.map((tab) => chatIn(tab, { links: ['sse', 'poll'] })));
  expect(new Set(ids).size).toBe(1);
  const kinds = await Promise.all(tabs.map((tab) => tab.evaluate('chat.link')));
  expect([...kinds].sort()).toEqual(['poll', 'poll', 'sse', 'sse']);
  expect(await tabs[0]!.evaluate('document.cookie')).not.toContain('sessionID');

  const ann = await WsClient.connect(server.url);
  for (let nth = 0; nth < 3; nth += 1) await ann.say(nth);
  for (const tab of tabs) {
    await eventually(async () => ((await heard(tab)) as unknown[]).length === 3);
    expect(await heard(tab)).toEqual([0, 1, 2]);
  }
  // Every connection that is left is free for what a tab asks.
  for (const tab of tabs) await tab.evaluate('chat.say("mine")');
  expect((await ann.heard.take(4)).map(({ from }) => from)).toEqual(ids);

  // Tabs that are closed leave their places to the others, which may have taken them for their polls first.
  for (const [nth, kind] of kinds.entries()) if (kind === 'sse') await tabs[nth]!.close();
  const left = tabs.filter((tab) => !tab.isClosed());
  await eventually(async () => {
    const links = await Promise.all(left.map((tab) => tab.evaluate('chat.link')));
    return links.every((link) => link === 'sse');
  }, 30_000);
});

test('a network that goes and comes back: it waits, and then has missed nothing and says what was to be said', async () => {
  const server = await startServer();
  const page = await openPage(`${server.url}/api/status`, NETWORK);
  await chatIn(page, { links: ['sse', 'poll'] });
  const ann = await WsClient.connect(server.url);
  await ann.say('before');
  await eventually(async () => ((await heard(page)) as unknown[]).length === 1);
  await page.context().setOffline(true);
  const saying = page.evaluate('chat.say("as soon as it works")');
  await ann.say('while away');
  await page.context().setOffline(false);
  await saying;
  expect(await ann.heard.next()).toMatchObject({ message: 'as soon as it works' });
  await ann.say('after');
  await eventually(async () => ((await heard(page)) as unknown[]).length === 3);
  expect(await heard(page)).toEqual(['before', 'while away', 'after']);
  expect(await page.evaluate('gaps')).toEqual([]);
});

test('a proxy that lets no WebSocket through: an event stream, on which a reload goes on', async () => {
  const server = await startServer();
  const proxy = await MeddlingProxy.to(server.port);
  proxy.onUpgrade = 'refuse';
  const page = await openPage(`${proxy.url}/api/status`, NETWORK);
  const id = await chatIn(page);
  expect(await page.evaluate('links')).toEqual(['sse']);
  const ann = await WsClient.connect(server.url);
  await ann.say(1);
  await eventually(async () => ((await heard(page)) as unknown[]).length === 1);
  await page.goto('about:blank');
  await ann.say(2);
  await page.goto(`${proxy.url}/api/status`);
  expect(await chatIn(page)).toBe(id);
  await ann.say(3);
  await eventually(async () => ((await heard(page)) as unknown[]).length === 2);
  expect(await heard(page)).toEqual([2, 3]);
});

/** A page of React that shows a room by the hook of the examples, made as an application's bundler makes it. */
async function reactPage(): Promise<string> {
  const { outputFiles } = await build({
    stdin: {
      contents: `
        import { createElement, StrictMode, useState } from 'react';
        import { createRoot } from 'react-dom/client';
        import { useChat } from './use-chat';

        function Room() {
          const [room, enter] = useState('kitchen');
          const { messages, link, say } = useChat(room);
          Object.assign(window, { enter, say });
          const said = messages.map(({ id, message }) => createElement('li', { key: id }, message));
          return createElement('ul', { title: link ? 'open' : 'closed' }, said);
        }
        const root = createRoot(document.body);
        root.render(createElement(StrictMode, null, createElement(Room)));
        window.leave = () => root.unmount();
      `,
      resolveDir: path.join(__dirname, '../../examples'),
    },
    bundle: true,
    write: false,
    format: 'iife',
    define: { 'process.env.NODE_ENV': '"development"' },
    logLevel: 'warning',
  });
  return outputFiles[0]!.text;
}

test('in React, a hook shows what is said in its room, another one when that is asked for, and hears until it is gone', async () => {
  const server = await startServer();
  const page = await openPage(`${server.url}/api/status`, NETWORK);
  await page.evaluate(await reactPage());
  // It is empty, and so takes no room: to be there is enough.
  await page.locator('ul[title=open]').waitFor({ state: 'attached' });
  const shown = (): Promise<string[]> => page.locator('li').allTextContents();
  await page.evaluate('say("mine")');
  const ann = await WsClient.connect(server.url);
  for (const room of ['kitchen', 'garden']) await ann.data('roomAdd', { room });
  await ann.say('elsewhere', { room: 'garden' });
  await ann.say('hello', { room: 'kitchen' });
  await eventually(async () => (await shown()).includes('hello'));
  expect(await shown()).toEqual(['mine', 'hello']);

  await page.evaluate('enter("garden")');
  await eventually(async () => (await ann.data('roomView', { room: 'garden' })).membersCount === 2);
  await ann.say('among flowers', { room: 'garden' });
  await eventually(async () => (await shown()).includes('among flowers'));
  expect(await shown()).toEqual(['among flowers']);
  await page.evaluate('leave()');
  expect(await shown()).toEqual([]);
});
