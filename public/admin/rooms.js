/** All rooms, by pages and by part of a name. */
import { byId, element, setText, showNumbers, showRows } from './dom.js';
import { get } from './ask.js';
import { count } from './formats.js';
import { roomButton } from './overview.js';

/** ms of no typing before we ask. */
const PAUSE = 200;

export class Rooms {
  #rooms = [];
  #timer;
  /** A slow answer to what is no longer asked is thrown away. */
  #question = 0;

  /** @param {(room: string) => void} openRoom @param {(error: Error) => void} failed */
  constructor(openRoom, failed) {
    this.openRoom = openRoom;
    this.failed = failed;
    byId('match').addEventListener('input', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.load(), PAUSE);
    });
    byId('more-rooms').addEventListener('click', () => this.load(this.#rooms.at(-1)?.room));
  }

  /** @param {string} [after] the last one that is shown: what follows it is added */
  async load(after) {
    const question = ++this.#question;
    const match = byId('match').value.trim() || undefined;
    try {
      const { rooms, count: all, next } = await get('api/rooms', { match, after });
      if (question !== this.#question) return;
      this.#rooms = after === undefined ? rooms : [...this.#rooms, ...rooms];
      this.#show(all, next !== undefined);
    } catch (error) {
      this.failed(error);
    }
  }

  #show(all, more) {
    setText(byId('rooms-count'), count(all));
    byId('more-rooms').hidden = !more;
    showRows(byId('rooms'), this.#rooms, {
      keyOf: ({ room }) => room,
      make: (row, { room }) => row.append(element('th', { scope: 'row' }, roomButton(room, this.openRoom))),
      update: (row, { members }) => showNumbers(row, [count(members)]),
    });
  }
}
