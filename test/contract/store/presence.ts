import * as fc from 'fast-check';
import type { RoomSnapshot, Store } from '../../../src/core/store';
import { BEGINNING, compareEntryIds } from '../../../src/protocol/entry-id';
import type { Make } from '../store';
import { enter, node, presenceEvents, told, web } from './given';

type Step =
  | {
      readonly do: 'join';
      readonly client: string;
      readonly listening: boolean;
      readonly by: 'n1' | 'n2' | 'web';
      readonly short: boolean;
    }
  | { readonly do: 'leave'; readonly client: string }
  | { readonly do: 'release'; readonly client: string; readonly by: 'n1' | 'n2' | 'web' }
  | { readonly do: 'sweep' | 'view' | 'pause' };

const client = fc.constantFrom('a', 'b', 'c', 'd/"\\é');
const by = fc.constantFrom('n1' as const, 'n2' as const, 'web' as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('join' as const),
      client,
      listening: fc.boolean(),
      by,
      short: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), client }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), client, by }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('sweep' as const, 'view' as const, 'pause' as const) }) },
);

export function presenceFacts(make: Make): void {
  test('a full presence log drops its first entries, and tells the last one dropped; messages stay', async () => {
    const { store } = await make({ maxLogLength: 3 });
    await enter(store, 'x', 'c0');
    await told(store, 'room:x', 'a');
    for (let nth = 1; nth <= 5; nth += 1) await enter(store, 'x', `c${nth}`);
    expect((await presenceEvents(store, 'x')).map(({ id }) => id)).toEqual(['c3', 'c4', 'c5']);
    expect((await store.read('presence:x', BEGINNING, 0)).state).toMatchObject({ trimmed: 3 });
    expect((await store.read('room:x', BEGINNING, 0)).state).toMatchObject({ trimmed: 0 });
  });

  test('from any view, the presence log gives every later view', async () => {
    const { store, second } = await make();
    const stores = [store, await second()];
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const room = `room ${++run}`;
        // Made on purpose, so that it is one room from the first view to the last.
        await store.addRoom(room);
        const views: RoomSnapshot[] = [];
        for (const [index, next] of steps.entries()) {
          const view = await take(stores[index % stores.length]!, room, next);
          if (view) views.push(view);
        }
        views.push((await store.view(room, { limit: 10, sweep: true }))!);
        await expectFolds(store, room, views);
      }),
      { numRuns: 25 },
    );
  });
}

async function take(store: Store, room: string, next: Step): Promise<RoomSnapshot | undefined> {
  switch (next.do) {
    case 'join': {
      const lease = next.short ? 2 : 60_000;
      const holders = [next.by === 'web' ? web(lease) : node(next.by, lease)];
      await enter(store, room, next.client, { listening: next.listening, holders });
      return undefined;
    }
    case 'leave':
      await store.leave(room, next.client);
      return undefined;
    case 'release':
      await store.release(room, next.client, next.by === 'web' ? { web: true } : { node: next.by });
      return undefined;
    case 'sweep':
      await store.sweep(room);
      return undefined;
    case 'view':
      return store.view(room, { limit: 10, sweep: true });
    case 'pause':
      await new Promise((resolve) => setTimeout(resolve, 3));
      return undefined;
  }
}

async function expectFolds(store: Store, room: string, views: readonly RoomSnapshot[]): Promise<void> {
  for (const [index, from] of views.entries()) {
    const members = new Set(from.members.map(({ id }) => id));
    const { entries } = await store.read(`presence:${room}`, from.presence, 1000);
    let at = 0;
    for (const later of views.slice(index)) {
      for (let entry = entries[at]; entry && compareEntryIds(entry.id, later.presence) <= 0; entry = entries[++at]) {
        const { event, id } = JSON.parse(`${entry.data}}`) as { event: 'join' | 'leave'; id: string };
        // A join of one who is there, or a leave of one who is not, would be told for nothing.
        expect(members.has(id)).toBe(event === 'leave');
        if (event === 'join') members.add(id);
        else members.delete(id);
      }
      expect([...members].sort()).toEqual(later.members.map(({ id }) => id));
      expect(later.membersCount).toBe(members.size);
    }
  }
}
