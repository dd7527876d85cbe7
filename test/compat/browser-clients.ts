/** What a page written with ActionHero's generated browser client sees, whichever of its two generations it loads. */
import { startServer } from '../support/server';
import { Gate, repeat } from './actions';
import { Ear, until } from './ear';
import type { Parsed } from './ear';
import { generatedScript } from './generations';
import type { Generation } from './generations';
import { runInWindow } from './window';
import type { BrowserClient } from './window';

const events = ['connected', 'welcome', 'say', 'api', 'message', 'reconnect', 'disconnected', 'error'];

/** The client's words for Primus' options: come back at once, so that a restart costs the test little. */
const impatient = { reconnect: { min: 10, max: 50, retries: 200 } };

type Method = (...values: readonly unknown[]) => void;

export function browserClientTests(generation: Generation): void {
  let script = '';
  const created: BrowserClient[] = [];

  beforeAll(async () => {
    script = await generatedScript(generation);
  }, 60_000);

  afterEach(() => {
    for (const each of created.splice(0)) each.client?.end();
  });

  function open(url: string, options: Readonly<Record<string, unknown>> = {}) {
    const Client = runInWindow(script, generation.global, url);
    const client = new Client({ ...impatient, ...options });
    created.push(client);
    const ear = new Ear(client, events);
    return {
      client,
      ear,
      connect: () =>
        ear.within(
          new Promise<Parsed>((resolve, reject) => {
            client.connect((error, details) => (error ? reject(error) : resolve(details)));
          }),
          'connection',
        ),
      /** Calls the client's method with a callback behind its arguments, and gives what the callback got. */
      ask: (name: string, ...values: readonly unknown[]) =>
        ear.within(
          new Promise<Parsed>((resolve) => {
            (client[name as keyof BrowserClient] as Method).call(client, ...values, resolve);
          }),
          `answer to ${name}(${values.map((value) => JSON.stringify(value)).join(', ')})`,
        ),
    };
  }

  async function connect(url: string, options: Readonly<Record<string, unknown>> = {}) {
    const page = open(url, options);
    await page.connect();
    return page;
  }

  test('connects: a welcome, an id, a fingerprint, and the default room', async () => {
    const server = await startServer();
    const ann = open(server.url);
    const details = await ann.connect();

    expect(details).toMatchObject({ status: 'OK', context: 'response', data: { id: ann.client.id } });
    expect(details.data).toMatchObject({
      remoteIP: '127.0.0.1',
      remotePort: expect.any(Number),
      params: expect.any(Object),
      connectedAt: expect.any(Number),
      totalActions: 0,
      pendingActions: 0,
    });
    expect(ann.client.id).toEqual(expect.stringMatching(/\S/));
    expect(ann.client.fingerprint).toEqual(expect.stringMatching(/\S/));
    expect(ann.client.rooms).toEqual(['defaultRoom']);
    expect(ann.client.state).toBe('connected');
    expect(await ann.ear.next('welcome')).toMatchObject({ welcome: expect.stringMatching(/\S/), context: 'api' });
    await ann.ear.next('connected');

    const bob = await connect(server.url);
    expect(bob.client.id).not.toBe(ann.client.id);
  });

  test('the default room: a page that joins it first thing, as their documentation has it, is in it and hears it', async () => {
    const server = await startServer();
    const ann = await connect(server.url);
    const bob = await connect(server.url);
    await ann.ask('roomAdd', 'defaultRoom');
    await bob.ask('roomAdd', 'defaultRoom');

    expect(ann.client.rooms).toEqual(['defaultRoom']);
    await bob.ask('say', 'defaultRoom', 'good morning');
    expect(await ann.ear.next('say')).toMatchObject({ message: 'good morning', from: bob.client.id });
  });

  test('joins, looks at and leaves rooms, and knows which it is in', async () => {
    const server = await startServer();
    const ann = await connect(server.url);
    const bob = await connect(server.url);

    expect(await ann.ask('roomAdd', 'garden')).toMatchObject({ status: 'OK', context: 'response', data: true });
    expect(ann.client.rooms).toContain('garden');
    await bob.ask('roomAdd', 'garden');

    const { data } = await ann.ask('roomView', 'garden');
    expect(data).toMatchObject({ room: 'garden', membersCount: 2 });
    expect(Object.keys(data.members).sort()).toEqual([ann.client.id, bob.client.id].sort());
    expect(data.members[bob.client.id]).toMatchObject({ id: bob.client.id, joinedAt: expect.any(Number) });

    expect(await bob.ask('roomLeave', 'garden')).toMatchObject({ status: 'OK', data: true });
    expect(bob.client.rooms).not.toContain('garden');
    expect((await ann.ask('roomView', 'garden')).data.membersCount).toBe(1);
  });

  test('joins a dozen rooms one after the other, though each time it asks again for all it is in', async () => {
    const server = await startServer();
    const ann = await connect(server.url);
    const rooms = Array.from({ length: 12 }, (_, nth) => `room-${nth}`);

    for (const room of rooms) expect(await ann.ask('roomAdd', room)).toMatchObject({ status: 'OK' });
    expect([...ann.client.rooms].sort()).toEqual(['defaultRoom', ...rooms].sort());
  });

  test('is told in plain words what it may not do', async () => {
    const server = await startServer();
    const ann = await connect(server.url);
    await ann.ask('roomAdd', 'garden');

    const refused = async (name: string, ...values: readonly unknown[]): Promise<void> => {
      const { status, error } = await ann.ask(name, ...values);
      expect(status).toBe(error);
      throw new Error(error);
    };
    await expect(refused('roomAdd', 'garden')).rejects.toThrow('Error: connection already in this room (garden)');
    await expect(refused('roomView', 'cellar')).rejects.toThrow('Error: connection not in this room (cellar)');
    await expect(refused('roomLeave', 'cellar')).rejects.toThrow('Error: connection not in this room (cellar)');
    await expect(refused('say', 'garden', undefined)).rejects.toThrow('Error: both room and message are required');
    expect(ann.client.rooms).toContain('garden');
  });

  test('says and hears text and any JSON, unchanged, and does not hear itself', async () => {
    const server = await startServer();
    const ann = await connect(server.url);
    const bob = await connect(server.url);
    await ann.ask('roomAdd', 'garden');
    await bob.ask('roomAdd', 'garden');

    for (const message of ['two  spaces \u{1d11e} \u2028 ü', { x: [1, null, 'y'] }, 'false']) {
      expect(await ann.ask('say', 'garden', message)).toMatchObject({ status: 'OK', context: 'response' });
      expect(await bob.ear.next('say')).toMatchObject({
        message,
        room: 'garden',
        from: ann.client.id,
        context: 'user',
        sentAt: expect.any(Number),
      });
    }

    await bob.ask('say', 'garden', 'over');
    expect(await ann.ear.next('say')).toMatchObject({ message: 'over', from: bob.client.id });
    expect(ann.ear.all('say')).toHaveLength(1);
  });

  test('hears itself where the server is set to ActionHero’s way', async () => {
    const server = await startServer({ config: { general: { echo: true } } });
    const ann = await connect(server.url);

    await ann.ask('say', 'defaultRoom', 'anybody?');
    expect(await ann.ear.next('say')).toMatchObject({ message: 'anybody?', from: ann.client.id });
  });

  test('may not say where it is not', async () => {
    const server = await startServer();
    const ann = await connect(server.url);
    const bob = await connect(server.url);
    await bob.ask('roomAdd', 'cellar');

    expect(await ann.ask('say', 'cellar', 'psst')).toMatchObject({
      error: 'Error: connection not in this room (cellar)',
      data: { message: 'psst' },
    });
  });

  test('runs actions', async () => {
    const server = await startServer({ actions: [repeat] });
    const ann = await connect(server.url);

    const status = await ann.ask('action', 'status');
    expect(status).toMatchObject({ context: 'response', uptime: expect.any(Number) });
    expect(status).not.toHaveProperty('error');
    expect((await ann.ask('action', 'repeat', { key: { deep: [1] } })).repeated).toEqual({ key: { deep: [1] } });
    expect((await ann.ask('action', 'repeat', {})).error).toBe('key is a required parameter for this action');
    expect((await ann.ask('action', 'noSuchAction')).error).toBe('unknown action or invalid apiVersion');
  });

  test('gets each request its own answer, when many are sent at once', async () => {
    const server = await startServer({ actions: [repeat] });
    const ann = await connect(server.url);
    await ann.ask('roomAdd', 'garden');

    const answers = await Promise.all([
      ann.ask('action', 'repeat', { key: 'first' }),
      ann.ask('roomView', 'garden'),
      ann.ask('action', 'noSuchAction'),
      ann.ask('detailsView'),
      ann.ask('say', 'garden', 'hello'),
      ann.ask('action', 'repeat', { key: 'last' }),
      ann.ask('roomView', 'cellar'),
      ...Array.from({ length: 13 }, () => ann.ask('detailsView')),
      ann.ask('action', 'status'),
    ]);

    expect(answers[0].repeated).toEqual({ key: 'first' });
    expect(answers[1].data).toMatchObject({ room: 'garden', membersCount: 1 });
    expect(answers[2].error).toBe('unknown action or invalid apiVersion');
    expect(answers[3].data.id).toBe(ann.client.id);
    expect(answers[4].status).toBe('OK');
    expect(answers[5].repeated).toEqual({ key: 'last' });
    expect(answers[6].error).toBe('Error: connection not in this room (cellar)');
    for (const details of answers.slice(7, 20)) expect(details.data.rooms).toEqual(ann.client.rooms);
    expect(answers[20].uptime).toEqual(expect.any(Number));
  });

  test('is refused a sixth action while five are running, and no verb', async () => {
    const gate = new Gate();
    const server = await startServer({ actions: [gate.action] });
    const ann = await connect(server.url);

    const running = Array.from({ length: 5 }, () => ann.ask('action', 'gate'));
    expect((await ann.ask('action', 'gate')).error).toBe('you have too many pending requests');
    expect((await ann.ask('detailsView')).data.pendingActions).toBe(5);

    gate.open();
    for (const { passed } of await Promise.all(running)) expect(passed).toBe(true);
  });

  test('runs actions over HTTP while it is not connected', async () => {
    const server = await startServer({ actions: [repeat] });
    const ann = open(server.url);

    expect((await ann.ask('action', 'repeat', { key: 'posted' })).repeated).toEqual({ key: 'posted' });
    expect((await ann.ask('action', 'repeat', { key: 'got', httpMethod: 'GET' })).repeated).toEqual({ key: 'got' });
    expect((await ann.ask('action', 'noSuchAction')).error).toBe('Error: unknown action or invalid apiVersion');
  });

  test('reads the documentation, and is told that a file is not there', async () => {
    const server = await startServer({ actions: [repeat] });
    const ann = await connect(server.url);

    expect((await ann.ask('documentation')).data.repeat['1']).toMatchObject({
      name: 'repeat',
      version: 1,
      description: 'gives back what it was given',
      inputs: { key: { required: true } },
    });
    expect(await ann.ask('file', 'no-such-file.html')).toMatchObject({
      context: 'response',
      error: expect.stringMatching(/\S/),
    });
  });

  test('learns its Primus id', async () => {
    const server = await startServer();
    const ann = await connect(server.url);

    const id = await ann.ear.within(new Promise<string>((resolve) => ann.client.client!.id(resolve)), 'Primus id');
    expect(id).toEqual(expect.stringMatching(/\S/));
  });

  test('is gone from its rooms when it disconnects', async () => {
    const server = await startServer();
    const ann = await connect(server.url);
    const bob = await connect(server.url);
    await ann.ask('roomAdd', 'garden');
    await bob.ask('roomAdd', 'garden');

    bob.client.disconnect();
    expect(bob.client.state).toBe('disconnected');
    const view = await until(
      () => ann.ask('roomView', 'garden'),
      ({ data }) => data.membersCount === 1,
      'alone in the room',
    );
    expect(Object.keys(view.data.members)).toEqual([ann.client.id]);
  });

  test('comes back by itself after a restart', async () => {
    const server = await startServer();
    const { port } = server;
    const ann = await connect(server.url);
    await ann.ear.next('connected');
    await ann.ear.next('welcome');
    await ann.ask('roomAdd', 'garden');
    const before = ann.client.id;

    await server.close();
    await ann.ear.next('disconnected');
    const again = await startServer({ config: { servers: { web: { port } } } });
    await ann.ear.next('welcome');

    if (generation.rejoins) {
      await ann.ear.next('connected');
      expect(ann.client.id).not.toBe(before);
    } else {
      // Left to the page. ActionHero 19 to 29 keep the old id, too, until they are asked for something that configures them.
      expect(await ann.ask('roomAdd', 'garden')).toMatchObject({ context: 'response' });
    }
    expect([...ann.client.rooms].sort()).toEqual(['defaultRoom', 'garden']);

    const bob = await connect(again.url);
    await bob.ask('roomAdd', 'garden');
    await bob.ask('say', 'garden', 'still there?');
    expect(await ann.ear.next('say')).toMatchObject({ message: 'still there?', room: 'garden' });
  });

  test('can be disconnected and connected again', async () => {
    const server = await startServer();
    const ann = await connect(server.url);
    const before = ann.client.id;

    ann.client.disconnect();
    await ann.connect();
    expect(ann.client.id).not.toBe(before);
    expect(ann.client.state).toBe('connected');
    expect((await ann.ask('detailsView')).data.id).toBe(ann.client.id);
  });

  if (generation.pings) {
    test('pings, and is answered', async () => {
      const server = await startServer();
      const ann = await connect(server.url, { ping: 20, pong: 2000 });
      const primus = new Ear(ann.client.client!, ['outgoing::ping', 'incoming::pong', 'close', 'end']);

      const first: number = await primus.next('outgoing::ping');
      expect(await primus.next('incoming::pong')).toBe(first);
      await primus.next('incoming::pong');
      expect([...primus.all('close'), ...primus.all('end')]).toEqual([]);
    });
  }
}
