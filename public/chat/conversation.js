/** What was said in one room, as far as this page knows it; kept for the page that is loaded after it. */
import { element, person } from './element.js';

/** Messages and gaps that are shown, and how many of them outlive a reload. */
const SHOWN = 500;
const KEPT = 200;
/** Characters of what is kept of a room; and ms that it may be kept late, but for a page that goes. */
const KEPT_LENGTH = 200_000;
const KEEP_AFTER = 1000;
/** Lines of who came and went: never at the cost of a message, and not kept. */
const COMINGS = 50;
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
  /** What this page says and has neither heard nor an answer to, the oldest first: their items. */
  pending = [];
  unread = 0;
  /** Told of a gap of which nobody knows how much is in it; the log may still have it. */
  missed = false;
  /** Who is here: a Set of ids; undefined while nobody knows. */
  people = undefined;
  /** How many more are here than the server listed. */
  unlisted = 0;
  /** Set while something waits to be kept. */
  keeping = undefined;

  constructor(room, me) {
    this.room = room;
    this.me = me;
    this.key = `earshot page ${room}`;
    this.list = element('ol', { className: 'lines' });
    this.waiting = element('ol', { className: 'lines waiting' });
    try {
      for (const line of JSON.parse(sessionStorage.getItem(this.key) ?? '[]')) this.#insert(line);
    } catch {
      // What is kept there is not ours, or may not be read: the page begins empty.
    }
  }

  /** Heard; hooks may have changed what was said, so what the room heard takes the place of what was typed. */
  said(message) {
    const line = { kind: 'said', ...message };
    const known = this.lines.findIndex((other) => isSame(other, line));
    if (known >= 0) {
      this.lines[known] = line;
      this.#redraw(known);
      return;
    }
    // The client says one thing at a time: what is heard of us is the oldest that waits.
    if (message.from === this.me()) this.pending.shift()?.remove();
    this.#hear(line);
  }

  /** What the log still has: some of it before what is here, some of it missed between. */
  remember(messages) {
    for (const message of messages) {
      const line = { kind: 'said', ...message };
      if (this.lines.some((other) => isSame(other, line))) continue;
      const next = this.lines.findIndex((other) => isLater(other, line));
      this.#insert(line, next < 0 ? this.lines.length : next);
    }
    this.#closeGaps(messages.at(-1));
    this.missed = false;
  }

  /** Numbers have no holes: where they go on across a gap whose size nobody knew, it was none. */
  #closeGaps(newest) {
    for (let index = this.lines.length - 1; index >= 0; index -= 1) {
      const { kind, reason, lost } = this.lines[index];
      // A log that began anew has other numbers.
      if (kind !== 'gap' || reason !== 'expired' || lost !== null) continue;
      const isOfRoom = (line) => line.kind === 'said' && line.room === this.room;
      const before = numberOf(this.lines.slice(0, index).findLast(isOfRoom));
      const after = this.lines.slice(index).find(isOfRoom);
      // With nothing after it the log's end tells, unless that has expired as well.
      const goesOn = after ? numberOf(after) === before + 1 : newest !== undefined && numberOf(newest) === before;
      if (!goesOn) continue;
      this.lines.splice(index, 1);
      this.list.children[index].remove();
      if (index < this.lines.length) this.#redraw(index);
    }
  }

  gap(gap) {
    this.#insert({ kind: 'gap', ...gap });
    this.missed ||= gap.lost === null;
  }

  /** Somebody came or went. */
  moved({ event, id, at }) {
    if (event === 'join') this.people?.add(id);
    else if (this.people?.delete(id) === false) this.unlisted = Math.max(0, this.unlisted - 1);
    if (id !== this.me()) this.#insert({ kind: event === 'join' ? 'came' : 'went', id, at });
  }

  /** Shown at once; what becomes of it is told by the answer, or before that by what the room hears. */
  saying(text) {
    const state = element('span', { className: 'state' }, 'sending');
    const item = element('li', { className: 'said own' }, body(text), state);
    this.waiting.append(item);
    this.pending.push(item);
    const settle = () => {
      this.pending = this.pending.filter((each) => each !== item);
      item.remove();
    };
    return {
      /** It may never be heard here: a hook can keep it from its speaker. */
      answered: (answer) => {
        settle();
        const line = { kind: 'said', from: this.me(), message: text, ...answer };
        if (!this.lines.some((other) => isSame(other, line))) this.#hear(line);
      },
      failed: (problem, again) => {
        settle();
        const retry = element('button', { type: 'button', className: 'quiet' }, 'Try again');
        retry.addEventListener('click', () => {
          item.remove();
          again();
        });
        item.classList.add('failed');
        state.replaceWith(element('span', { className: 'problem' }, `not said: ${problem} `), retry);
        this.waiting.append(item);
      },
    };
  }

  /** Before long, and once for all that comes until then: a browser takes its time for what is stored. */
  keep() {
    this.keeping ??= setTimeout(() => this.keepNow(), KEEP_AFTER);
  }

  /** Nothing where nothing is new. */
  keepNow() {
    if (this.keeping === undefined) return;
    this.#keepsNothing();
    const kept = [];
    let length = 0;
    for (const line of this.lines.filter(isWorthKeeping).slice(-KEPT).reverse()) {
      const json = JSON.stringify(line);
      length += json.length;
      if (length > KEPT_LENGTH) break;
      kept.unshift(json);
    }
    try {
      sessionStorage.setItem(this.key, `[${kept.join()}]`);
    } catch {
      // Full, or forbidden: then a reload shows less.
    }
  }

  forget() {
    this.#keepsNothing();
    sessionStorage.removeItem(this.key);
  }

  #keepsNothing() {
    clearTimeout(this.keeping);
    this.keeping = undefined;
  }

  /** The answer to a say may be quicker than what was said before it. */
  #hear(line) {
    this.#insert(line, this.lines.findLastIndex((other) => !isLater(other, line)) + 1);
  }

  #insert(line, index = this.lines.length) {
    this.lines.splice(index, 0, line);
    this.list.insertBefore(this.#item(index), this.list.children[index] ?? null);
    // Whether the next one says again whose it is depends on what stands before it.
    if (index < this.lines.length - 1) this.#redraw(index + 1);
    const isAlike = (other) => isWorthKeeping(other) === isWorthKeeping(line);
    if (this.lines.filter(isAlike).length <= (isWorthKeeping(line) ? SHOWN : COMINGS)) return;
    const oldest = this.lines.findIndex(isAlike);
    this.lines.splice(oldest, 1);
    this.list.children[oldest].remove();
  }

  #redraw(index) {
    this.list.children[index].replaceWith(this.#item(index));
  }

  #item(index) {
    const line = this.lines[index];
    const before = this.lines[index - 1];
    if (line.kind === 'gap') {
      const count =
        line.lost === null ? 'Some messages may be' : line.lost === 1 ? '1 message is' : `${line.lost} messages are`;
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

const isWorthKeeping = ({ kind }) => kind === 'said' || kind === 'gap';

/** What is told to this client alone has no room, and may bring an id of its own. */
const areOfOneLog = (one, other) => one.kind === 'said' && one.room !== undefined && one.room === other.room;

const isSame = (one, other) => areOfOneLog(one, other) && one.id === other.id;

/** Entry ids are `<ms>-<seq>`. */
function isLater(one, other) {
  if (!areOfOneLog(one, other)) return false;
  const [[ms, seq], [otherMs, otherSeq]] = [one, other].map(({ id }) => id.split('-').map(Number));
  return ms > otherMs || (ms === otherMs && seq > otherSeq);
}

/** The first of a room has 1. */
const numberOf = (line) => (line === undefined ? 0 : Number(line.id.split('-')[1]));

/** Text as it was typed; anything else as the JSON that it is. */
function body(message) {
  if (typeof message === 'string') return element('p', { className: 'text' }, message);
  return element('pre', { className: 'text' }, JSON.stringify(message, null, 2));
}
