/** ActionHero with its own defaults, its WebSocket server and the rooms of the runs; logs nothing. */
const { PORT, ROOMS } = process.env;
process.env.LOG_LEVEL = 'crit';
process.env.ACTIONHERO_CONFIG_OVERRIDES = JSON.stringify({
  general: { startingChatRooms: Object.fromEntries(ROOMS.split(',').map((room) => [room, {}])) },
  // A project's routes; those of the package itself are not taken.
  routes: { get: [{ path: '/status', action: 'status' }] },
  web: { port: Number(PORT), bindIP: '127.0.0.1' },
  // No client library is written to disk.
  websocket: { enabled: true, clientJsName: '' },
});

const { Process } = require('actionhero');

const app = new Process();
app.registerProcessSignals((exitCode) => process.exit(exitCode));
app.start().then(() => console.log('ready'));
