/** What a TCP client sees: docs/protocol.md, line by line. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import type { ChatMiddleware } from '../../src/kit';
import { Conversation } from '../../src/transports/conversation';
import { Gate, repeat } from '../compat/actions';
import { makeCertificate, type Certificate } from '../support/certificate';
import { eventually } from '../support/eventually';
import { HurriedClock } from '../support/hurried-clock';
import { startServer } from '../support/server';
import { TcpClient, WsClient, type Parsed } from '../support/clients';

async function two(port: number): Promise<[TcpClient, TcpClient]> {
  return [await TcpClient.connect(port), await TcpClient.connect(port)];
}

/** Sends all of it, ends its side, and answers everything that came until the server ended its own: `printf … | nc`. */
function pipe(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.setEncoding('utf8').on('data', (text: string) => (received += text));
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
    socket.end(bytes);
  });
}

const parsed = (text: string): Parsed[] =>
  text
    .split('\r\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));

test('the first line is the welcome', async () => {
  const { tcpPort } = await startServer({ config: { general: { welcomeMessage: 'hi', defaultChatRoom: 'hall' } } });
  const ann = await TcpClient.connect(tcpPort);
  expect(ann.greeting).toEqual({
    welcome: 'hi',
    context: 'api',
    id: expect.stringMatching(/^[\w-]{22}$/),
    room: 'hall',
    session: expect.stringMatching(/^[\w-]{60}$/),
  });
  expect(ann.received.endsWith('\r\n')).toBe(true);
});

test('lines may end with LF or CRLF, come in pieces and by the dozen; empty ones do not count', async () => {
  const { tcpPort } = await startServer();
  const ann = await TcpClient.connect(tcpPort);
  ann.write('\r\n\n   \r\nroomAdd x\nroomAdd y\r\n\r\ndetailsView\n');
  const [x, y, details] = await ann.responses.take(3);
  expect([x.messageCount, y.messageCount, details.messageCount]).toEqual([1, 2, 3]);
  expect(details.data.rooms).toEqual(['defaultRoom', 'x', 'y']);
  for (const piece of ['det', 'ailsV', 'iew', '\r', '\n']) ann.write(piece);
  expect(await ann.responses.next()).toMatchObject({ messageCount: 4 });
});

test('a character that is cut in two is whole again', async () => {
  const { tcpPort } = await startServer();
  const [ann, bob] = await two(tcpPort);
  for (const byte of Buffer.from('say grüße \u{1d11e} 漢\r\n')) {
    ann.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await bob.heard.next()).toMatchObject({ message: 'grüße \u{1d11e} 漢' });
});

describe('say', () => {
  test.each([
    ['say hello world', 'defaultRoom', 'hello world'],
    ['say garden hello', 'garden', 'hello'],
    ['say garden  two  spaces ', 'garden', ' two  spaces '],
    ['say  garden hello', 'defaultRoom', ' garden hello'],
    ['say nowhere hello', 'defaultRoom', 'nowhere hello'],
    ['say hello', 'defaultRoom', 'hello'],
    ['say "quoted" {"json":1}', 'defaultRoom', '"quoted" {"json":1}'],
    ['say two\ttabs', 'defaultRoom', 'two\ttabs'],
    ['say __proto__ x', 'defaultRoom', '__proto__ x'],
    ['{"event":"say","message":{"any":["json"]}}', 'defaultRoom', { any: ['json'] }],
    ['{"event":"say","room":"garden","message":"garden x"}', 'garden', 'garden x'],
  ])('%j goes to %s', async (line, room, message) => {
    const { tcpPort } = await startServer();
    const [ann, bob] = await two(tcpPort);
    for (const client of [ann, bob]) await client.line('roomAdd garden');
    const { status, data } = await ann.line(line);
    expect({ status, data }).toEqual({
      status: 'OK',
      data: { room, id: expect.stringMatching(/^\d+-1$/), sentAt: expect.any(Number) },
    });
    expect(await bob.heard.next()).toEqual({
      message,
      room,
      from: ann.id,
      context: 'user',
      sentAt: data.sentAt,
      id: data.id,
    });
  });

  test.each([
    ['say', 'both room and message are required'],
    ['say ', 'both room and message are required'],
    ['say garden', 'both room and message are required'],
    ['say garden ', 'both room and message are required'],
    ['say cellar hello', 'connection not in this room (cellar)'],
    ['say radio hello', 'connection not in this room (radio)'],
    ['{"event":"say"}', 'both room and message are required'],
    ['{"event":"say","room":"cellar","message":"x"}', 'connection not in this room (cellar)'],
  ])('%j is refused: %s', async (line, error) => {
    const { tcpPort } = await startServer();
    const [ann, bob] = await two(tcpPort);
    await bob.line('roomAdd cellar');
    await ann.line('roomAdd garden');
    await ann.line('listenToRoom radio');
    expect(await ann.line(line)).toMatchObject({ error, context: 'response' });
  });

  test('says nothing twice with a key, which comes in JSON lines only', async () => {
    const { tcpPort } = await startServer();
    const [ann, bob] = await two(tcpPort);
    const once = '{"event":"say","message":"once","key":"k"}';
    expect((await ann.line(once)).data).toEqual((await ann.line(once)).data);
    await ann.line('paramAdd key=k2');
    await ann.line('say again');
    await ann.line('say again');
    expect((await bob.heard.take(3)).map(({ message }) => message)).toEqual(['once', 'again', 'again']);
  });

  test('is matched by the sticky parameters until paramsDelete, JSON lines by their own alone', async () => {
    const { tcpPort } = await startServer();
    const [ann, bob] = await two(tcpPort);
    const cid = await TcpClient.connect(tcpPort);
    await ann.line('paramAdd roomMatchKey=id');
    await ann.line(`paramAdd roomMatchValue ${bob.id}`);
    await ann.line('say for Bob');
    await ann.line('{"event":"say","message":"for all"}');
    await ann.line(`{"event":"say","message":"for Cid","roomMatchKey":"id","roomMatchValue":"${cid.id}"}`);
    await ann.line('paramsDelete');
    await ann.line('say the end');
    expect((await bob.heard.take(3)).map(({ message }) => message)).toEqual(['for Bob', 'for all', 'the end']);
    expect((await cid.heard.take(3)).map(({ message }) => message)).toEqual(['for all', 'for Cid', 'the end']);
  });

  test('with the sticky match counted for its size, as one that comes with it is', async () => {
    const { tcpPort } = await startServer({ config: { limits: { messageBytes: 100 } } });
    const [ann, bob] = await two(tcpPort);
    await ann.line('paramAdd roomMatchKey=id');
    await ann.line(`paramAdd roomMatchValue=${'x'.repeat(90)}`);
    expect((await ann.line('say 0123456789')).status).toBe('OK');
    expect(await ann.line('say 0123456789a')).toMatchObject({ code: 'too_large' });
    await ann.line('paramsDelete');
    await ann.line('say 0123456789a');
    expect((await bob.heard.next()).message).toBe('0123456789a');
  });
});

describe('verbs', () => {
  test('answer as the events of WebSocket do', async () => {
    const { tcpPort } = await startServer({ config: { chat: { history: 10 } } });
    const [ann, bob] = await two(tcpPort);
    expect(await ann.line('roomAdd garden')).toEqual({
      status: 'OK',
      data: true,
      context: 'response',
      messageCount: 1,
      messageId: expect.stringMatching(/^[\w-]{36}$/),
    });
    await bob.line('roomAdd   garden  ');
    expect((await ann.line('roomView garden')).data).toMatchObject({
      room: 'garden',
      members: { [ann.id]: { id: ann.id, joinedAt: expect.any(Number) }, [bob.id]: { id: bob.id } },
      membersCount: 2,
    });
    expect((await ann.line('roomView')).data).toMatchObject({ room: 'defaultRoom' });
    expect((await ann.line('roomChange cellar')).data).toEqual({ room: 'cellar' });
    expect((await ann.line('listenToRoom radio')).data).toBe(true);
    expect((await ann.line('silenceRoom radio')).data).toBe(true);
    expect((await ann.line('roomLeave garden')).data).toBe(true);
    expect((await ann.line('detailsView')).data).toEqual({
      id: ann.id,
      fingerprint: ann.id,
      remoteIP: '127.0.0.1',
      remotePort: ann.socket.localPort,
      params: {},
      connectedAt: expect.any(Number),
      rooms: ['cellar'],
      room: 'cellar',
      listening: [],
      attributes: {},
      totalActions: 0,
      pendingActions: 0,
      cursor: expect.any(String),
    });
    expect(Object.keys((await ann.line('documentation')).data)).toContain('chat');
    await ann.line('say one');
    await ann.line('say two');
    expect((await ann.line('history cellar 1')).data.messages).toMatchObject([{ message: 'two' }]);
    expect((await ann.line('history cellar')).data.messages).toHaveLength(2);
  });

  test.each([
    ['roomAdd', 'a room is required', 'room_required'],
    ['roomAdd two words', expect.stringContaining('without spaces'), 'invalid_room_name'],
    ['roomLeave cellar', 'connection not in this room (cellar)', 'not_in_room'],
    ['roomView cellar', 'connection not in this room (cellar)', 'not_in_room'],
    ['roomChange', 'room is required to use the roomChange method', 'room_change_needs_room'],
    ['resume nonsense', expect.any(String), 'session_unknown'],
    ['history defaultRoom', 'history is not enabled', 'history_disabled'],
    ['{"event":"bogus"}', 'verb not found or not allowed (bogus)', 'unknown_verb'],
    ['bogus verb', 'unknown action or invalid apiVersion', 'unknown_action'],
    ['__proto__', 'unknown action or invalid apiVersion', 'unknown_action'],
    ['{"no":"request"}', 'unknown action or invalid apiVersion', 'unknown_action'],
    ['{rubbish', 'the request is not valid JSON', 'invalid_json'],
  ])('%j is refused: %s', async (line, error, code) => {
    const { tcpPort } = await startServer();
    const ann = await TcpClient.connect(tcpPort);
    const response = await ann.line(line);
    expect(response).toEqual({ error, code, context: 'response', messageCount: 1, messageId: expect.any(String) });
    expect(await ann.line('detailsView')).toMatchObject({ status: 'OK', messageCount: 2 });
  });

  test('resume takes a token and a cursor, and with options a JSON line', async () => {
    const { tcpPort } = await startServer();
    const [ann, bob] = await two(tcpPort);
    const { cursor } = (await ann.line('detailsView')).data;
    await ann.line('say my own');
    await bob.line('say hello');
    const back = await TcpClient.connect(tcpPort);
    expect((await back.line(`resume ${ann.session} ${cursor}`)).data).toEqual({
      id: ann.id,
      rooms: ['defaultRoom'],
      recovered: true,
      cursor,
    });
    expect(await back.heard.next()).toMatchObject({ message: 'hello' });
    await back.data('resume', { session: ann.session, after: cursor, echo: true });
    expect((await back.heard.take(2)).map(({ message }) => message)).toEqual(['my own', 'hello']);
  });
});

describe('sticky parameters', () => {
  test('are split at the first =, or at the space', async () => {
    const { tcpPort } = await startServer();
    const ann = await TcpClient.connect(tcpPort);
    for (const line of [
      'paramAdd a=1',
      'paramAdd b 2',
      'paramAdd c=x=y',
      'paramAdd d=two words',
      'paramAdd e two  words',
    ])
      expect(await ann.line(line)).toMatchObject({ status: 'OK' });
    expect((await ann.line('paramsView')).data).toEqual({ a: '1', b: '2', c: 'x=y', d: 'two words', e: 'two  words' });
    expect((await ann.line('paramView c')).data).toBe('x=y');
    expect((await ann.line('paramView nothing')).data).toBeNull();
    expect(await ann.line('paramDelete a')).toMatchObject({ status: 'OK' });
    expect(await ann.line('paramAdd =x')).toMatchObject({ error: 'key is required' });
    expect(Object.keys((await ann.line('detailsView')).data.params)).toEqual(['b', 'c', 'd', 'e']);
    expect(await ann.line('paramsDelete')).toMatchObject({ status: 'OK' });
    expect((await ann.line('paramsView')).data).toEqual({});
  });

  test('are what was set before a request, for its hooks and answers, and nothing that comes after it', async () => {
    const seen: unknown[] = [];
    const looks: ChatMiddleware = {
      name: 'looks',
      onSayReceive: (connection) => {
        seen.push({ ...connection.params });
        return undefined;
      },
    };
    const { tcpPort } = await startServer({ middleware: [looks] });
    const ann = await TcpClient.connect(tcpPort);
    ann.write(
      'paramAdd who=first\r\nsay look\r\nparamAdd who=second\r\ndetailsView\r\nparamDelete who\r\nparamAdd who=third\r\n',
    );
    const answers = await ann.responses.take(6);
    expect(seen).toEqual([{ who: 'first' }]);
    expect(answers[3]!.data.params).toEqual({ who: 'second' });
    expect((await ann.line('detailsView')).data.params).toEqual({ who: 'third' });
  });

  test('are bounded, in number and in bytes', async () => {
    const server = await startServer();
    const ann = await TcpClient.connect(server.tcpPort);
    const half = 'x'.repeat(30_000);
    expect(await ann.line(`paramAdd a=${half}`)).toMatchObject({ status: 'OK' });
    expect(await ann.line(`paramAdd b=${half}`)).toMatchObject({ status: 'OK' });
    expect(await ann.line(`paramAdd c=${half}`)).toMatchObject({ code: 'invalid_parameter' });
    expect(await ann.line(`paramAdd b=${half}y`)).toMatchObject({ status: 'OK' });
    await ann.line('paramsDelete');
    for (let nth = 0; nth < 100; nth += 1) ann.write(`paramAdd k${nth}=v\n`);
    await ann.responses.take(100);
    expect(await ann.line('paramAdd one=more')).toMatchObject({ code: 'invalid_parameter' });
    expect(await ann.line('paramAdd k7=w')).toMatchObject({ status: 'OK' });
  });

  test('cost the same however many there are: 50,000 changes of large ones take nobody’s time', async () => {
    const { tcpPort } = await startServer();
    const params = Array.from({ length: 99 }, (_, nth) => `paramAdd p${String(nth)} ${'x'.repeat(600)}\n`).join('');
    const answered = Array<number>(10).fill(0);
    const sockets = answered.map((_none, nth) => {
      const socket = createConnection({ port: tcpPort, host: '127.0.0.1' });
      socket.setEncoding('latin1').on('data', (text: string) => (answered[nth]! += text.split('\n').length - 1));
      socket.write(params + 'paramAdd p0 y\n'.repeat(5000));
      return socket;
    });
    // A hundred at a time would be half a minute of nothing else.
    await eventually(() => answered.every((lines) => lines === 1 + 99 + 5000), 15_000);
    for (const socket of sockets) socket.destroy();
  });

  test('are an action’s when its name comes alone, and not a JSON line’s', async () => {
    const { tcpPort } = await startServer({ actions: [repeat] });
    const ann = await TcpClient.connect(tcpPort);
    await ann.line('paramAdd key=sticky');
    expect((await ann.line('repeat')).repeated).toEqual({ key: 'sticky' });
    expect((await ann.line('{"action":"repeat","params":{"key":"own"}}')).repeated).toEqual({ key: 'own' });
    expect(await ann.line('{"action":"repeat"}')).toMatchObject({
      error: 'key is a required parameter for this action',
    });
    expect((await ann.line('repeat')).repeated).toEqual({ key: 'sticky' });
  });

  test('messageId is as it was before the line, a JSON line’s own wins', async () => {
    const { tcpPort } = await startServer();
    const ann = await TcpClient.connect(tcpPort);
    const fresh = expect.stringMatching(/^[\w-]{36}$/);
    const lines = [
      ['paramAdd messageId=AAA', fresh],
      ['status', 'AAA'],
      ['paramAdd messageId=BBB', 'AAA'],
      ['detailsView', 'BBB'],
      ['{"event":"detailsView","messageId":7}', 7],
      ['{"action":"status","params":{"messageId":"own"}}', 'own'],
      ['{"event":"detailsView"}', 'BBB'],
      ['paramsDelete', 'BBB'],
      ['paramsView', fresh],
    ] as const;
    for (const [line, messageId] of lines) expect((await ann.line(line)).messageId).toEqual(messageId);
  });

  test('act when they are read: in one chunk each answer has the right messageId, however long it takes', async () => {
    const gate = new Gate();
    const { tcpPort } = await startServer({ actions: [gate.action] });
    const ann = await TcpClient.connect(tcpPort);
    ann.write('paramAdd messageId=A\r\ngate\r\nroomAdd x\r\nparamAdd messageId=B\r\ndetailsView\r\n');
    const answers = await ann.responses.take(4);
    expect(answers.map(({ messageCount, messageId }) => [messageCount, messageId])).toEqual([
      [1, expect.any(String)],
      [3, 'A'],
      [4, 'A'],
      [5, 'B'],
    ]);
    gate.open();
    expect(await ann.responses.next()).toMatchObject({ passed: true, messageCount: 2, messageId: 'A' });
  });
});

test('thousands of lines in one chunk are read as they are answered, all of them, also those before its end', async () => {
  let open = (): void => undefined;
  const opened = new Promise<undefined>((resolve) => (open = (): void => resolve(undefined)));
  const held: ChatMiddleware = { name: 'held', onSayReceive: () => opened };
  const { tcpPort } = await startServer({ middleware: [held] });
  const other = await TcpClient.connect(tcpPort);
  const read = jest.spyOn(Conversation.prototype, 'count');
  try {
    const lines = 3000;
    const answers = pipe(tcpPort, 'say x\n'.repeat(lines));
    await eventually(() => read.mock.calls.length >= 250);
    await other.data('roomView');
    // As many as may wait, what made room for them, and the other's own.
    expect(read.mock.calls.length).toBeLessThan(300);
    open();
    const counts = parsed(await answers)
      .slice(1)
      .map(({ messageCount }) => messageCount as number);
    expect(counts).toEqual(Array.from({ length: lines }, (_, nth) => nth + 1));
  } finally {
    read.mockRestore();
  }
});

test('lines that need no answer keep nobody waiting: a chunk of them is read in several turns', async () => {
  const { tcpPort } = await startServer();
  const flood = await TcpClient.connect(tcpPort);
  const clock = new HurriedClock();
  try {
    flood.write('\n'.repeat(2000) + 'roomView\n');
    expect(await flood.responses.next()).toMatchObject({ messageCount: 1 });
    expect(clock.turns).toBeGreaterThan(100);
  } finally {
    clock.stop();
  }
});

test('long lines of many connections are read in several turns: others come between', async () => {
  const { tcpPort } = await startServer();
  const crowd = await Promise.all(Array.from({ length: 60 }, () => TcpClient.connect(tcpPort)));
  const clock = new HurriedClock();
  const inTurn = new Map<number, number>();
  const refused = jest.spyOn(Conversation.prototype, 'refuse').mockImplementation(() => {
    inTurn.set(clock.turns, (inTurn.get(clock.turns) ?? 0) + 1);
  });
  try {
    for (const client of crowd) client.write(`{"event":"x","y":"${'y'.repeat(6000)}"\nroomView\n`);
    for (const client of crowd) expect(await client.responses.next()).toMatchObject({ messageCount: 2 });
    expect([...inTurn.values()].reduce((sum, count) => sum + count)).toBe(60);
    expect(Math.max(...inTurn.values())).toBeLessThan(20);
  } finally {
    clock.stop();
    refused.mockRestore();
  }
});

test('who has said all and closed its side is answered all of it, however long it takes to read', async () => {
  const { tcpPort } = await startServer();
  const clock = new HurriedClock();
  try {
    const client = await TcpClient.connect(tcpPort);
    client.socket.end('roomView\n'.repeat(2000));
    expect((await client.responses.take(2000)).at(-1)).toMatchObject({ messageCount: 2000 });
    await client.closed;
  } finally {
    clock.stop();
  }
});

describe('what is no request', () => {
  test('invalid UTF-8 is refused, and the connection goes on', async () => {
    const { tcpPort } = await startServer();
    const [ann, bob] = await two(tcpPort);
    ann.write(Buffer.concat([Buffer.from('say '), Buffer.of(0xff, 0xfe), Buffer.from('\r\nsay fine\r\n')]));
    const [refused, fine] = await ann.responses.take(2);
    expect(refused).toMatchObject({
      error: 'the request is not valid UTF-8',
      code: 'invalid_encoding',
      messageCount: 1,
    });
    expect(fine).toMatchObject({ status: 'OK', messageCount: 2 });
    expect(await bob.heard.next()).toMatchObject({ message: 'fine' });
  });

  test.each([
    ['a line that is too long', 'x'.repeat(1001) + '\r\n'],
    ['that much without a newline', 'x'.repeat(1002)],
  ])('%s is told, and ends the connection after what came before it', async (_what, bytes) => {
    const { tcpPort } = await startServer({ config: { limits: { lineBytes: 1000, messageBytes: 1000 } } });
    const [ann, bob] = await two(tcpPort);
    ann.write(`say before\r\n${bytes}say after\r\n`);
    await ann.closed;
    expect(ann.responses.all).toMatchObject([
      { status: 'OK', messageCount: 1 },
      { error: 'data length is too big (1000 bytes at most)', code: 'too_large', context: 'response', messageCount: 2 },
    ]);
    await (await TcpClient.connect(tcpPort)).line('say end');
    expect((await bob.heard.take(2)).map(({ message }) => message)).toEqual(['before', 'end']);
  });

  test('a line that just fits is read', async () => {
    const { tcpPort } = await startServer({ config: { limits: { lineBytes: 1000, messageBytes: 1000 } } });
    const ann = await TcpClient.connect(tcpPort);
    expect(await ann.line(`say ${'x'.repeat(996)}`)).toMatchObject({ status: 'OK' });
  });

  test('a peer that floods without a newline is told once, and ended', async () => {
    const { tcpPort } = await startServer();
    const ann = await TcpClient.connect(tcpPort);
    let open = true;
    void ann.closed.then(() => (open = false));
    const flood = (): void => {
      if (!open) return;
      ann.write('x'.repeat(65_536));
      setImmediate(flood);
    };
    flood();
    await ann.finished;
    expect(ann.responses.all).toMatchObject([{ code: 'too_large' }]);
    ann.abandon();
    await ann.closed;
  });

  test('an HTTP request is closed, and its words are nobody’s', async () => {
    const { tcpPort, api } = await startServer();
    const bob = await TcpClient.connect(tcpPort);
    const body = 'say I was made to\r\nroomAdd trap\r\n';
    const post = `POST / HTTP/1.1\r\nHost: 127.0.0.1:${tcpPort}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    for (const request of [post, `GET /say%20x HTTP/1.0\n\n${body}`]) {
      const answers = parsed(await pipe(tcpPort, request));
      expect(answers.filter(({ context }) => context === 'response')).toEqual([]);
    }
    expect(await api.chatRoom.exists('trap')).toBe(false);
    const ann = await TcpClient.connect(tcpPort);
    await ann.line('say fine');
    expect(await bob.heard.next()).toMatchObject({ message: 'fine' });
    expect(await ann.line('GET / HTTP/1.1')).toMatchObject({ code: 'unknown_action' });
  });

  test('a TLS handshake is closed, and the lines in its session ticket are nobody’s', async () => {
    const { tcpPort, api } = await startServer();
    const bob = await TcpClient.connect(tcpPort);
    const hello = Buffer.concat([
      Buffer.from([0x16, 3, 1, 2, 0, 1]),
      Buffer.from('\nsay I was made to\nroomAdd trap\n'),
    ]);
    const answers = parsed(await pipe(tcpPort, hello));
    expect(answers.filter(({ context }) => context === 'response')).toEqual([]);
    expect(await api.chatRoom.exists('trap')).toBe(false);
    const ann = await TcpClient.connect(tcpPort);
    await ann.line('say fine');
    expect(await bob.heard.next()).toMatchObject({ message: 'fine' });
  });
});

describe('going', () => {
  test.each([
    ['quit', 'quit\r\n'],
    ['exit', 'exit\n'],
    ['{"event":"quit"}', '{"event":"quit"}\n'],
    ['the byte 04', Buffer.from('04', 'hex')],
    ['the bytes fff4fffd06', Buffer.from('fff4fffd06', 'hex')],
  ])('%s: Bye! and FIN, at once out of all rooms', async (_what, bytes) => {
    const { tcpPort, api } = await startServer({ config: { general: { reconnectGrace: 60_000 } } });
    const ann = await TcpClient.connect(tcpPort);
    ann.write(bytes);
    await ann.closed;
    expect(ann.lines.all.slice(1)).toEqual(['{"status":"Bye!","context":"api"}']);
    while ((await api.chatRoom.roomStatus('defaultRoom')).membersCount > 0) continue;
  });

  test('the byte 04 within a line is no goodbye', async () => {
    const { tcpPort } = await startServer();
    const [ann, bob] = await two(tcpPort);
    await ann.line('say a\u0004b');
    expect(await bob.heard.next()).toMatchObject({ message: 'a\u0004b' });
  });

  test('who closes its side first still gets all its answers, actions’ too: printf … | nc', async () => {
    const { tcpPort } = await startServer();
    const bob = await TcpClient.connect(tcpPort);
    const [welcome, ...answers] = parsed(await pipe(tcpPort, 'say hello\nstatus\nroomAdd x\ndetailsView\nunfinished'));
    expect(welcome).toMatchObject({ welcome: expect.any(String) });
    expect(answers.map(({ messageCount }) => messageCount).sort()).toEqual([1, 2, 3, 4]);
    expect(answers.find(({ messageCount }) => messageCount === 2)).toMatchObject({ uptime: expect.any(Number) });
    expect(await bob.heard.next()).toMatchObject({ message: 'hello', from: welcome.id });
  });

  test('what was asked before quit is answered before Bye!', async () => {
    const { tcpPort } = await startServer();
    const answers = parsed(await pipe(tcpPort, 'status\nsay hello\nquit\nsay never\n'));
    expect(answers.slice(1).map(({ messageCount, status }) => messageCount ?? status)).toEqual(
      expect.arrayContaining([1, 2, 'Bye!']),
    );
    expect(answers.at(-1)).toEqual({ status: 'Bye!', context: 'api' });
    expect(answers).toHaveLength(4);
  });

  test('a server that goes says Bye! to all, and ends them by FIN', async () => {
    const server = await startServer();
    const [ann, bob] = await two(server.tcpPort);
    void server.close(4000);
    for (const client of [ann, bob]) {
      await client.finished;
      expect(client.lines.all.slice(1)).toEqual(['{"status":"Bye!","context":"api"}']);
    }
  });
});

describe('who may come in', () => {
  test('connections of one address are limited', async () => {
    const { tcpPort } = await startServer({ config: { limits: { connectionsPerAddress: 2 } } });
    const [ann] = await two(tcpPort);
    const refused = { error: 'too many requests; try again later', code: 'too_many_requests', retryAfter: 5 };
    expect(parsed(await pipe(tcpPort, 'detailsView\n'))).toEqual([{ ...refused, context: 'api' }]);
    ann.write('quit\n');
    await ann.closed;
    const answers = await eventually(async () => {
      const again = parsed(await pipe(tcpPort, 'detailsView\n'));
      return again.length === 2 ? again : undefined;
    });
    expect(answers[1]).toMatchObject({ status: 'OK' });
  });

  test('too many new clients of one address are told when to come again', async () => {
    const { tcpPort } = await startServer({ config: { limits: { newClientsPerSecondPerAddress: 1 } } });
    for (let nth = 0; nth < 4; nth += 1) await TcpClient.connect(tcpPort);
    expect(parsed(await pipe(tcpPort, ''))).toEqual([
      { error: 'too many requests; try again later', code: 'too_many_requests', retryAfter: 1, context: 'api' },
    ]);
  });

  test('without a default room one is in none, and may say where one goes', async () => {
    const { tcpPort } = await startServer({ config: { general: { defaultChatRoom: null } } });
    const ann = await TcpClient.connect(tcpPort);
    expect(ann.greeting.room).toBeNull();
    expect(await ann.line('say hello')).toMatchObject({ error: 'a room is required' });
    await ann.line('roomAdd garden');
    expect(await ann.line('say garden hello')).toMatchObject({ status: 'OK' });
  });

  test('too fast is told with the seconds to wait', async () => {
    const { tcpPort } = await startServer({ config: { limits: { saysPerSecond: 1 } } });
    const ann = await TcpClient.connect(tcpPort);
    ann.write('say 1\nsay 2\nsay 3\ndetailsView\n');
    const [, , third, details] = await ann.responses.take(4);
    expect(third).toMatchObject({ code: 'too_many_requests', retryAfter: 1 });
    expect(details).toMatchObject({ status: 'OK' });
  });
});

describe('TLS', () => {
  let folder: string;
  let certificate: Certificate;
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'earshot-tls-'));
    certificate = makeCertificate(folder);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const start = () =>
    startServer({
      config: {
        servers: { socket: { tls: certificate } },
      },
    });

  test('is the same inside', async () => {
    const { tcpPort, url } = await start();
    const ann = await TcpClient.connectTls(tcpPort, readFileSync(certificate.cert, 'utf8'));
    const bob = await WsClient.connect(url);
    expect((await ann.line('say secrets')).data).toMatchObject({ room: 'defaultRoom' });
    expect(await bob.heard.next()).toMatchObject({ message: 'secrets', from: ann.id });
    await bob.say('x'.repeat(16_000));
    expect((await ann.heard.next()).message).toHaveLength(16_000);
    ann.write('quit\n');
    await ann.closed;
    expect(ann.lines.all.at(-1)).toBe('{"status":"Bye!","context":"api"}');
  });

  test('answers who closes its side first', async () => {
    const { tcpPort } = await start();
    const ca = readFileSync(certificate.cert);
    const received = await new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = tls.connect({ port: tcpPort, host: '127.0.0.1', ca, servername: 'localhost' });
      socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      socket.on('error', reject);
      socket.on('close', () => resolve(text));
      socket.end('say hello\n');
    });
    expect(parsed(received)).toMatchObject([{ context: 'api' }, { status: 'OK' }]);
  });

  test('a handshake that is not finished has its time, and is cut', async () => {
    const { tcpPort } = await startServer({
      config: { servers: { socket: { tls: certificate } }, limits: { handshake: 100 } },
    });
    // The head of a ClientHello that promises 512 bytes more (RFC 8446, 5.1), and nothing at all.
    for (const beginning of ['', '\x16\x03\x01\x02\x00\x01']) {
      const socket = createConnection({ port: tcpPort, host: '127.0.0.1', allowHalfOpen: true });
      socket
        .on('error', () => undefined)
        .resume()
        .write(beginning);
      await new Promise((resolve) => socket.once('close', resolve).once('end', resolve));
      socket.destroy();
    }
    const ann = await TcpClient.connectTls(tcpPort, readFileSync(certificate.cert, 'utf8'));
    await ann.line('say in time');
  });

  test('plain text is not answered', async () => {
    const { tcpPort } = await start();
    const received = await pipe(tcpPort, 'detailsView\n').catch(() => '');
    expect(received).not.toContain('welcome');
  });
});
