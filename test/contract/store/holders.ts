import type { Departure, Holder } from '../../../src/core/store';
import { eventually } from '../../support/eventually';
import type { Make } from '../store';
import { enter, memberIds, node, presenceEvents, told, web } from './given';

const member = (client: string): Departure => ({ client, listening: false });

export function holderFacts(make: Make): void {
  test('two nodes hold a member: the last one that lets go makes the leave', async () => {
    const { store } = await make();
    await enter(store, 'x', 'c1', { holders: [node('n1')] });
    await enter(store, 'x', 'c1', { holders: [node('n2')] });
    expect(await store.release('x', 'c1', { node: 'n1' })).toBeUndefined();
    expect(await store.release('x', 'c1', { node: 'n1' })).toBeUndefined();
    expect(await memberIds(store, 'x')).toEqual(['c1']);
    expect(await store.release('x', 'c1', { node: 'n2' })).toEqual(member('c1'));
    expect(await store.release('x', 'c1', { node: 'n2' })).toBeUndefined();
    expect(await memberIds(store, 'x')).toEqual([]);
  });

  test('a node and the client itself hold a member', async () => {
    const { store } = await make();
    await store.addRoom('x');
    await enter(store, 'x', 'c1', { holders: [node('n1'), web()] });
    expect(await store.release('x', 'c1', { node: 'n1' })).toBeUndefined();
    expect(await store.release('x', 'c1', { web: true })).toEqual(member('c1'));
    await enter(store, 'x', 'c1', { holders: [node('n1'), web()] });
    expect(await store.release('x', 'c1', { web: true })).toBeUndefined();
    expect(await store.release('x', 'c1', { node: 'n1' })).toEqual(member('c1'));
    expect((await presenceEvents(store, 'x')).map(({ event }) => event)).toEqual(['join', 'leave', 'join', 'leave']);
    expect(await store.release('none', 'c1', { web: true })).toBeUndefined();
  });

  test('who comes in is told that its node had no lease there, whoever else it holds', async () => {
    const { store } = await make();
    const began = async (client: string, ...holders: Holder[]): Promise<boolean> => {
      const entered = await enter(store, 'x', client, { holders });
      if (entered.outcome === 'no_room') throw new Error('there is no room');
      return entered.leaseBegan;
    };
    expect(await began('c1', web())).toBe(false);
    expect(await began('c1', node('n1', 20))).toBe(true);
    expect(await began('c2', web(), node('n2'))).toBe(true);
    expect(await began('c3', node('n2'))).toBe(false);
    await store.leave('x', 'c2');
    expect(await began('c2', node('n2', 20))).toBe(false);
    const ranOut = Date.now() + 25;
    await eventually(() => Date.now() > ranOut);
    expect(await began('c4', node('n1'))).toBe(true);
    expect(await began('c4', node('n1'))).toBe(false);
    await store.removeRoom('x');
    expect(await began('c1', node('n2'))).toBe(true);
  });

  test('leaving ends all holds, also for the next time', async () => {
    const { store } = await make();
    await enter(store, 'x', 'c1', { holders: [node('n1'), node('n2'), web()] });
    await store.leave('x', 'c1');
    await enter(store, 'x', 'c1', { holders: [node('n2')] });
    expect(await store.release('x', 'c1', { node: 'n2' })).toEqual(member('c1'));
  });

  test('one who is held by nobody goes with the next sweep', async () => {
    const { store } = await make();
    await enter(store, 'x', 'c1', { holders: [] });
    expect(await memberIds(store, 'x')).toEqual(['c1']);
    expect(await store.sweep('x')).toEqual([member('c1')]);
  });

  test("a client's own lease runs out", async () => {
    const { store } = await make();
    await told(store, 'room:x', 'a');
    await enter(store, 'x', 'c1', { holders: [web(40)] });
    await enter(store, 'x', 'c2', { holders: [web()] });
    expect(await store.sweep('x')).toEqual([]);
    const departed = await eventually(async () => {
      const view = await store.view('x', { limit: 10, sweep: true });
      return view!.departed.length > 0 ? view : undefined;
    });
    expect(departed).toMatchObject({ departed: [member('c1')], membersCount: 1, members: [{ id: 'c2' }] });
    expect((await presenceEvents(store, 'x')).map(({ event, id }) => `${event} ${id}`)).toEqual([
      'join c1',
      'join c2',
      'leave c1',
    ]);
  });

  test('a view that does not sweep leaves everybody where they are', async () => {
    const { store } = await make();
    await enter(store, 'x', 'c1', { holders: [web(1)] });
    await eventually(async () => (await store.renewNode('n1', 1000, ['x'])).length === 1);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await store.view('x', { limit: 10, sweep: false })).toMatchObject({ membersCount: 1, departed: [] });
    expect(await store.view('x', { limit: 10, sweep: true })).toMatchObject({
      membersCount: 0,
      departed: [member('c1')],
    });
    expect(await memberIds(store, 'x')).toEqual([]);
  });

  test('renewing a lease keeps it, never shortens it, and tells who is not there', async () => {
    const { store } = await make();
    await enter(store, 'x', 'c1', { holders: [web(60)] });
    await enter(store, 'x', 'c2', { holders: [web(60)] });
    await enter(store, 'x', 'c3', { holders: [node()], listening: true });
    expect(await store.renewWeb('x', ['c1', 'c3', 'c4'], 60_000)).toEqual(['c4']);
    expect(await store.renewWeb('x', ['c1'], 1)).toEqual([]);
    expect(await store.renewWeb('none', ['c1', 'c2'], 1000)).toEqual(['c1', 'c2']);
    await eventually(async () => (await store.sweep('x')).length === 1);
    expect(await memberIds(store, 'x')).toEqual(['c1']);
    expect(await store.release('x', 'c3', { node: 'n1' })).toBeUndefined();
    expect(await store.release('x', 'c3', { web: true })).toEqual({ client: 'c3', listening: true });
  });

  test('a node keeps its members by its lease alone, in the rooms where it has one', async () => {
    const { store } = await make();
    await told(store, 'room:x', 'a');
    // The lease of n1 would be over before that of n2 is, were it not renewed.
    await enter(store, 'x', 'c1', { holders: [node('n1', 2000)] });
    await enter(store, 'x', 'c2', { holders: [node('n2', 2000)] });
    await enter(store, 'x', 'c3', { holders: [node('n2', 2000)], listening: true });
    expect(await store.renewNode('n1', 60_000, ['x', 'none'])).toEqual(['none']);
    expect(await store.renewNode('n3', 60_000, ['x'])).toEqual(['x']);
    const departed = await eventually(async () => {
      const gone = await store.sweep('x');
      return gone.length > 0 ? gone : undefined;
    });
    expect(departed.sort((a, b) => (a.client < b.client ? -1 : 1))).toEqual([
      member('c2'),
      { client: 'c3', listening: true },
    ]);
    expect(await store.renewNode('n2', 60_000, ['x'])).toEqual(['x']);
    expect(await memberIds(store, 'x')).toEqual(['c1']);
  });

  test('a lease that ran out is told, and joining again takes it up before anybody swept', async () => {
    const { store } = await make();
    await enter(store, 'x', 'c1', { holders: [node('n1', 30)] });
    await eventually(async () => {
      await new Promise((resolve) => setTimeout(resolve, 40));
      return (await store.renewNode('n1', 60_000, ['x'])).includes('x');
    });
    expect(await enter(store, 'x', 'c1', { holders: [node('n1')] })).toMatchObject({ outcome: 'already' });
    expect(await store.renewNode('n1', 60_000, ['x'])).toEqual([]);
    expect(await store.sweep('x')).toEqual([]);
  });

  test('who is held by a living node outlives the others that held it', async () => {
    const { store } = await make();
    await enter(store, 'x', 'c1', { holders: [node('n1', 20), web(20), node('n2')] });
    await enter(store, 'x', 'c2', { holders: [node('n1', 20)] });
    expect(
      await eventually(async () => ((await memberIds(store, 'x'))!.length, await once(() => store.sweep('x')))),
    ).toEqual([member('c2')]);
    expect(await store.release('x', 'c1', { node: 'n2' })).toEqual(member('c1'));
  });

  test('each departure is answered to exactly one of many who sweep', async () => {
    const { store, second } = await make();
    const stores = [store, await second()];
    await told(store, 'room:x', 'a');
    for (let index = 0; index < 30; index += 1) await enter(store, 'x', `c${index}`, { holders: [web(20)] });
    const gone: string[] = [];
    await eventually(async () => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const asked = stores[index % 2]!;
          if (index % 3 > 0) return asked.sweep('x');
          return (await asked.view('x', { limit: 1, sweep: true }))!.departed;
        }),
      );
      gone.push(...answers.flat().map(({ client }) => client));
      return gone.length >= 30;
    });
    expect(gone).toHaveLength(30);
    expect(new Set(gone).size).toBe(30);
    const leaves = (await presenceEvents(store, 'x')).filter(({ event }) => event === 'leave');
    expect(new Set(leaves.map(({ id }) => id)).size).toBe(30);
    expect(leaves).toHaveLength(30);
  });

  test('many leave at once', async () => {
    const { store } = await make({ maxLogLength: 5000 });
    await told(store, 'room:x', 'a');
    const ids = Array.from({ length: 1100 }, (_, index) => `c${index}`);
    await Promise.all(ids.map((id) => enter(store, 'x', id, { holders: [node('n1', 1)] })));
    await eventually(async () => (await store.renewNode('n1', 1, ['x'])).length === 1);
    expect(await store.sweep('x')).toHaveLength(1100);
    expect(await store.view('x', { limit: 1, sweep: false })).toMatchObject({ membersCount: 0 });
    expect(await presenceEvents(store, 'x')).toHaveLength(2200);
  });
}

/** What it answers when that is something. */
async function once<T>(ask: () => Promise<readonly T[]>): Promise<readonly T[] | undefined> {
  const answer = await ask();
  return answer.length > 0 ? answer : undefined;
}
