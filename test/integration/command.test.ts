/** The `earshot` command as a process: what it prints and where, its exit codes, and how it takes its leave. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { TcpClient, WsClient } from '../support/clients';
import { Command, commandFolder } from '../support/command';
import { eventually } from '../support/eventually';
import { arrived, connected, HttpClient, texts } from '../support/http-client';
import { redisSettings } from '../support/store-settings';

const root = path.join(__dirname, '../..');
jest.setTimeout(30_000);

describe('it says', () => {
  test('where it listens, what to try, and nothing else on standard output', async () => {
    const command = new Command(['--port', '0', '--socket-port', '0'], { EARSHOT_LOG_LEVEL: 'debug' });
    const { url, tcpPort } = await command.listening();
    const client = await arrived({ url });
    await client.say('hello');
    const socket = await TcpClient.connect(tcpPort);
    await socket.line('say hello');
    const chat = `${url}/chat/?method=`;
    expect(command.stdout.split('\n')).toEqual([
      `earshot listening on ${url}/ (tcp 127.0.0.1:${tcpPort})`,
      '',
      'Try:',
      `  curl -c jar -b jar "${chat}roomView"`,
      `  curl -c jar -b jar "${chat}say&message=hello%20world"`,
      `  curl -c jar -b jar "${chat}messages&wait=25"`,
      `  curl -N "${chat}messages&stream=ndjson"`,
      `  nc 127.0.0.1 ${tcpPort}`,
      '',
    ]);
  });

  test('when more connections are allowed than files may be open, and how to mend it', async () => {
    const starts = [1e9, 10].map(async (connections) => {
      const env = { EARSHOT_LIMITS_CONNECTIONS: String(connections) };
      const command = new Command(['--port', '0', '--socket-port', 'off'], env);
      await command.listening();
      command.signal('SIGTERM');
      await command.ended;
      return command.stderr;
    });
    const [many, few] = await Promise.all(starts);
    expect(many).toMatch(/"connections":1000000000.*fewer files may be open.*LimitNOFILE.*ulimit -n/);
    expect(few).not.toContain('fewer files');
  });

  test('its version, its help and its settings, with secrets masked; and ends', async () => {
    const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { version: string };
    const [plain, help, config] = await Promise.all([
      Command.run('--version'),
      Command.run('--help'),
      Command.run('config', '--port', '1234', '--redis-url', 'redis://user:hush@localhost/'),
    ]);
    expect(plain).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect([help.code, help.stderr]).toEqual([0, '']);
    for (const flag of ['--config FILE', '--host', '--port', '--socket-port', '--redis-url', '--workers']) {
      expect(help.stdout).toContain(flag);
    }
    expect([config.code, config.stderr]).toEqual([0, '']);
    expect(config.stdout).toMatch(/^servers\.web\.port +1234 +flag +EARSHOT_SERVERS_WEB_PORT$/m);
    expect(config.stdout).toMatch(/^commonWeb\.httpClientMessageTTL +300000 +default /m);
    expect(config.stdout).toContain('redis://user:***@');
    expect(config.stdout).not.toContain('hush');
  });
});

describe('it cannot start', () => {
  test('with settings that are wrong: all of them at once, a line each', async () => {
    writeFileSync(path.join(commandFolder(), 'earshot.config.json'), '{"chat":{"history":-1},"nonsense":1}');
    const { code, stdout, stderr } = await Command.run('--port', '99999', '--strange', '--socket-port', 'off');
    expect([code, stdout]).toEqual([1, '']);
    const [first, ...problems] = stderr.trimEnd().split('\n');
    expect(first).toBe('earshot: the settings cannot be used:');
    expect(problems).toHaveLength(4);
    for (const [name, from] of [
      ['--strange', '--help'],
      ['servers.web.port', 'flag --port'],
      ['chat.history', 'file earshot.config.json'],
      ['nonsense', 'file earshot.config.json'],
    ]) {
      expect(problems).toContainEqual(expect.stringMatching(new RegExp(`^ {2}${name!}.*${from!}`)));
    }
  });

  test.each([
    ['--port', '--socket-port'],
    ['--socket-port', '--port'],
  ])('when the port of %s is taken: one line', async (taken, other) => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    try {
      expect(await Command.run(taken, String(port), other, '0')).toEqual({
        code: 1,
        stdout: '',
        stderr: `earshot: 127.0.0.1:${port} is in use already; choose another port (--port, --socket-port, --admin-port)\n`,
      });
    } finally {
      holder.close();
    }
  });

  test('when Redis is not there: one line, without its password', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    holder.close();
    const { code, stdout, stderr } = await Command.run(
      '--port',
      '0',
      '--redis-url',
      `redis://user:hush@127.0.0.1:${port}/`,
    );
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(new RegExp(`^earshot: [^\\n]*127\\.0\\.0\\.1:${port}[^\\n]*\\n$`));
    expect(stderr).not.toContain('hush');
  });
});

describe('it takes its leave', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('at a %s: everybody is told, and it ends with 0', async (signal) => {
    const command = new Command(['--port', '0', '--socket-port', '0'], { EARSHOT_LIMITS_DRAIN: '1000' });
    const server = await command.listening();
    const client = await arrived(server);
    const { cursor } = await client.ok('messages');
    const poll = client.get('messages', { wait: 60 });
    const streamer = await connected(server);
    await streamer.stream('sse');
    const socket = await TcpClient.connect(server.tcpPort);
    const webSocket = await WsClient.connect(server.url);
    await socket.data('say', { message: 'one' });
    expect(texts((await poll).body)).toEqual(['one']);
    const parked = client.get('messages', { wait: 60 });
    await client.ok('detailsView');

    command.signal(signal);
    expect((await parked).body).toEqual({ messages: [], cursor: expect.not.stringMatching(cursor as string) });
    expect((await webSocket.closed).code).toBe(1012);
    expect(await socket.others.next()).toEqual({ status: 'Bye!', context: 'api' });
    await socket.closed;
    expect(await command.ended).toBe(0);
    expect(command.stderr).not.toMatch(/"level":"(warn|error)"/);
  });

  test('a second signal ends it now', async () => {
    const command = new Command(['--port', '0', '--socket-port', '0'], { EARSHOT_LIMITS_DRAIN: '25000' });
    const server = await command.listening();
    // Who takes its answer and keeps its connection is waited for; so there is time for a second signal.
    const client = await arrived(server);
    const poll = client.get('messages', { wait: 60 });
    await client.ok('detailsView');
    command.signal('SIGTERM');
    await poll;
    command.signal('SIGTERM');
    // By the first signal alone it would be 0, half a minute later.
    expect(await command.ended).toBe(1);
  });

  test('nobody who comes while it goes is refused what it can still have', async () => {
    const command = new Command(['--port', '0', '--socket-port', 'off'], { EARSHOT_LIMITS_DRAIN: '1000' });
    const server = await command.listening();
    const [client, other] = [await arrived(server), await arrived(server)];
    const poll = client.get('messages', { wait: 60 });
    await eventually(async () => (await other.ok('roomView')).roomStatus.membersCount === 2);
    command.signal('SIGTERM');
    await poll;
    // The connection that a proxy keeps is answered once more, and closed then.
    const last = await other.get('say', { message: 'last words' });
    expect([last.status, last.headers.connection]).toEqual([200, 'close']);
    // Whoever comes before a proxy has seen that the node goes is served as well.
    const refused = async (): Promise<boolean> => {
      const answer = new HttpClient(server.url).get('roomView');
      return answer.then(() => false).catch((error: unknown) => (error as { code?: string }).code === 'ECONNREFUSED');
    };
    await eventually(refused);
    expect(await command.ended).toBe(0);
  });
});

test('its log has no tokens, whatever happens to those who have them', async () => {
  const command = new Command(['--port', '0', '--socket-port', '0'], {
    EARSHOT_LOG_LEVEL: 'trace',
    EARSHOT_GENERAL_SECRET: 's'.repeat(40),
  });
  const server = await command.listening();
  const [client, bearer] = [await arrived(server), await connected(server)];
  const socket = await TcpClient.connect(server.tcpPort);
  const tokens = [client.cookies.get('sessionID') ?? '', bearer.session, socket.session, 's'.repeat(40)];
  await bearer.stream('ndjson');
  for (const who of [client, bearer]) {
    await who.request('GET', `/chat/?method=say&session=${tokens[0]!}&message=x`);
    await who.request('GET', `/chat/nothing?sessionID=${tokens[0]!}`);
    await who.request('PUT', '/chat/', { session: bearer.session });
  }
  await socket.ask('resume', { session: bearer.session });
  await socket.ask('resume', { session: 'wrong' });
  socket.abandon();
  bearer.abandon();
  command.signal('SIGTERM');
  await command.ended;
  for (const token of tokens) {
    expect(token.length).toBeGreaterThan(20);
    expect(command.stdout + command.stderr).not.toContain(token);
  }
});

describe('several workers', () => {
  test('share the port and the rooms; one that dies is replaced; all leave together', async () => {
    const { url, prefix } = redisSettings();
    const command = new Command(['--port', '0', '--socket-port', 'off', '--workers', '2', '--redis-url', url!], {
      EARSHOT_REDIS_PREFIX: prefix,
      EARSHOT_LIMITS_DRAIN: '1000',
    });
    const server = await command.listening();
    const clients = [await arrived(server), await arrived(server), await arrived(server)];
    for (const [index, client] of clients.entries()) await client.say(String(index));
    expect(texts(await clients[0]!.ok('messages'))).toEqual(['1', '2']);

    // Connections go to each in turn. With the last worker the port would go, and a free one be another.
    const nodes = new Set<unknown>();
    const both = async (): Promise<boolean> => {
      nodes.add((await new HttpClient(server.url).api('status')).body.id);
      return nodes.size === 2;
    };
    await eventually(both, 20_000);
    const before = command.children();
    expect(before).toHaveLength(2);
    process.kill(before[0]!, 'SIGKILL');
    await eventually(() => command.children().filter((pid) => !before.includes(pid)).length === 1);
    nodes.clear();
    await eventually(both, 20_000);
    await clients[1]!.say('again');
    expect(texts(await clients[0]!.ok('messages'))).toEqual(['again']);
    expect(command.stdout.match(/listening/g)).toHaveLength(1);
    command.signal('SIGTERM');
    expect(await command.ended).toBe(0);
  });

  test('need a Redis, and end with 1 when they cannot start', async () => {
    const alone = await Command.run('--port', '0', '--workers', '2');
    expect([alone.code, alone.stdout]).toEqual([1, '']);
    expect(alone.stderr).toContain('--workers needs a Redis');

    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    try {
      const { url } = redisSettings();
      const { code, stderr } = await Command.run(
        '--port',
        String(port),
        '--socket-port',
        'off',
        '--workers',
        '2',
        '--redis-url',
        url!,
      );
      expect(code).toBe(1);
      const use = 'choose another port (--port, --socket-port, --admin-port)';
      expect(stderr).toBe(`earshot: 127.0.0.1:${port} is in use already; ${use}\n`);
    } finally {
      holder.close();
    }
  });
});
