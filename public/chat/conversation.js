/** What was said in one room, as far as this page knows it; kept for the page that is loaded after it. */
import { element, person } from './element.js';

/** Lines that are shown, and lines that outlive a reload. */
const SHOWN = 500;
const KEPT = 200;
/** ms within which the same person's messages stand under one name. */
const TOGETHER = 120_000;

const REASONS = {
  trimmed: 'the log was full',
  expired: 'they were too old, or you were away for too long',
  reset: 'the server lost this room',
  fork: 'the store fell back to an earlier state',
};

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

export class Conversation {
  /** What was said, in order: `{ kind: 'said' | 'gap' | 'came' | 'went', … }`. */
  lines = [];
  /** Said here, and not heard yet: by what it says. */
  pending = [];
  unread = 0;
  /** Who is here: a Set of ids; undefined while nobody knows. */
  people = undefined;

  constructor(room, me) {
    this.room = room;
    this.me = me;
    this.key = `earshot page ${room}`;
    this.list = element('ol', { className: 'lines' });
    this.waiting = element('ol', { className: 'lines waiting' });
    try {
      for (const line of JSON.parse(sessionStorage.getItem(this.key) ?? '[]')) this.add(line);
    } catch {
      // What is kept there is not ours, or may not be read: the page begins empty.
    }
  }

  said(message) {
    const index = this.pending.findIndex(({ text }) => message.from === this.me() && text === message.message);
    if (index >= 0) this.pending.splice(index, 1)[0].item.remove();
    this.add({ kind: 'said', ...message });
  }

  /** What was said before all that is here. */
  before(messages) {
    const known = new Set(this.lines.map(({ id }) => id));
    const older = messages.filter(({ id }) => !known.has(id)).map((message) => ({ kind: 'said', ...message }));
    const { lines } = this;
    this.lines = [];
    this.list.replaceChildren();
    for (const line of [...older, ...lines]) this.add(line);
  }

  add(line) {
    const item = this.#item(line, this.lines.at(-1));
    this.lines.push(line);
    this.list.append(item);
    if (this.lines.length > SHOWN) {
      this.lines.shift();
      this.list.firstElementChild.remove();
    }
  }

  /** Shown at once, and told from what the room has heard. */
  saying(text) {
    const item = element(
      'li',
      { className: 'said own' },
      body(text),
      element('span', { className: 'state' }, 'sending'),
    );
    this.waiting.append(item);
    const entry = { text, item };
    this.pending.push(entry);
    return {
      failed: (problem, again) => {
        this.pending = this.pending.filter((each) => each !== entry);
        const retry = element('button', { type: 'button', className: 'quiet' }, 'Try again');
        retry.addEventListener('click', () => {
          item.remove();
          again();
        });
        item.classList.add('failed');
        item.lastElementChild.replaceWith(element('span', { className: 'problem' }, `not said: ${problem} `), retry);
      },
    };
  }

  keep() {
    try {
      sessionStorage.setItem(this.key, JSON.stringify(this.lines.slice(-KEPT)));
    } catch {
      // Full, or forbidden: then a reload shows less.
    }
  }

  forget() {
    sessionStorage.removeItem(this.key);
  }

  #item(line, before) {
    if (line.kind === 'gap') {
      const count =
        line.lost === null ? 'Some messages are' : line.lost === 1 ? '1 message is' : `${line.lost} messages are`;
      return element('li', { className: 'gap' }, `${count} gone: ${REASONS[line.reason] ?? line.reason}`);
    }
    if (line.kind !== 'said') {
      return element(
        'li',
        { className: 'presence' },
        person(line.id, this.me()),
        line.kind === 'came' ? ' came in' : ' left',
      );
    }
    const together = before?.kind === 'said' && before.from === line.from && line.sentAt - before.sentAt < TOGETHER;
    const at = new Date(line.sentAt);
    const time = element('time', { dateTime: at.toISOString(), title: at.toLocaleString() }, clock.format(at));
    const own = line.from === this.me() ? ' own' : '';
    const head = element('p', { className: 'head' }, person(line.from, this.me()), time);
    return element('li', { className: `said${own}` }, ...(together ? [] : [head]), body(line.message));
  }
}

/** Text as it was typed; anything else as the JSON that it is. */
function body(message) {
  if (typeof message === 'string') return element('p', { className: 'text' }, message);
  return element('pre', { className: 'text' }, JSON.stringify(message, null, 2));
}
