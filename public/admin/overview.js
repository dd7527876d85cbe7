/** The deployment at a glance: tiles, plots, nodes, what is busy and what went wrong. */
import { byId, element, setText, showNumbers, showRows } from './dom.js';
import { count, duration, megabytes, milliseconds, rate, wholeSteps } from './formats.js';
import { Figures } from './figures.js';
import { Plots } from './plots.js';

const wanted = [
  { title: 'Messages in, per second', series: ['accepted'], format: rate, read: (figures) => [figures.in] },
  { title: 'Messages out, per second', series: ['delivered'], format: rate, read: (figures) => [figures.out] },
  {
    title: 'Connections',
    series: ['WebSocket', 'streams', 'polls', 'TCP'],
    format: count,
    steps: wholeSteps,
    read: ({ connections: { websocket, stream, poll, socket } }) => [websocket, stream, poll, socket],
  },
  {
    title: 'Event loop late by',
    series: ['p50', 'p99', 'max'],
    format: milliseconds,
    read: ({ loop }) => [loop.p50, loop.p99, loop.max],
  },
  {
    title: 'Redis answers in',
    series: ['p50', 'p99'],
    format: milliseconds,
    read: ({ redis }) => [redis?.p50 ?? null, redis?.p99 ?? null],
  },
  {
    title: 'Troubles, per second',
    series: ['gaps', 'refused'],
    format: rate,
    read: ({ gaps, refused }) => [gaps, refused],
  },
];

export class Overview {
  #figures = new Figures();
  #plots = new Plots(byId('plots'), wanted, Number(byId('window').value));
  #tiles = new Map();

  /** @param {(room: string) => void} openRoom */
  constructor(openRoom) {
    this.openRoom = openRoom;
    byId('window').addEventListener('change', ({ target }) => {
      this.#plots.seconds = Number(target.value);
    });
  }

  show({ node: self, nodes: records }) {
    const figures = this.#figures.look(records);
    this.#plots.add(figures);
    this.#tile('nodes', count(figures.nodes.length));
    this.#tile('messages in /s', rate(figures.in));
    this.#tile('messages out /s', rate(figures.out));
    this.#tile('connections', count(Object.values(figures.connections).reduce((all, some) => all + some, 0)));
    this.#tile('gaps /s', rate(figures.gaps), figures.gaps > 0);
    this.#tile('refused /s', rate(figures.refused), figures.refused > 0);
    this.#tile('loop late, p99', milliseconds(figures.loop.p99), figures.loop.p99 > 100);
    if (figures.redis) this.#tile('Redis, p99', milliseconds(figures.redis.p99), figures.redis.p99 > 100);
    this.#showNodes(figures.nodes, self);
    this.#showBusiest(figures.busiest);
    this.#showTroubles(figures.troubles);
  }

  #tile(name, text, isBad = false) {
    let tile = this.#tiles.get(name);
    if (!tile) {
      tile = element('li', {}, element('span', { textContent: name }), element('b'));
      this.#tiles.set(name, tile);
      byId('tiles').append(tile);
    }
    tile.dataset.state = isBad ? 'bad' : '';
    setText(tile.lastElementChild, text);
  }

  #showNodes(nodes, self) {
    const byName = [...nodes].sort((a, b) => a.record.startedAt - b.record.startedAt);
    showRows(byId('nodes'), byName, {
      keyOf: ({ record }) => record.id,
      make: (row, { record }) => {
        const where = `${record.host}, process ${record.pid}, earshot ${record.version}`;
        row.append(
          element('th', { scope: 'row' }, record.name, element('br'), element('small', { textContent: where })),
          element('td'),
        );
      },
      update: (row, { record, in: into, out, redisP99 }) => {
        const { websocket = 0, stream = 0, poll = 0, socket = 0 } = record.connections;
        const state = record.draining ? 'going' : 'serving';
        showNumbers(row, [
          record.id === self ? `${state}, this one` : state,
          rate(into),
          rate(out),
          ...[websocket, stream, poll, socket, record.rooms].map(count),
          milliseconds(record.eventLoop.p99),
          milliseconds(redisP99),
          megabytes(record.rss),
          duration(record.at - record.startedAt),
        ]);
      },
    });
  }

  #showBusiest(rooms) {
    byId('no-busiest').hidden = rooms.length > 0;
    showRows(byId('busiest'), rooms, {
      keyOf: ({ room }) => room,
      make: (row, { room }) => row.append(element('th', { scope: 'row' }, roomButton(room, this.openRoom))),
      update: (row, room) => showNumbers(row, [rate(room.rate), count(room.hearers)]),
    });
  }

  #showTroubles(troubles) {
    byId('no-troubles').hidden = troubles.length > 0;
    showRows(byId('troubles'), troubles, {
      keyOf: ({ what }) => what,
      make: (row, { what }) => row.append(element('th', { scope: 'row', textContent: what })),
      update: (row, { times }) => showNumbers(row, [count(times)]),
    });
  }
}

export function roomButton(room, open) {
  const button = element('button', { type: 'button', className: 'link', textContent: room });
  button.addEventListener('click', () => open(room));
  return button;
}
