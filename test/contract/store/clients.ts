import type { RecordedRoom } from '../../../src/core/store';
import type { Topic } from '../../../src/core/entry';
import { BEGINNING } from '../../../src/protocol/entry-id';
import type { ChatError } from '../../../src/protocol/errors';
import { eventually } from '../../support/eventually';
import type { Make } from '../store';
import { Ear, tell, texts, told } from './given';

const keep = { ttlMs: 60_000, create: true };
const places = (...pairs: [Topic, string][]): ReadonlyMap<Topic, string> => new Map(pairs);

export function clientFacts(make: Make): void {
  test('a record is made when it may be, with what it was given', async () => {
    const { store, second } = await make();
    expect(await store.client('c1')).toBeUndefined();
    expect(await store.writeClient('c1', { room: 'x' }, { ...keep, create: false })).toBeUndefined();
    expect(await store.client('c1')).toBeUndefined();
    const written = await store.writeClient(
      'c1',
      {
        room: 'x',
        rooms: new Map([
          ['x', { listening: false, floor: '5-1', presenceFloor: '5-2' }],
          ['y', { floor: undefined, attempt: 'a1' }],
        ]),
        attributes: new Map<string, unknown>([
          ['auth', 'true'],
          ['deep', { a: [1, null, 'é\n𝄞'] }],
          ['a:b c', 0],
        ]),
        places: places(['room:x', '5-2'], ['client:c1', '1-1']),
      },
      keep,
    );
    expect(written).toEqual({ version: 1, connectedAt: expect.any(Number), roomBefore: null });
    const record = await (await second()).client('c1');
    expect(record).toEqual({
      version: 1,
      connectedAt: written!.connectedAt,
      revived: undefined,
      room: 'x',
      rooms: new Map([
        ['x', { listening: false, floor: '5-1', presenceFloor: '5-2' }],
        ['y', { floor: undefined, attempt: 'a1' }],
      ]),
      attributes: new Map<string, unknown>([
        ['auth', 'true'],
        ['deep', { a: [1, null, 'é\n𝄞'] }],
        ['a:b c', 0],
      ]),
      places: places(['room:x', '5-2'], ['client:c1', '1-1']),
      pending: { generation: 0, places: new Map() },
    });
    expect(Math.abs(record!.connectedAt - Date.now())).toBeLessThan(60_000);
  });

  test('an empty change makes a record of nothing', async () => {
    const { store } = await make();
    expect((await store.writeClient('c1', {}, keep))!.version).toBe(1);
    expect(await store.client('c1')).toMatchObject({
      room: null,
      rooms: new Map(),
      attributes: new Map(),
      places: new Map(),
    });
  });

  test('a change sets what it names, removes what is null, and leaves the rest', async () => {
    const { store } = await make();
    const rooms = new Map([
      ['x', { listening: false, floor: '1-1', presenceFloor: '1-2' }],
      ['y', { listening: false, floor: '2-1', presenceFloor: '2-2' }],
    ]);
    const first = {
      room: 'x',
      rooms,
      attributes: new Map([['a', 1]]),
      places: places(['room:x', '1-1'], ['presence:x', '1-2'], ['room:y', '2-1']),
    };
    await store.writeClient('c1', first, keep);
    const { connectedAt } = (await store.client('c1'))!;
    await store.writeClient(
      'c1',
      { room: null, rooms: new Map([['x', null]]), attributes: new Map<string, unknown>([['b', 2]]) },
      keep,
    );
    expect(await store.client('c1')).toMatchObject({
      connectedAt,
      room: null,
      rooms: new Map([['y', { listening: false, floor: '2-1', presenceFloor: '2-2' }]]),
      attributes: new Map([
        ['a', 1],
        ['b', 2],
      ]),
      places: places(['room:y', '2-1']),
    });
    await store.writeClient('c1', { attributes: new Map([['a', null]]), revived: 'reset' }, keep);
    expect(await store.client('c1')).toMatchObject({ attributes: new Map([['b', 2]]), revived: 'reset' });
  });

  test('of changes of the current room at the same time each is told another one from which it came', async () => {
    const { store, second } = await make();
    await store.writeClient('c1', { room: 'r0' }, keep);
    const stores = [store, await second()];
    const changes = [1, 2, 3, 4, 5, 6].map((nth) =>
      stores[nth % 2]!.writeClient('c1', { room: `r${String(nth)}` }, keep),
    );
    const before = (await Promise.all(changes)).map((written) => written!.roomBefore);
    const { room } = (await store.client('c1'))!;
    expect([...before, room].sort()).toEqual(['r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6']);
    expect((await store.writeClient('c1', { room: null }, keep))!.roomBefore).toBe(room);
    expect((await store.writeClient('c1', {}, keep))!.roomBefore).toBeNull();
  });

  test('no more rooms than a change allows, of however many changes at once', async () => {
    const { store, second } = await make();
    const into = (room: string, mostRooms?: number) => ({
      rooms: new Map([[room, { floor: undefined, attempt: 'a1' }]]),
      ...(mostRooms === undefined ? {} : { mostRooms }),
    });
    await store.writeClient('c1', into('x', 3), keep);
    const stores = [store, await second()];
    const outcomes = await Promise.all(
      [1, 2, 3, 4, 5, 6].map((nth) =>
        stores[nth % 2]!.writeClient('c1', into(`r${String(nth)}`, 3), keep).then(
          () => 'written',
          (error: unknown) => ({ code: (error as ChatError).code, message: (error as ChatError).message }),
        ),
      ),
    );
    const refusal = { code: 'too_many_rooms', message: 'you are in too many rooms (3 at most)' };
    expect(outcomes.filter((outcome) => outcome === 'written')).toHaveLength(2);
    expect(outcomes.filter((outcome) => outcome !== 'written')).toEqual([refusal, refusal, refusal, refusal]);
    expect((await store.client('c1'))!.rooms.size).toBe(3);
    // The record of a client that nobody has is not made by what is refused; rooms it has already are no more.
    await expect(store.writeClient('c2', into('x', 0.5), keep)).rejects.toMatchObject({ code: 'too_many_rooms' });
    expect(await store.client('c2')).toBeUndefined();
    await store.writeClient('c1', into('x', 3), keep);
    await store.writeClient('c1', into('y'), keep);
    expect((await store.client('c1'))!.rooms.size).toBe(4);
  });

  test('a room that goes is the current one no more, another one stays', async () => {
    const { store } = await make();
    const heard = { listening: false, floor: '5-1', presenceFloor: '5-2' };
    const rooms = new Map(['x', 'y'].map((room) => [room, heard]));
    await store.writeClient('c1', { rooms, room: 'x' }, keep);
    await store.writeClient('c1', { rooms: new Map([['y', null]]) }, keep);
    expect((await store.client('c1'))!.room).toBe('x');
    const gone = await store.writeClient('c1', { rooms: new Map([['x', null]]) }, keep);
    expect(gone!.roomBefore).toBe('x');
    expect((await store.client('c1'))!.room).toBeNull();
    await store.writeClient('c1', { rooms: new Map([['x', null]]), room: 'z' }, keep);
    expect((await store.client('c1'))!.room).toBe('z');
  });

  test('nor is one that is only listened to, whatever else is written with it', async () => {
    const { store } = await make();
    const heard = { listening: false, floor: '5-1', presenceFloor: '5-2' };
    const listens = { ...heard, listening: true };
    await store.writeClient('c1', { rooms: new Map([['x', heard]]), room: 'x' }, keep);
    await store.writeClient('c1', { rooms: new Map([['y', listens]]) }, keep);
    await store.writeClient('c1', { attributes: new Map([['r:x', 'l 1']]) }, keep);
    expect((await store.client('c1'))!.room).toBe('x');
    const before = await store.writeClient('c1', { rooms: new Map([['x', listens]]) }, keep);
    expect(before!.roomBefore).toBe('x');
    expect((await store.client('c1'))!.room).toBeNull();
    await store.writeClient('c1', { rooms: new Map([['x', listens]]), room: 'x' }, keep);
    expect((await store.client('c1'))!.room).toBeNull();
  });

  test('what expects a room is refused as a whole without it, or when it is there in another way', async () => {
    const { store, second } = await make();
    const heard = { listening: false, floor: '5-1', presenceFloor: '5-2' };
    const done = { rooms: new Map([['x', heard]]), room: 'x', places: places(['room:x', '5-1']) };
    const attempt = { floor: undefined, attempt: 'a1' };
    // A record that this makes has what it says.
    await store.writeClient('c1', { ...done, expects: { room: 'x' } }, keep);
    expect((await store.client('c1'))!.rooms.get('x')).toEqual(heard);

    await (await second()).writeClient('c1', { rooms: new Map([['x', null]]), room: null }, keep);
    const without = await store.client('c1');
    for (const expects of [{ room: 'x' }, { room: 'x', as: heard }, { room: '' }, { room: '__proto__' }]) {
      await expect(store.writeClient('c1', { ...done, expects }, keep)).rejects.toMatchObject({
        code: 'not_in_room',
        message: `connection not in this room (${expects.room})`,
      });
    }
    expect(await store.client('c1')).toEqual(without);
    expect(await store.writeClient('nobody', { ...done, expects: { room: 'x' } }, { ...keep, create: false })).toBe(
      undefined,
    );

    const others = [
      heard,
      { floor: undefined, attempt: 'a2' },
      { ...heard, listening: true },
      { ...heard, floor: '5-2' },
      { ...heard, presenceFloor: '5-1' },
    ];
    const refusesOthers = async (room: RecordedRoom): Promise<void> => {
      for (const as of others.filter((other) => JSON.stringify(other) !== JSON.stringify(room))) {
        const undone = { rooms: new Map([['x', null]]), expects: { room: 'x', as } };
        await expect(store.writeClient('c1', undone, keep)).rejects.toMatchObject({ code: 'not_in_room' });
      }
      expect((await store.client('c1'))!.rooms.get('x')).toEqual(room);
    };
    await store.writeClient('c1', { rooms: new Map([['x', attempt]]) }, keep);
    await refusesOthers(attempt);
    await (await second()).writeClient('c1', { ...done, expects: { room: 'x', as: attempt } }, keep);
    await refusesOthers(heard);
    const listens = { ...heard, listening: true };
    await store.writeClient('c1', { rooms: new Map([['x', listens]]), expects: { room: 'x', as: heard } }, keep);
    await refusesOthers(listens);
    await store.writeClient('c1', { ...done, expects: { room: 'x' } }, keep);
    expect((await store.client('c1'))!.rooms.get('x')).toEqual(heard);
  });

  test('names are only names', async () => {
    const { store } = await make();
    const names = ['__proto__', 'constructor', 'v', 'gen', 'last', 'a:x', `"'\\`];
    const attributes = new Map(names.map((name, index) => [name, index]));
    const rooms = new Map(names.map((name) => [name, { floor: undefined, attempt: 'a1' }]));
    for (const id of ['__proto__', 'c}1', '{c', '%7bc']) {
      await store.writeClient(id, { attributes, rooms, room: '__proto__' }, keep);
      expect(await store.client(id)).toMatchObject({ attributes, rooms, room: '__proto__' });
    }
  });

  test('the version grows with what others must know of, places are not of it', async () => {
    const { store, second } = await make();
    const first = await store.writeClient('c1', {}, keep);
    expect(await store.writeClient('c1', { places: places(['room:x', '1-1']) }, keep)).toEqual(first);
    const writes = Array.from({ length: 10 }, (_, index) =>
      store.writeClient('c1', { attributes: new Map([['a', index]]) }, keep),
    );
    const versions = (await Promise.all(writes)).map((written) => written!.version);
    expect(new Set(versions).size).toBe(10);
    expect(Math.min(...versions)).toBeGreaterThan(first!.version);
    const last = (await (await second()).writeClient('c1', { room: 'x' }, keep))!.version;
    expect(last).toBeGreaterThan(Math.max(...versions));
    expect((await store.client('c1'))?.version).toBe(last);
  });

  test('an answer moves the places that are known to have arrived', async () => {
    const { store } = await make();
    expect(await store.deliver('c1', { from: 0, confirmed: new Map(), pending: new Map() }, 1000)).toBeUndefined();
    await store.writeClient('c1', { places: places(['room:x', '1-1']) }, keep);
    const first = await store.deliver(
      'c1',
      { from: 0, confirmed: new Map(), pending: places(['room:x', '2-2']) },
      60_000,
    );
    expect(first).toBe(1);
    expect(await store.client('c1')).toMatchObject({
      places: places(['room:x', '1-1']),
      pending: { generation: 1, places: places(['room:x', '2-2']) },
    });
    const confirmed = places(['room:x', '2-2']);
    expect(await store.deliver('c1', { from: 1, confirmed, pending: places(['room:x', '3-3']) }, 60_000)).toBe(2);
    expect(await store.client('c1')).toMatchObject({ places: confirmed, pending: { generation: 2 } });
  });

  test('an answer made from an older one moves nothing', async () => {
    const { store } = await make();
    await store.writeClient('c1', { places: places(['room:x', '1-1']) }, keep);
    await store.deliver('c1', { from: 0, confirmed: new Map(), pending: places(['room:x', '2-2']) }, 60_000);
    const late = { from: 0, confirmed: places(['room:x', '9-9']), pending: places(['room:x', '4-4']) };
    expect(await store.deliver('c1', late, 60_000)).toBe(2);
    expect(await store.client('c1')).toMatchObject({
      places: places(['room:x', '1-1']),
      pending: { generation: 2, places: places(['room:x', '4-4']) },
    });
  });

  test("a client's own log needs its record, and goes with it", async () => {
    const { store } = await make();
    expect(await tell(store, 'client:c1', 'a')).toEqual({ outcome: 'no_log' });
    await store.writeClient('c1', {}, keep);
    expect((await store.read('client:c1', BEGINNING, 10)).state).toBeUndefined();
    expect(await tell(store, 'client:c1', 'a', { create: false })).toEqual({ outcome: 'no_log' });
    await told(store, 'client:c1', 'a');
    await told(store, 'client:c1', 'b');
    expect(await texts(store, 'client:c1')).toEqual(['a', 'b']);
    await store.removeClient('c1');
    expect(await store.client('c1')).toBeUndefined();
    expect((await store.read('client:c1', BEGINNING, 10)).state).toBeUndefined();
    await store.removeClient('c1');
  });

  test('a record dies with its TTL, and its log with it; what is renewed lives on', async () => {
    const { store } = await make();
    const { version } = (await store.writeClient('c1', {}, { ttlMs: 2000, create: true }))!;
    await store.writeClient('c2', {}, { ttlMs: 2000, create: true });
    await told(store, 'client:c1', 'a');
    await told(store, 'client:c2', 'a');
    expect(await store.renewClient('c1', 60_000)).toBe(version);
    await eventually(async () => !(await store.client('c2')));
    expect(await store.read('client:c2', BEGINNING, 10)).toEqual({ entries: [], state: undefined });
    expect(await store.renewClient('c2', 60_000)).toBeUndefined();
    expect(await store.deliver('c2', { from: 0, confirmed: new Map(), pending: new Map() }, 1000)).toBeUndefined();
    expect(await texts(store, 'client:c1')).toEqual(['a']);
  });

  test('a write renews, too', async () => {
    const { store } = await make();
    for (const id of ['c1', 'c2']) await store.writeClient(id, {}, { ttlMs: 2000, create: true });
    await store.writeClient('c1', { room: 'x' }, keep);
    await eventually(async () => !(await store.client('c2')));
    expect(await store.client('c1')).toMatchObject({ room: 'x' });
  });

  test('an answer renews, too', async () => {
    const { store } = await make();
    await store.writeClient('c1', {}, { ttlMs: 2000, create: true });
    await store.writeClient('c2', {}, { ttlMs: 2000, create: true });
    await store.deliver('c1', { from: 0, confirmed: new Map(), pending: new Map() }, 60_000);
    await eventually(async () => !(await store.client('c2')));
    expect(await store.client('c1')).toBeDefined();
  });

  test("followers of a client's log hear its entries and the versions of its record", async () => {
    const { store, second } = await make();
    const other = await second();
    const ear = new Ear();
    await store.follow('client:c1', ear);
    const first = (await other.writeClient('c1', {}, keep))!.version;
    await told(other, 'client:c1', 'a');
    await other.writeClient('c1', { places: places(['room:x', '1-1']) }, keep);
    const next = (await other.writeClient('c1', { room: 'x' }, keep))!.version;
    await eventually(() => ear.versions.length === 2 && ear.texts.length === 1);
    expect(ear.versions).toEqual([first, next]);
    await other.removeClient('c1');
    await eventually(() => ear.versions.length === 3);
    expect(ear.versions[2]).toBeGreaterThan(next);
    store.unfollow('client:c1', ear);
  });
}
