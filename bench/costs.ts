/** Unit costs from the figures of a whole run: what bench/scaling.ts reckons with. */
import type { Measured } from './report';
import { valueOf } from './report';
import type { Costs } from './scaling';

/** Redis' own pub/sub, and reading one announcement: too small to be told apart in a run of a whole server. */
const PUBLISH = 2;
const HEARD = 14;
const MESSAGE_BYTES = 290;

/** Undefined when something it needs was not measured. */
export function costsOf(measured: readonly Measured[]): Costs | undefined {
  const figure = (scenario: string): number => valueOf(measured, scenario, 'earshot') ?? NaN;
  // One message at a time to a thousand: the say is a thousandth of it.
  const write = 1e6 / figure('ws-one1000');
  const delivered = 1e6 / figure('ws-sat1000');
  // 16 in flight come in one write at the best; what is left is the price of being joined.
  const joined = Math.max(0.05, (delivered - write / 16) * (16 / 15));
  // ms for a thousand says are µs for one.
  const append = Math.max(1, figure('say-few') - PUBLISH);
  const say = Math.max(1, 1e6 / figure('say-redis') - append);
  const costs: Costs = {
    say,
    heard: HEARD,
    write,
    joined,
    append,
    publish: PUBLISH,
    connection: figure('idle-ws'),
    bytes: MESSAGE_BYTES,
  };
  if (Object.values(costs).some((cost) => Number.isNaN(cost))) return undefined;
  return Object.fromEntries(
    Object.entries(costs).map(([name, cost]: [string, number]) => [name, Number(cost.toPrecision(3))]),
  ) as unknown as Costs;
}
