/** One room: who is in it, the operator's word to it, and the way out for a member. */
import { byId, element, setText, showRows } from './dom.js';
import { get, post } from './ask.js';
import { count, duration } from './formats.js';

const PAGE = 50;
/** ms in which a second press removes the member. */
const SURE = 4000;

export class Room {
  #room;
  #limit = PAGE;

  /** @param {(error: Error) => void} failed */
  constructor(failed) {
    this.failed = failed;
    byId('say').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#say();
    });
    byId('more-members').addEventListener('click', () => {
      this.#limit += PAGE;
      void this.load();
    });
  }

  open(room) {
    this.#room = room;
    this.#limit = PAGE;
    setText(byId('room-name'), room);
    byId('say-room').value = room;
    this.#tell('');
    byId('members').tBodies[0].replaceChildren();
    void this.load();
    // On a narrow page it is below what was pressed.
    byId('room').scrollIntoView({ block: 'nearest' });
  }

  async load() {
    const room = this.#room;
    if (room === undefined) return;
    try {
      const answer = await get('api/members', { room, limit: this.#limit });
      if (room === this.#room) this.#show(answer);
    } catch (error) {
      if (error.status !== 404) this.failed(error);
      else if (room === this.#room) this.#show({ members: [], membersCount: 0 });
    }
  }

  #show({ members, membersCount, next }) {
    setText(byId('members-count'), membersCount === 1 ? '1 member' : `${count(membersCount)} members`);
    byId('more-members').hidden = next === undefined;
    byId('members').hidden = members.length === 0;
    const now = Date.now();
    showRows(byId('members'), members, {
      keyOf: ({ id }) => id,
      make: (row, { id }) => {
        row.append(
          element('th', { scope: 'row' }, this.#details(id)),
          element('td'),
          element('td', { className: 'act' }, this.#removeButton(id)),
        );
      },
      update: (row, { joinedAt }) => setText(row.cells[1], duration(now - joinedAt)),
    });
  }

  /** What a client is is asked for when somebody opens it. */
  #details(id) {
    const details = element('details', {}, element('summary', { className: 'id', textContent: id }));
    details.addEventListener('toggle', async () => {
      if (!details.open) return;
      const list = element('dl');
      try {
        const { connectedAt, room, rooms, attributes } = await get('api/client', { id });
        const entries = [
          ['known since', new Date(connectedAt).toLocaleString()],
          ['current room', room ?? 'none'],
          ['rooms', rooms.map((one) => (one.listening ? `${one.room} (listens)` : one.room)).join(', ')],
          ...Object.entries(attributes).map(([name, value]) => [name, JSON.stringify(value)]),
        ];
        for (const [name, value] of entries) {
          list.append(element('dt', { textContent: name }), element('dd', { textContent: value }));
        }
      } catch (error) {
        list.append(element('dd', { textContent: error.message }));
      }
      details.replaceChildren(details.firstElementChild, list);
    });
    return details;
  }

  #removeButton(id) {
    const button = element('button', { type: 'button', className: 'remove', textContent: 'Remove' });
    button.setAttribute('aria-label', `Remove ${id}`);
    let timer;
    const unsure = () => {
      clearTimeout(timer);
      delete button.dataset.sure;
      button.textContent = 'Remove';
    };
    button.addEventListener('click', () => {
      if (!('sure' in button.dataset)) {
        button.dataset.sure = '';
        button.textContent = 'Really?';
        timer = setTimeout(unsure, SURE);
        return;
      }
      unsure();
      void this.#remove(id, button);
    });
    return button;
  }

  async #remove(id, button) {
    const room = this.#room;
    button.disabled = true;
    try {
      await post('api/remove', { room, id });
      this.#tell(`${id} is out of ${room}.`);
    } catch (error) {
      this.#tell(error.message, true);
      this.failed(error);
    }
    button.disabled = false;
    await this.load();
  }

  async #say() {
    const message = byId('say-message');
    const room = byId('say-room').value.trim();
    const from = byId('say-from').value.trim() || undefined;
    const button = byId('say').querySelector('button');
    button.disabled = true;
    try {
      const { id } = await post('api/publish', { room, message: message.value, from });
      message.value = '';
      this.#tell(`Said in ${room}, as ${id}.`);
    } catch (error) {
      this.#tell(error.message, true);
      this.failed(error);
    }
    button.disabled = false;
  }

  #tell(text, isBad = false) {
    byId('said').dataset.state = isBad ? 'bad' : '';
    setText(byId('said'), text);
  }
}
