import { inspect } from 'node:util';
import { z } from 'zod';
import { Actions, defineAction } from '../../src/core/action';
import { Client } from '../../src/core/client';
import { placesOf, cursorOf } from '../../src/core/cursors';
import { presenceTopic, roomTopic } from '../../src/core/entry';
import { Feed } from '../../src/core/feed';
import type { ChatMiddleware, Payload } from '../../src/core/middleware';
import { Rates } from '../../src/core/rate';
import { Session } from '../../src/core/session';
import { pageJson } from '../../src/core/reading';
import { BATCH_ENTRIES } from '../../src/core/tail';
import type { Chat } from '../../src/core/chat';
import { BEGINNING } from '../../src/protocol/entry-id';
import { asChatError, ChatError } from '../../src/protocol/errors';
import { MemoryStore } from '../../src/store/memory-store';
import { SaidWords } from '../../src/transports/request';
import { verbs } from '../../src/transports/verbs';
import { nextMillisecond } from '../contract/store/given';
import { closeChats, KeptLink, limits, listen, person, startChat, type Person } from '../support/core';
import { eventually } from '../support/eventually';

afterEach(closeChats);

const noRates = {
  saysPerSecond: 0,
  saysPerSecondPerAddress: 0,
  bytesPerSecondPerAddress: 0,
  joinsPerSecond: 0,
  joinsPerSecondPerAddress: 0,
  newClientsPerSecondPerAddress: 0,
  newRoomsPerSecondPerAddress: 0,
};

async function clientOf(chat: Chat, given?: Person, rates = new Rates(noRates)): Promise<Client> {
  const { session, peer } = given ?? (await person(chat, 'web'));
  return new Client(chat, session, peer, rates);
}

describe('what a client may ask for', () => {
  test('say: in its current room unless it names one', async () => {
    const chat = await startChat();
    const ann = await clientOf(chat);
    expect((await ann.say({ message: 'hello' })).room).toBe('defaultRoom');
    await ann.roomAdd('kitchen');
    expect((await ann.say({ message: 'hello', room: 'kitchen' })).room).toBe('kitchen');
    await expect(ann.say({ message: 'x', room: 'no room' })).rejects.toMatchObject({ code: 'invalid_room_name' });
  });

  test('say: without a default room one has to be named', async () => {
    const chat = await startChat({ settings: { defaultRoom: null } });
    const ann = await clientOf(chat);
    await expect(ann.say({ message: 'x' })).rejects.toMatchObject({ code: 'room_required' });
    await expect(ann.roomView({})).rejects.toMatchObject({ code: 'room_required' });
    await ann.roomAdd('kitchen');
    expect((await ann.say({ message: 'x', room: 'kitchen' })).room).toBe('kitchen');
  });

  test('say: what was said with a key is answered wherever the client is now, and said by nobody else', async () => {
    const chat = await startChat({ middleware: [{ name: 'sees', onSayReceive: (_connection, _room, said) => said }] });
    const [ann, bob] = [await clientOf(chat), await clientOf(chat)];
    await ann.roomAdd('kitchen');
    const first = await ann.say({ message: 'once', room: 'kitchen', key: 'k' });
    await ann.roomLeave('kitchen');
    await bob.roomAdd('kitchen');
    const { repeated } = chat.counters;
    expect(await ann.say({ message: 'once', room: 'kitchen', key: 'k' })).toEqual(first);
    expect(chat.counters.repeated).toBe(repeated + 1);
    await ann.listenToRoom('kitchen');
    expect(await ann.say({ message: 'once', room: 'kitchen', key: 'k' })).toEqual(first);
    await expect(ann.say({ message: 'twice', room: 'kitchen', key: 'l' })).rejects.toMatchObject({
      code: 'not_in_room',
    });
    expect((await bob.say({ message: 'mine', room: 'kitchen', key: 'k' })).id).not.toBe(first.id);
  });

  describe('say by somebody who was not read', () => {
    async function unread(chat: Chat, rates = new Rates(noRates)) {
      const { session, peer } = await person(chat, 'web');
      const read = jest.fn(() => Promise.resolve(session));
      return { client: new Client(chat, new Session(session.id), peer, rates, read), read, session };
    }

    test('it needs no reading where the room knows who it is', async () => {
      const chat = await startChat();
      const { client, read } = await unread(chat);
      const match = { roomMatchKey: 'auth', roomMatchValue: 'yes' };
      const said = await client.say({ message: 'hello', room: 'defaultRoom', ...match });
      expect(read).not.toHaveBeenCalled();
      const [entry] = await chat.store.history(roomTopic('defaultRoom'), undefined, 1);
      expect(entry).toMatchObject({
        id: said.id,
        speaker: client.id,
        match: { key: 'auth', value: 'yes' },
        data: expect.stringContaining(`"from":"${client.id}"`) as unknown,
      });
    });

    test('where the room has lost it, it is read, comes back, and has said the same once', async () => {
      const chat = await startChat();
      const { client, read } = await unread(chat);
      await chat.store.leave('defaultRoom', client.id);
      const match = { roomMatchKey: 'auth', roomMatchValue: 'yes' };
      const what = { message: 'hello', room: 'defaultRoom', key: 'k', ...match };
      const said = await client.say(what);
      expect(read).toHaveBeenCalledTimes(1);
      expect(client.isRead).toBe(true);
      const entries = await chat.store.history(roomTopic('defaultRoom'), undefined, 10);
      expect(entries.map(({ id, match: matched }) => [id, matched])).toEqual([
        [said.id, { key: 'auth', value: 'yes' }],
      ]);
      expect(await client.say(what)).toEqual(said);
    });

    test('its words are paid for once, and not where it is in no such room', async () => {
      const chat = await startChat();
      const words = (): Rates => new Rates({ ...noRates, bytesPerSecondPerAddress: 10 }, () => 0);
      const lost = await unread(chat, words());
      await chat.store.leave('defaultRoom', lost.client.id);
      // Eighty bytes at once.
      await lost.client.say({ message: 'm'.repeat(50), room: 'defaultRoom' });
      await lost.client.say({ message: 'm'.repeat(30), room: 'defaultRoom' });
      await expect(lost.client.say({ message: 'm', room: 'defaultRoom' })).rejects.toMatchObject({
        code: 'too_many_requests',
      });
      const rates = words();
      for (let nth = 0; nth < 3; nth += 1) {
        const { client } = await unread(chat, rates);
        await expect(client.say({ message: 'm'.repeat(50), room: 'nowhere' })).rejects.toMatchObject({
          code: 'room_not_found',
        });
      }
      const { client } = await unread(chat, rates);
      expect(await client.say({ message: 'm'.repeat(80), room: 'defaultRoom' })).toMatchObject({ room: 'defaultRoom' });
    });

    test('two says at once are two says', async () => {
      const chat = await startChat();
      const { client } = await unread(chat);
      const outcomes = await Promise.allSettled([
        client.say({ message: 'x', room: 'nowhere' }),
        client.say({ message: 'x', room: 'nowhere' }),
        client.say({ message: 'x', room: 'defaultRoom' }),
      ]);
      expect(
        outcomes.map((outcome) => (outcome.status === 'rejected' ? asChatError(outcome.reason).code : 'said')),
      ).toEqual(['room_not_found', 'room_not_found', 'said']);
    });

    test('nothing else of it can be looked at', async () => {
      const chat = await startChat();
      const { client } = await unread(chat);
      for (const look of [() => client.session, () => client.connection, () => client.details()]) {
        expect(look).toThrow('an action that says of itself `onlySays` looks at its client');
      }
      await expect(client.say({ message: 'x' })).rejects.toThrow('looks at its client');
    });
  });

  test('say by TCP: the store is asked for a room by who may say only', async () => {
    const chat = await startChat();
    const ann = await clientOf(chat, undefined, new Rates({ ...noRates, saysPerSecond: 1 }, () => 0));
    const asked = jest.spyOn(chat.store, 'roomExists');
    const context = { client: ann, cameWith: () => false, details: () => ({}), documentation: () => ({}) };
    const words = new SaidWords('nosuchroom', 'x', 'nosuchroom x');
    for (const nth of [1, 2]) {
      await verbs.get('say')!(context, { words });
      expect(asked).toHaveBeenCalledTimes(nth);
    }
    await expect(verbs.get('say')!(context, { words })).rejects.toMatchObject({ code: 'too_many_requests' });
    expect(asked).toHaveBeenCalledTimes(2);
  });

  test.each([
    [{}, 'message_required'],
    [{ message: '' }, 'message_required'],
    [{ message: 'x', key: '' }, 'invalid_parameter'],
    [{ message: 'x', key: 'k'.repeat(65) }, 'invalid_parameter'],
    [{ message: 'x', key: '👂'.repeat(65) }, 'invalid_parameter'],
    [{ message: 'x', roomMatchKey: 'auth' }, 'invalid_parameter'],
    [{ message: 'x', roomMatchValue: 'true' }, 'invalid_parameter'],
    [{ message: 'x', roomMatchKey: '__proto__', roomMatchValue: 'x' }, 'invalid_parameter'],
    [{ message: 'x', room: '' }, 'room_required'],
  ])('say %j is refused: %s', async (params, code) => {
    const ann = await clientOf(await startChat());
    await expect(ann.say(params)).rejects.toMatchObject({ code });
  });

  test('a message may be any JSON value but nothing, and a key may have 64 characters', async () => {
    const ann = await clientOf(await startChat());
    for (const message of [0, false, null, [], {}]) await ann.say({ message, key: 'k'.repeat(64) });
    await ann.say({ message: 'as characters, not as bytes', key: '👂'.repeat(64) });
  });

  test('rooms: in, listening, out, and what it is told when that cannot be', async () => {
    const chat = await startChat();
    const ann = await clientOf(chat);
    expect(await ann.roomAdd('kitchen')).toBe('kitchen');
    await expect(ann.roomAdd('kitchen')).rejects.toMatchObject({ code: 'already_in_room' });
    await expect(ann.listenToRoom('kitchen')).rejects.toMatchObject({ code: 'already_in_room' });
    await expect(ann.silenceRoom('kitchen')).rejects.toMatchObject({ code: 'not_in_room' });
    expect(await ann.listenToRoom('hall')).toBe('hall');
    await expect(ann.roomLeave('hall')).rejects.toMatchObject({ code: 'not_in_room' });
    expect(ann.details()).toMatchObject({
      rooms: ['defaultRoom', 'kitchen'],
      listening: ['hall'],
      room: 'defaultRoom',
    });
    expect(await ann.silenceRoom('hall')).toBe('hall');
    expect(await ann.roomLeave('kitchen')).toBe('kitchen');
    expect(await ann.roomChange('attic')).toBe('attic');
    expect(ann.details()).toMatchObject({ rooms: ['attic'], listening: [], room: 'attic' });
    for (const nothing of [undefined, null, ''])
      await expect(ann.roomAdd(nothing)).rejects.toMatchObject({ code: 'room_required' });
    for (const nothing of [undefined, ''])
      await expect(ann.roomChange(nothing)).rejects.toMatchObject({ code: 'room_change_needs_room' });
  });

  test('joins are counted, those that are refused as well', async () => {
    const chat = await startChat();
    const ann = await clientOf(chat, undefined, new Rates({ ...noRates, joinsPerSecond: 0.1 }));
    await expect(ann.roomAdd('defaultRoom')).rejects.toMatchObject({ code: 'already_in_room' });
    await expect(ann.roomAdd('two')).rejects.toMatchObject({ code: 'too_many_requests' });
    await expect(ann.listenToRoom('two')).rejects.toMatchObject({ code: 'too_many_requests' });
    await expect(ann.roomChange('two')).rejects.toMatchObject({ code: 'too_many_requests' });
    expect(await ann.roomChange('defaultRoom')).toBe('defaultRoom');
  });

  test('rooms that it makes are counted for its address; those that are there cost nothing, and the default one', async () => {
    const chat = await startChat();
    const rates = new Rates({ ...noRates, newRoomsPerSecondPerAddress: 0.002 });
    const [ann, bob] = [await clientOf(chat, undefined, rates), await clientOf(chat, undefined, rates)];
    await ann.roomAdd('one');
    await bob.listenToRoom('one');
    await bob.roomAdd('one');
    await bob.roomLeave('one');
    await ann.roomLeave('defaultRoom');
    await ann.roomAdd('defaultRoom');
    // Refused for another reason, and so not made.
    await expect(ann.roomAdd('one')).rejects.toMatchObject({ code: 'already_in_room' });
    const join = jest.spyOn(chat.store, 'join').mockRejectedValueOnce(new ChatError('store_unavailable'));
    await expect(ann.roomAdd('two')).rejects.toMatchObject({ code: 'store_unavailable' });
    await ann.roomChange('two');
    const refusal = { code: 'too_many_requests', retryAfter: 500 };
    for (const refused of [ann.roomAdd('three'), bob.listenToRoom('three'), bob.roomChange('three')]) {
      await expect(refused).rejects.toMatchObject(refusal);
    }
    expect([await chat.store.roomExists('three'), bob.session.rooms.has('three')]).toEqual([false, false]);
    expect((await chat.store.client(ann.id))!.rooms.has('three')).toBe(false);
    await bob.roomAdd('one');
    await bob.roomAdd('two');
    const elsewhere = new Client(chat, bob.session, { ...bob.peer, remoteIP: '203.0.113.9' }, rates);
    join.mockRejectedValueOnce(new ChatError('outcome_unknown'));
    await expect(elsewhere.roomAdd('three')).rejects.toMatchObject({ code: 'outcome_unknown' });
    await elsewhere.roomAdd('three');
    await expect(elsewhere.roomAdd('four')).rejects.toMatchObject(refusal);
    // The server's own word costs nobody anything.
    await chat.rooms.addMember(bob.id, 'five');
  });

  test('what is refused for the number of its rooms has made one all the same, and counts', async () => {
    const chat = await startChat({ settings: { roomsPerClient: 2 } });
    const rates = new Rates({ ...noRates, newRoomsPerSecondPerAddress: 0.002 });
    const ann = await clientOf(chat, undefined, rates);
    const answers = await Promise.allSettled(['one', 'two'].map((room) => ann.roomAdd(room)));
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const bob = await clientOf(chat, undefined, rates);
    await expect(bob.roomAdd('three')).rejects.toMatchObject({ code: 'too_many_requests' });
  });

  test('roomView: members by id, pages, and the cursor at which it is true', async () => {
    const chat = await startChat();
    const people = await Promise.all([person(chat), person(chat), person(chat)]);
    const ann = await clientOf(chat, people[0]);
    const ids = people.map(({ session }) => session.id).sort();
    const first = await ann.roomView({ limit: 2 });
    expect(first).toMatchObject({ room: 'defaultRoom', membersCount: 3 });
    expect(Object.keys(first.members)).toEqual(ids.slice(0, 2));
    const rest = await ann.roomView({ room: 'defaultRoom', limit: 2, cursor: first.next });
    expect(Object.values(rest.members)).toEqual([{ id: ids[2], joinedAt: expect.any(Number) }]);
    expect(rest).not.toHaveProperty('next');
    const places = placesOf(chat, ann.session, first.cursor);
    expect([...places.keys()].sort()).toEqual(['presence:defaultRoom', 'room:defaultRoom']);
    await expect(ann.roomView({ room: 'cellar' })).rejects.toMatchObject({ code: 'not_in_room' });
    await expect((await clientOf(chat)).roomView({ room: 'cellar' })).rejects.toMatchObject({ code: 'room_not_found' });
  });

  test('history goes through the hooks, own words included', async () => {
    const shout: ChatMiddleware = {
      name: 'shout',
      say: (_, __, payload) => ({ ...payload, message: `${String(payload.message)}!` }),
    };
    const chat = await startChat({ settings: { history: 5 }, middleware: [shout] });
    const ann = await clientOf(chat);
    await ann.say({ message: 'one' });
    const [only] = (await ann.history({ room: 'defaultRoom' })).map((json) => JSON.parse(json) as Payload);
    expect(only).toMatchObject({ message: 'one!', room: 'defaultRoom', from: ann.id });
    await expect(ann.history({ room: 'defaultRoom', before: 'yesterday' })).rejects.toMatchObject({
      code: 'invalid_parameter',
    });
    await expect(ann.history({})).rejects.toMatchObject({ code: 'room_required' });
  });
});

describe('reading', () => {
  test('from where all of its rooms end now, which is one look at the store', async () => {
    const chat = await startChat();
    const bob = await clientOf(chat);
    for (const room of ['a', 'b', 'c']) await bob.roomAdd(room);
    const said = await chat.saying.broadcast('b', 'x');
    bob.session.isNew = false;
    const [ends, read] = [jest.spyOn(chat.store, 'ends'), jest.spyOn(chat.store, 'read')];
    const cursor = await bob.cursorNow();
    expect([ends.mock.calls.length, read.mock.calls.length]).toEqual([1, 0]);
    const after = placesOf(chat, bob.session, cursor);
    expect([after.get('room:b'), after.size]).toEqual([said.id, 4]);
  });

  test('once, from its own place or from a cursor, as often as it likes', async () => {
    const chat = await startChat();
    const [ann, bob] = [await clientOf(chat), await clientOf(chat)];
    const before = await bob.cursorNow();
    await ann.say({ message: 'one' });
    await ann.say({ message: 'two' });
    for (let times = 0; times < 2; times += 1) {
      const { messages } = await bob.messages({ after: before }).now();
      expect(messages).toEqual([
        expect.objectContaining({ message: 'one' }),
        expect.objectContaining({ message: 'two' }),
      ]);
    }
    const first = await bob.messages({ after: before, limit: 1 }).now();
    expect(first.messages).toHaveLength(1);
    expect((await bob.messages({ after: first.cursor }).now()).messages).toEqual([
      expect.objectContaining({ message: 'two' }),
    ]);
    expect((await bob.messages({}).now()).messages).toHaveLength(2);
    await chat.sessions.write(bob.session, { places: placesOf(chat, bob.session, first.cursor) });
    await chat.sessions.refresh(bob.session);
    expect((await bob.messages({}).now()).messages).toEqual([expect.objectContaining({ message: 'two' })]);
    expect((await ann.messages({ after: before, echo: true }).now()).messages).toHaveLength(2);
    expect((await ann.messages({ after: before }).now()).messages).toEqual([]);
    await expect(bob.messages({ after: 'nonsense' }).now()).rejects.toMatchObject({ code: 'invalid_parameter' });
    expect(bob.messages({ after: '' }).cursorMode).toBe(false);
    expect(bob.messages({ limit: 100_000 }).limit).toBe(1000);
  });

  test('from places that it names itself', async () => {
    const chat = await startChat();
    const [ann, bob] = [await clientOf(chat), await clientOf(chat)];
    const { id } = await ann.say({ message: 'one' });
    await ann.say({ message: 'two' });
    const { messages } = await bob.messages({ after: { defaultRoom: id } }).now();
    expect(messages).toEqual([expect.objectContaining({ message: 'two' })]);
    await expect(bob.messages({ after: { defaultRoom: 'x' } }).now()).rejects.toMatchObject({
      code: 'invalid_parameter',
    });
    await expect(bob.messages({ after: { 'no room': id } }).now()).rejects.toMatchObject({ code: 'invalid_room_name' });
  });

  test('no answer is heavier than a megabyte, and none is empty for it', async () => {
    const chat = await startChat({ settings: { messageBytes: 0 } });
    const [ann, bob] = [await clientOf(chat), await clientOf(chat)];
    const cursor = await bob.cursorNow();
    for (const size of [1_500_000, 400_000, 400_000, 400_000]) await ann.say({ message: 'x'.repeat(size) });
    const counts: number[] = [];
    let after = cursor;
    while (counts.at(-1) !== 0) {
      const page = await bob.messages({ after }).now();
      counts.push(page.messages.length);
      after = page.cursor;
    }
    expect(counts).toEqual([1, 2, 1, 0]);
  });

  test('rooms are merged by time, each in its own order', async () => {
    const chat = await startChat();
    const [ann, bob] = [await clientOf(chat), await clientOf(chat)];
    for (const each of [ann, bob]) await each.roomAdd('kitchen');
    const after = await bob.cursorNow();
    const said: string[] = [];
    for (let index = 0; index < 20; index += 1) {
      await ann.say({ message: `m${index}`, room: index % 3 ? 'kitchen' : 'defaultRoom' });
      said.push(`m${index}`);
      if (index % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const { messages } = (await bob.messages({ after }).now()) as {
      messages: { message: string; room: string; sentAt: number }[];
    };
    expect(messages.map(({ message }) => message).sort()).toEqual([...said].sort());
    expect(messages.map(({ sentAt }) => sentAt)).toEqual(messages.map(({ sentAt }) => sentAt).sort((a, b) => a - b));
    for (const room of ['kitchen', 'defaultRoom']) {
      const own = messages.filter((each) => each.room === room).map(({ message }) => Number(message.slice(1)));
      expect(own).toEqual([...own].sort((a, b) => a - b));
    }
  });

  test('what a log holds beyond its first piece comes before what is later in another one', async () => {
    let now = 1_000_000;
    const chat = await startChat({ store: new MemoryStore(limits, () => now) });
    const [ann, bob] = [await clientOf(chat), await clientOf(chat)];
    for (const each of [ann, bob]) await each.roomAdd('kitchen');
    const { session } = bob;
    const feed = await bob.messages({}).open(session, new Map(), true);
    for (let nth = 1; nth <= BATCH_ENTRIES + 20; nth += 1) {
      now += 1;
      await ann.say({ message: nth, room: 'kitchen' });
    }
    now += 1;
    await ann.say({ message: 'last', room: 'defaultRoom' });
    await eventually(() => !feed.atHead);
    const heard = [...(await feed.next(1000)).heard, ...(await feed.next(1000)).heard];
    const expected = [...Array.from({ length: BATCH_ENTRIES + 20 }, (_, index) => index + 1), 'last'];
    expect(heard.map(({ entry }) => (JSON.parse(entry.json) as { message: unknown }).message)).toEqual(expected);
    feed.close();
  });

  test('what went with its record is told to a client once, however long it follows', async () => {
    const chat = await startChat();
    const ann = await clientOf(chat);
    const session = await chat.welcome('x'.repeat(22), ann.peer, 'expired');
    const bob = new Client(chat, session, ann.peer, new Rates(noRates));
    const feed = await bob.messages({}).open(session, new Map(), true);
    const gap = { room: 'defaultRoom', reason: 'expired', lost: null };
    expect((await feed.next(10)).gaps).toEqual([gap]);
    expect((await feed.next(10)).gaps).toEqual([]);
    await ann.say({ message: 'new' });
    await eventually(() => !feed.atHead);
    expect(await feed.next(10)).toMatchObject({ heard: [expect.anything()], gaps: [] });
    feed.close();

    const { link } = await listen(chat, { session, peer: ann.peer, connection: bob.connection });
    await ann.say({ message: 'newer' });
    await eventually(() => link.texts.includes('newer'));
    expect(link.heard.filter(({ context }) => context === 'gap')).toEqual([{ context: 'gap', ...gap }]);
  });

  test('a feed that follows is woken, also by a room that comes or goes, and no more when it is closed', async () => {
    const chat = await startChat();
    const [ann, bob] = [await clientOf(chat), await clientOf(chat)];
    const session = await chat.sessions.live(bob.session);
    const feed = await bob.messages({}).open(session, new Map(), true);
    await chat.sessions.listen(session, feed);
    let wakes = 0;
    feed.sleeper = { wake: () => (wakes += 1) };
    expect(feed.atHead).toBe(true);
    await ann.say({ message: 'one' });
    await eventually(() => wakes > 0);
    expect(feed.atHead).toBe(false);
    expect(pageJson(bob, await feed.next(10))).toContain('"message":"one"');
    expect(feed.atHead).toBe(true);

    await new Client(chat, session, bob.peer, new Rates(noRates)).roomAdd('kitchen');
    await ann.roomAdd('kitchen');
    await eventually(() => feed.places.has('room:kitchen'));
    await ann.say({ message: 'soup', room: 'kitchen' });
    await eventually(() => !feed.atHead);
    expect((await feed.next(10)).heard).toHaveLength(1);
    await chat.rooms.leave(new Client(chat, session, bob.peer, new Rates(noRates)), 'kitchen');
    expect(feed.places.has('room:kitchen')).toBe(false);

    const before = wakes;
    feed.close();
    feed.close();
    expect(wakes).toBe(before + 1);
    expect(feed.open).toBe(false);
    await ann.say({ message: 'nobody' });
    await new Promise(setImmediate);
    expect(wakes).toBe(before + 1);
  });

  test('a wish that cannot be met leaves nothing followed', async () => {
    const chat = await startChat();
    const bob = await clientOf(chat);
    const { session } = bob;
    session.replace('broken', { listening: false, floor: '1-1', presenceFloor: '1-1' });
    jest.spyOn(chat.store, 'read').mockRejectedValue(new ChatError('store_unavailable'));
    await expect(bob.messages({}).open(session, new Map(), true)).rejects.toMatchObject({ code: 'store_unavailable' });
    jest.restoreAllMocks();
    session.exit('broken');
    const feed = await bob.messages({}).open(session, new Map(), true);
    expect(feed.places.size).toBe(2);
  });
});

describe('who comes and goes', () => {
  test('is told to those who ask, from the view on', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat), await person(chat)];
    const view = await (await clientOf(chat, ann)).roomView({});
    const { link } = await listen(chat, ann, { presence: true, places: placesOf(chat, ann.session, view.cursor) });
    await chat.rooms.leave(bob, 'defaultRoom');
    const eve = await person(chat);
    await eventually(() => link.heard.length === 2);
    expect(link.heard).toEqual([
      { context: 'presence', event: 'leave', room: 'defaultRoom', id: bob.session.id, at: expect.any(Number) },
      { context: 'presence', event: 'join', room: 'defaultRoom', id: eve.session.id, at: expect.any(Number) },
    ]);
    const polled = await (await clientOf(chat, ann)).messages({ presence: true, after: view.cursor }).now();
    expect(polled.messages).toEqual(link.heard);
    const without = await (await clientOf(chat, ann)).messages({ after: view.cursor }).now();
    expect(without.messages).toEqual([]);
  });

  test('without a place it begins now, and a room that is left is followed no more', async () => {
    const chat = await startChat();
    const ann = await person(chat);
    const { link } = await listen(chat, ann, { presence: true });
    const bob = await person(chat);
    await eventually(() => link.heard.length === 1);
    expect(link.heard[0]).toMatchObject({ event: 'join', id: bob.session.id });
    await chat.rooms.leave(ann, 'defaultRoom');
    await person(chat);
    await chat.tell(ann.session.id, 'marker');
    await eventually(() => link.texts.includes('marker'));
    expect(link.heard.filter(({ context }) => context === 'presence')).toHaveLength(1);
  });

  test('but nothing from before one’s own coming, whatever place is given and however often one is back', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat), await person(chat)];
    for (const who of [ann, bob]) await chat.rooms.join(who, 'kitchen', { listening: who === bob });
    const early = (await (await clientOf(chat, ann)).roomView({ room: 'kitchen' })).cursor;
    await chat.rooms.leave(ann, 'kitchen');
    const unseen = await person(chat);
    await chat.rooms.join(unseen, 'kitchen', { listening: false });
    for (const listening of [true, false]) {
      await chat.rooms.join(ann, 'kitchen', { listening });
      const next = await person(chat);
      await chat.rooms.join(next, 'kitchen', { listening: false });
      const expected = [expect.objectContaining({ event: 'join', room: 'kitchen', id: next.session.id })];

      const reading = (await clientOf(chat, ann)).messages({ presence: true, after: early });
      for (const follow of [false, true]) {
        const feed = await reading.open(ann.session, reading.places, follow);
        const page = await feed.next(100);
        const heard = page.heard.map(({ json }) => JSON.parse(json) as { room: string });
        expect(heard.filter(({ room }) => room === 'kitchen')).toEqual(expected);
        expect(page.gaps).toEqual([]);
        feed.close();
      }
      const { link, stop } = await listen(chat, ann, { presence: true, places: reading.places });
      await eventually(() => link.heard.some(({ room }) => room === 'kitchen'));
      expect(link.heard.filter(({ room }) => room === 'kitchen')).toEqual(expected);
      stop(false);

      for (const place of ['1-0', '1-1', '0-1', BEGINNING]) {
        const { presenceFloor } = ann.session.rooms.get('kitchen')!;
        expect(await chat.standing.presencePlaceIn(ann.session, 'kitchen', place)).toBe(presenceFloor);
      }
      if (listening) await chat.rooms.leave(ann, 'kitchen');
    }
    // Put back by a node, it is where it was.
    const { presenceFloor } = ann.session.rooms.get('kitchen')!;
    await chat.store.leave('kitchen', ann.session.id);
    await chat.memberships.rejoin(ann, 'kitchen', ann.session.rooms.get('kitchen')!);
    expect((await chat.store.membership('kitchen', ann.session.id))?.presenceFloor).toBe(presenceFloor);
    expect(await chat.standing.presencePlaceIn(ann.session, 'kitchen', '1-1')).toBe(presenceFloor);
    await chat.rooms.leave(ann, 'kitchen');
    await expect(chat.standing.presencePlaceIn(ann.session, 'kitchen', '1-1')).rejects.toMatchObject({
      code: 'not_in_room',
    });
  });

  test('after a reset, from the birth of the new log on', async () => {
    const store = new MemoryStore(limits);
    const [chat, other] = [await startChat({ store, leaseEvery: 1_000_000 }), await startChat({ store })];
    const ann = await person(chat);
    await chat.rooms.join(ann, 'kitchen', { listening: false });
    const { stop } = await listen(chat, ann);
    const lost = ann.session.rooms.get('kitchen')!.presenceFloor;
    await store.removeRoom('kitchen');
    await nextMillisecond();
    const bob = await person(other);
    await other.rooms.join(bob, 'kitchen', { listening: false });
    await chat.leases.round();
    const { state, entries } = await store.read('presence:kitchen', BEGINNING, 10);
    expect(entries).toHaveLength(2);
    for (const place of [lost, BEGINNING, state!.born]) {
      expect(await chat.standing.presencePlaceIn(ann.session, 'kitchen', place)).toBe(state!.born);
    }
    stop();
  });

  test('its place has a mark of its own in the cursor', async () => {
    const chat = await startChat();
    const { session } = await person(chat);
    const places = new Map([
      [roomTopic('defaultRoom'), '5-5'],
      [presenceTopic('defaultRoom'), '6-6'],
    ] as const);
    expect(placesOf(chat, session, cursorOf(chat, places))).toEqual(places);
  });
});

describe('the hooks', () => {
  const order: string[] = [];
  const hook = (name: string, priority?: number): ChatMiddleware => ({
    name,
    ...(priority === undefined ? {} : { priority }),
    onSayReceive: (_, __, payload) => {
      order.push(name);
      return { ...payload, message: `${String(payload.message)}${name}` };
    },
  });

  test('run in ascending priority, ties as registered, each with what the one before made of it', async () => {
    order.length = 0;
    const chat = await startChat({ middleware: [hook('late', 101), hook('first', -1), hook('a'), hook('b', 100)] });
    const [ann, bob] = [await clientOf(chat), await clientOf(chat)];
    await ann.say({ message: 'x' });
    expect(order).toEqual(['first', 'a', 'b', 'late']);
    expect((await bob.messages({}).now()).messages).toEqual([expect.objectContaining({ message: 'xfirstablate' })]);
  });

  test('a name is registered once, and there must be one', async () => {
    const chat = await startChat({ middleware: [hook('a')] });
    expect(() => chat.middleware.add(hook('a'))).toThrow('a chat middleware named a is registered already');
    expect(() => chat.middleware.add(hook(''))).toThrow('a chat middleware needs a name');
  });

  test('what one throws reaches the speaker in its words; null drops the message; undefined keeps it', async () => {
    const answers: (() => Payload | null | undefined)[] = [];
    const chat = await startChat({ middleware: [{ name: 'mood', onSayReceive: () => answers.shift()?.() }] });
    const [ann, bob] = [await clientOf(chat), await clientOf(chat)];
    answers.push(
      () => {
        throw new Error('not today');
      },
      () => {
        // Hooks are users' code, and JavaScript lets them throw anything.
        throw 'just words' as unknown as Error;
      },
      () => {
        throw new ChatError('too_large', 'too much');
      },
      () => null,
      () => undefined,
    );
    await expect(ann.say({ message: 'x' })).rejects.toMatchObject({
      code: 'forbidden',
      status: 403,
      message: 'not today',
    });
    await expect(ann.say({ message: 'x' })).rejects.toMatchObject({ code: 'forbidden', message: 'just words' });
    await expect(ann.say({ message: 'x' })).rejects.toMatchObject({ code: 'too_large', message: 'too much' });
    await expect(ann.say({ message: 'x' })).rejects.toMatchObject({ code: 'dropped' });
    await ann.say({ message: 'kept' });
    expect((await bob.messages({}).now()).messages).toEqual([expect.objectContaining({ message: 'kept' })]);
  });

  test('a say hook speaks to each hearer, on a link and by poll alike, and cannot say who, where and when', async () => {
    const say: ChatMiddleware['say'] = async (connection, _room, payload) => {
      await Promise.resolve();
      if (payload.message === 'drop') return null;
      if (payload.message === 'throw') throw new Error('no');
      if (payload.message === 'keep') return undefined;
      return { ...payload, message: `to ${connection.id}`, room: 'elsewhere', id: '9-9', sentAt: 1 };
    };
    const chat = await startChat({ middleware: [{ name: 'each', say }] });
    const [ann, bob] = [await person(chat), await person(chat)];
    const { link } = await listen(chat, bob);
    const speaker = await clientOf(chat, ann);
    for (const message of ['drop', 'throw', 'keep', 'x']) await speaker.say({ message });
    await chat.tell(bob.session.id, 'direct');
    await eventually(() => link.heard.length === 3);
    expect(link.texts.sort()).toEqual(['direct', 'keep', `to ${bob.session.id}`].sort());
    expect(chat.middleware.skipped).toBe(1);
    const polled = (await (await clientOf(chat, bob)).messages({}).now()).messages as Payload[];
    const own = ({ room }: { room?: string }): boolean => room !== undefined;
    expect(polled.filter(own)).toEqual(link.heard.filter(own));
    expect(polled.filter(own).at(-1)).toMatchObject({ room: 'defaultRoom', id: expect.stringMatching(/-4$/) });
    expect(chat.logger.lines.some(({ text }) => text.includes('a say hook failed'))).toBe(true);
  });

  test('a leave hook that fails at a disconnect is logged, and the others run', async () => {
    const left: string[] = [];
    const chat = await startChat({
      middleware: [
        {
          name: 'bad',
          leave: () => {
            throw new Error('no');
          },
        },
        { name: 'good', leave: ({ id }) => void left.push(id) },
      ],
    });
    const ann = await person(chat);
    const { stop } = await listen(chat, ann);
    stop();
    await eventually(() => left.length === 1);
    expect(left).toEqual([ann.session.id]);
    expect(chat.logger.lines.some(({ text }) => text.includes('a leave hook failed'))).toBe(true);
    await expect(chat.rooms.leave(ann, 'defaultRoom')).rejects.toMatchObject({
      code: 'forbidden',
    });
  });

  test('a reader that is behind goes through them as its peer takes it', async () => {
    const chat = await startChat({ middleware: [{ name: 'each', say: () => undefined }] });
    const [ann, bob] = [await person(chat), await person(chat)];
    const { link, pusher } = await listen(chat, bob);
    link.congested = true;
    const speaker = await clientOf(chat, ann);
    for (let index = 0; index < 1100; index += 1) await speaker.say({ message: index });
    link.congested = false;
    pusher.drained();
    await eventually(() => link.texts.length === 1100);
    expect(link.texts).toEqual(Array.from({ length: 1100 }, (_, index) => index));
  });
});

describe('the connection that actions see', () => {
  test('has ActionHero’s names, and what is assigned to it lasts', async () => {
    const chat = await startChat();
    const ann = await clientOf(chat);
    const { connection } = ann;
    expect(connection).toMatchObject({
      id: ann.id,
      type: 'web',
      fingerprint: 'print',
      remoteIP: '127.0.0.1',
      remotePort: 1,
      room: 'defaultRoom',
      rooms: ['defaultRoom'],
      listening: [],
    });
    expect(connection.connectedAt).toBe(ann.session.connectedAt);
    connection['auth'] = 'true';
    connection._original_connection['level'] = 3;
    expect(connection._originalConnection).toBe(connection);
    expect([
      connection['auth'],
      connection.get('level'),
      'auth' in connection,
      'none' in connection,
      'id' in connection,
    ]).toEqual(['true', 3, true, false, true]);
    await ann.flush();
    await ann.flush();
    expect((await chat.store.client(ann.id))?.attributes).toEqual(
      new Map<string, unknown>([
        ['auth', 'true'],
        ['level', 3],
      ]),
    );
    await connection.set('auth', null);
    delete connection['level'];
    await ann.flush();
    expect((await chat.store.client(ann.id))?.attributes.size).toBe(0);
    expect(ann.details().attributes).toEqual({});
  });

  test('shows what it is to whoever prints, copies or lists it, and nothing of the chat behind it', async () => {
    const ann = await clientOf(await startChat());
    const { connection } = ann;
    connection['auth'] = 'true';
    expect({ ...connection }).toMatchObject({ id: ann.id, room: 'defaultRoom', auth: 'true' });
    expect(JSON.parse(JSON.stringify(connection))).toMatchObject({
      rooms: ['defaultRoom'],
      remotePort: 1,
      auth: 'true',
    });
    expect(Object.keys(connection)).not.toContain('_originalConnection');
    const printed = inspect(connection, { depth: 8 });
    expect(printed).toContain("auth: 'true'");
    expect(printed).not.toMatch(/tokens|secret|store/);
    expect(() => Object.defineProperty(connection, 'hidden', { value: 1 })).toThrow(TypeError);
  });

  test('refuses what cannot be kept, at the line that is wrong', async () => {
    const { connection } = await clientOf(await startChat());
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    for (const key of ['id', 'room', 'rooms', 'params', 'sendMessage']) {
      expect(() => {
        connection[key] = 'x';
      }).toThrow(`connection.${key} cannot be assigned`);
    }
    for (const key of ['__proto__', 'constructor', 'prototype', ''])
      await expect(async () => connection.set(key, 'x')).rejects.toThrow(TypeError);
    expect(() => {
      connection['circle'] = circle;
    }).toThrow(TypeError);
    expect(Reflect.deleteProperty(connection, 'id')).toBe(false);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  test('tells its client alone, and cuts it off', async () => {
    const chat = await startChat();
    const ann = await person(chat);
    let destroyed = 0;
    const { connection } = chat.connection(ann.session, { ...ann.peer, destroy: () => (destroyed += 1) });
    const { link } = await listen(chat, ann);
    await connection.sendMessage('psst');
    await eventually(() => link.texts.includes('psst'));
    connection.destroy();
    expect(destroyed).toBe(1);
    await expect(chat.tell('nobody-of-that-name---', 'x')).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('actions', () => {
  const nobody: object = {};
  const context = {
    client: nobody as Client,
    connection: nobody as Client['connection'],
    api: {},
    httpMethod: undefined,
  };
  const add = defineAction({
    name: 'add',
    description: 'adds',
    inputs: z.object({ a: z.number(), b: z.number().optional().describe('the other one') }),
    transports: ['websocket'],
    run: ({ params: { a, b = 1 } }) => ({ sum: a + b }),
  });

  test('get their inputs checked, and nothing else', () => {
    expect(add.perform({ a: 1, more: 'x' }, context)).toEqual({ sum: 2 });
    expect(() => add.perform({}, context)).toThrow(
      expect.objectContaining({
        code: 'invalid_parameter',
        message: 'a is a required parameter for this action',
      }),
    );
    expect(() => add.perform({ a: 1, b: 'x' }, context)).toThrow(
      expect.objectContaining({ code: 'invalid_parameter', message: expect.stringContaining('b: ') }),
    );
  });

  test('take null for nothing, unless it is a value of theirs', () => {
    const given = defineAction({
      name: 'given',
      description: 'tells what it was given',
      inputs: z.object({ a: z.number().optional(), b: z.number().nullable(), c: z.unknown().optional() }),
      run: ({ params }) => params,
    });
    expect(given.perform({ a: null, b: null, c: null, constructor: null }, context)).toStrictEqual({
      b: null,
      c: null,
    });
    expect(() => add.perform({ a: null }, context)).toThrow('a is a required parameter for this action');
  });

  test('with a rule for all of their inputs together are held to it', () => {
    const inputs = z.object({ from: z.number(), to: z.number().nullish(), note: z.string().optional() });
    const span = (rule: z.ZodObject): ReturnType<typeof add.perform> =>
      defineAction({ name: 'span', description: 'a span', inputs: rule, run: ({ params }) => params }).perform(
        { from: 2, to: 1, note: null, more: 'x' },
        context,
      );
    expect(() => span(inputs.refine(({ from, to }) => from <= (to ?? from), 'ends before it begins'))).toThrow(
      'ends before it begins',
    );
    expect(() => span(inputs.strict())).toThrow('more');
    expect(span(inputs.loose())).toMatchObject({ from: 2, to: 1, more: 'x' });
  });

  test('are found by their names, on their transports, and by nothing that objects answer to', () => {
    const actions = new Actions([add]);
    expect(actions.find('add', 'websocket')).toBe(add);
    for (const name of ['constructor', '__proto__', 'toString', '', undefined, 1]) {
      expect(() => actions.find(name, 'websocket')).toThrow('unknown action or invalid apiVersion');
    }
    expect(() => actions.find('add', 'web')).toThrow('unknown action');
    expect(() => new Actions([add, add])).toThrow('an action named add is served already');
  });

  test('are documented as ActionHero did', () => {
    expect(new Actions([add]).documentation()).toEqual({
      add: {
        1: {
          name: 'add',
          version: 1,
          description: 'adds',
          inputs: {
            a: { required: true, type: 'number' },
            b: { required: false, type: 'number', description: 'the other one' },
          },
          outputExample: {},
        },
      },
    });
  });
});

test('what is no ChatError is a bug, and shown as nothing', () => {
  expect(asChatError(new Error('a path of the machine'))).toMatchObject({
    code: 'internal',
    status: 500,
    message: 'the server failed to do this',
  });
  const mine = new ChatError('not_in_room', '$& kitchen');
  expect(asChatError(mine)).toBe(mine);
  expect(mine.message).toBe('connection not in this room ($& kitchen)');
});

test('a link that cannot be followed for is cut off, to resume', async () => {
  const chat = await startChat();
  const ann = await person(chat);
  const link = new KeptLink();
  await listen(chat, ann, { link });
  jest.spyOn(chat.tails, 'acquire').mockRejectedValue(new ChatError('store_unavailable'));
  ann.session.enter('kitchen', { listening: false, floor: '1-0', presenceFloor: '1-0' });
  await eventually(() => link.cut !== undefined);
  jest.restoreAllMocks();
  const feed = new Feed(chat, { session: ann.session, client: ann, echo: false }, { presence: false, follow: true });
  expect(feed.open).toBe(true);
});
