/** What a program written with ActionHero's client for Node sees, whichever of its three versions it uses. */
import type { Socket } from 'node:net';
import { startServer } from '../support/server';
import { Gate, repeat } from './actions';
import { Ear, until } from './ear';
import type { Emitter, Parsed } from './ear';

export interface Answer {
  readonly error: Error | null;
  /** The whole line as the client parsed it. */
  readonly line: Parsed;
}

/** One version's client, its callbacks or promises turned into promises. */
export interface NodeClient {
  readonly client: Emitter & { readonly id: string | null };
  socket(): Socket;
  connect(params: Readonly<Record<string, unknown>>): Promise<void>;
  ask(method: string, ...values: readonly unknown[]): Promise<Answer>;
  disconnect(): void;
  /** For the end of a test: whatever becomes of the socket, the client shall not come back. */
  stop(): void;
}

export interface NodeClientSuite {
  create(): NodeClient;
  /** Version 8 sends one request at a time, the others as many as they are given. */
  readonly pipelines: boolean;
  /** Version 8 has no `documentation()`. */
  readonly documentation: boolean;
}

const events = ['welcome', 'connected', 'say', 'data', 'error', 'end', 'timeout'];

export function nodeClientTests({ create, pipelines, documentation }: NodeClientSuite): void {
  const created: NodeClient[] = [];

  afterEach(() => {
    for (const each of created.splice(0)) each.stop();
  });

  async function connect(port: number | null): Promise<NodeClient & { readonly ear: Ear; readonly id: string }> {
    const each = create();
    created.push(each);
    const ear = new Ear(each.client, events);
    const params = { host: '127.0.0.1', port, timeout: 3000, reconnectTimeout: 20, reconnectAttempts: 200 };
    await ear.within(each.connect(params), 'connection');
    return Object.assign(each, { ear, id: each.client.id! });
  }

  test('connects: a welcome, an id of its own, and its details', async () => {
    const server = await startServer();
    const ann = await connect(server.tcpPort);
    const bob = await connect(server.tcpPort);

    expect(await ann.ear.next('welcome')).toEqual(expect.stringMatching(/\S/));
    expect(ann.id).toEqual(expect.stringMatching(/\S/));
    expect(ann.id).not.toBe(bob.id);

    const { error, line } = await ann.ask('detailsView');
    expect(error).toBeNull();
    expect(line).toMatchObject({ status: 'OK', context: 'response' });
    expect(line.data).toMatchObject({
      id: ann.id,
      fingerprint: expect.any(String),
      remoteIP: '127.0.0.1',
      remotePort: ann.socket().localPort,
      params: expect.any(Object),
      connectedAt: expect.any(Number),
      rooms: expect.any(Array),
      totalActions: 0,
      pendingActions: 0,
    });
  });

  test('the default room: a client that joins it first thing, as their documentation has it, is in it and hears it', async () => {
    const server = await startServer();
    const ann = await connect(server.tcpPort);
    const bob = await connect(server.tcpPort);
    await ann.ask('roomAdd', 'defaultRoom');
    await bob.ask('roomAdd', 'defaultRoom');

    const { line } = await ann.ask('detailsView');
    expect(line.data.rooms).toEqual(['defaultRoom']);
    expect(await bob.ask('say', 'defaultRoom', 'good morning')).toMatchObject({ error: null });
    expect(await ann.ear.next('say')).toMatchObject({ message: 'good morning', from: bob.id });
  });

  test('joins, looks at and leaves rooms', async () => {
    const server = await startServer();
    const ann = await connect(server.tcpPort);
    const bob = await connect(server.tcpPort);

    expect(await ann.ask('roomAdd', 'garden')).toMatchObject({ error: null, line: { status: 'OK', data: true } });
    expect(await bob.ask('roomAdd', 'garden')).toMatchObject({ error: null });
    expect((await ann.ask('detailsView')).line.data.rooms).toContain('garden');

    const view = await ann.ask('roomView', 'garden');
    expect(view.error).toBeNull();
    expect(view.line.data).toMatchObject({ room: 'garden', membersCount: 2 });
    expect(Object.keys(view.line.data.members).sort()).toEqual([ann.id, bob.id].sort());
    expect(view.line.data.members[bob.id]).toMatchObject({ id: bob.id, joinedAt: expect.any(Number) });

    expect(await bob.ask('roomLeave', 'garden')).toMatchObject({ error: null, line: { status: 'OK', data: true } });
    expect((await bob.ask('detailsView')).line.data.rooms).not.toContain('garden');
    expect((await ann.ask('roomView', 'garden')).line.data.membersCount).toBe(1);
  });

  test('is told in plain words what it may not do', async () => {
    const server = await startServer();
    const ann = await connect(server.tcpPort);
    await ann.ask('roomAdd', 'garden');

    const refused = async (...request: [string, ...unknown[]]): Promise<string | undefined> =>
      (await ann.ask(...request)).error?.message;
    expect(await refused('roomAdd', 'garden')).toBe('connection already in this room (garden)');
    expect(await refused('roomView', 'cellar')).toBe('connection not in this room (cellar)');
    expect(await refused('roomLeave', 'cellar')).toBe('connection not in this room (cellar)');
    expect(await refused('action', 'noSuchAction')).toBe('unknown action or invalid apiVersion');
    expect(await refused('actionWithParams', 'repeat_', { key: 1 })).toBe('unknown action or invalid apiVersion');
  });

  test('is refused a room that does not exist, where rooms are made beforehand', async () => {
    const general = { createRoomsOnJoin: false, startingChatRooms: ['garden'] };
    const server = await startServer({ config: { general } });
    const ann = await connect(server.tcpPort);

    expect((await ann.ask('roomAdd', 'garden')).error).toBeNull();
    expect((await ann.ask('roomAdd', 'cellar')).error?.message).toBe('room does not exist');
  });

  test('says and hears, the words unchanged, and does not hear itself', async () => {
    const server = await startServer();
    const ann = await connect(server.tcpPort);
    const bob = await connect(server.tcpPort);
    await ann.ask('roomAdd', 'garden');
    await bob.ask('roomAdd', 'garden');

    const words = 'two  spaces, "quotes", {"json":1} and \u{1d11e} ü';
    const said = await ann.ask('say', 'garden', words);
    expect(said.error).toBeNull();
    expect(said.line).toMatchObject({ status: 'OK', context: 'response' });
    expect(await bob.ear.next('say')).toMatchObject({ message: words, from: ann.id });
    expect(bob.ear.all('data')).toContainEqual(
      expect.objectContaining({ context: 'user', room: 'garden', sentAt: expect.any(Number) }),
    );

    await bob.ask('say', 'garden', 'over');
    expect(await ann.ear.next('say')).toMatchObject({ message: 'over', from: bob.id });
    expect(ann.ear.all('say')).toHaveLength(1);
  });

  test('may not say where it is not', async () => {
    const server = await startServer();
    const ann = await connect(server.tcpPort);
    const bob = await connect(server.tcpPort);
    await bob.ask('roomAdd', 'cellar');

    const { error } = await ann.ask('say', 'cellar', 'psst');
    expect(error?.message).toBe('connection not in this room (cellar)');
  });

  test('runs actions, with params of the request alone', async () => {
    const server = await startServer({ actions: [repeat] });
    const ann = await connect(server.tcpPort);

    const status = await ann.ask('action', 'status');
    expect(status.error).toBeNull();
    expect(status.line).toMatchObject({ context: 'response', uptime: expect.any(Number) });
    expect(status.line).not.toHaveProperty('error');

    await ann.ask('paramAdd', 'value', 'sticky');
    const own = await ann.ask('actionWithParams', 'repeat', { key: 'own' });
    expect(own.error).toBeNull();
    expect(own.line.repeated).toEqual({ key: 'own' });

    const missing = await ann.ask('actionWithParams', 'repeat', { other: 1 });
    expect(missing.error?.message).toBe('key is a required parameter for this action');
  });

  test('has sticky params, for actions that come without', async () => {
    const server = await startServer({ actions: [repeat] });
    const ann = await connect(server.tcpPort);

    expect(await ann.ask('paramAdd', 'key', 'a=b')).toMatchObject({ error: null, line: { status: 'OK' } });
    expect(await ann.ask('paramAdd', 'value', 'v')).toMatchObject({ error: null });
    expect((await ann.ask('paramView', 'key')).line.data).toBe('a=b');
    expect((await ann.ask('paramsView')).line.data).toMatchObject({ key: 'a=b', value: 'v' });
    expect((await ann.ask('action', 'repeat')).line.repeated).toEqual({ key: 'a=b', value: 'v' });

    expect(await ann.ask('paramDelete', 'value')).toMatchObject({ error: null });
    expect((await ann.ask('action', 'repeat')).line.repeated).toEqual({ key: 'a=b' });
    expect(await ann.ask('paramsDelete')).toMatchObject({ error: null });
    expect((await ann.ask('paramsView')).line.data).not.toHaveProperty('key');
    expect((await ann.ask('action', 'repeat')).error?.message).toBe('key is a required parameter for this action');
  });

  test('gets each request its own answer, when many are sent at once', async () => {
    const server = await startServer({ actions: [repeat] });
    const ann = await connect(server.tcpPort);
    await ann.ask('roomAdd', 'garden');

    const answers = await Promise.all([
      ann.ask('actionWithParams', 'repeat', { key: 'first' }),
      ann.ask('roomView', 'garden'),
      ann.ask('action', 'noSuchAction'),
      ann.ask('detailsView'),
      ann.ask('say', 'garden', 'hello'),
      ann.ask('actionWithParams', 'repeat', { key: 'last' }),
      ann.ask('roomView', 'cellar'),
      ...Array.from({ length: 13 }, (_, nth) => ann.ask('roomAdd', `room-${nth}`)),
      ann.ask('action', 'status'),
    ]);

    expect(answers[0].line.repeated).toEqual({ key: 'first' });
    expect(answers[1].line.data).toMatchObject({ room: 'garden', membersCount: 1 });
    expect(answers[2].error?.message).toBe('unknown action or invalid apiVersion');
    expect(answers[3].line.data.id).toBe(ann.id);
    expect(answers[4].line.status).toBe('OK');
    expect(answers[5].line.repeated).toEqual({ key: 'last' });
    expect(answers[6].error?.message).toBe('connection not in this room (cellar)');
    expect(answers.slice(7, 20)).toEqual(Array(13).fill(expect.objectContaining({ error: null })));
    expect(answers[20]?.line.uptime).toEqual(expect.any(Number));
    expect(ann.ear.all('timeout')).toEqual([]);
  });

  test('gets an answer to file(), though no files are to be had: without one its process ends', async () => {
    const server = await startServer();
    const ann = await connect(server.tcpPort);

    void ann.ask('file', 'logo.png');
    const line = await ann.ear.next('data', (data) => data.context === 'response' && 'error' in data);
    expect(line.error).toEqual(expect.stringMatching(/\S/));
    expect((await ann.ask('detailsView')).line.data.id).toBe(ann.id);
  });

  test('says goodbye, hears "Bye!", and is gone from its rooms', async () => {
    const server = await startServer();
    const ann = await connect(server.tcpPort);
    const bob = await connect(server.tcpPort);
    await ann.ask('roomAdd', 'garden');
    await bob.ask('roomAdd', 'garden');

    bob.disconnect();
    await bob.ear.next('end');
    expect(bob.ear.all('data').at(-1)).toMatchObject({ status: 'Bye!', context: 'api' });
    expect(bob.ear.all('error')).toEqual([]);

    const alone = await until(
      () => ann.ask('roomView', 'garden'),
      ({ line }) => line.data.membersCount === 1,
      'alone in the room',
    );
    expect(Object.keys(alone.line.data.members)).toEqual([ann.id]);
  });

  test('comes back by itself after a restart, as a new client', async () => {
    const server = await startServer();
    const port = server.tcpPort;
    const ann = await connect(port);
    await ann.ear.next('connected');

    await server.close();
    await ann.ear.next('end');
    expect(ann.ear.all('data').at(-1)).toMatchObject({ status: 'Bye!', context: 'api' });

    await startServer({ config: { servers: { socket: { port } } } });
    await ann.ear.next('connected');
    expect(ann.client.id).not.toBe(ann.id);
    expect(await ann.ask('roomAdd', 'garden')).toMatchObject({ error: null });
    expect((await ann.ask('roomView', 'garden')).line.data.membersCount).toBe(1);
  });

  if (documentation) {
    test('reads the documentation of the actions', async () => {
      const server = await startServer({ actions: [repeat] });
      const ann = await connect(server.tcpPort);

      const { error, line } = await ann.ask('documentation');
      expect(error).toBeNull();
      expect(line.data.repeat['1']).toMatchObject({
        name: 'repeat',
        version: 1,
        description: 'gives back what it was given',
        inputs: { key: { required: true } },
      });
    });
  }

  if (pipelines) {
    test('is refused a sixth action while five are running, and no verb', async () => {
      const gate = new Gate();
      const server = await startServer({ actions: [gate.action] });
      const ann = await connect(server.tcpPort);

      const running = Array.from({ length: 5 }, () => ann.ask('action', 'gate'));
      const sixth = await ann.ask('action', 'gate');
      expect(sixth.error?.message).toBe('you have too many pending requests');
      expect((await ann.ask('detailsView')).line.data.pendingActions).toBe(5);

      gate.open();
      for (const { error, line } of await Promise.all(running)) {
        expect(error).toBeNull();
        expect(line.passed).toBe(true);
      }
    });
  }
}
