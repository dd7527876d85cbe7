/**
 * The bare `ws` package, and the least that makes a room of it: a Set of sockets.
 * FRAMED=1 frames each message once and writes the same bytes to every socket; JOINED=1 does so once per turn of the
 * event loop, with all that came in it: the floor for a server in Node. With REDIS_URL what is said goes through Redis,
 * to all nodes.
 */
const { createServer } = require('node:http');
const { Sender, WebSocketServer } = require('ws');
const { appendTo, logOf } = require('./append.cjs');

const { PORT, FRAMED, JOINED, REDIS_URL } = process.env;
/** Set before anybody is let in. */
let redis;
let subscriber;
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
const rooms = new Map();
/** By their logs in Redis. */
const followed = new Map();

function frame(json) {
  const options = { fin: true, opcode: 1, mask: false, readOnly: true, rsv1: false };
  return Buffer.concat(Sender.frame(Buffer.from(json), options));
}

function send(room, bytes, speaker) {
  for (const other of room.sockets) if (other !== speaker) other._socket.write(bytes);
}

function join(room, bytes) {
  room.frames.push(bytes);
  if (room.frames.length > 1) return;
  setImmediate(() => {
    send(room, Buffer.concat(room.frames));
    room.frames = [];
  });
}

function roomNamed(name) {
  let room = rooms.get(name);
  if (!room) {
    room = { name, log: logOf(name), sockets: new Set(), frames: [], followed: subscriber?.subscribe(logOf(name)) };
    rooms.set(name, room);
    followed.set(room.log, room);
  }
  return room;
}

function deliver(room, json, speaker) {
  if (JOINED) join(room, frame(json));
  else if (FRAMED) send(room, frame(json), speaker);
  else for (const other of room.sockets) if (other !== speaker) other.send(json);
}

sockets.on('connection', async (socket, request) => {
  const room = roomNamed(request.url.slice(1));
  socket.on('error', () => socket.terminate());
  socket.on('close', () => room.sockets.delete(socket));
  socket.on('message', (data) => {
    const { text } = JSON.parse(data);
    const sentAt = Date.now();
    const json = JSON.stringify({ message: text, room: room.name, sentAt });
    if (redis) void redis.append(room.log, json, sentAt);
    else deliver(room, json, socket);
  });
  await room.followed;
  room.sockets.add(socket);
  socket.send('{"joined":true}');
});

async function main() {
  if (REDIS_URL) {
    redis = await appendTo(REDIS_URL);
    subscriber = redis.duplicate();
    subscriber.on('message', (log, json) => deliver(followed.get(log), json));
  }
  server.listen(Number(PORT), '127.0.0.1', 4096, () => console.log('ready'));
}

void main();
process.on('SIGTERM', () => process.exit(0));
