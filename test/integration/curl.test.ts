/** The lines that ActionHero's page gives for HTTP clients, by the real curl, with a cookie jar and without. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../support/eventually';
import { arrived, texts } from '../support/http-client';
import type { Parsed } from '../support/clients';
import { startServer, type ServerUnderTest } from '../support/server';
import { storeSettings } from '../support/store-settings';

const run = promisify(execFile);

const aCursor = expect.stringMatching(/^[A-Za-z0-9_-]+$/) as string;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'earshot-curl-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function curl(...words: readonly string[]): Promise<string> {
  // -q: no settings of whoever runs the tests; no proxy of theirs either.
  const { stdout } = await run('curl', ['-q', '-sS', '--noproxy', '*', ...words], { cwd: folder, timeout: 8000 });
  return stdout;
}

async function json(...words: readonly string[]): Promise<Parsed> {
  return JSON.parse(await curl(...words));
}

const jar = (name: string): readonly string[] => ['-c', name, '-b', name];

describe.each(storeSettings)('on %s', (_name, settings) => {
  let chat: string;
  let server: ServerUnderTest;

  beforeEach(async () => {
    server = await startServer({ config: settings() });
    chat = `localhost:${server.port}/chat/?method=`;
  });

  test('as they are printed: each is a new client', async () => {
    const { roomStatus } = await json(`${chat}roomView`);
    expect(roomStatus).toEqual({
      room: 'defaultRoom',
      members: [expect.any(String)],
      membersCount: 1,
      cursor: aCursor,
    });
    expect(await json(`${chat}say&message=hello%20world`)).toEqual({
      status: 'OK',
      room: 'defaultRoom',
      id: expect.stringMatching(/^\d{13}-1$/),
      sentAt: expect.any(Number),
    });
    expect(await json(`${chat}messages`)).toEqual({ messages: [], cursor: aCursor });
    expect((await json(`${chat}roomView`)).roomStatus.membersCount).toBe(4);
  });

  test('with a jar each: two people talk', async () => {
    const ann = jar('ann');
    const bob = jar('bob');
    await json(...ann, `${chat}roomView`);
    const { roomStatus } = await json(...bob, `${chat}roomView`);
    expect(roomStatus.membersCount).toBe(2);
    const said = await json(...ann, `${chat}say&message=hello%20world`);
    const from = (await json(...ann, `${chat}detailsView`)).details.id as string;
    expect(roomStatus.members).toContain(from);
    const message = {
      message: 'hello world',
      room: 'defaultRoom',
      from,
      context: 'user',
      sentAt: said.sentAt,
      id: said.id,
    };
    expect(await json(...bob, `${chat}messages`)).toEqual({ messages: [message], cursor: aCursor });
    expect(await json(...bob, `${chat}messages`)).toEqual({ messages: [], cursor: aCursor });
    expect(await json(...ann, `${chat}messages`)).toEqual({ messages: [], cursor: aCursor });

    const [line] = readFileSync(path.join(folder, 'ann'), 'utf8')
      .split('\n')
      .filter((each) => each.includes('sessionID'));
    expect(line).toMatch(/^#HttpOnly_localhost\tFALSE\t\/\tFALSE\t\d+\tsessionID\t[A-Za-z0-9_-]{60}$/);
    expect(line).not.toContain(from);
  });

  test('with a jar: waiting, changing the room, form and JSON bodies', async () => {
    const [ann, bob] = [jar('ann'), jar('bob')];
    const waiting = json(...bob, `${chat}messages&wait=25`);
    await eventually(() => server.api.connections.counts()['poll'] === 1);
    await json(...ann, `${chat}say`, '-d', 'message=grüß dich', '-d', 'key=1');
    expect(texts(await waiting)).toEqual(['grüß dich']);
    expect(await json(...bob, `${chat}messages`)).toEqual({ messages: [], cursor: aCursor });

    for (const who of [ann, bob]) expect(await json(...who, `${chat}roomChange&room=den`)).toEqual({ room: 'den' });
    const body = JSON.stringify({ message: { dance: true } });
    await json(...ann, `${chat}say`, '-H', 'Content-Type: application/json', '-d', body);
    await json(...ann, '-G', `${chat}say`, '--data-urlencode', 'message=a & b');
    expect(texts(await json(...bob, `${chat}messages`))).toEqual([{ dance: true }, 'a & b']);
  });

  test('curl -N is a chat client', async () => {
    const speaker = await arrived(server);
    const listening = run('curl', ['-q', '-sSN', '--noproxy', '*', `${chat}messages&stream=ndjson`], { cwd: folder });
    let text = '';
    listening.child.stdout?.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    try {
      await eventually(() => server.api.connections.counts()['stream'] === 1);
      for (const message of ['a', 'b']) {
        await speaker.say(message);
        await eventually(() => text.includes(`{"message":"${message}"`) && text.endsWith('\n'));
      }
      const lines = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as object);
      expect(lines).toEqual(
        ['a', 'b'].map((message) => ({
          message,
          room: 'defaultRoom',
          from: speaker.is,
          context: 'user',
          sentAt: expect.any(Number),
          id: expect.any(String),
          cursor: aCursor,
        })),
      );
    } finally {
      listening.child.kill();
      await listening.catch(() => undefined);
    }
    await eventually(() => server.api.connections.counts()['stream'] === 0);
  });

  test('without cookies, by the token that connect gives', async () => {
    const { session, id } = await json('-d', '', `${chat}connect`);
    const bearer = ['-H', `Authorization: Bearer ${session as string}`];
    await json(`${chat}say&message=hello`);
    const { messages } = await json(...bearer, `${chat}messages`);
    expect(texts({ messages })).toEqual(['hello']);
    expect((await json(...bearer, `${chat}detailsView`)).details.id).toBe(id);
  });
});

test('before it is turned on, the printed lines say so', async () => {
  const server = await startServer({ config: { commonWeb: { httpClientMessageTTL: null } } });
  for (const rest of ['roomView', 'say&message=hello%20world', 'messages']) {
    expect(await curl('-w', ' %{http_code}', `localhost:${server.port}/chat/?method=${rest}`)).toBe(
      '{"error":"Error: chatting via web clients is not enabled","code":"chat_disabled"} 403',
    );
  }
});
