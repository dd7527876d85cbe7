/**
 * The bare `ws` package, and the least that makes a room of it: a Set of sockets.
 * FRAMED=1 frames each message once and writes the same bytes to every socket.
 */
const { createServer } = require('node:http');
const { Sender, WebSocketServer } = require('ws');

const { PORT, FRAMED } = process.env;
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
const rooms = new Map();

sockets.on('connection', (socket, request) => {
  const name = request.url.slice(1);
  const room = rooms.get(name) ?? new Set();
  rooms.set(name, room);
  room.add(socket);
  socket.on('error', () => socket.terminate());
  socket.on('close', () => room.delete(socket));
  socket.on('message', (data) => {
    const { text } = JSON.parse(data);
    const json = JSON.stringify({ message: text, room: name, sentAt: Date.now() });
    if (FRAMED) {
      const bytes = Buffer.concat(
        Sender.frame(Buffer.from(json), { fin: true, opcode: 1, mask: false, readOnly: true, rsv1: false }),
      );
      for (const other of room) if (other !== socket) other._socket.write(bytes);
    } else {
      for (const other of room) if (other !== socket) other.send(json);
    }
  });
  socket.send('{"joined":true}');
});

server.listen(Number(PORT), '127.0.0.1', 4096, () => console.log('ready'));
process.on('SIGTERM', () => process.exit(0));
