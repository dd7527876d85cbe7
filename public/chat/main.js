/** The page: one participant per tab, its rooms, and what is said in them. */
import { connect } from '/chat/client.js';
import { Conversation } from './conversation.js';
import { closeDrawers, openRooms } from './drawers.js';
import { byId, element, person, shortName } from './element.js';
import { followDown, scrollDown } from './newest.js';
import { showWays, waysInto } from './ways.js';

const LINKS = { websocket: 'WebSocket', sse: 'event stream', poll: 'polling' };

const chat = connect('/', { identity: 'token', echo: true, presence: true, name: 'page' });
/** By room, in the order in which they were joined. */
const conversations = new Map();
let current;

// --- rooms ---

function conversationIn(room) {
  const known = conversations.get(room);
  if (known) return known;
  const made = new Conversation(room, () => chat.id);
  conversations.set(room, made);
  return made;
}

/** The one after `#`, or none where that is no text that was encoded. */
function roomInAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return '';
  }
}

async function show(room) {
  current = conversationIn(room);
  current.unread = 0;
  if (roomInAddress() !== room) history.replaceState(null, '', `#${encodeURIComponent(room)}`);
  byId('room').textContent = room;
  byId('leave').setAttribute('aria-label', `Leave ${room}`);
  byId('conversation').replaceChildren(current.list, current.waiting);
  scrollDown();
  showRooms();
  showPeople();
  closeDrawers();
  const doors = await askForDoors();
  if (current.room === room) showWays(waysInto(room, doors, location));
}

let askedForDoors;

/** The other ways in; without an answer the panel has those that it knows, and the next room's asks again. */
async function askForDoors() {
  askedForDoors ??= fetch('/doors').then((response) => response.json());
  try {
    return await askedForDoors;
  } catch {
    askedForDoors = undefined;
    return { tcp: null };
  }
}

async function join(room) {
  byId('join-problem').textContent = '';
  const name = room.normalize('NFC');
  if (!chat.rooms.includes(name)) {
    await chat.roomAdd(name);
    await arrive(name);
  }
  await show(name);
}

/** A room that one does not get into, or out of: said where the rooms are, which on a narrow screen is a drawer. */
function showProblem(room, { message }) {
  byId('join-problem').textContent = `${room}: ${message}`;
  openRooms();
}

const isKnown = ({ people, missed }) => people !== undefined && !missed;

/** Who is here, and what was said before. */
async function arrive(room) {
  const conversation = conversationIn(room);
  await Promise.all([look(conversation), remember(conversation)]);
}

/** Who came or went while we looked may be in the answer or not: replayed on it, both give the same. */
async function look(conversation) {
  const meanwhile = [];
  conversation.meanwhile = meanwhile;
  try {
    const { members, membersCount } = await chat.roomView(conversation.room);
    conversation.people = new Set(members);
    for (const { event, id } of meanwhile) conversation.people[event === 'join' ? 'add' : 'delete'](id);
    conversation.unlisted = membersCount - members.length;
  } catch (error) {
    if (error.code !== 'closed') console.info(`earshot: ${error.message}`);
  }
  if (conversation.meanwhile === meanwhile) conversation.meanwhile = undefined;
  showPeople();
}

async function remember(conversation) {
  try {
    conversation.remember(await chat.history(conversation.room, { limit: 100 }));
    conversation.keep();
    scrollDown();
  } catch {
    // What was said before we came is private here: `chat.history` is 0.
  }
}

async function leave(room) {
  byId('join-problem').textContent = '';
  try {
    await chat.roomLeave(room);
  } catch (error) {
    showProblem(room, error);
    return;
  }
  conversations.get(room)?.forget();
  conversations.delete(room);
  const [first] = chat.rooms;
  if (first) await show(first);
}

/** By room. An item stays the same one, or the keyboard would lose its place with every message. */
const items = new Map();

function itemOf(room) {
  const known = items.get(room);
  if (known) return known;
  const count = element('span', {});
  const unread = element(
    'span',
    { className: 'unread' },
    count,
    element('span', { className: 'hidden-label' }, ' new'),
  );
  const button = element('button', { type: 'button' }, element('span', { className: 'name' }, room), unread);
  button.addEventListener('click', () => void show(room));
  const made = { item: element('li', {}, button), button, unread, count };
  items.set(room, made);
  return made;
}

function showRooms() {
  const list = byId('rooms');
  const { rooms } = chat;
  for (const [room, { item }] of items) {
    if (rooms.includes(room)) continue;
    item.remove();
    items.delete(room);
  }
  for (const [index, room] of rooms.entries()) {
    const { item, button, unread, count } = itemOf(room);
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    count.textContent = String(conversationIn(room).unread);
    unread.hidden = conversationIn(room).unread === 0;
    if (room === current?.room) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
  }
  byId('leave').hidden = chat.rooms.length < 2;
  const unread = [...conversations.values()].reduce((sum, each) => sum + each.unread, 0);
  byId('elsewhere').textContent = unread > 0 ? ` (${unread})` : '';
  document.title = unread > 0 ? `(${unread}) earshot` : `earshot: ${current?.room ?? ''}`;
}

function showPeople() {
  const people = [...(current?.people ?? [])].sort((one, other) => (other === chat.id) - (one === chat.id));
  byId('people').replaceChildren(...people.slice(0, 200).map((id) => element('li', {}, person(id, chat.id))));
  byId('count').textContent = current?.people ? String(people.length + current.unlisted) : '';
}

// --- what is heard ---

function isLookedAt(conversation) {
  return conversation === current && document.visibilityState === 'visible';
}

function changed(conversation, counts) {
  if (counts && !isLookedAt(conversation)) conversation.unread += 1;
  if (conversation === current) followDown();
  showRooms();
}

chat.on('say', (message) => {
  // What is told to this client alone belongs to no room: it is shown where one looks.
  const conversation =
    message.room === undefined ? (current ?? conversationIn(chat.rooms[0])) : conversationIn(message.room);
  conversation.said(message);
  conversation.keep();
  changed(conversation, message.from !== chat.id);
});

chat.on('gap', (gap) => {
  const conversation = gap.room === undefined ? current : conversationIn(gap.room);
  if (!conversation) return;
  conversation.gap(gap);
  conversation.keep();
  changed(conversation, false);
  if (conversation.missed) void remember(conversation);
});

chat.on('presence', (presence) => {
  const conversation = conversationIn(presence.room);
  conversation.meanwhile?.push(presence);
  conversation.moved(presence);
  changed(conversation, false);
  if (conversation === current) showPeople();
});

chat.on('open', async ({ id, rooms, link }) => {
  stopCounting();
  showLink(LINKS[link], link);
  byId('me').replaceWith(element('b', { id: 'me', title: id }, shortName(id)));
  for (const room of rooms) conversationIn(room);
  await Promise.all(rooms.map((room) => (isKnown(conversationIn(room)) ? look(conversationIn(room)) : arrive(room))));
  if (current && chat.rooms.includes(current.room)) return;
  const wanted = roomInAddress() || rooms[0];
  if (wanted === undefined) return;
  try {
    await join(wanted);
  } catch (error) {
    if (rooms[0] !== undefined) await show(rooms[0]);
    showProblem(wanted, error);
  }
});

let counting;

chat.on('close', ({ error, retryIn }) => {
  stopCounting();
  const until = performance.now() + (retryIn ?? 0);
  const tell = () => {
    const seconds = Math.max(0, Math.ceil((until - performance.now()) / 1000));
    showLink(
      seconds > 0 ? 'offline' : 'connecting…',
      'away',
      error?.message,
      seconds > 0 ? `, again in ${seconds} s` : '',
    );
  };
  tell();
  counting = setInterval(tell, 1000);
});

function stopCounting() {
  clearInterval(counting);
}

/** @param countdown for the eye: a screen reader that told each second would tell nothing else */
function showLink(text, state, why = '', countdown = '') {
  const link = byId('link');
  if (byId('link-state').textContent !== text) byId('link-state').textContent = text;
  byId('countdown').textContent = countdown;
  link.dataset.state = state;
  link.title = why;
}

addEventListener('pagehide', () => {
  for (const conversation of conversations.values()) conversation.keepNow();
});

document.addEventListener('visibilitychange', () => {
  if (!current || document.visibilityState !== 'visible') return;
  current.unread = 0;
  showRooms();
});

// --- what is said ---

const message = byId('message');

async function say(text, conversation) {
  const saying = conversation.saying(text);
  scrollDown();
  try {
    saying.answered(await chat.say(text, { room: conversation.room }));
    // The room may have been left meanwhile, and what was kept of it forgotten.
    if (conversations.get(conversation.room) === conversation) conversation.keep();
    changed(conversation, false);
  } catch (error) {
    saying.failed(error.message, () => void say(text, conversation));
    // An operator took this client out, or an action did: it is not to come back by itself when the page is loaded anew.
    if (error.code === 'not_in_room') {
      // The room in the address is joined by every page that is loaded with it, and when a link is back.
      if (roomInAddress() === conversation.room) history.replaceState(null, '', location.pathname + location.search);
      await chat.roomLeave(conversation.room).catch(() => undefined);
    }
    showRooms();
  }
}

byId('say').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = message.value;
  if (text.trim() === '' || !current) return;
  message.value = '';
  fit();
  void say(text, current);
});

/** Enter says it, Shift and Enter begin a new line; not while an input method still composes. */
message.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  byId('say').requestSubmit();
});

function fit() {
  message.rows = Math.min(6, message.value.split('\n').length);
}
message.addEventListener('input', fit);

byId('join').addEventListener('submit', async (event) => {
  event.preventDefault();
  const field = byId('join-room');
  const room = field.value.trim();
  try {
    await join(room);
    field.value = '';
    message.focus();
  } catch (error) {
    showProblem(room, error);
  }
});

byId('leave').addEventListener('click', () => void leave(current.room));

addEventListener('hashchange', () => {
  const room = roomInAddress();
  if (room !== '' && room !== current?.room) join(room).catch((error) => showProblem(room, error));
});

/** Alt and the arrows go from room to room. */
addEventListener('keydown', (event) => {
  if (event.key === 'Escape') closeDrawers();
  const step = event.altKey ? { ArrowUp: -1, ArrowDown: 1 }[event.key] : undefined;
  if (step === undefined || !current) return;
  event.preventDefault();
  const { rooms } = chat;
  // Taken out of its only room, it is in none.
  if (rooms.length === 0) return;
  void show(rooms[(rooms.indexOf(current.room) + step + rooms.length) % rooms.length]);
});

byId('conversation').addEventListener('click', closeDrawers);
