/**
 * Bare `node:http`, and the least that makes a long-poll of it: a list of waiting responses for a room, one head and one
 * body for all of them. It takes what earshot's clients send, looks at nothing but the path, and keeps the last few
 * messages only: the floor for polls, and for saying over HTTP, in Node. With REDIS_URL a say is one script there, pipelined
 * with the others of its turn.
 */
const { createServer } = require('node:http');
const { WebSocketServer } = require('ws');
const { appendTo, logOf } = require('./append.cjs');

const { PORT, REDIS_URL } = process.env;
/** Set before anybody is let in. */
let redis;

const rooms = new Map();
let count = 0;

function roomNamed(name) {
  let room = rooms.get(name);
  if (!room) rooms.set(name, (room = { texts: [], seq: 0, bodies: new Map(), waiting: [] }));
  return room;
}

function answer(response, body) {
  response.writeHead(200, ['Content-Type', 'application/json; charset=utf-8', 'Content-Length', String(body.length)]);
  response.end(body);
}

/** More than the publishers have in flight. */
const KEPT = 64;

/** What follows a message, made once for all who have had it. */
function bodyAfter(room, name, seq) {
  let body = room.bodies.get(seq);
  if (!body) {
    const texts = room.texts.slice(seq - room.seq);
    body = Buffer.from(`{"messages":[${texts.join(',')}],"cursor":"${name}.${String(room.seq)}"}`);
    room.bodies.set(seq, body);
  }
  return body;
}

function append(room, name, message) {
  room.texts.push(JSON.stringify({ message, room: name, sentAt: Date.now() }));
  if (room.texts.length > KEPT) room.texts.shift();
  room.seq += 1;
  room.bodies.clear();
  const { waiting } = room;
  room.waiting = [];
  for (const response of waiting) answer(response, bodyAfter(room, name, room.seq - 1));
}

function poll(response, cursor) {
  const dot = cursor.lastIndexOf('.');
  const name = cursor.slice(0, dot);
  const room = roomNamed(name);
  const seq = Number(cursor.slice(dot + 1));
  if (seq < room.seq) answer(response, bodyAfter(room, name, seq));
  else room.waiting.push(response);
}

async function say(request, response) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const params = new URLSearchParams(Buffer.concat(parts).toString());
  const name = params.get('room');
  const sentAt = Date.now();
  const json = JSON.stringify({ message: params.get('message'), room: name, sentAt });
  count += 1;
  const id = redis ? await redis.append(logOf(name), json, sentAt) : `${String(sentAt)}-${String(count)}`;
  answer(response, Buffer.from(`{"status":"OK","room":"${name}","id":"${id}"}`));
}

const server = createServer((request, response) => {
  const { url } = request;
  const after = url.indexOf('&after=');
  if (after > 0) poll(response, url.slice(after + 7));
  else if (url === '/chat/?method=say') void say(request, response);
  else {
    const name = /&room=(\w+)/.exec(url)?.[1];
    const body = name === undefined ? '{"session":"x"}' : `{"cursor":"${name}.${String(roomNamed(name).seq)}"}`;
    request.resume();
    answer(response, Buffer.from(body));
  }
});

const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on('connection', (socket, request) => {
  const name = request.url.slice(1);
  socket.on('error', () => socket.terminate());
  socket.on('message', (data) => append(roomNamed(name), name, JSON.parse(data).text));
  socket.send('{"joined":true}');
});

async function main() {
  if (REDIS_URL) {
    redis = await appendTo(REDIS_URL);
  }
  server.listen(Number(PORT), '127.0.0.1', 4096, () => console.log('ready'));
}

void main();
process.on('SIGTERM', () => process.exit(0));
