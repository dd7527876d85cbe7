import { BEGINNING } from '../../../src/protocol/entry-id';
import { eventually } from '../../support/eventually';
import type { Make } from '../store';
import { Ear, enter, presenceEvents, tell, told } from './given';

export function followFacts(make: Make): void {
  test('a follower hears every entry, in order, as it will be read', async () => {
    const { store } = await make();
    await told(store, 'room:x', 'before');
    const ear = new Ear();
    await store.follow('room:x', ear);
    const spoken = { data: 'a\n1\n𝄞 ', speaker: 'c 1', match: { key: 'k', value: '"\nv' } };
    const id = await tell(store, 'room:x', spoken);
    for (let index = 0; index < 20; index += 1) await told(store, 'room:x', String(index));
    await eventually(() => ear.entries.length === 21);
    const { entries } = await store.read('room:x', BEGINNING, 100);
    expect(ear.entries).toEqual(entries.slice(1));
    expect(ear.entries[0]).toMatchObject({ ...spoken, id: 'id' in id ? id.id : '' });
    store.unfollow('room:x', ear);
  });

  test('several follow one log, each until it ends', async () => {
    const { store } = await make();
    const [first, second] = [new Ear(), new Ear()];
    for (const ear of [first, second]) await store.follow('room:x', ear);
    await told(store, 'room:x', 'a');
    await eventually(() => first.texts.length === 1 && second.texts.length === 1);
    store.unfollow('room:x', first);
    store.unfollow('room:x', first);
    await told(store, 'room:x', 'b');
    await eventually(() => second.texts.length === 2);
    expect(first.texts).toEqual(['a']);
    store.unfollow('room:x', second);
    const third = new Ear();
    await store.follow('room:x', third);
    await told(store, 'room:x', 'c');
    await eventually(() => third.texts.length === 1);
    expect(second.texts).toEqual(['a', 'b']);
    store.unfollow('room:x', third);
  });

  test('what one node appends, another node hears', async () => {
    const { store, second } = await make();
    const other = await second();
    const ear = new Ear();
    await other.follow('room:x', ear);
    const tries = Array.from({ length: 50 }, (_, index) => told(index % 2 ? store : other, 'room:x', String(index)));
    await Promise.all(tries);
    await eventually(() => ear.entries.length === 50);
    const { entries } = await store.read('room:x', BEGINNING, 100);
    expect(ear.entries).toEqual(entries);
    other.unfollow('room:x', ear);
  });

  test('many logs can be followed at once, and only those are heard', async () => {
    const { store } = await make();
    const ears = Array.from({ length: 100 }, () => new Ear());
    await Promise.all(ears.map((ear, index) => store.follow(`room:r${index}`, ear)));
    await Promise.all(ears.map((_, index) => told(store, `room:r${index}`, String(index))));
    await eventually(() => ears.every((ear) => ear.entries.length === 1));
    expect(ears.map((ear) => ear.texts)).toEqual(ears.map((_, index) => [String(index)]));
    for (const [index, ear] of ears.entries()) store.unfollow(`room:r${index}`, ear);
  });

  test('joins and leaves are heard by who follows presence, and by nobody else', async () => {
    const { store } = await make();
    const [presence, messages] = [new Ear(), new Ear()];
    await store.follow('presence:x', presence);
    await store.follow('room:x', messages);
    await told(store, 'room:x', 'a');
    await enter(store, 'x', 'c1');
    await enter(store, 'x', 'c2', { listening: true });
    await store.leave('x', 'c1');
    await eventually(() => presence.entries.length === 2 && messages.entries.length === 1);
    expect(presence.entries).toEqual((await store.read('presence:x', BEGINNING, 10)).entries);
    expect((await presenceEvents(store, 'x')).map(({ event, id }) => `${event} ${id}`)).toEqual([
      'join c1',
      'leave c1',
    ]);
    store.unfollow('presence:x', presence);
    store.unfollow('room:x', messages);
  });

  test.each(['emptyRoom', 'removeRoom'] as const)('%s is heard as leaves, and as nothing else', async (way) => {
    const { store } = await make();
    await enter(store, 'x', 'c1');
    await told(store, 'room:x', 'a');
    const [presence, messages] = [new Ear(), new Ear()];
    await store.follow('presence:x', presence);
    await store.follow('room:x', messages);
    await store[way]('x');
    await store.addRoom('x');
    const again = await told(store, 'room:x', 'b');
    await eventually(() => presence.texts.length === 1 && messages.entries.length === 1);
    expect(presence.texts[0]).toContain('"leave"');
    expect(messages.entries[0]?.id).toBe(again);
    expect([presence.stales, messages.stales]).toEqual([0, 0]);
    store.unfollow('presence:x', presence);
    store.unfollow('room:x', messages);
  });
}
