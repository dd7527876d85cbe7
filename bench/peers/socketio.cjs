/** Socket.IO as its documents set it up: rooms, and the Redis adapter where there is a Redis. */
const { createServer } = require('node:http');
const { Server } = require('socket.io');

const { PORT, REDIS_URL } = process.env;
const server = createServer();
// Longer than any run, so that no ping falls into one.
const io = new Server(server, { pingInterval: 300_000, maxHttpBufferSize: 1e6 });
if (REDIS_URL) {
  const { createAdapter } = require('@socket.io/redis-adapter');
  const { Redis } = require('ioredis');
  io.adapter(createAdapter(new Redis(REDIS_URL), new Redis(REDIS_URL)));
}

io.on('connection', (socket) => {
  socket.on('join', (room, done) => {
    socket.join(room);
    done();
  });
  socket.on('say', (room, message) => {
    socket.to(room).emit('message', { message, room, from: socket.id, sentAt: Date.now() });
  });
});

server.listen(Number(PORT), '127.0.0.1', 4096, () => console.log('ready'));
process.on('SIGTERM', () => process.exit(0));
