/** The examples do what they say, as parts and as programs. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { clock, comingsAndGoings } from '../../examples/announcer';
import { diceBot, rolled } from '../../examples/bot';
import { joinTeam, play, playersOnly } from '../../examples/game-room';
import { login, secretRoom } from '../../examples/authenticated-room';
import { eventually } from '../support/eventually';
import { HttpClient } from '../support/http-client';
import { twoNodes } from '../support/nodes';
import { startServer } from '../support/server';
import { WsClient } from '../support/clients';

const root = path.join(__dirname, '../..');
const programs = new Set<ChildProcess>();

afterEach(async () => {
  for (const program of programs) {
    const ended = once(program, 'exit');
    program.kill('SIGKILL');
    await ended;
  }
  programs.clear();
});

/** Starts it on a free port, and answers the address it says that it has. */
async function run(example: string): Promise<string> {
  const program = spawn(process.execPath, ['--import', 'tsx', `examples/${example}`], {
    cwd: root,
    env: { PATH: process.env['PATH'], PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  programs.add(program);
  let said = '';
  for await (const text of program.stdout.setEncoding('utf8')) {
    said += String(text);
    const url = /http:\S+[^/\s]/.exec(said)?.[0];
    if (url !== undefined) return url;
  }
  throw new Error(`it ended without a word of where it is: ${said}`);
}

/** A compiler starts first: on a busy machine that takes its time. */
const TO_START = 60_000;

describe('authenticated-room', () => {
  test('lets in who knows the word', async () => {
    const { here, there } = await twoNodes({ actions: [login], middleware: [secretRoom] });
    const ann = new HttpClient(here.url);
    const refused = { status: 403, body: { error: 'Error: log in first', code: 'forbidden' } };
    expect(await ann.get('roomChange', { room: 'SecretRoom' })).toMatchObject(refused);
    expect(await ann.api('login', { password: 'please' })).toMatchObject({ status: 403 });
    expect(await ann.get('listenToRoom', { room: 'SecretRoom' })).toMatchObject(refused);
    expect(await ann.api('login', { password: 'open sesame' })).toMatchObject({
      status: 200,
      body: { loggedIn: true },
    });
    ann.url = there.url;
    expect(await ann.ok('roomChange', { room: 'SecretRoom' })).toEqual({ room: 'SecretRoom' });

    const bob = await WsClient.connect(there.url);
    expect(await bob.ask('roomAdd', { room: 'SecretRoom' })).toMatchObject({ error: 'Error: log in first' });
    expect(await bob.act('login', { password: 'open sesame' })).toMatchObject({ loggedIn: true });
    expect(await bob.data('roomAdd', { room: 'SecretRoom' })).toBe(true);
    await bob.say('psst', { room: 'SecretRoom' });
    expect((await ann.ok('messages')).messages).toMatchObject([{ message: 'psst', room: 'SecretRoom' }]);
  });

  test(
    'runs as a program',
    async () => {
      const url = await run('authenticated-room.ts');
      const ann = await WsClient.connect(url);
      expect(await ann.ask('roomAdd', { room: 'SecretRoom' })).toMatchObject({ error: 'Error: log in first' });
      await ann.act('login', { password: 'open sesame' });
      expect(await ann.data('roomAdd', { room: 'SecretRoom' })).toBe(true);
    },
    TO_START,
  );
});

describe('announcer', () => {
  test('tells who comes and goes, once, and not of those who only resume', async () => {
    const nodes = await twoNodes({ config: { general: { reconnectGrace: 0 } } });
    for (const { api } of Object.values(nodes)) api.chatRoom.addMiddleware(comingsAndGoings(api));
    const { here, there } = nodes;
    const ann = await WsClient.connect(here.url);
    const bob = await WsClient.connect(there.url);
    expect(await ann.heard.next()).toMatchObject({ message: `${bob.id} comes in`, from: 'earshot' });
    await bob.data('resume', { session: bob.session, after: (await bob.data('detailsView')).cursor });
    await bob.data('listenToRoom', { room: 'garden' });
    await bob.data('silenceRoom', { room: 'garden' });
    bob.socket.close();
    expect(await ann.heard.next()).toMatchObject({ message: `${bob.id} goes`, room: 'defaultRoom' });
    await ann.data('roomAdd', { room: 'garden' });
    await here.api.chatRoom.broadcast(null, 'garden', 'end');
    expect(await ann.heard.next()).toMatchObject({ message: 'end' });
  });

  test('tells the time, until it is stopped', async () => {
    const { url, api } = await startServer();
    const ann = await WsClient.connect(url);
    const stop = clock(api, 5);
    expect((await ann.heard.next()).message).toMatch(/^Hello\. {2}The time is /);
    stop();
  });

  test(
    'runs as a program',
    async () => {
      const url = await run('announcer.ts');
      const ann = await WsClient.connect(url);
      const bob = await WsClient.connect(url);
      expect(await ann.heard.next()).toMatchObject({ message: `${bob.id} comes in` });
    },
    TO_START,
  );
});

describe('bot', () => {
  test('rolls for who asks, once, and only in its room', async () => {
    expect(rolled(3, 6, () => 0.99)).toEqual([6, 6, 6]);
    const { here, there } = await twoNodes();
    const bot = await diceBot(here.url, 'games');
    try {
      const ann = await WsClient.connect(there.url);
      await ann.data('roomAdd', { room: 'games' });
      await ann.say('!roll 3d1');
      await ann.say('!roll 99d6', { room: 'games' });
      await ann.say('!roll 3d1', { room: 'games' });
      expect(await ann.heard.next()).toMatchObject({
        message: { for: ann.id, rolls: [1, 1, 1], total: 3 },
        from: bot.id,
        room: 'games',
      });
      expect(ann.heard.all).toHaveLength(1);
    } finally {
      bot.close();
    }
  });
});

describe('game-room', () => {
  test('a team hears its own plans, everybody the rest, and who has no team says nothing', async () => {
    const { here, there } = await twoNodes({ actions: [joinTeam], middleware: [playersOnly] });
    const red = [await play(here.url, 'red'), await play(there.url, 'red')];
    const blue = await play(there.url, 'blue');
    const heard = [...red, blue].map(({ chat }) => {
      const messages: unknown[] = [];
      chat.on('say', ({ message }) => messages.push(message));
      return messages;
    });
    try {
      await red[0]!.whisper('by the left');
      await blue.whisper('they come by the left');
      await red[0]!.shout('we win');
      await eventually(() => heard[1]!.includes('we win') && heard[2]!.includes('we win'));
      expect(heard).toEqual([[], ['by the left', 'we win'], ['we win']]);
      await expect(blue.chat.action('joinTeam', { team: 'red' })).rejects.toMatchObject({ code: 'forbidden' });
      const watcher = await WsClient.connect(here.url);
      await watcher.data('roomAdd', { room: 'game' });
      expect(await watcher.ask('say', { room: 'game', message: 'go!' })).toMatchObject({ code: 'forbidden' });
    } finally {
      for (const { chat } of [...red, blue]) chat.close();
    }
  });

  test(
    'runs as a program',
    async () => {
      const player = await play(await run('game-room.ts'), 'blue');
      await player.shout('here I am');
      player.chat.close();
    },
    TO_START,
  );
});
