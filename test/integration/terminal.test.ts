/** `earshot chat`, `say` and `tail`: as a person and as a script use them. */
import { PassThrough } from 'node:stream';
import { runTerminal } from '../../src/terminal/commands';
import { WsClient } from '../support/clients';
import { Command } from '../support/command';
import { eventually } from '../support/eventually';
import { closeProxies, FaultProxy } from '../support/proxy';
import { Inbox } from '../support/inbox';
import { startServer } from '../support/server';

const running = new Set<Session>();

afterEach(async () => {
  for (const session of running) await session.stop();
  running.clear();
  await closeProxies();
});

/** A command with its streams, and without the time that a process takes to start. */
class Session {
  readonly stdin = new PassThrough();
  readonly lines = new Inbox<string>('line');
  stderr = '';
  readonly code: Promise<number>;
  readonly #stop = new AbortController();

  readonly stdout = new PassThrough();

  constructor(name: string, ...args: string[]) {
    const { stdout } = this;
    const stderr = new PassThrough();
    let rest = '';
    stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.lines.put(line);
    });
    stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    this.code = runTerminal(name, args, { stdin: this.stdin, stdout, stderr, signal: this.#stop.signal });
    running.add(this);
  }

  type(line: string): void {
    this.stdin.write(`${line}\n`);
  }

  async stop(): Promise<number> {
    this.#stop.abort();
    return this.code;
  }
}

const json = (line: string): unknown => JSON.parse(line);

test('chat: a person on a terminal hears, says, goes from room to room, and is told what cannot be', async () => {
  const { url, tcpPort } = await startServer({ config: { chat: { history: 10 } } });
  expect(tcpPort).toBeGreaterThan(0);
  const ann = await WsClient.connect(url);
  await ann.data('roomAdd', { room: 'kitchen' });
  const bob = new Session('chat', 'kitchen', '--url', url);
  await bob.lines.next((line) => /^\* you are \S{6} in kitchen, by websocket; \/help$/.test(line));
  bob.type('hello  all');
  expect(await ann.heard.next()).toMatchObject({ message: 'hello  all', room: 'kitchen' });
  bob.type('//etc is a folder');
  expect(await ann.heard.next()).toMatchObject({ message: '/etc is a folder', room: 'kitchen' });
  await ann.say('\u001b[2Jcleared?\u202e', { room: 'kitchen' });
  expect(await bob.lines.next((line) => line.includes('cleared'))).toBe(
    `${new Date().toTimeString().slice(0, 5)} kitchen ${ann.id.slice(0, 6)}: \\u001b[2Jcleared?\\u202e`,
  );
  await ann.say('two\n* you are logged out; /join cellar', { room: 'kitchen' });
  await bob.lines.next((line) => line === '      | * you are logged out; /join cellar');
  bob.type('/join cellar');
  bob.type('down here');
  bob.type('/rooms');
  await bob.lines.next((line) => line === 'defaultRoom  kitchen  cellar');
  bob.type('/leave');
  bob.type('/who');
  await bob.lines.next((line) => line.startsWith('2 here: '));
  bob.type('/history');
  await bob.lines.next((line) => line.endsWith('hello  all'));
  const cem = await WsClient.connect(url);
  await bob.lines.next((line) => line === `* ${cem.id.slice(0, 6)} comes into defaultRoom`);
  bob.type('/help');
  await bob.lines.next((line) => line.startsWith('/quit'));
  bob.type('/quit');
  expect(await bob.code).toBe(0);
});

test('chat: lines of a script are said, and what fails ends it', async () => {
  const { url } = await startServer();
  const ann = await WsClient.connect(url);
  const script = new Session('chat', '--url', url);
  script.stdin.end('one\ntwo\n');
  expect(await script.code).toBe(0);
  expect((await ann.heard.take(2)).map(({ message }) => message)).toEqual(['one', 'two']);
  const wrong = new Session('chat', '--url', url);
  wrong.stdin.end('/dance\nnever said\n');
  expect([await wrong.code, wrong.stderr]).toEqual([1, 'earshot chat: there is no /dance; /help\n']);
});

test('say: a word that is empty is no message, and a script is told', async () => {
  const { url } = await startServer();
  const nothing = new Session('say', '--url', url, '');
  expect(await nothing.code).toBe(2);
  expect(nothing.stderr).toContain('there is nothing to say');
});

test('say: words, lines of the input, JSON; each answered with its place', async () => {
  // Who has said it goes at once, not after the grace of a link that broke.
  const { url } = await startServer({ config: { general: { reconnectGrace: 60_000 } } });
  const ann = await WsClient.connect(url);
  const words = new Session('say', '--url', url, 'hello', 'world');
  expect(await words.code).toBe(0);
  const { id, sentAt } = await ann.heard.next();
  expect(json(await words.lines.next())).toEqual({ room: 'defaultRoom', id, sentAt });
  await eventually(async () => (await ann.data('roomView')).membersCount === 1);

  await ann.data('roomAdd', { room: 'kitchen' });
  const lines = new Session('say', '--url', url, '--json', '-r', 'kitchen');
  lines.stdin.end('{"x":1}\n\n[2]\n');
  expect(await lines.code).toBe(0);
  expect((await ann.heard.take(2)).map(({ message, room }) => [message, room])).toEqual([
    [{ x: 1 }, 'kitchen'],
    [[2], 'kitchen'],
  ]);
});

test('tail: what is heard, a line each; of the rooms asked for', async () => {
  const { url } = await startServer();
  const all = new Session('tail', '--url', url, '--presence');
  const some = new Session('tail', '--url', url, '-n', '2', 'kitchen', 'cellar');
  const ann = await WsClient.connect(url);
  await eventually(async () => (await ann.data('roomView')).membersCount === 3);
  const bob = await WsClient.connect(url);
  expect(json(await all.lines.next((line) => line.includes(bob.id)))).toMatchObject({
    context: 'presence',
    event: 'join',
  });
  await eventually(async () => (await ann.ask('roomView', { room: 'cellar' })).code !== 'room_not_found');
  for (const room of ['kitchen', 'cellar']) await ann.data('roomAdd', { room });
  await ann.say('everywhere \u0085');
  await ann.say('in the kitchen', { room: 'kitchen' });
  await ann.say({ x: 1 }, { room: 'cellar' });
  expect(await all.lines.next((line) => line.includes('everywhere'))).toContain('everywhere \\u0085');
  expect(await some.code).toBe(0);
  expect((await some.lines.take(2)).map((line) => (json(line) as { message: unknown }).message)).toEqual([
    'in the kitchen',
    { x: 1 },
  ]);
  expect(await all.stop()).toBe(0);
});

test('tail: a room may be written in any form, and a server that is gone is told of, and that it is back', async () => {
  const server = await startServer();
  const proxy = await FaultProxy.to(server.port);
  const tail = new Session('tail', '--url', `http://127.0.0.1:${String(proxy.port)}`, 'cafe\u0301');
  const ann = await WsClient.connect(server.url);
  await ann.data('roomAdd', { room: 'café' });
  await eventually(async () => (await ann.data('roomView', { room: 'café' })).membersCount === 2);
  await ann.say('hello', { room: 'café' });
  expect(json(await tail.lines.next())).toMatchObject({ room: 'café', message: 'hello' });
  proxy.cut();
  await eventually(() => /^earshot tail: .*; trying again\nearshot tail: connected again\n$/.test(tail.stderr), 30_000);
  await ann.say('and again', { room: 'café' });
  expect(json(await tail.lines.next())).toMatchObject({ message: 'and again' });
  expect(await tail.stop()).toBe(0);
});

test.each(['say', 'tail', 'chat'])('%s: whoever reads it may have enough, and that is an end', async (name) => {
  const { url } = await startServer();
  const session = new Session(name, '--url', url);
  const ann = await WsClient.connect(url);
  if (name === 'say') session.type('one');
  else await eventually(async () => (await ann.data('roomView')).membersCount === 2);
  if (name === 'say') await session.lines.next();
  session.stdout.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
  session.type('two');
  session.stdin.end();
  expect([await session.code, session.stderr]).toEqual([0, '']);
});

test.each([
  [
    1,
    ['say', '--url', 'http://127.0.0.1:1', '--timeout', '1', 'x'],
    /^earshot say: cannot reach http:\/\/127.0.0.1:1: Error: bad port\n$/,
  ],
  [1, ['tail', '--url', 'SERVER', 'not a room'], /^earshot tail: a room name is /],
  [1, ['say', '--url', 'SERVER', '--json', 'x'], /^earshot say: this is not JSON: x\n$/],
  [2, ['say', '--loud', 'x'], /^earshot say: Unknown option '--loud' \(earshot say --help\)\n$/],
  [
    2,
    ['tail', '--count', 'many'],
    /^earshot tail: --count must be a whole number, not 'many' \(earshot tail --help\)\n$/,
  ],
  [2, ['chat', 'a', 'b'], /^earshot chat: one room; /],
  [2, ['chat', '--url', 'ftp://x'], /^earshot chat: --url ftp:\/\/x is no address /],
] as const)('exit code %i: %j', async (code, [name, ...args], stderr) => {
  const { url } = await startServer();
  const session = new Session(name, ...args.map((arg) => (arg === 'SERVER' ? url : arg)));
  session.stdin.end();
  expect([await session.code, session.stderr]).toEqual([code, expect.stringMatching(stderr)]);
});

test('as processes: help, a pipe that ends, a signal', async () => {
  const { url } = await startServer();
  const [help, said] = await Promise.all([Command.run('tail', '--help'), Command.run('say', '--url', url, 'hello')]);
  expect([help.code, help.stdout, help.stderr]).toEqual([0, expect.stringContaining('earshot say'), '']);
  expect([said.code, json(said.stdout)]).toEqual([0, expect.objectContaining({ room: 'defaultRoom' })]);
  const ann = await WsClient.connect(url);
  const tail = new Command(['tail', '--url', url]);
  // Said until it is there to hear it.
  await eventually(async () => {
    await ann.say('hello');
    return tail.stdout.includes('"hello"');
  });
  tail.signal('SIGTERM');
  expect(await tail.ended).toBe(0);
});
