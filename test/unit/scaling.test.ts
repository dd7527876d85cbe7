/** The plan past one machine: what the simulation must say whatever the costs are, and that the page says what it says. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { costsTable, plans, scalingTable, simulate, type Costs, type Plan } from '../../bench/scaling';

const root = path.resolve(__dirname, '../..');
/** Near to those measured, and the same in every run. */
const costs: Costs = { say: 45, heard: 14, write: 6, joined: 0.3, append: 8, publish: 2, connection: 9, bytes: 290 };
const plan: Plan = { name: '', nodes: 4, shards: 1, clients: 4000, rooms: 40, says: 200 };
const outcome = (change: Partial<Plan>): ReturnType<typeof simulate> => simulate({ ...plan, ...change }, costs);

test('a node is busy by what it writes, Redis by what is said', () => {
  const { node, redis, holds } = outcome({});
  // Each message: 25 hearers on this node, and a quarter of the says.
  const perMessage = costs.heard + 25 * costs.write + costs.say / 4;
  expect(node / ((200 * perMessage) / 1e6)).toBeCloseTo(1, 0);
  expect(redis / ((200 * (costs.append + 4 * costs.publish)) / 1e6)).toBeCloseTo(1, 0);
  expect(holds).toBe(true);
});

test('more nodes take work off each, and put some on Redis; more shards take it off there', () => {
  const [few, many] = [outcome({ nodes: 2 }), outcome({ nodes: 8 })];
  expect(many.node).toBeLessThan(few.node);
  expect(many.redis).toBeGreaterThan(few.redis);
  expect(outcome({ nodes: 8, shards: 4 }).redis).toBeLessThan(many.redis / 3);
});

test('a busy node writes more messages at once instead of falling behind', () => {
  const alone = { nodes: 1, rooms: 1, clients: 5000 };
  const [calm, busy] = [outcome({ ...alone, says: 5 }), outcome({ ...alone, says: 200 })];
  expect(busy.node).toBeLessThan(calm.node * 40);
  expect(busy.holds).toBe(true);
  expect(outcome({ ...alone, says: 30_000 }).holds).toBe(false);
});

test('what it says of a room of a million, and of a Redis that has too much to do', () => {
  const named = (name: string): ReturnType<typeof simulate> =>
    simulate(
      plans.find((each) => each.name === name)!,
      costs,
    );
  expect(named('a room of 1 M').holds).toBe(true);
  expect(named('1 M clients, a Cluster of four').holds).toBe(true);
  expect(named('1 M clients, one Redis: too little').holds).toBe(false);
  expect(named('one node, too much for it').holds).toBe(false);
});

test.each([
  ['costs', costsTable],
  ['scaling', scalingTable],
])('docs/scaling.md has the table of %s that the script prints', (mark, table) => {
  const page = readFileSync(path.join(root, 'docs/scaling.md'), 'utf8');
  const written = new RegExp(`<!-- ${mark}[^>]*-->\\n([^]*?)<!-- /${mark} -->`).exec(page)?.[1];
  const cells = (text = ''): string[] => text.replace(/[ -]+/g, ' ').trim().split('\n');
  expect(cells(written)).toEqual(cells(table()));
});
