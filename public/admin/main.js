/** The operator's page: signs in where a token is asked for, then looks again and again at how the deployment is. */
import { Refused, get, token } from './ask.js';
import { byId, setText } from './dom.js';
import { Overview } from './overview.js';
import { Room } from './room.js';
import { Rooms } from './rooms.js';

/** ms between looks; the nodes tell about as often. */
const EVERY = 2000;
/** Looks between those at what costs the store more: lists of rooms and members. */
const SELDOM = 3;

let lastAnswer;
let looks = 0;
let parts;

byId('sign-in').addEventListener('submit', (event) => {
  event.preventDefault();
  token.set(byId('token').value.trim());
  void look();
});
byId('sign-out').addEventListener('click', () => {
  token.forget();
  location.reload();
});
byId('settings').addEventListener('toggle', async () => {
  if (!byId('settings').open) return;
  const text = await get('api/config').then(({ config }) => JSON.stringify(config, null, 2), explain);
  setText(byId('settings').querySelector('pre'), text);
});

/** What is shown once somebody may see it. */
function open() {
  byId('sign-in').hidden = true;
  byId('sign-out').hidden = token.get() === null;
  byId('page').hidden = false;
  if (!parts) {
    const room = new Room(failed);
    const openRoom = (name) => room.open(name);
    parts = { overview: new Overview(openRoom), rooms: new Rooms(openRoom, failed), room };
  }
  void parts.rooms.load();
}

async function look() {
  try {
    const status = await get('api/status');
    if (byId('page').hidden) open();
    lastAnswer = new Date();
    tellHealth(status.ready ? 'good' : 'bad', status.ready ? 'ready' : `not ready: ${status.reason}`);
    parts.overview.show(status);
    looks += 1;
    if (looks % SELDOM === 0) void parts.room.load();
  } catch (error) {
    if (failed(error)) return;
  }
  setTimeout(look, EVERY);
}

/** @returns {boolean} whether nothing can be asked before somebody signs in */
function failed(error) {
  if (error instanceof Refused && (error.status === 401 || error.status === 403)) {
    askForToken(error);
    return true;
  }
  const since = lastAnswer ? ` since ${lastAnswer.toLocaleTimeString()}` : '';
  tellHealth('bad', error instanceof Refused ? explain(error) : `no answer${since}`);
  return false;
}

function askForToken(error) {
  // Several questions may be refused at once; what is being typed by then stays.
  if (!byId('sign-in').hidden && token.get() === null) return;
  if (token.get() !== null) setText(byId('sign-in-problem'), explain(error));
  token.forget();
  byId('page').hidden = true;
  byId('sign-in').hidden = false;
  byId('token').value = '';
  byId('token').focus();
  tellHealth('', '');
}

function tellHealth(state, text) {
  byId('health').dataset.state = state;
  setText(byId('health'), text);
}

function explain(error) {
  return error instanceof Error ? error.message : String(error);
}

void look();
