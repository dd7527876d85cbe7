/** Readers that stop reading cost the node next to nothing, hold nobody up, and are served later from the log. */
import http from 'node:http';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import express from 'express';
import { WebSocket } from 'ws';
import { actions, createChat, type MountedChat } from '../../src';
import { faults, figuresOf, Record } from '../support/checker';
import { eventually } from '../support/eventually';
import { noteFault } from '../support/figures';
import { KeptLog } from '../support/logger';
import { long } from '../support/long';
import { redisSettings } from '../support/store-settings';

const READERS = long ? 1000 : 60;
const MESSAGES = 300;
const words = 'x'.repeat(4000);

/** Bytes unsent to a peer at which nothing more is written to it. */
const SOFT = 65_536;
/** Bytes that this process may grow by: the log's ring, and of each reader what we keep for it and what it keeps itself. */
const BOUND = 50 * 1024 * 1024 + READERS * 2 * SOFT;

/** What the kernel takes for a peer that does not read is 4 MB over TCP, 0.2 MB here: it is us who have to stop. */
const folder = mkdtempSync(path.join(tmpdir(), 'earshot-slow-'));
const socketPath = path.join(folder, 'http.sock');
let server: http.Server;
let chat: MountedChat;
/** The server's halves of the links. */
const links = new Set<Socket>();
/** Bytes of the largest write to one of them: on a slow machine fifty messages are said during one wave. */
let largest = 0;

function watch(link: Socket): void {
  links.add(link);
  const write = link.write.bind(link) as (...args: unknown[]) => boolean;
  link.write = (bytes: string | Uint8Array, ...rest: unknown[]) => {
    largest = Math.max(largest, bytes.length);
    return write(bytes, ...rest);
  };
}

beforeAll(async () => {
  chat = await createChat({
    actions,
    logger: new KeptLog(),
    config: {
      redis: redisSettings(),
      commonWeb: { httpClientMessageTTL: 60_000 },
      limits: {
        bufferSoft: SOFT,
        stuck: 0,
        saysPerSecond: 0,
        saysPerSecondPerAddress: 0,
        bytesPerSecondPerAddress: 0,
        joinsPerSecondPerAddress: 0,
        newClientsPerSecondPerAddress: 0,
        newRoomsPerSecondPerAddress: 0,
        connectionsPerAddress: 0,
      },
    },
  });
  const app = express();
  app.use('/chat', chat.router);
  server = http.createServer(app).on('connection', watch);
  chat.attach(server);
  await once(server.listen(socketPath), 'listening');
});
afterAll(async () => {
  for (const { end } of readers) end();
  await chat.close();
  server.closeAllConnections();
  await once(server.close(), 'close');
  rmSync(folder, { recursive: true, force: true });
});

/** It is there, and reads nothing until it is told to. */
interface Reader {
  readonly record: Record;
  /** Goes on reading. */
  readonly resume: () => void;
  readonly end: () => void;
}

const readers: Reader[] = [];
const MESSAGE = /"message":"(\d+) x*".*?"id":"([\d-]+)"/g;

/** Takes what is said out of any wire's bytes: a message of 4 KB is not parsed for it. */
function hearing(record: Record): (piece: Buffer) => void {
  let rest = '';
  return (piece) => {
    const text = rest + piece.toString('latin1');
    let end = 0;
    for (const match of text.matchAll(MESSAGE)) {
      end = match.index + match[0].length;
      record.take({ context: 'user', message: match[1], id: match[2] });
    }
    rest = text.slice(end);
  };
}

async function stream(format: 'sse' | 'ndjson'): Promise<Reader> {
  const asking = http.get({ socketPath, path: `/chat/?method=messages&stream=${format}`, agent: false });
  const [response] = (await once(asking, 'response')) as [http.IncomingMessage];
  const record = new Record(format);
  const resume = (): void => void response.on('data', hearing(record));
  return { record, resume, end: () => asking.destroy() };
}

async function socket(): Promise<Reader> {
  const ws = new WebSocket(`ws+unix:${socketPath}:/chat/`, { perMessageDeflate: false });
  await once(ws, 'message');
  ws.pause();
  const record = new Record('websocket');
  ws.on('message', hearing(record));
  return { record, resume: () => ws.resume(), end: () => ws.terminate() };
}

const kinds = [() => stream('sse'), () => stream('ndjson'), socket];

const patience = long ? 240_000 : 45_000;

const title = `${READERS} readers that read nothing while ${MESSAGES} messages of 4 KB are said`;
test(title, judged, patience + 60_000);

async function judged(): Promise<void> {
  for (let made = 0; made < READERS; made += 20) {
    const some = Array.from({ length: 20 }, (_, index) => kinds[(made + index) % kinds.length]!());
    readers.push(...(await Promise.all(some)));
  }
  const quick = await stream('ndjson');
  readers.push(quick);
  quick.resume();

  const before = process.memoryUsage().rss;
  const accepted = new Map<string, unknown>();
  for (let nth = 0; nth < MESSAGES; nth += 1) {
    const said = await chat.api.chatRoom.broadcast(null, 'defaultRoom', `${nth} ${words}`);
    accepted.set(said.id, String(nth));
  }
  // Whoever reads is not held up by those who do not.
  await eventually(() => quick.record.heard.length === MESSAGES);
  const grown = process.memoryUsage().rss - before;
  const unsent = Math.max(...[...links].map(({ writableLength }) => writableLength));
  // One write more than the limit, with what HTTP puts around it, and that is a small part of what was said.
  expect(unsent).toBeGreaterThan(0);
  expect(unsent).toBeLessThan(SOFT + largest + 100);
  expect(largest).toBeLessThan((MESSAGES * words.length) / 4);

  for (const { resume } of readers) if (resume !== quick.resume) resume();
  await eventually(() => readers.every(({ record }) => record.heard.length === MESSAGES), patience);
  const records = readers.map(({ record }) => record);
  expect(records.flatMap((record) => faults(record, accepted))).toEqual([]);
  expect(grown).toBeLessThan(BOUND);
  noteFault({
    fault: title,
    expected: 'memory bounded, nobody else held up, all served later',
    ...figuresOf(records, accepted),
    more: `${Math.round(grown / 1024 / 1024)} MB more memory, at most ${Math.round(unsent / 1024)} KB unsent to one`,
  });
}
