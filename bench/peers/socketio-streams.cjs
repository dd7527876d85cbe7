/** Socket.IO as its documents set it up to lose nothing: the Redis streams adapter with connection state recovery. */
const { createServer } = require('node:http');
const { Server } = require('socket.io');
const { createAdapter } = require('@socket.io/redis-streams-adapter');
const { Redis } = require('ioredis');

const { PORT, REDIS_URL, KEPT = '10000' } = process.env;
const server = createServer();
const io = new Server(server, {
  adapter: createAdapter(new Redis(REDIS_URL), { maxLen: Number(KEPT) }),
  connectionStateRecovery: { maxDisconnectionDuration: 120_000 },
});

io.on('connection', (socket) => {
  // To all, the speaker too, as its documents' chat does: there, where a client is not told, it sees the room's order.
  socket.on('say', (room, message, done) => {
    io.to(room).emit('message', message);
    done();
  });
  socket.on('join', (room, done) => {
    socket.join(room);
    done();
  });
});

server.listen(Number(PORT), '127.0.0.1', () => console.log('ready'));
process.on('SIGTERM', () => process.exit(0));
