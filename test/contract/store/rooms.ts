import { compareEntryIds } from '../../../src/protocol/entry-id';
import { eventually } from '../../support/eventually';
import type { Make } from '../store';
import { enter, joined, memberIds, nextMillisecond, presenceEvents, texts, told } from './given';

export function roomFacts(make: Make): void {
  test('a room is made once, listed, and stays when empty', async () => {
    const { store, second } = await make({ logKeep: 30 });
    expect(await store.roomExists('x')).toBe(false);
    expect(await store.addRoom('x')).toBe(true);
    expect(await (await second()).addRoom('x')).toBe(false);
    expect(await store.rooms()).toEqual(['x']);
    await enter(store, 'x', 'c1');
    await store.leave('x', 'c1');
    await enter(store, 'y', 'c1');
    await told(store, 'room:y', 'a');
    await store.leave('y', 'c1');
    await eventually(async () => !(await store.roomExists('y')));
    expect(await store.rooms()).toEqual(['x']);
    expect(await store.view('x', { limit: 10, sweep: true })).toMatchObject({ members: [], membersCount: 0 });
  });

  test('a room that somebody made by joining can be made to stay', async () => {
    const { store } = await make();
    await enter(store, 'x', 'c1');
    expect(await store.addRoom('x')).toBe(false);
    await store.leave('x', 'c1');
    expect(await store.roomExists('x')).toBe(true);
  });

  test('a room that was never spoken in stays as long as a message would, a spoken one longer', async () => {
    const { store } = await make({ messageTTL: 500, logKeep: 60_000 });
    const floor = (await joined(store, 'quiet', 'c1')).floor;
    await enter(store, 'quiet', 'c2', { listening: true });
    await enter(store, 'spoken', 'c1');
    const id = await told(store, 'room:spoken', 'a');
    await store.leave('quiet', 'c1');
    await store.leave('quiet', 'c2');
    await store.leave('spoken', 'c1');
    // Who comes back meanwhile is where it was: nothing was lost.
    expect((await store.read('room:quiet', floor, 1)).state?.born).toBe(floor);
    await eventually(async () => !(await store.roomExists('quiet')));
    expect(await store.rooms()).toEqual(['spoken']);
    expect((await store.read('room:spoken', id, 0)).state?.last).toBe(id);
  });

  test('a room that nobody uses ends in its time, looked at or not', async () => {
    const { store } = await make({ logKeep: 40 });
    await enter(store, 'x', 'c1');
    const id = await told(store, 'room:x', 'a');
    await store.leave('x', 'c1');
    await eventually(async () => {
      expect(await store.sweep('x')).toEqual([]);
      await store.view('x', { limit: 10, sweep: true });
      return (await store.read('room:x', id, 0)).state === undefined;
    });
    expect(await store.rooms()).toEqual([]);
  });

  test('a removed room is gone with its logs, and tells who was in it', async () => {
    const { store } = await make();
    expect(await store.removeRoom('x')).toBeUndefined();
    await enter(store, 'x', 'c1');
    await enter(store, 'x', 'c2', { listening: true });
    await told(store, 'room:x', 'a');
    const departed = await store.removeRoom('x');
    expect(departed?.sort((a, b) => (a.client < b.client ? -1 : 1))).toEqual([
      { client: 'c1', listening: false },
      { client: 'c2', listening: true },
    ]);
    expect(await store.roomExists('x')).toBe(false);
    expect(await store.rooms()).toEqual([]);
    expect(await store.membership('x', 'c1')).toBeUndefined();
    expect((await store.read('room:x', '0-0', 10)).state).toBeUndefined();
    expect((await store.read('presence:x', '0-0', 10)).state).toBeUndefined();
    expect(await store.view('x', { limit: 10, sweep: true })).toBeUndefined();
  });

  test('an emptied room tells who was in it, and stays with its logs', async () => {
    const { store } = await make();
    expect(await store.emptyRoom('x')).toBeUndefined();
    // More than are taken out at a time.
    const many = Array.from({ length: 600 }, (_, index) => `c${String(index).padStart(3, '0')}`);
    await Promise.all(many.map((client, index) => enter(store, 'x', client, { listening: index % 2 === 1 })));
    await told(store, 'room:x', 'a');
    const departed = await store.emptyRoom('x');
    expect(departed?.sort((a, b) => (a.client < b.client ? -1 : 1))).toEqual(
      many.map((client, index) => ({ client, listening: index % 2 === 1 })),
    );
    expect(await store.emptyRoom('x')).toEqual([]);
    expect(await store.membership('x', many[0] ?? '')).toBeUndefined();
    expect(await store.view('x', { limit: 10, sweep: true })).toMatchObject({ members: [], membersCount: 0 });
    expect(await texts(store, 'room:x')).toEqual(['a']);
    expect(await presenceEvents(store, 'x')).toHaveLength(600);
  });

  test('a join starts at the present end of the log', async () => {
    const { store } = await make();
    const before = await told(store, 'room:x', 'a');
    const membership = await joined(store, 'x', 'c1');
    expect(membership).toMatchObject({ listening: false, floor: before, afterReset: false });
    expect(Math.abs(membership.joinedAt - Date.now())).toBeLessThan(60_000);
    expect(await store.membership('x', 'c1')).toEqual(membership);
    expect(await store.membership('x', 'c2')).toBeUndefined();
    expect(await store.membership('y', 'c1')).toBeUndefined();
  });

  test('and right behind itself in the presence log, where a listener is not told', async () => {
    const { store } = await make();
    await enter(store, 'x', 'c1');
    const { presenceFloor } = await joined(store, 'x', 'c2');
    const listening = await joined(store, 'x', 'c3', { listening: true });
    await enter(store, 'x', 'c4');
    expect((await presenceEvents(store, 'x', presenceFloor)).map(({ id }) => id)).toEqual(['c4']);
    expect(listening.presenceFloor).toBe(presenceFloor);
    expect(await store.membership('x', 'c3')).toEqual(listening);
    // A place that there is, so that a reader who begins there has missed nothing.
    const { entries } = await store.read('presence:x', presenceFloor, 1);
    expect(entries[0]?.prev).toBe(presenceFloor);
  });

  test('a room is brought into being only when it may', async () => {
    const { store } = await make();
    expect(await enter(store, 'x', 'c1', { create: false })).toEqual({ outcome: 'no_room' });
    expect(await store.rooms()).toEqual([]);
    await store.addRoom('x');
    expect(await enter(store, 'x', 'c1', { create: false })).toMatchObject({ outcome: 'joined' });
  });

  test('who makes a room by coming in is told so, and nobody else', async () => {
    const { store, second } = await make();
    expect(await enter(store, 'x', 'c1', { listening: true })).toMatchObject({ outcome: 'joined', created: true });
    expect(await enter(store, 'x', 'c1')).toMatchObject({ outcome: 'joined', created: false });
    expect(await enter(await second(), 'x', 'c2')).toMatchObject({ outcome: 'joined', created: false });
    await store.addRoom('y');
    expect(await enter(store, 'y', 'c1')).toMatchObject({ outcome: 'joined', created: false });
    await store.removeRoom('x');
    expect(await enter(store, 'x', 'c1')).toMatchObject({ outcome: 'joined', created: true });
    await told(store, 'room:z', 'a');
    expect(await enter(store, 'z', 'c1')).toMatchObject({ outcome: 'joined', created: false });
  });

  test('who is in already stays as it was', async () => {
    const { store, second } = await make();
    const membership = await joined(store, 'x', 'c1');
    await told(store, 'room:x', 'a');
    expect(await enter(await second(), 'x', 'c1')).toEqual({ outcome: 'already', membership, leaseBegan: false });
    expect(await enter(store, 'x', 'c1', { listening: true })).toMatchObject({ outcome: 'already', membership });
    expect(await presenceEvents(store, 'x')).toEqual([{ context: 'presence', event: 'join', room: 'x', id: 'c1' }]);
  });

  test('a listener is no member until it joins, and then goes on from where it was', async () => {
    const { store } = await make();
    await told(store, 'room:x', 'a');
    const listening = await joined(store, 'x', 'c1', { listening: true });
    expect(listening.listening).toBe(true);
    expect(await enter(store, 'x', 'c1', { listening: true })).toMatchObject({
      outcome: 'already',
      membership: listening,
    });
    expect(await store.view('x', { limit: 10, sweep: false })).toMatchObject({ members: [], membersCount: 0 });
    expect(await presenceEvents(store, 'x')).toEqual([]);
    await told(store, 'room:x', 'b');
    const member = await joined(store, 'x', 'c1');
    const { floor, presenceFloor } = listening;
    expect(member).toMatchObject({ listening: false, floor, presenceFloor });
    expect(await memberIds(store, 'x')).toEqual(['c1']);
    expect(await presenceEvents(store, 'x')).toHaveLength(1);
  });

  test('leaving tells once what it was', async () => {
    const { store } = await make();
    await enter(store, 'x', 'c1');
    await enter(store, 'x', 'c2', { listening: true });
    expect(await store.leave('x', 'c1')).toEqual({ client: 'c1', listening: false });
    expect(await store.leave('x', 'c1')).toBeUndefined();
    expect(await store.leave('x', 'c2')).toEqual({ client: 'c2', listening: true });
    expect(await store.leave('none', 'c1')).toBeUndefined();
  });

  test('one who comes back goes on from its floor', async () => {
    const { store } = await make();
    const first = await joined(store, 'x', 'c1');
    await told(store, 'room:x', 'a');
    await store.leave('x', 'c1');
    const again = await joined(store, 'x', 'c1', { rejoinFrom: first });
    const { floor, presenceFloor } = first;
    expect(again).toMatchObject({ floor, presenceFloor, afterReset: false });
  });

  test('one who comes back after the room was lost starts at its new birth, and this is told', async () => {
    const { store } = await make();
    const first = await joined(store, 'x', 'c1');
    const place = await told(store, 'room:x', 'a');
    await store.removeRoom('x');
    await nextMillisecond();
    await told(store, 'room:x', 'b');
    const again = await joined(store, 'x', 'c1', { rejoinFrom: first });
    const { state } = await store.read('room:x', place, 0);
    const presence = await store.read('presence:x', first.presenceFloor, 10);
    expect(again).toMatchObject({ floor: state?.born, presenceFloor: presence.state?.born, afterReset: true });
    expect(presence.entries).toHaveLength(1);
    expect(compareEntryIds(again.floor, place)).toBeGreaterThan(0);
    expect(await store.membership('x', 'c1')).toEqual(again);
  });

  test('a view is paged exactly, in order of ids', async () => {
    const { store } = await make();
    const ids = Array.from({ length: 23 }, (_, index) => `c${String((index * 7) % 23).padStart(2, '0')}`);
    for (const id of ids) await enter(store, 'x', id);
    await enter(store, 'x', 'a listener', { listening: true });
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const view = await store.view('x', { limit: 10, after, sweep: true });
      expect(view).toMatchObject({ membersCount: 23, departed: [] });
      seen.push(...view!.members.map(({ id }) => id));
      after = view!.next;
    } while (after !== undefined);
    expect(seen).toEqual([...ids].sort());
    expect(await store.view('x', { limit: 23, sweep: true })).toMatchObject({ next: undefined });
    expect(await store.view('x', { limit: 0, sweep: true })).toMatchObject({
      members: [],
      membersCount: 23,
      next: undefined,
    });
  });

  test('a view tells the ends of both logs', async () => {
    const { store } = await make();
    await enter(store, 'x', 'c1');
    const messages = await told(store, 'room:x', 'a');
    const { state } = await store.read('presence:x', '0-0', 0);
    const view = await store.view('x', { limit: 10, sweep: true });
    expect(view).toMatchObject({ messages, presence: state?.last });
    expect(view?.members[0]?.joinedAt).toBe((await store.membership('x', 'c1'))?.joinedAt);
    expect(await store.view('none', { limit: 10, sweep: true })).toBeUndefined();
  });

  test('names are only names', async () => {
    const { store } = await make();
    const names = [
      'a:members',
      'a',
      'a}b',
      '{a}',
      '*',
      'x:log',
      '__proto__',
      'constructor',
      'ä',
      '日本',
      '%7b',
      '%',
      '{',
    ];
    for (const name of names) {
      await enter(store, name, '__proto__');
      await enter(store, name, `'; return redis.call('FLUSHALL') --`);
      await told(store, `room:${name}`, name);
    }
    expect(await store.rooms()).toEqual([...names].sort());
    for (const name of names) {
      const { entries } = await store.read(`room:${name}`, '0-0', 10);
      expect(entries.map(({ data }) => data)).toEqual([name]);
      expect(await memberIds(store, name)).toHaveLength(2);
      expect(await store.leave(name, '__proto__')).toEqual({ client: '__proto__', listening: false });
      expect((await presenceEvents(store, name)).at(-1)).toMatchObject({ event: 'leave', room: name, id: '__proto__' });
    }
  });
}
