/** The rules of the rooms: chat middleware as its authors see it, on every transport. */
import { z } from 'zod';
import { ChatError, defineAction, type ChatMiddleware } from '../../src/kit';
import { eventually } from '../support/eventually';
import { HttpClient } from '../support/http-client';
import { deployments, twoNodes } from '../support/nodes';
import { startServer } from '../support/server';
import { TcpClient, WsClient, type Parsed } from '../support/clients';
import { ways } from '../support/transports';

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const texts = (messages: readonly Parsed[]): unknown[] => messages.map(({ message }) => message);

/** Sets an attribute, as ActionHero's documents have it. */
const login = defineAction({
  name: 'login',
  description: 'logs in',
  inputs: z.object({ value: z.string().default('true') }),
  run: ({ params, connection }) => {
    connection['auth'] = params.value;
  },
});

describe('order', () => {
  test('is by priority, ties by registration; each hook is awaited before the next', async () => {
    const ran: string[] = [];
    const noting = (name: string, priority?: number): ChatMiddleware => {
      const note = async (hook: string): Promise<undefined> => {
        ran.push(`${hook} ${name} begins`);
        await soon();
        ran.push(`${hook} ${name} ends`);
        return undefined;
      };
      const about = (hook: string) => (_connection: unknown, room: string) =>
        room === 'garden' ? note(hook) : undefined;
      return {
        name,
        ...(priority === undefined ? {} : { priority }),
        join: async (connection, room) => about('join')(connection, room),
        leave: async (connection, room) => about('leave')(connection, room),
        onSayReceive: about('receive'),
        say: about('say'),
      };
    };
    const middleware = [noting('last', 200), noting('second'), noting('third', 100), noting('first', 1)];
    const server = await startServer({ middleware });
    server.api.chatRoom.addMiddleware(noting('fourth'));
    const ann = await WsClient.connect(server.url);
    const bob = await WsClient.connect(server.url);
    await bob.data('roomAdd', { room: 'garden' });

    const expected = (hook: string): string[] =>
      ['first', 'second', 'third', 'fourth', 'last'].flatMap((name) => [
        `${hook} ${name} begins`,
        `${hook} ${name} ends`,
      ]);
    ran.length = 0;
    await ann.data('roomAdd', { room: 'garden' });
    expect(ran.splice(0)).toEqual(expected('join'));
    await ann.say('hello', { room: 'garden' });
    await bob.heard.next();
    expect(ran.splice(0)).toEqual([...expected('receive'), ...expected('say')]);
    await ann.data('roomLeave', { room: 'garden' });
    expect(ran).toEqual(expected('leave'));
  });

  test('a name is registered once, and is needed', async () => {
    const twice = [{ name: 'same' }, { name: 'same' }];
    await expect(startServer({ middleware: twice })).rejects.toThrow(
      'a chat middleware named same is registered already',
    );
    const { api } = await startServer({ middleware: [{ name: 'same' }] });
    expect(() => api.chatRoom.addMiddleware({ name: 'same' })).toThrow('registered already');
    expect(() => api.chatRoom.addMiddleware({} as ChatMiddleware)).toThrow('needs a name');
  });
});

describe('join', () => {
  const bouncer: ChatMiddleware = {
    name: 'bouncer',
    join: async ({ auth }, room) => {
      await soon();
      if (room === 'vip' && auth !== 'true') throw new Error('you are not authenticated');
      if (room === 'busy') throw new ChatError('too_many_requests', '', 7);
    },
  };

  test('refuses with its text on every transport, and a ChatError keeps its code', async () => {
    const { url, tcpPort } = await startServer({ middleware: [bouncer] });
    const ann = await WsClient.connect(url);
    expect(await ann.ask('roomAdd', { room: 'vip' })).toMatchObject({
      error: 'Error: you are not authenticated',
      code: 'forbidden',
    });
    expect(await ann.ask('roomAdd', { room: 'busy' })).toMatchObject({ code: 'too_many_requests', retryAfter: 7 });
    const bob = await TcpClient.connect(tcpPort);
    expect(await bob.line('roomAdd vip')).toMatchObject({ error: 'you are not authenticated', code: 'forbidden' });
    const cid = new HttpClient(url);
    expect(await cid.get('roomAdd', { room: 'vip' })).toMatchObject({
      status: 403,
      body: { error: 'Error: you are not authenticated', code: 'forbidden' },
    });
    expect(await cid.get('roomAdd', { room: 'busy' })).toMatchObject({ status: 429, headers: { 'retry-after': '7' } });
    for (const details of [await ann.data('detailsView'), (await cid.ok('detailsView')).details]) {
      expect(details).toMatchObject({ rooms: ['defaultRoom'], room: 'defaultRoom' });
    }
  });

  test('is asked of listeners too, who are told apart', async () => {
    const asked: unknown[] = [];
    const noting: ChatMiddleware = { name: 'noting', join: (_connection, room, how) => void asked.push([room, how]) };
    const { url } = await startServer({ middleware: [noting, bouncer] });
    const ann = await WsClient.connect(url);
    await ann.data('listenToRoom', { room: 'radio' });
    await ann.data('roomAdd', { room: 'radio' });
    expect(await ann.ask('listenToRoom', { room: 'vip' })).toMatchObject({ code: 'forbidden' });
    expect(asked).toEqual([
      ['defaultRoom', { listening: false }],
      ['radio', { listening: true }],
      ['radio', { listening: false }],
      ['vip', { listening: true }],
    ]);
  });

  test('may keep strangers out of the default room: they are connected all the same', async () => {
    const nobody: ChatMiddleware = {
      name: 'nobody',
      join: () => {
        throw new Error('closed');
      },
    };
    const { url, tcpPort } = await startServer({ middleware: [nobody] });
    expect((await WsClient.connect(url)).greeting.room).toBeNull();
    expect(await (await TcpClient.connect(tcpPort)).line('say hello')).toMatchObject({ error: 'a room is required' });
    expect((await new HttpClient(url).ok('detailsView')).details).toMatchObject({ room: null, rooms: [] });
  });

  test('knows the connection: what it is, where it is from, what it was set', async () => {
    const seen: Parsed[] = [];
    const curious: ChatMiddleware = {
      name: 'curious',
      join: ({ id, type, room, rooms, listening, remoteIP, params, auth }, into) => {
        if (into === 'garden')
          seen.push({ id, type, room, rooms, listening, remoteIP, auth, greets: params['greets'] });
      },
    };
    const { url, tcpPort } = await startServer({ middleware: [curious], actions: [login] });
    const ann = await TcpClient.connect(tcpPort);
    await ann.line('paramAdd greets=yes');
    await ann.line('login');
    await ann.line('roomAdd garden');
    const bob = new HttpClient(url);
    await bob.ok('roomAdd', { room: 'garden', greets: 'over HTTP' });
    const common = { room: 'defaultRoom', rooms: ['defaultRoom'], listening: [], remoteIP: '127.0.0.1' };
    expect(seen).toEqual([
      { ...common, id: ann.id, type: 'socket', auth: 'true', greets: 'yes' },
      { ...common, id: await bob.id(), type: 'web', auth: undefined, greets: 'over HTTP' },
    ]);
  });
});

describe('leave', () => {
  const sticky: ChatMiddleware = {
    name: 'sticky',
    leave: (_connection, room) => {
      if (room === 'hotel') throw new Error('you can never leave');
    },
  };

  test('refuses a leave and a change of room', async () => {
    const { url } = await startServer({ middleware: [sticky] });
    const ann = await WsClient.connect(url);
    await ann.data('roomChange', { room: 'hotel' });
    expect(await ann.ask('roomLeave', { room: 'hotel' })).toMatchObject({ error: 'Error: you can never leave' });
    expect(await ann.ask('roomChange', { room: 'garden' })).toMatchObject({ error: 'Error: you can never leave' });
    expect(await ann.data('detailsView')).toMatchObject({ room: 'hotel', rooms: ['hotel'] });
  });

  test('at a disconnect is logged, and the client leaves all the same; the other hooks run, with its attributes', async () => {
    const left: unknown[] = [];
    const noting: ChatMiddleware = {
      name: 'noting',
      leave: ({ id, auth }, room) => void left.push({ id, auth, room }),
    };
    const server = await startServer({ middleware: [sticky, noting], actions: [login] });
    const ann = await WsClient.connect(server.url);
    const bob = await WsClient.connect(server.url);
    for (const client of [ann, bob]) await client.data('roomAdd', { room: 'hotel' });
    await bob.act('login');
    bob.socket.close();
    await eventually(async () => (await ann.data('roomView', { room: 'hotel' })).membersCount === 1);
    await eventually(() => left.length === 2);
    expect(left).toEqual(
      expect.arrayContaining(['hotel', 'defaultRoom'].map((room) => ({ id: bob.id, auth: 'true', room }))),
    );
    const logged = server.log.lines.filter(({ level }) => level === 'warn');
    expect(logged).toEqual([
      {
        level: 'warn',
        text: 'a leave hook failed at a disconnect',
        data: { err: new Error('you can never leave'), middleware: 'sticky', room: 'hotel' },
      },
    ]);
  });
});

describe('onSayReceive', () => {
  const censor: ChatMiddleware = {
    name: 'censor',
    onSayReceive: async (connection, room, payload) => {
      await soon();
      expect(payload).toEqual({ message: payload.message, room, from: connection.id, context: 'user' });
      if (payload.message === 'rude') throw new Error('mind your words');
      if (payload.message === 'spam') return null;
      if (payload.message === 'fine') return undefined;
      return {
        ...payload,
        message: `${String(payload.message)}!`,
        from: 'somebody else',
        room: 'elsewhere',
      };
    },
  };

  test('rewrites, keeps, drops and refuses, once for all hearers', async () => {
    const { url, tcpPort } = await startServer({ middleware: [censor] });
    const ann = await WsClient.connect(url);
    const bob = await TcpClient.connect(tcpPort);
    const cid = new HttpClient(url);
    await cid.id();
    await ann.say('hello');
    await ann.say('fine');
    expect(await ann.ask('say', { message: 'spam' })).toMatchObject({
      error: 'Error: the message was dropped',
      code: 'dropped',
    });
    expect(await ann.ask('say', { message: 'rude' })).toMatchObject({
      error: 'Error: mind your words',
      code: 'forbidden',
    });
    expect(await bob.line('say spam')).toMatchObject({ error: 'the message was dropped', code: 'dropped' });
    expect(await cid.post('say', { message: 'spam' })).toMatchObject({ status: 403, body: { code: 'dropped' } });
    const heard = await bob.heard.take(2);
    expect(texts(heard)).toEqual(['hello!', 'fine']);
    // The rest is the server's word.
    expect(heard[0]).toMatchObject({ from: ann.id, room: 'defaultRoom' });
    expect(texts((await cid.ok('messages')).messages)).toEqual(['hello!', 'fine']);
  });

  test('runs at the speaker’s node alone, and not for what was said twice with a key', async () => {
    const ran: unknown[] = [];
    const noting: ChatMiddleware = {
      name: 'noting',
      onSayReceive: (_connection, _room, { message }) => void ran.push(message),
    };
    const { here, there } = await twoNodes({ middleware: [noting] });
    const ann = await WsClient.connect(here.url);
    const bob = await WsClient.connect(there.url);
    const { id } = await ann.say('once', { key: 'k' });
    expect((await ann.say('other words', { key: 'k' })).id).toBe(id);
    await bob.heard.next();
    await ann.say('then');
    expect(await bob.heard.next()).toMatchObject({ message: 'then' });
    expect(ran.filter((message) => message === 'once')).toHaveLength(1);
  });

  test('is asked for what the server says in somebody’s name, and not for its own words', async () => {
    const shout = defineAction({
      name: 'shout',
      description: 'says it louder',
      inputs: z.object({}),
      run: async ({ api, connection }: Parsed) => {
        await api.chatRoom.broadcast(connection, 'defaultRoom', 'loud');
        await api.chatRoom.broadcast(null, 'defaultRoom', 'as the server');
      },
    });
    const { url } = await startServer({ middleware: [censor], actions: [shout] });
    const ann = await WsClient.connect(url);
    const bob = await WsClient.connect(url);
    await ann.act('shout');
    expect((await bob.heard.take(2)).map(({ message, from }) => [message, from])).toEqual([
      ['loud!', ann.id],
      ['as the server', 'earshot'],
    ]);
  });
});

describe('say', () => {
  /** For each hearer alone: named, dropped for those who want peace, failing for those who are told so. */
  const personal: ChatMiddleware = {
    name: 'personal',
    say: async (connection, room, payload) => {
      await soon();
      expect(payload).toMatchObject({ room, context: 'user', id: expect.any(String), sentAt: expect.any(Number) });
      if (payload.message === 'secret') return null;
      if (payload.message === 'curse') throw new Error('it stuck in the throat');
      if (payload.message === 'plain') return undefined;
      return { ...payload, message: `${String(payload.message)} for ${connection.id}`, id: '9-9', from: 'a hook' };
    },
  };
  const words = ['hello', 'secret', 'plain', 'curse', 'bye'];

  test.each(deployments)('is asked once per hearer, live, polled and replayed alike, on $where', async ({ start }) => {
    const { here, there } = await start({ middleware: [personal] });
    const ann = await WsClient.connect(here.url);
    const { cursor } = await ann.data('detailsView');
    const hearers = await Promise.all(ways.map((way) => way.connect(there)));
    const said: Parsed[] = [];
    for (const word of words) said.push(await ann.say(word));
    for (const { id, next } of hearers) {
      const heard = [await next(), await next(), await next()];
      expect(texts(heard)).toEqual([`hello for ${id}`, 'plain', `bye for ${id}`]);
      // A hook writes the message; where and when it was said is the server's word.
      expect(heard[0]).toMatchObject({ from: 'a hook', id: said[0].id, sentAt: said[0].sentAt });
    }
    const replayed = await WsClient.connect(there.url);
    await replayed.data('resume', { session: ann.session, after: cursor, echo: true });
    expect(texts(await replayed.heard.take(3))).toEqual([`hello for ${ann.id}`, 'plain', `bye for ${ann.id}`]);
  });

  test('that throws skips that hearer, is counted and logged', async () => {
    const deaf: ChatMiddleware = {
      name: 'deaf',
      say: ({ auth }) => {
        if (auth === 'true') throw new Error('cannot hear you');
        return undefined;
      },
    };
    const server = await startServer({ middleware: [deaf], actions: [login] });
    const ann = await WsClient.connect(server.url);
    const bob = await WsClient.connect(server.url);
    const cid = await WsClient.connect(server.url);
    await bob.act('login');
    await ann.say('hello');
    expect(await cid.heard.next()).toMatchObject({ message: 'hello' });
    await bob.act('login', { value: 'no' });
    await ann.say('now?');
    expect(await bob.heard.next()).toMatchObject({ message: 'now?' });
    expect(bob.heard.all).toHaveLength(1);
    expect(server.api.options.chat.middleware.skipped).toBe(1);
    expect(server.log.lines.filter(({ level }) => level === 'warn')).toMatchObject([
      { text: 'a say hook failed; its hearer is skipped', data: { middleware: 'deaf', room: 'defaultRoom' } },
    ]);
  });

  test('keeps the order, however long it takes for whom', async () => {
    const slow: ChatMiddleware = {
      name: 'slow',
      say: async (_connection, _room, { message }) => {
        if (Number(message) % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
        return undefined;
      },
    };
    const { url } = await startServer({ middleware: [slow] });
    const ann = await WsClient.connect(url);
    const bob = await WsClient.connect(url);
    for (let nth = 0; nth < 60; nth += 1) ann.send({ event: 'say', message: nth });
    expect(texts(await bob.heard.take(60))).toEqual(Array.from({ length: 60 }, (_, nth) => nth));
  });

  test('does not see direct messages', async () => {
    const { url, api } = await startServer({ middleware: [personal] });
    const ann = await WsClient.connect(url);
    await api.connections.apply(ann.id, 'sendMessage', 'secret');
    expect(await ann.heard.next()).toMatchObject({ message: 'secret' });
  });
});

describe('attributes', () => {
  test('that an action sets last: over HTTP, on another node, on a socket that resumes', async () => {
    const bouncer: ChatMiddleware = {
      name: 'bouncer',
      join: ({ auth }, room) => {
        if (room === 'vip' && auth !== 'true') throw new Error('you are not authenticated');
      },
    };
    const { here, there } = await twoNodes({ middleware: [bouncer], actions: [login] });
    const ann = new HttpClient(here.url);
    expect(await ann.get('roomAdd', { room: 'vip' })).toMatchObject({ status: 403 });
    await ann.api('login');
    ann.url = there.url;
    expect((await ann.ok('detailsView')).details.attributes).toEqual({ auth: 'true' });
    expect(await ann.ok('roomAdd', { room: 'vip' })).toMatchObject({ status: 'OK', room: 'vip' });

    const headers = { Cookie: `sessionID=${ann.cookies.get('sessionID')!}` };
    const socket = await WsClient.connect(here.url, '/chat/', { headers });
    expect(await socket.ask('roomAdd', { room: 'vip' })).toMatchObject({ code: 'forbidden' });
    expect((await socket.data('resume')).rooms).toContain('vip');
    expect(await socket.data('detailsView')).toMatchObject({ attributes: { auth: 'true' } });
  });

  test('are what roomMatch compares, wherever the hearer is', async () => {
    const { here, there } = await twoNodes({ actions: [login] });
    const ann = await WsClient.connect(here.url);
    const bob = new HttpClient(there.url);
    await bob.api('login');
    const cid = new HttpClient(there.url);
    await cid.id();
    await ann.say('for the known', { roomMatchKey: 'auth', roomMatchValue: 'true' });
    await ann.say('for all');
    expect(texts((await bob.ok('messages')).messages)).toEqual(['for the known', 'for all']);
    expect(texts((await cid.ok('messages')).messages)).toEqual(['for all']);
  });

  test.each(['id', 'room', 'sendMessage', 'params', '__proto__'])('%s is none', async (name) => {
    const bad = defineAction({
      name: 'bad',
      description: 'sets what is not its to set',
      inputs: z.object({}),
      run: ({ connection }) => {
        connection[name] = 'x';
      },
    });
    const server = await startServer({ actions: [bad] });
    const ann = await WsClient.connect(server.url);
    expect(await ann.act('bad')).toMatchObject({ error: 'the server failed to do this', code: 'internal' });
    expect(server.log.lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    expect(await ann.data('detailsView')).toMatchObject({ id: ann.id, attributes: {} });
  });
});
