import type { NewEntry, Topic } from '../../../src/core/entry';
import { BEGINNING, entryIdParts, formatEntryId } from '../../../src/protocol/entry-id';
import { eventually } from '../../support/eventually';
import type { Make } from '../store';
import { Ear, enter, joined, tell, texts, told } from './given';

const room: Topic = 'room:x';

export function logFacts(make: Make): void {
  test('an entry names the one before it, the first one names the birth of the log', async () => {
    const { store } = await make();
    const ids = [await told(store, room, 'a'), await told(store, room, 'b'), await told(store, room, 'c')];
    const { entries, state } = await store.read(room, BEGINNING, 10);
    expect(entries.map(({ id }) => id)).toEqual(ids);
    expect(entries.map(({ prev }) => prev)).toEqual([state?.born, ids[0], ids[1]]);
    expect(ids.map((id) => entryIdParts(id).seq)).toEqual([1, 2, 3]);
    expect(entryIdParts(state!.born).seq).toBe(0);
    expect(state).toMatchObject({ last: ids[2], trimmed: 0 });
  });

  test('reads what follows a place, as much as was asked for', async () => {
    const { store } = await make();
    const ids = [await told(store, room, 'a'), await told(store, room, 'b'), await told(store, room, 'c')];
    expect(await texts(store, room, ids[0])).toEqual(['b', 'c']);
    expect(await texts(store, room, ids[2])).toEqual([]);
    const two = await store.read(room, BEGINNING, 2);
    expect(two.entries.map(({ data }) => data)).toEqual(['a', 'b']);
    expect(two.state?.last).toBe(ids[2]);
  });

  test('limit 0 asks where the log stands', async () => {
    const { store } = await make();
    const id = await told(store, room, 'a');
    expect(await store.read(room, BEGINNING, 0)).toMatchObject({ entries: [], state: { last: id } });
  });

  test('tells where many logs end, of whatever kind, in the order asked', async () => {
    const { store } = await make();
    await enter(store, 'x', 'ann');
    const end = await told(store, room, 'a');
    const topics: Topic[] = ['room:none', room, 'client:none', 'presence:x', room];
    const presence = (await store.read('presence:x', BEGINNING, 0)).state?.last;
    expect(presence).toBeDefined();
    expect(await store.ends(topics)).toEqual([undefined, end, undefined, presence, end]);
    expect(await store.ends([])).toEqual([]);
  });

  test('a place that no entry has is a place all the same', async () => {
    const { store } = await make();
    const { ms, seq } = entryIdParts(await told(store, room, 'a'));
    expect(await texts(store, room, formatEntryId(ms - 5, 99))).toEqual(['a']);
    expect(await texts(store, room, formatEntryId(ms, seq - 1))).toEqual(['a']);
    expect(await texts(store, room, formatEntryId(ms + 60_000, 1))).toEqual([]);
  });

  test('a log that was never there has no state, and is not made by looking', async () => {
    const { store } = await make();
    expect(await store.read('room:none', BEGINNING, 10)).toEqual({ entries: [], state: undefined });
    expect(await store.read('presence:none', BEGINNING, 10)).toEqual({ entries: [], state: undefined });
    expect(await store.read('client:none', BEGINNING, 10)).toEqual({ entries: [], state: undefined });
    expect(await store.history('room:none', undefined, 10)).toEqual([]);
    expect(await store.rooms()).toEqual([]);
  });

  test('a log that was never used ends where it was born', async () => {
    const { store } = await make();
    await store.addRoom('x');
    const { state } = await store.read(room, BEGINNING, 10);
    expect(state?.last).toBe(state?.born);
  });

  test('brings a log into being only when it may', async () => {
    const { store } = await make();
    expect(await tell(store, room, 'a', { create: false })).toEqual({ outcome: 'no_log' });
    expect(await store.roomExists('x')).toBe(false);
    expect(await tell(store, room, 'a')).toMatchObject({ outcome: 'appended' });
    expect(await store.roomExists('x')).toBe(true);
    expect(await store.rooms()).toEqual(['x']);
    expect(await tell(store, room, 'b', { create: false })).toMatchObject({ outcome: 'appended' });
  });

  test('keeps data, speaker and match as they are', async () => {
    const { store } = await make();
    const entries: NewEntry[] = [
      { data: '', speaker: '' },
      { data: ' two  spaces ', speaker: 'someone' },
      { data: 'a\r\nb\n\n\rc', speaker: 'someone', match: { key: 'auth', value: 'true' } },
      { data: '\0 \u0007 \u2028 \u2029 𝄞 ﷽ é e\u0301 \ufeff', speaker: '', match: { key: 'a key', value: '' } },
      { data: '{"message":"\\"}"', speaker: 'a b\n"c"', match: { key: '"', value: '\n1\n𝄞' } },
      { data: `'; redis.call('FLUSHALL') --\r\n$5\r\n*1\r\n`, speaker: 'x' },
      { data: 'm'.repeat(70_000), speaker: '__proto__' },
    ];
    for (const entry of entries) await tell(store, room, entry);
    const { entries: kept } = await store.read(room, BEGINNING, 100);
    expect(kept.map(({ id: _id, prev: _prev, ...entry }) => entry)).toEqual(entries);
    expect(await store.history(room, undefined, 100)).toEqual(kept);
  });

  test('of what comes at once each has its own answer, and all of it goes in as it came', async () => {
    const { store, second } = await make();
    await enter(store, 'x', 'c1');
    const ear = new Ear();
    const other = await second();
    await other.follow(room, ear);
    const before = (await store.read(room, BEGINNING, 0)).state!.last;
    const match = { key: 'k', value: 'v' };
    const answers = await Promise.all([
      tell(store, room, { data: 'a', speaker: 'c1' }, { member: 'c1' }),
      tell(store, room, { data: 'not mine', speaker: 'c2' }, { member: 'c2' }),
      tell(store, room, 'b', { key: 'same' }),
      tell(store, room, { data: 'c', speaker: '', match }),
      tell(store, room, 'once more', { key: 'same' }),
      tell(store, room, { data: 'two\nlines', speaker: 'c1', match }, { member: 'c1' }),
    ]);
    const ids = answers.map((answer) => ('id' in answer ? answer.id : undefined));
    expect(answers.map(({ outcome }) => outcome)).toEqual([
      'appended',
      'not_member',
      'appended',
      'appended',
      'repeated',
      'appended',
    ]);
    expect(ids[4]).toBe(ids[2]);
    const { entries } = await other.read(room, before, 10);
    expect(entries).toEqual([
      { id: ids[0], prev: before, data: 'a', speaker: 'c1' },
      { id: ids[2], prev: ids[0], data: 'b', speaker: '' },
      { id: ids[3], prev: ids[2], data: 'c', speaker: '', match },
      { id: ids[5], prev: ids[3], data: 'two\nlines', speaker: 'c1', match },
    ]);
    await eventually(() => ear.entries.length === 4);
    expect(ear.entries).toEqual(entries);
  });

  test('a log is trimmed to its length, however much comes at once', async () => {
    const { store } = await make({ maxLogLength: 10 });
    await Promise.all(Array.from({ length: 25 }, (_, nth) => tell(store, room, String(nth))));
    const { entries, state } = await store.read(room, BEGINNING, 100);
    expect(entries.map(({ data }) => data)).toEqual(['15', '16', '17', '18', '19', '20', '21', '22', '23', '24']);
    expect(state?.trimmed).toBe(15);
  });

  test('the same key appends once and answers the first id', async () => {
    const { store, second } = await make();
    const first = await tell(store, room, 'a', { key: 'k' });
    expect(first).toMatchObject({ outcome: 'appended' });
    const again = { outcome: 'repeated', id: 'id' in first ? first.id : '' };
    expect(await tell(store, room, 'a', { key: 'k' })).toEqual(again);
    expect(await tell(await second(), room, 'other', { key: 'k' })).toEqual(again);
    expect(await texts(store, room)).toEqual(['a']);
    expect(await tell(store, 'room:y', 'a', { key: 'k' })).toMatchObject({ outcome: 'appended' });
  });

  test('many at once with one key append once', async () => {
    const { store, second } = await make();
    const stores = [store, await second()];
    const tries = Array.from({ length: 40 }, (_, index) => tell(stores[index % 2]!, room, 'a', { key: 'k' }));
    const outcomes = (await Promise.all(tries)).map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === 'appended')).toHaveLength(1);
    expect(await texts(store, room)).toEqual(['a']);
  });

  test('a key is forgotten after its time', async () => {
    const { store } = await make();
    await tell(store, room, 'a', { key: 'k', keyMs: 30 });
    await eventually(async () => (await tell(store, room, 'b', { key: 'k', keyMs: 30 })).outcome === 'appended');
    expect(await texts(store, room)).toEqual(['a', 'b']);
  });

  test('200 at once from two nodes are one chain', async () => {
    const { store, second } = await make();
    const stores = [store, await second()];
    const all = Array.from({ length: 200 }, (_, index) => told(stores[index % 2]!, room, String(index)));
    const ids = await Promise.all(all);
    const { entries, state } = await store.read(room, BEGINNING, 1000);
    expect(entries).toHaveLength(200);
    expect(new Set(ids)).toEqual(new Set(entries.map(({ id }) => id)));
    let prev = state!.born;
    for (const entry of entries) {
      expect(entry.prev).toBe(prev);
      expect(entryIdParts(entry.id).seq).toBe(entryIdParts(prev).seq + 1);
      expect(entryIdParts(entry.id).ms).toBeGreaterThanOrEqual(entryIdParts(prev).ms);
      prev = entry.id;
    }
    expect(state!.last).toBe(prev);
  });

  test('what is too old is not read, and its place is remembered', async () => {
    // On a busy machine the first look may come late.
    const { store } = await make({ messageTTL: 500 });
    const first = await told(store, room, 'a');
    expect(await texts(store, room)).toEqual(['a']);
    await eventually(async () => (await store.read(room, BEGINNING, 10)).entries.length === 0);
    expect(await store.history(room, undefined, 10)).toEqual([]);
    expect((await store.read(room, BEGINNING, 10)).state).toMatchObject({ last: first, trimmed: 0 });
    await told(store, room, 'b');
    const [entry] = (await store.read(room, BEGINNING, 10)).entries;
    expect(entry).toMatchObject({ data: 'b', prev: first });
  });

  test('a TTL of 0 keeps messages until the log is full', async () => {
    const { store } = await make({ messageTTL: 0, maxLogLength: 2 });
    for (const data of ['a', 'b', 'c']) await told(store, room, data);
    expect(await texts(store, room)).toEqual(['b', 'c']);
    expect(await store.history(room, undefined, 5)).toHaveLength(2);
  });

  test('a full log drops its first entries, exactly, and tells the last one dropped', async () => {
    const { store } = await make({ maxLogLength: 5 });
    for (let index = 1; index <= 5; index += 1) await told(store, room, String(index));
    expect((await store.read(room, BEGINNING, 10)).state?.trimmed).toBe(0);
    for (let index = 6; index <= 12; index += 1) await told(store, room, String(index));
    expect(await texts(store, room)).toEqual(['8', '9', '10', '11', '12']);
    expect((await store.read(room, BEGINNING, 10)).state).toMatchObject({ trimmed: 7 });
  });

  test('what was too old was not dropped because the log was full', async () => {
    const { store } = await make({ maxLogLength: 3, messageTTL: 80 });
    for (const data of ['a', 'b', 'c']) await told(store, room, data);
    await eventually(async () => (await store.read(room, BEGINNING, 10)).entries.length === 0);
    await told(store, room, 'd');
    expect((await store.read(room, BEGINNING, 10)).state?.trimmed).toBe(0);
  });

  test('history is what came last before a place, oldest first', async () => {
    const { store } = await make();
    const ids: string[] = [];
    for (const data of ['a', 'b', 'c', 'd']) ids.push(await told(store, room, data));
    const history = async (...options: [string | undefined, number]): Promise<string> =>
      (await store.history(room, ...options)).map(({ data }) => data).join('');
    expect(await history(undefined, 2)).toBe('cd');
    expect(await history(ids[2], 10)).toBe('ab');
    expect(await history(ids[2], 1)).toBe('b');
    expect(await history(ids[0], 10)).toBe('');
    expect(await history(undefined, 0)).toBe('');
    expect(await history(BEGINNING, 10)).toBe('');
    expect(await history('1-0', 10)).toBe('');
  });

  test('refuses one who is no member, but not the repeat of one who was', async () => {
    const { store } = await make();
    await told(store, room, 'a');
    expect(await tell(store, room, 'b', { member: 'c1' })).toEqual({ outcome: 'not_member' });
    await enter(store, 'x', 'c1', { listening: true });
    expect(await tell(store, room, 'b', { member: 'c1' })).toEqual({ outcome: 'not_member' });
    await joined(store, 'x', 'c1');
    const said = await tell(store, room, 'b', { member: 'c1', key: 'k' });
    expect(said).toMatchObject({ outcome: 'appended' });
    await store.leave('x', 'c1');
    expect(await tell(store, room, 'c', { member: 'c1' })).toEqual({ outcome: 'not_member' });
    expect(await tell(store, room, 'b', { member: 'c1', key: 'k' })).toEqual({ ...said, outcome: 'repeated' });
    expect(await texts(store, room)).toEqual(['a', 'b']);
  });

  test('what a key has appended is known, in its log, for its time', async () => {
    const { store, second } = await make();
    const said = await tell(store, room, 'a', { key: 'k' });
    const { id } = said as { id: string };
    for (const where of [store, await second()]) expect(await where.appended(room, 'k')).toBe(id);
    expect(await store.appended(room, 'other')).toBeUndefined();
    expect(await store.appended('room:y', 'k')).toBeUndefined();
    await tell(store, room, 'b', { key: 'short', keyMs: 30 });
    await eventually(async () => (await store.appended(room, 'short')) === undefined);
  });

  test('a refused entry makes no room', async () => {
    const { store } = await make();
    expect(await tell(store, room, 'a', { member: 'c1' })).toEqual({ outcome: 'not_member' });
    expect(await store.roomExists('x')).toBe(false);
    expect(await store.rooms()).toEqual([]);
  });
}
