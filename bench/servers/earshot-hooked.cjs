/** earshot with a hook of the kind named by HOOK, so that nobody may be given the bytes that all others get. */
const { actions, createConfig, createServer } = require('../../dist/src');

const { CONFIG, HOOK } = process.env;
const hooks = {
  // Asked for every hearer of every message.
  say: { say: (_connection, _room, payload) => payload },
  // Messages with `roomMatchKey` are for those who have the attribute: here everybody has.
  match: {
    join: (connection) => {
      connection.team = 'red';
    },
  },
};

createServer({
  config: createConfig(JSON.parse(CONFIG)),
  actions,
  middleware: [{ name: 'bench', ...hooks[HOOK] }],
}).then(({ url, tcp, close }) => {
  console.log(`earshot listening on ${url}${tcp ? ` (tcp ${tcp.host}:${tcp.port})` : ''}`);
  process.on('SIGTERM', () => close().then(() => process.exit(0)));
});
