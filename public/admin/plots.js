/** The plots: a few curves each over the last minutes, all with one cursor. */
import uPlot from './vendor/uPlot.esm.js';
import { element, setText } from './dom.js';

const COLOURS = ['--one', '--two', '--three', '--four'];
const HEIGHT = 160;
/** An hour of looks. */
const MOST = 1800;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class Plots {
  #plots = [];
  /** Seconds since 1970, of each look. */
  #times = [];
  #seconds;

  /** @param {readonly { title: string, series: readonly string[], format: Function, steps?: readonly number[], read: Function }[]} wanted */
  constructor(container, wanted, seconds) {
    this.#seconds = seconds;
    for (const one of wanted) this.#plots.push(this.#make(container, one));
    // The canvas does not know of the style sheet.
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      for (const { plot } of this.#plots) plot.redraw();
    });
  }

  set seconds(seconds) {
    this.#seconds = seconds;
    this.#draw();
  }

  add(figures) {
    this.#times.push(Date.now() / 1000);
    for (const { columns, read } of this.#plots) {
      for (const [index, value] of read(figures).entries()) columns[index].push(value);
    }
    if (this.#times.length > MOST) {
      this.#times.shift();
      for (const { columns } of this.#plots) for (const column of columns) column.shift();
    }
    this.#draw();
  }

  #draw() {
    for (const { plot, columns, figure, tell } of this.#plots) {
      // There is nothing to see of a Redis where there is none.
      figure.hidden = columns.every((column) => column.every((value) => value === null));
      plot.setData([this.#times, ...columns]);
      tell();
    }
  }

  #make(container, { title, series, format, steps, read }) {
    const columns = series.map(() => []);
    const values = series.map(() => element('span', { className: 'series' }));
    const place = element('div', { className: 'plot' });
    const caption = element('figcaption', {}, element('b', { textContent: title }), ...values);
    const figure = element('figure', {}, caption, place);
    container.append(figure);

    const tell = () => {
      const index = plot.cursor.idx ?? this.#times.length - 1;
      for (const [at, name] of series.entries()) {
        const value = columns[at][index];
        setText(values[at], value === undefined ? name : `${name} ${format(value)}`);
      }
    };
    const axis = {
      stroke: () => colour('--quiet'),
      grid: { stroke: () => colour('--line'), width: 1 },
      font: '11px system-ui',
    };
    const ticks = { show: false };
    const plot = new uPlot(
      {
        width: 300,
        height: HEIGHT,
        legend: { show: false },
        cursor: { sync: { key: 'all' }, y: false, drag: { x: false, y: false } },
        scales: {
          x: { range: () => [Date.now() / 1000 - this.#seconds, Date.now() / 1000] },
          // From nothing, and never so close that a single message looks like a storm.
          y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] },
        },
        axes: [
          { ...axis, ticks, size: 24, space: 70, values: '{HH}:{mm}' },
          {
            ...{ ...axis, ticks, size: 54, space: 34 },
            ...(steps && { incrs: steps }),
            values: (_plot, marks) => marks.map((mark) => format(mark)),
          },
        ],
        series: [
          {},
          ...series.map((_name, index) => ({
            stroke: () => colour(COLOURS[index]),
            width: 1.75,
            points: { show: false },
            spanGaps: false,
          })),
        ],
        hooks: { setCursor: [() => tell()] },
      },
      [[], ...columns],
      place,
    );
    new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
    return { plot, columns, figure, read, tell };
  }
}
