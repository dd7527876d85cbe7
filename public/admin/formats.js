/** Numbers as people read them. */
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat('en');

export const count = (value) => (value < 100_000 ? whole.format(Math.round(value)) : compact.format(value));

/** What the marks of an axis may be apart, where half of one is nothing. */
export const wholeSteps = Array.from({ length: 9 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

/** Per second; the little that is more than nothing is not shown as nothing. */
export function rate(value) {
  if (value === 0) return '0';
  return value < 0.01 ? '<0.01' : compact.format(value);
}

export function milliseconds(value) {
  if (value === null) return '–';
  return value >= 1000 ? `${compact.format(value / 1000)} s` : `${compact.format(value)} ms`;
}

export const megabytes = (bytes) => `${whole.format(Math.round(bytes / 1_048_576))} MB`;

/** `3 d 4 h`, `12 min`: the two largest units that are not nothing. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(' ');
}
