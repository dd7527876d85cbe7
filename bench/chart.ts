/** One chart: deliveries per CPU second of every server, as bars on a scale where each line is ten times the one before. */
import { median, names, short, type Measured } from './report';
import type { Kind } from './servers';

const COLOURS: Record<Kind, string> = {
  earshot: '#0b6e4f',
  nchan: '#c1666b',
  socketio: '#4d5382',
  actionhero: '#d4a017',
  ws: '#9aa5b1',
  'ws-framed': '#7b8794',
  'ws-joined': '#52606d',
  http: '#3e4c59',
};
const WIDTH = 760;
/** Where the bars begin; the servers' names are before them, and each scenario's title above. */
const LEFT = 130;
const RIGHT = 60;
const BAR = 13;
const GAP = 14;
/** Where the scale begins. */
const LEAST = 3;

export function chart(measured: readonly Measured[]): string {
  const shown = measured.filter(({ scenario }) => scenario.unit.endsWith('/CPU-s') && !scenario.id.startsWith('grow'));
  const ids = [...new Set(shown.map(({ scenario }) => scenario.id))];
  const most = Math.max(4, ...shown.map((each) => Math.log10(valueOf(each))));
  const scale = (value: number): number =>
    Math.max(1, ((Math.log10(value) - LEAST) / (most - LEAST)) * (WIDTH - LEFT - RIGHT));
  const parts: string[] = [];
  let y = 30;
  for (const id of ids) {
    const rows = shown.filter(({ scenario }) => scenario.id === id);
    parts.push(text(8, y + BAR - 2, rows[0]!.scenario.title, 'title'));
    y += BAR + 2;
    for (const row of rows) {
      const value = valueOf(row);
      const width = scale(value);
      parts.push(
        `<rect x="${String(LEFT)}" y="${String(y)}" width="${width.toFixed(1)}" height="${String(BAR - 2)}" fill="${COLOURS[row.kind]}"/>`,
        text(LEFT - 5, y + BAR - 3, names[row.kind], 'name'),
        text(LEFT + width + 5, y + BAR - 3, short(value), 'value'),
      );
      y += BAR;
    }
    y += GAP;
  }
  const lines: string[] = [];
  for (let power = LEAST; power <= most; power += 1) {
    const x = (LEFT + scale(10 ** power)).toFixed(1);
    lines.push(
      `<line x1="${x}" x2="${x}" y1="22" y2="${String(y)}"/>`,
      text(Number(x), 16, short(10 ** power), 'value'),
    );
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(WIDTH)} ${String(y)}" role="img" aria-label="Deliveries per CPU second">
<style>text{font:10px system-ui,sans-serif;fill:#222}.title{font-size:11px;font-weight:600}.name{text-anchor:end}line{stroke:#ddd}@media(prefers-color-scheme:dark){text{fill:#ddd}line{stroke:#444}}</style>
${lines.join('\n')}
${parts.join('\n')}
</svg>
`;
}

function valueOf({ figures }: Measured): number {
  return median(figures.map(({ value }) => value));
}

function text(x: number, y: number, content: string, kind: string): string {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('`', '');
  return `<text x="${x.toFixed(1)}" y="${String(y)}" class="${kind}">${safe}</text>`;
}
