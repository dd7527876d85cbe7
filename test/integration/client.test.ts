/** The client library in Node: every link, and every way in which one breaks. */
import { z } from 'zod';
import type { ClientOptions, LinkKind } from '../../src/client/node';
import { defineAction, type ChatMiddleware } from '../../src/kit';
import { chatting, TabStorage } from '../support/chat-clients';
import { WsClient } from '../support/clients';
import { eventually } from '../support/eventually';
import { MeddlingProxy } from '../support/meddling-proxy';
import { twoNodes } from '../support/nodes';
import { closeProxies, FaultProxy } from '../support/proxy';
import { startServer } from '../support/server';

afterEach(closeProxies);

const links = ['websocket', 'sse', 'poll'] as const satisfies readonly LinkKind[];
const texts = (messages: readonly { readonly message: unknown }[]): unknown[] => messages.map(({ message }) => message);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, nth) => nth);

describe.each(links)('by %s alone', (link) => {
  const only: ClientOptions = { links: [link] };

  test('is where it was when a hook keeps it from leaving; an answer with a code of its own is one', async () => {
    const stay: ChatMiddleware = {
      name: 'stay',
      leave: (_, room) => {
        if (room === 'defaultRoom') throw new Error('stay');
      },
    };
    const offer = defineAction({
      name: 'offer',
      description: 'answers with a code',
      inputs: z.object({}),
      run: () => ({ code: 'SAVE10' }),
    });
    const { url } = await startServer({ middleware: [stay], actions: [offer] });
    const bob = chatting(url, only);
    await bob.opened.next();
    await bob.chat.roomAdd('garden');
    await expect(bob.chat.roomLeave('defaultRoom')).rejects.toMatchObject({ code: 'forbidden', message: 'stay' });
    expect([...bob.chat.rooms].sort()).toEqual(['defaultRoom', 'garden']);
    await bob.chat.roomLeave('garden');
    expect(bob.chat.rooms).toEqual(['defaultRoom']);
    expect(await bob.chat.action('offer')).toMatchObject({ code: 'SAVE10' });
    await expect(bob.chat.action('nothing')).rejects.toMatchObject({ code: 'unknown_action' });
  });

  test('hears in order, says once, comes and goes, and asks', async () => {
    const server = await startServer({ config: { chat: { history: 100 } } });
    const ann = await WsClient.connect(server.url);
    await ann.say('before');
    const bob = chatting(server.url, { ...only, presence: true });
    expect(await bob.opened.next()).toEqual({
      id: bob.chat.id,
      rooms: ['defaultRoom'],
      link,
    });
    expect(bob.chat.link).toBe(link);
    for (const nth of upTo(5)) await ann.say(nth);
    expect(texts(await bob.heard.take(5))).toEqual(upTo(5));

    // Not awaited one by one: they are said in the order of the calls all the same.
    const said = await Promise.all(upTo(5).map((nth) => bob.chat.say({ nth })));
    expect(texts(await ann.heard.take(5))).toEqual(upTo(5).map((nth) => ({ nth })));
    expect(said[0]).toMatchObject({ room: 'defaultRoom', id: expect.any(String), sentAt: expect.any(Number) });

    await bob.chat.roomAdd('garden');
    await bob.chat.roomAdd('garden');
    expect(bob.chat.rooms).toEqual(['defaultRoom', 'garden']);
    await ann.data('roomAdd', { room: 'garden' });
    expect(await bob.presence.next(({ room, id }) => room === 'garden' && id === ann.id)).toMatchObject({
      event: 'join',
    });
    await ann.say('in the garden', { room: 'garden' });
    expect(await bob.heard.next()).toMatchObject({ room: 'garden', from: ann.id });
    const { members, ...view } = await bob.chat.roomView('garden');
    expect([[...members].sort(), view.membersCount]).toEqual([[ann.id, bob.chat.id].sort(), 2]);

    expect(texts(await bob.chat.history('defaultRoom', { limit: 100 }))).toContain('before');
    expect(await bob.chat.action('status')).toMatchObject({ nodeStatus: 'Node Healthy' });
    await expect(bob.chat.action('dance')).rejects.toMatchObject({ code: 'unknown_action' });
    await ann.data('roomAdd', { room: 'cellar' });
    await expect(bob.chat.say('x', { room: 'cellar' })).rejects.toMatchObject({
      code: 'not_in_room',
      message: 'connection not in this room (cellar)',
    });
    await bob.chat.roomLeave('garden');
    await ann.say('alone', { room: 'garden' });
    await ann.say('last');
    expect(await bob.heard.next()).toMatchObject({ message: 'last' });

    bob.chat.close();
    await expect(bob.chat.say('too late')).rejects.toMatchObject({ code: 'closed' });
    expect(bob.closed.all).toEqual([{ error: undefined, retryIn: null }]);
    expect(bob.gaps.all).toEqual([]);
  });

  test('hears itself when it wants to, and what is told to it alone', async () => {
    const server = await startServer();
    const bob = chatting(server.url, { ...only, echo: true });
    const { id } = await bob.opened.next();
    await bob.chat.say('me');
    expect(await bob.heard.next()).toMatchObject({ message: 'me', from: id });
    await server.api.connections.apply(id, 'sendMessage', 'psst');
    const direct = await bob.heard.next();
    expect([direct.message, direct.room]).toEqual(['psst', undefined]);
  });

  test('a node that goes and comes back, with another there meanwhile: nothing is lost, nothing doubled', async () => {
    const { here, there } = await twoNodes();
    const { port } = here;
    const bob = chatting(here.url, only);
    const { id } = await bob.opened.next();
    await bob.chat.roomAdd('garden');
    const ann = await WsClient.connect(there.url);
    await ann.data('roomAdd', { room: 'garden' });
    const say = (nth: number): Promise<unknown> => ann.say(nth, { room: nth % 2 === 0 ? 'garden' : 'defaultRoom' });
    for (const nth of upTo(5)) await say(nth);
    await bob.heard.take(5);
    await here.close();
    for (const nth of upTo(20)) await say(5 + nth);
    expect((await bob.closed.next()).retryIn).toBeGreaterThanOrEqual(0);
    // Said while there is no server: it waits, and is said once.
    const patient = bob.chat.say('patience', { room: 'garden' });
    await startServer({ config: { redis: there.config.redis, servers: { web: { port } } } });
    expect((await bob.opened.next()).id).toBe(id);
    for (const nth of upTo(5)) await say(25 + nth);
    await patient;
    expect(await ann.heard.next()).toMatchObject({ message: 'patience', from: id });
    await bob.heard.take(25);
    // Each room in its order; two rooms have none between them.
    const heard = bob.heard.all.filter(({ message }) => typeof message === 'number');
    const inRoom = (room: string): unknown[] => texts(heard.filter((message) => message.room === room));
    expect(inRoom('garden')).toEqual(upTo(30).filter((nth) => nth % 2 === 0));
    expect(inRoom('defaultRoom')).toEqual(upTo(30).filter((nth) => nth % 2 === 1));
    expect(bob.gaps.all).toEqual([]);
  });

  test('a server that has lost everything: it is told so, and is back in its rooms', async () => {
    const server = await startServer({ config: { general: { secret: 's'.repeat(40) } } });
    const bob = chatting(server.url, only);
    const { id } = await bob.opened.next();
    await bob.chat.roomAdd('garden');
    await bob.chat.say('lost', { room: 'garden' });
    await server.close();
    await bob.closed.next();
    const config = { general: { secret: 's'.repeat(40) }, servers: { web: { port: server.port } } };
    const { url } = await startServer({ config });
    expect(await bob.opened.next()).toMatchObject({ id, rooms: ['defaultRoom', 'garden'] });
    const ann = await WsClient.connect(url);
    await ann.data('roomAdd', { room: 'garden' });
    await ann.say('anew', { room: 'garden' });
    expect(await bob.heard.next()).toMatchObject({ message: 'anew', room: 'garden' });
    expect(bob.gaps.all).toContainEqual({ room: 'garden', reason: expect.stringMatching(/expired|reset/), lost: null });
  });

  test('a new life in a page: it goes on as who it was, where it was', async () => {
    const server = await startServer();
    const ann = await WsClient.connect(server.url);
    const storage = new TabStorage();
    const before = chatting(server.url, { ...only, storage });
    const { id } = await before.opened.next();
    await before.chat.roomAdd('garden');
    await ann.data('roomAdd', { room: 'garden' });
    for (const nth of upTo(3)) await ann.say(nth, { room: 'garden' });
    await before.heard.take(3);
    // What a page that is closed leaves behind; `close()` would have taken it away.
    const left = new TabStorage();
    for (const [key, value] of storage.items) left.items.set(key, value);
    before.chat.close();
    expect([storage.items.size, left.items.size]).toEqual([0, 1]);
    for (const nth of upTo(3)) await ann.say(3 + nth, { room: 'garden' });

    const after = chatting(server.url, { ...only, storage: left });
    expect(await after.opened.next()).toMatchObject({ id, rooms: ['defaultRoom', 'garden'] });
    expect(texts(await after.heard.take(3))).toEqual([3, 4, 5]);
    await ann.say('live', { room: 'garden' });
    expect((await after.heard.next()).message).toBe('live');
    expect(after.gaps.all).toEqual([]);
  });
});

describe('what is in between', () => {
  test('breaks links at any time: everything is heard once, in order, and said once', async () => {
    const server = await startServer();
    const proxy = await FaultProxy.to(server.port);
    const url = `http://127.0.0.1:${proxy.port}`;
    const ears = links.map((link) => chatting(url, { links: [link] }));
    const mixed = chatting(url);
    const everybody = [...ears, mixed];
    for (const { opened } of everybody) await opened.next();
    const ann = await WsClient.connect(server.url);
    const COUNT = 60;
    for (const nth of upTo(COUNT)) {
      if (nth % 6 === 0) proxy.cut();
      await Promise.all([ann.say(nth), mixed.chat.say(`mixed ${nth}`)]);
    }
    for (const { heard, gaps, chat } of everybody) {
      await eventually(() => heard.all.filter(({ from }) => from === ann.id).length >= COUNT);
      if (chat !== mixed.chat)
        await eventually(() => heard.all.filter(({ from }) => from === mixed.chat.id).length >= COUNT);
      expect(texts(heard.all.filter(({ from }) => from === ann.id))).toEqual(upTo(COUNT));
      expect(gaps.all).toEqual([]);
    }
    const mixedSaid = texts(ann.heard.all).filter((text) => String(text).startsWith('mixed'));
    expect(mixedSaid).toEqual(upTo(COUNT).map((nth) => `mixed ${nth}`));
  });

  test.each(['refuse', 'swallow', 'cut'] as const)(
    'lets no WebSocket through (%s): a stream it is',
    async (onUpgrade) => {
      const server = await startServer();
      const proxy = await MeddlingProxy.to(server.port);
      proxy.onUpgrade = onUpgrade;
      const bob = chatting(proxy.url, { linkTimeout: onUpgrade === 'swallow' ? 1000 : 8000 });
      expect(await bob.opened.next()).toMatchObject({ link: 'sse' });
      await bob.chat.say('through');
      const ann = await WsClient.connect(server.url);
      await ann.say('hello');
      expect((await bob.heard.next()).message).toBe('hello');
      expect(proxy.upgrades).toBeLessThanOrEqual(3);
    },
  );

  test('lets neither WebSockets nor streams through: polls', async () => {
    const server = await startServer();
    const proxy = await MeddlingProxy.to(server.port);
    proxy.onUpgrade = 'refuse';
    proxy.collects = true;
    const bob = chatting(proxy.url, { linkTimeout: 1000 });
    expect(await bob.opened.next()).toMatchObject({ link: 'poll' });
    const ann = await WsClient.connect(server.url);
    await ann.say('hello');
    expect((await bob.heard.next()).message).toBe('hello');
  });

  test('takes the answer away: what was done is not done again', async () => {
    const server = await startServer();
    const proxy = await FaultProxy.to(server.port);
    const ann = await WsClient.connect(server.url);
    for (const link of links) {
      proxy.heal();
      const bob = chatting(`http://127.0.0.1:${proxy.port}`, { links: [link], linkTimeout: 1000 });
      await bob.opened.next();
      proxy.deafen();
      const saying = bob.chat.say(`once by ${link}`);
      expect((await ann.heard.next()).message).toBe(`once by ${link}`);
      // Until its link is given up, so that the answer is not just late.
      await bob.closed.next();
      proxy.heal();
      // Connections that were kept for later would be deaf still, and a poll on one of them is silent for its whole time.
      proxy.cut();
      const { id } = await saying;
      expect(ann.heard.all.filter((message) => message.from === bob.chat.id).map((message) => message.id)).toEqual([
        id,
      ]);
      await ann.say('next');
      expect((await bob.heard.next()).message).toBe('next');
      bob.chat.close();
    }
  });
});

test('a server without chat over HTTP is chatted with by WebSocket, in a page as well', async () => {
  const { url } = await startServer({ config: { commonWeb: { httpClientMessageTTL: null } } });
  for (const identity of ['token', 'cookie'] as const) {
    const bob = chatting(url, { identity });
    // Asked before there is a link, and over HTTP in vain.
    await Promise.all([bob.chat.roomAdd('garden'), bob.chat.action('status')]);
    expect(await bob.opened.next()).toMatchObject({ link: 'websocket' });
    await bob.chat.say('hello');
    bob.chat.close();
  }
});

test.each(links)(
  'a session that has expired (%s): somebody new, in the same rooms, and told of the gap',
  async (link) => {
    const { here, there } = await twoNodes({ config: { commonWeb: { httpClientMessageTTL: 300 } } });
    const { commonWeb, redis } = there.config;
    const bob = chatting(here.url, { links: [link] });
    const { id } = await bob.opened.next();
    await bob.chat.roomAdd('garden');
    await here.close();
    await bob.closed.next();
    await eventually(async () => !(await there.api.options.chat.store.client(id)));
    await startServer({ config: { commonWeb, redis, servers: { web: { port: here.port } } } });
    const again = await bob.opened.next();
    expect([again.id === id, again.rooms]).toEqual([false, ['defaultRoom', 'garden']]);
    expect(bob.gaps.all).toEqual(['defaultRoom', 'garden'].map((room) => ({ room, reason: 'expired', lost: null })));
  },
);

test('a server that is asked too much is asked again when it says so', async () => {
  const server = await startServer({ config: { limits: { saysPerSecond: 5 } } });
  const ann = await WsClient.connect(server.url);
  const bob = chatting(server.url);
  await Promise.all(upTo(14).map((nth) => bob.chat.say(nth)));
  expect(texts(await ann.heard.take(14))).toEqual(upTo(14));
});
