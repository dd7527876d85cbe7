/**
 * The bare `ws` package, and the least that makes a room of it: a Set of sockets.
 * FRAMED=1 frames each message once and writes the same bytes to every socket; JOINED=1 does so once per turn of the
 * event loop, with all that came in it: the floor for a server in Node.
 */
const { createServer } = require('node:http');
const { Sender, WebSocketServer } = require('ws');

const { PORT, FRAMED, JOINED } = process.env;
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
const rooms = new Map();

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

sockets.on('connection', (socket, request) => {
  const name = request.url.slice(1);
  const room = rooms.get(name) ?? { sockets: new Set(), frames: [] };
  rooms.set(name, room);
  room.sockets.add(socket);
  socket.on('error', () => socket.terminate());
  socket.on('close', () => room.sockets.delete(socket));
  socket.on('message', (data) => {
    const { text } = JSON.parse(data);
    const json = JSON.stringify({ message: text, room: name, sentAt: Date.now() });
    if (JOINED) join(room, frame(json));
    else if (FRAMED) send(room, frame(json), socket);
    else for (const other of room.sockets) if (other !== socket) other.send(json);
  });
  socket.send('{"joined":true}');
});

server.listen(Number(PORT), '127.0.0.1', 4096, () => console.log('ready'));
process.on('SIGTERM', () => process.exit(0));
