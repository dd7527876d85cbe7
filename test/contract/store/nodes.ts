/** Nodes tell the others how they are. */
import { eventually } from '../../support/eventually';
import type { Make } from '../store';

export function nodeFacts(make: Make): void {
  test('the last word of each node, on every node', async () => {
    const { store, second } = await make();
    const other = await second();
    await store.beat('one', '{"beat":1}', 60_000);
    await other.beat('two', '{"beat":1}', 60_000);
    await store.beat('one', '{"beat":2}', 60_000);
    expect((await other.nodes()).sort()).toEqual(['{"beat":1}', '{"beat":2}']);
  });

  test('a node that says nothing any more is gone', async () => {
    const { store } = await make();
    await store.beat('dead', '"dead"', 100);
    await store.beat('living', '"living"', 60_000);
    expect((await store.nodes()).sort()).toEqual(['"dead"', '"living"']);
    await eventually(async () => (await store.nodes()).join() === '"living"');
  });
}
