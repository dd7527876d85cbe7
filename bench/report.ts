/** The figures of all rounds as tables: medians, spread, and what they are to each other. */
import type { Figure, Scenario } from './scenarios';
import type { Kind } from './servers';

export interface Measured {
  readonly scenario: Scenario;
  readonly kind: Kind;
  readonly figures: readonly Figure[];
}

export const names: Record<Kind, string> = {
  earshot: 'earshot',
  nchan: 'Nchan',
  socketio: 'Socket.IO',
  actionhero: 'ActionHero',
  ws: '`ws`, send each',
  'ws-framed': '`ws`, framed once',
  'ws-joined': '`ws`, joined per turn',
  http: '`node:http`',
};
const kinds = Object.keys(names) as Kind[];

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function valueOf(measured: readonly Measured[], scenario: string, kind: Kind): number | undefined {
  const found = measured.find((each) => each.scenario.id === scenario && each.kind === kind);
  return found && median(found.figures.map(({ value }) => value));
}

/** Three digits that matter. */
export function short(value: number): string {
  if (value >= 999_500) return `${(value / 1e6).toFixed(2)} M`;
  if (value >= 9995) return `${(value / 1000).toFixed(0)} k`;
  if (value >= 999.5) return `${(value / 1000).toFixed(1)} k`;
  if (value >= 99.5) return value.toFixed(0);
  return value >= 9.95 ? value.toFixed(1) : value.toFixed(2);
}

/** One row a scenario, one column a server: the median, and the least and most of the rounds. */
export function table(measured: readonly Measured[]): string {
  const present = kinds.filter((kind) => measured.some((each) => each.kind === kind));
  const ids = [...new Set(measured.map(({ scenario }) => scenario.id))];
  const rows = ids.map((id) => {
    const own = measured.filter(({ scenario }) => scenario.id === id);
    const { title, unit } = own[0]!.scenario;
    const cells = present.map((kind) => cell(own.find((each) => each.kind === kind)));
    return [`\`${id}\` ${title} (${unit})`, ...cells];
  });
  return markdown(['', ...present.map((kind) => names[kind])], rows);
}

function cell(measured: Measured | undefined): string {
  if (!measured) return '';
  const values = measured.figures.map(({ value }) => value);
  const spread = values.length > 1 ? ` (${short(Math.min(...values))}–${short(Math.max(...values))})` : '';
  return `${short(median(values))}${spread}`;
}

export function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

export function checkedText(measured: readonly Measured[]): string {
  const checked = measured.flatMap(({ figures }) => figures).reduce((sum, figure) => sum + figure.checked, 0);
  const wrong = measured.filter((each) => wrongOf([each]) > 0);
  const whose = wrong.map((each) => `${String(wrongOf([each]))} of ${names[each.kind]} in \`${each.scenario.id}\``);
  return `${short(checked)} deliveries checked, ${whose.join(', ') || 'none'} missing, doubled or out of order`;
}

/** Messages that were missing, doubled or out of order. */
export function wrongOf(measured: readonly Measured[]): number {
  return measured.flatMap(({ figures }) => figures).reduce((sum, { wrong }) => sum + wrong, 0);
}
