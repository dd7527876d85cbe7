import type { ChatMiddleware } from '../../src/core/middleware';
import { recordTTL } from '../../src/core/settings';
import { BEGINNING, entryIdParts } from '../../src/protocol/entry-id';
import { ChatError } from '../../src/protocol/errors';
import { MemoryStore } from '../../src/store/memory-store';
import {
  closeChats,
  limits,
  listen,
  NODE_LEASE,
  peer,
  person,
  personOf,
  startChat,
  type Person,
} from '../support/core';
import { eventually } from '../support/eventually';
import { OverheardStore } from '../support/overheard-store';
import { StutteringStore } from '../support/stuttering-store';
import type { Chat } from '../../src/core/chat';
import { newAttempt } from '../../src/core/memberships';
import { roomTopic } from '../../src/core/entry';
import type { Follower } from '../../src/core/store';

afterEach(closeChats);

const join = async (chat: Chat, who: Person, room: string, listening = false): Promise<void> => {
  await chat.rooms.join(who, room, { listening });
};
const leave = (chat: Chat, who: Person, room: string): Promise<void> => chat.rooms.leave(who, room);
const say = (chat: Chat, who: Person, room: string, message: unknown, key?: string) =>
  chat.saying.say(who, room, message, { key });
const members = async (chat: Chat, room: string): Promise<string[]> =>
  (await chat.rooms.view(room)).members.map(({ id }) => id);

test('a key is remembered for five minutes; without one it is for the store to see to its own resends', async () => {
  const chat = await startChat();
  const ann = await person(chat);
  const append = jest.spyOn(chat.store, 'append');
  await say(chat, ann, 'defaultRoom', 'once', 'k');
  await say(chat, ann, 'defaultRoom', 'and another');
  expect(append.mock.calls.map(([, , { keyMs }]) => keyMs)).toEqual([300_000, undefined]);
});

test('who comes back is renewed once in a quarter of the TTL, and for as much longer, so that each visit has all of it', async () => {
  jest.useFakeTimers();
  try {
    const chat = await startChat({ settings: { httpClientMessageTTL: 60_000 } });
    const ann = await person(chat, 'web');
    const { session } = ann;
    session.isNew = false;
    const client = jest.spyOn(chat.store, 'renewClient');
    const web = jest.spyOn(chat.store, 'renewWeb');
    for (let second = 0; second < 45; second += 1) {
      await chat.renewal.touch(ann);
      jest.advanceTimersByTime(1000);
    }
    const renewed = [session.id, 75_000];
    expect(client.mock.calls).toEqual([renewed, renewed, renewed]);
    expect(web.mock.calls).toEqual(client.mock.calls.map(() => ['defaultRoom', [session.id], 75_000]));
  } finally {
    jest.useRealTimers();
  }
});

test('a listener does not speak, and its words reach no hook', async () => {
  const received: unknown[] = [];
  const chat = await startChat({
    middleware: [{ name: 'ear', onSayReceive: (_connection, _room, { message }) => void received.push(message) }],
  });
  const ann = await person(chat);
  await join(chat, ann, 'hall', true);
  await expect(say(chat, ann, 'hall', 'may I?')).rejects.toMatchObject({ code: 'not_in_room' });
  expect(received).toEqual([]);
});

test.each(['by its own wish', 'put there by the server'])(
  'a listener that becomes a member, %s, goes on where it was',
  async (how) => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat, 'web'), await person(chat)];
    await join(chat, ann, 'hall', true);
    await join(chat, bob, 'hall');
    await say(chat, bob, 'hall', 'heard before');
    const places = new Map([[roomTopic('hall'), await chat.standing.endOf(roomTopic('hall'))]]);
    await chat.sessions.write(ann.session, { places });
    if (how === 'by its own wish') await join(chat, ann, 'hall');
    else await chat.rooms.addMember(ann.session.id, 'hall');
    expect((await chat.store.client(ann.session.id))?.places.get(roomTopic('hall'))).toBe(
      places.get(roomTopic('hall')),
    );
  },
);

describe('coming in', () => {
  test('a new client stands in the default room, and it is its current one', async () => {
    const chat = await startChat();
    const ann = await person(chat);
    expect(ann.session.room).toBe('defaultRoom');
    expect(await members(chat, 'defaultRoom')).toEqual([ann.session.id]);
    expect((await chat.store.client(ann.session.id))?.room).toBe('defaultRoom');
  });

  test('without a default room it stands nowhere', async () => {
    const chat = await startChat({ settings: { defaultRoom: null } });
    const ann = await person(chat);
    expect(ann.session.room).toBeNull();
  });

  test('a hook that keeps it out of the default room does not keep it out of the server', async () => {
    const chat = await startChat({
      middleware: [
        {
          name: 'closed',
          join: () => {
            throw new Error('members only');
          },
        },
      ],
    });
    const ann = await person(chat);
    expect(ann.session.room).toBeNull();
    expect(ann.session.rooms.size).toBe(0);
    expect((await chat.store.client(ann.session.id))?.rooms.size).toBe(0);
  });

  test('rooms of the settings are there from the start', async () => {
    const chat = await startChat({ settings: { startingRooms: ['kitchen', 'hall'], createRoomsOnJoin: false } });
    expect(await chat.store.rooms()).toEqual(['defaultRoom', 'hall', 'kitchen']);
  });
});

describe('rooms', () => {
  test('joining makes one, and saying it twice is refused', async () => {
    const chat = await startChat();
    const ann = await person(chat);
    await join(chat, ann, 'kitchen');
    expect(await members(chat, 'kitchen')).toEqual([ann.session.id]);
    await expect(join(chat, ann, 'kitchen')).rejects.toMatchObject({
      code: 'already_in_room',
      message: 'connection already in this room (kitchen)',
    });
    await expect(join(chat, ann, 'kitchen', true)).rejects.toMatchObject({ code: 'already_in_room' });
  });

  test('with createRoomsOnJoin off, one must have been added', async () => {
    const chat = await startChat({ settings: { createRoomsOnJoin: false } });
    const ann = await person(chat);
    await expect(join(chat, ann, 'kitchen')).rejects.toMatchObject({
      code: 'room_not_found',
      message: 'room does not exist',
    });
    expect(ann.session.rooms.has('kitchen')).toBe(false);
    expect((await chat.store.client(ann.session.id))?.rooms.has('kitchen')).toBe(false);
    await chat.rooms.add('kitchen');
    await expect(chat.rooms.add('kitchen')).rejects.toMatchObject({ code: 'room_exists' });
    await join(chat, ann, 'kitchen');
    await expect(chat.saying.broadcast('cellar', 'anybody?')).rejects.toMatchObject({ code: 'room_not_found' });
  });

  test('no more than roomsPerClient, the default room counted; no hook is asked about one too many', async () => {
    const asked: string[] = [];
    const asks: ChatMiddleware = { name: 'asks', join: (_, room) => void asked.push(room) };
    const chat = await startChat({ settings: { roomsPerClient: 3 }, middleware: [asks] });
    const ann = await person(chat);
    await join(chat, ann, 'one');
    await join(chat, ann, 'two', true);
    await expect(join(chat, ann, 'three')).rejects.toMatchObject({
      code: 'too_many_rooms',
      message: 'you are in too many rooms (3 at most)',
    });
    expect(asked).toEqual(['defaultRoom', 'one', 'two']);
    // What it listens to already is no room more.
    await join(chat, ann, 'two');
    await leave(chat, ann, 'one');
    await join(chat, ann, 'three');
  });

  test('any number of them where roomsPerClient is 0', async () => {
    const chat = await startChat({ settings: { roomsPerClient: 0 } });
    const ann = await person(chat);
    for (let nth = 0; nth < 60; nth += 1) await join(chat, ann, `r${String(nth)}`);
    expect(ann.session.rooms.size).toBe(61);
  });

  test('a hook of the default room is told that it is a join; one that fails keeps the client out altogether', async () => {
    const told: unknown[] = [];
    let fails = false;
    const guards: ChatMiddleware = {
      name: 'guards',
      join: (_, room, { listening }) => {
        told.push([room, listening]);
        if (fails) throw new ChatError('store_unavailable');
      },
    };
    const chat = await startChat({ middleware: [guards] });
    await person(chat);
    expect(told).toEqual([['defaultRoom', false]]);
    fails = true;
    await expect(person(chat)).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  test('leaving: no member any more, and its current room is none', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat), await person(chat)];
    await leave(chat, ann, 'defaultRoom');
    expect(ann.session.room).toBeNull();
    expect(await members(chat, 'defaultRoom')).toEqual([bob.session.id]);
    await expect(leave(chat, ann, 'defaultRoom')).rejects.toMatchObject({ code: 'not_in_room' });
    expect((await chat.store.client(ann.session.id))?.room).toBeNull();
  });

  test('a listener hears, is no member, and cannot say; it may become a member', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat), await person(chat)];
    await join(chat, ann, 'kitchen');
    await join(chat, bob, 'kitchen', true);
    const { link } = await listen(chat, bob);
    expect(await members(chat, 'kitchen')).toEqual([ann.session.id]);
    await expect(say(chat, bob, 'kitchen', 'psst')).rejects.toMatchObject({ code: 'not_in_room' });
    await say(chat, ann, 'kitchen', 'soup');
    await eventually(() => link.texts.includes('soup'));
    await join(chat, bob, 'kitchen');
    await say(chat, bob, 'kitchen', 'thanks');
    expect((await members(chat, 'kitchen')).sort()).toEqual([ann.session.id, bob.session.id].sort());
  });

  test('changing: into the new one and out of the old one', async () => {
    const chat = await startChat();
    const ann = await person(chat);
    await chat.rooms.changeRoom(ann, 'kitchen');
    expect([...ann.session.rooms.keys()]).toEqual(['kitchen']);
    expect(ann.session.room).toBe('kitchen');
    await chat.rooms.changeRoom(ann, 'kitchen');
    expect([...ann.session.rooms.keys()]).toEqual(['kitchen']);
  });

  test('changing into a room where it is already only leaves the old one', async () => {
    const chat = await startChat();
    const ann = await person(chat);
    await join(chat, ann, 'kitchen');
    await chat.rooms.changeRoom(ann, 'kitchen');
    expect([...ann.session.rooms.keys()]).toEqual(['kitchen']);
  });

  test.each<[string, ChatMiddleware]>([
    [
      'its join',
      {
        name: 'no',
        join: (_, room) => {
          if (room === 'kitchen') throw new Error('no');
        },
      },
    ],
    [
      'the leave of the old one',
      {
        name: 'no',
        leave: (_, room) => {
          if (room === 'defaultRoom') throw new Error('no');
        },
      },
    ],
  ])('when %s is refused nothing changes', async (_what, middleware) => {
    const chat = await startChat({ middleware: [middleware] });
    const ann = await person(chat);
    await expect(chat.rooms.changeRoom(ann, 'kitchen')).rejects.toMatchObject({
      code: 'forbidden',
      message: 'no',
    });
    expect([...ann.session.rooms.keys()]).toEqual(['defaultRoom']);
    expect(ann.session.room).toBe('defaultRoom');
    expect(await members(chat, 'defaultRoom')).toEqual([ann.session.id]);
  });

  test('when the leave of the old one is refused, who listened in the new one listens there again, where it was', async () => {
    const left: string[] = [];
    const stay: ChatMiddleware = {
      name: 'stay',
      leave: (_, room) => {
        left.push(room);
        throw new Error('stay');
      },
    };
    const chat = await startChat({ middleware: [stay] });
    const [ann, bob] = [await person(chat), await person(chat)];
    await join(chat, bob, 'kitchen');
    await join(chat, ann, 'kitchen', true);
    const before = await chat.store.client(ann.session.id);
    await say(chat, bob, 'kitchen', 'meanwhile');
    await expect(chat.rooms.changeRoom(ann, 'kitchen')).rejects.toMatchObject({
      message: 'stay',
    });
    const { rooms, room, places } = (await chat.store.client(ann.session.id))!;
    expect({ rooms, room, places }).toEqual({ rooms: before!.rooms, room: 'defaultRoom', places: before!.places });
    expect(ann.session.rooms.get('kitchen')?.listening).toBe(true);
    expect(await members(chat, 'kitchen')).toEqual([bob.session.id]);
    // Nobody is asked whether it may be undone.
    expect(left).toEqual(['defaultRoom']);
  });

  test('who is in as many rooms as it may be can change, and not come into more by that', async () => {
    const chat = await startChat({ settings: { roomsPerClient: 1 } });
    const ann = await person(chat);
    await chat.rooms.changeRoom(ann, 'kitchen');
    expect([...ann.session.rooms.keys()]).toEqual(['kitchen']);
    await expect(join(chat, ann, 'garden')).rejects.toMatchObject({ code: 'too_many_rooms' });
    await leave(chat, ann, 'kitchen');
    await chat.rooms.changeRoom(ann, 'garden');
    expect([...ann.session.rooms.keys()]).toEqual(['garden']);
  });

  test('destroying one puts everybody out of it', async () => {
    const left: string[] = [];
    const chat = await startChat({ middleware: [{ name: 'leaves', leave: ({ id }) => void left.push(id) }] });
    const [ann, bob] = [await person(chat), await person(chat)];
    for (const each of [ann, bob]) await join(chat, each, 'kitchen');
    await chat.rooms.destroy('kitchen');
    expect(await chat.store.roomExists('kitchen')).toBe(false);
    expect(left.sort()).toEqual([ann.session.id, bob.session.id].sort());
    expect((await chat.store.client(ann.session.id))?.rooms.has('kitchen')).toBe(false);
    await expect(chat.rooms.destroy('kitchen')).rejects.toMatchObject({ code: 'room_not_found' });
    await expect(chat.rooms.view('kitchen')).rejects.toMatchObject({ code: 'room_not_found' });
  });

  test('who has not heard yet that one was destroyed does not put it back', async () => {
    class Deaf extends OverheardStore {
      protected override overheard(): Partial<Follower> {
        return { changed: () => undefined };
      }
    }
    const store = new Deaf(limits);
    const [here, there] = [await startChat({ store }), await startChat({ store, leaseEvery: 1_000_000 })];
    const [held, web] = [await person(there), await person(there, 'web')];
    for (const each of [held, web]) await join(there, each, 'kitchen');
    const { link } = await listen(there, held);
    await here.rooms.destroy('kitchen');
    expect([...held.session.rooms.keys()].sort()).toEqual(['defaultRoom', 'kitchen']);

    await there.leases.round();
    await there.renewal.renew(web);
    expect(await store.roomExists('kitchen')).toBe(false);
    for (const { session } of [held, web]) expect([...session.rooms.keys()]).toEqual(['defaultRoom']);
    expect(link.heard.filter(({ context }) => context === 'gap')).toEqual([]);
  });
});

describe('saying', () => {
  test('answers where and when it was put', async () => {
    const chat = await startChat();
    const ann = await person(chat);
    const said = await say(chat, ann, 'defaultRoom', 'hello');
    expect(said).toEqual({
      room: 'defaultRoom',
      id: expect.stringMatching(/^\d+-1$/),
      sentAt: Number(said.id.split('-')[0]),
    });
  });

  test('with a key it is said once per client and room', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat), await person(chat)];
    await join(chat, ann, 'kitchen');
    const first = await say(chat, ann, 'defaultRoom', 'hello', 'k');
    expect(await say(chat, ann, 'defaultRoom', 'something else', 'k')).toEqual(first);
    expect((await say(chat, bob, 'defaultRoom', 'hello', 'k')).id).not.toBe(first.id);
    // Ids are a room's own: both rooms may have the same.
    expect(await say(chat, ann, 'kitchen', 'hello', 'k')).toMatchObject({ room: 'kitchen' });
    expect((await chat.store.read('room:kitchen', '0-0', 10)).entries).toHaveLength(1);
    expect((await say(chat, ann, 'defaultRoom', 'hello')).id).toMatch(/-3$/);
  });

  test('a socket is told the same of a room that is not there; a web client is told that it is not', async () => {
    const chat = await startChat();
    const [ann, web] = [await person(chat), await person(chat, 'web')];
    await expect(say(chat, ann, 'nowhere', 'x')).rejects.toMatchObject({ code: 'not_in_room' });
    await expect(say(chat, web, 'nowhere', 'x')).rejects.toMatchObject({ code: 'room_not_found' });
    await chat.rooms.add('kitchen');
    await expect(say(chat, web, 'kitchen', 'x')).rejects.toMatchObject({ code: 'not_in_room' });
  });

  test('a message is measured in bytes, as text or as JSON', async () => {
    const chat = await startChat({ settings: { messageBytes: 6 } });
    const ann = await person(chat);
    await say(chat, ann, 'defaultRoom', 'ééé');
    await expect(say(chat, ann, 'defaultRoom', 'éééa')).rejects.toMatchObject({ code: 'too_large', status: 413 });
    await say(chat, ann, 'defaultRoom', [1, 22]);
    await expect(say(chat, ann, 'defaultRoom', [1, 222])).rejects.toMatchObject({ code: 'too_large' });
    const match = { key: 'id', value: 'éé' };
    let spent = 0;
    const spend = (bytes: number): void => void (spent += bytes);
    await chat.saying.say(ann, 'defaultRoom', 'é', { match, spend });
    expect(spent).toBe(6);
    await expect(chat.saying.say(ann, 'defaultRoom', 'éa', { match })).rejects.toMatchObject({ code: 'too_large' });
    const open = await startChat({ settings: { messageBytes: 0 } });
    await say(open, await person(open), 'defaultRoom', 'x'.repeat(1_000_000));
  });

  test('the server speaks by its name, or in somebody’s', async () => {
    const chat = await startChat();
    const bob = await person(chat);
    const { link } = await listen(chat, bob);
    await chat.saying.broadcast('defaultRoom', { time: 1 });
    await chat.saying.broadcast('defaultRoom', 'as the weather', { from: 'weather' });
    await eventually(() => link.heard.length === 2);
    expect(link.heard[0]).toMatchObject({
      from: 'earshot',
      message: { time: 1 },
      room: 'defaultRoom',
      context: 'user',
    });
    expect(link.heard[1]).toMatchObject({ from: 'weather', message: 'as the weather' });
  });

  test('a match is for those whose attribute has that value, as text; the id can be matched, nothing else of ours', async () => {
    const chat = await startChat();
    const [ann, bob, eve] = [await person(chat), await person(chat), await person(chat)];
    await chat.setAttributes(
      bob.session,
      new Map<string, unknown>([
        ['auth', true],
        ['level', 3],
        ['deep', { a: 1 }],
      ]),
    );
    for (const [key, value] of Object.entries({ auth: true, level: 3, deep: { a: 1 } }))
      bob.session.setAttribute(key, value);
    const [{ link: atBob }, { link: atEve }] = [await listen(chat, bob), await listen(chat, eve)];
    const tell = (key: string, value: string, message: string) =>
      chat.saying.say(ann, 'defaultRoom', message, { match: { key, value } });
    await tell('auth', 'true', 'auth');
    await tell('level', '3', 'level');
    await tell('id', eve.session.id, 'eve');
    await tell('deep', '[object Object]', 'deep');
    await tell('rooms', 'defaultRoom', 'rooms');
    await say(chat, ann, 'defaultRoom', 'all');
    await eventually(() => atBob.texts.includes('all') && atEve.texts.includes('all'));
    expect(atBob.texts).toEqual(['auth', 'level', 'all']);
    expect(atEve.texts).toEqual(['eve', 'all']);
  });
});

describe('history', () => {
  test('is off unless the settings allow it, and never more than they allow', async () => {
    const off = await startChat();
    const ann = await person(off);
    await expect(off.history(ann.session, 'defaultRoom', undefined, undefined)).rejects.toMatchObject({
      code: 'history_disabled',
    });

    const chat = await startChat({ settings: { history: 3 } });
    const bob = await person(chat);
    for (const text of ['1', '2', '3', '4', '5']) await say(chat, bob, 'defaultRoom', text);
    const texts = async (limit?: number, before?: string) =>
      (await chat.history(bob.session, 'defaultRoom', limit, before)).map(
        ({ json }) => (JSON.parse(json) as { message: string }).message,
      );
    expect(await texts()).toEqual(['3', '4', '5']);
    expect(await texts(100)).toEqual(['3', '4', '5']);
    expect(await texts(2)).toEqual(['4', '5']);
    const fourth = (await chat.history(bob.session, 'defaultRoom', 2, undefined))[0]?.id;
    expect(await texts(2, fourth)).toEqual(['2', '3']);
    await expect(chat.history(bob.session, 'kitchen', 1, undefined)).rejects.toMatchObject({ code: 'not_in_room' });
  });
});

describe('going and coming back', () => {
  test('a clean end leaves at once, a dropped link after the grace, unless it is back', async () => {
    const chat = await startChat({ settings: { reconnectGrace: 40 } });
    const [ann, bob] = [await person(chat), await person(chat)];
    const [atAnn, atBob] = [await listen(chat, ann), await listen(chat, bob)];
    atAnn.stop(true);
    await eventually(async () => (await members(chat, 'defaultRoom')).length === 1);

    atBob.stop(false);
    expect(await members(chat, 'defaultRoom')).toEqual([bob.session.id]);
    const back = await listen(chat, bob);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await members(chat, 'defaultRoom')).toEqual([bob.session.id]);
    back.stop(false);
    await eventually(async () => (await members(chat, 'defaultRoom')).length === 0);
  });

  test('while one link holds the client, another’s end is no leave', async () => {
    const chat = await startChat();
    const ann = await person(chat);
    const [first, second] = [await listen(chat, ann), await listen(chat, ann)];
    first.stop();
    expect(await members(chat, 'defaultRoom')).toEqual([ann.session.id]);
    second.stop();
    await eventually(async () => (await members(chat, 'defaultRoom')).length === 0);
  });

  test('members of a killed node are gone after its lease, each leave told once by the node that noticed', async () => {
    let now = 1_000_000;
    const store = new MemoryStore(limits, () => now);
    const left: string[] = [];
    const leaves: ChatMiddleware = { name: 'leaves', leave: ({ id }) => void left.push(id) };
    const [dead, alive] = [
      await startChat({ store, leaseEvery: 1_000_000 }),
      await startChat({ store, leaseEvery: 1_000_000, middleware: [leaves] }),
    ];
    const [ann, bob] = [await person(dead), await person(alive)];
    await Promise.all([listen(dead, ann), listen(alive, bob)]);
    now += NODE_LEASE - 1;
    await alive.leases.round();
    expect(await members(alive, 'defaultRoom')).toHaveLength(2);
    now += 2;
    await Promise.all([alive.leases.round(), alive.leases.round()]);
    expect(left).toEqual([ann.session.id]);
    expect(await members(alive, 'defaultRoom')).toEqual([bob.session.id]);
  });

  test('after an outage all leases have run out, and those who live have the time of one to say so', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'Date'] });
    try {
      let now = 1_000_000;
      const store = new MemoryStore(limits, () => now);
      const chats = { store, leaseEvery: 1_000_000_000 };
      const [here, there, dead] = [await startChat(chats), await startChat(chats), await startChat(chats)];
      const [ann, bob, eve] = [await person(here), await person(there), await person(dead)];
      await Promise.all([listen(here, ann), listen(there, bob), listen(dead, eve)]);
      const pass = (ms: number): void => {
        now += ms;
        jest.advanceTimersByTime(ms);
      };
      const away = jest.spyOn(store, 'renewNode').mockRejectedValue(new ChatError('store_unavailable'));
      await Promise.all([here.leases.round(), there.leases.round()]);
      pass(NODE_LEASE + 1000);
      await Promise.all([here.leases.round(), there.leases.round()]);
      away.mockRestore();

      // One is back before the other, and looks at the room.
      await here.leases.round();
      expect(await members(here, 'defaultRoom')).toHaveLength(3);
      pass(NODE_LEASE / 2);
      await Promise.all([here.leases.round(), there.leases.round()]);
      pass(NODE_LEASE / 2 + 1);
      await Promise.all([here.leases.round(), there.leases.round()]);
      expect(await members(here, 'defaultRoom')).toEqual([ann.session.id, bob.session.id].sort());
      const { entries } = await store.read('presence:defaultRoom', BEGINNING, 100);
      expect(entries.filter(({ data }) => data.includes('"leave"'))).toHaveLength(1);
    } finally {
      jest.useRealTimers();
    }
  });

  test('a node that was thought dead puts its people back, at their old places', async () => {
    let now = 1_000_000;
    const store = new MemoryStore(limits, () => now);
    const [slow, quick] = [
      await startChat({ store, leaseEvery: 1_000_000 }),
      await startChat({ store, leaseEvery: 1_000_000 }),
    ];
    const [ann, bob] = [await person(slow), await person(quick)];
    await Promise.all([listen(slow, ann), listen(quick, bob)]);
    const floor = ann.session.rooms.get('defaultRoom')?.floor;
    now += NODE_LEASE + 1;
    await quick.leases.round();
    expect(await members(quick, 'defaultRoom')).toEqual([bob.session.id]);
    await slow.leases.round();
    expect((await members(quick, 'defaultRoom')).sort()).toEqual([ann.session.id, bob.session.id].sort());
    expect((await store.membership('defaultRoom', ann.session.id))?.floor).toBe(floor);
  });

  test('also when somebody comes in, at the node that was taken for dead, before it says that it lives', async () => {
    let now = 1_000_000;
    const store = new MemoryStore(limits, () => now);
    const [slow, quick] = [
      await startChat({ store, leaseEvery: 1_000_000 }),
      await startChat({ store, leaseEvery: 1_000_000 }),
    ];
    const [ann, bob] = [await person(slow), await person(quick)];
    await Promise.all([listen(slow, ann), listen(quick, bob)]);
    await slow.leases.round();
    now += NODE_LEASE + 1;
    await quick.leases.round();
    expect(await members(quick, 'defaultRoom')).toEqual([bob.session.id]);
    const cat = await person(slow);
    await listen(slow, cat);
    await slow.leases.round();
    expect((await members(quick, 'defaultRoom')).sort()).toEqual(
      [ann, bob, cat].map(({ session }) => session.id).sort(),
    );
  });

  test('rooms that its clients come into for the first time cost a round nothing', async () => {
    const chat = await startChat({ leaseEvery: 1_000_000 });
    const people = await Promise.all([1, 2, 3].map(() => person(chat)));
    for (const one of people) await join(chat, one, 'kitchen');
    for (const one of people) await listen(chat, one);
    const joining = jest.spyOn(chat.store, 'join');
    for (let round = 0; round < 3; round += 1) await chat.leases.round();
    expect(joining).not.toHaveBeenCalled();
  });

  test('a web client that stays away is gone from view after its first minute, and is back when it comes back', async () => {
    let now = 1_000_000;
    const store = new MemoryStore(limits, () => now);
    const chat = await startChat({ store, leaseEvery: 1_000_000, settings: { httpClientMessageTTL: 300_000 } });
    const [web, bob] = [await person(chat, 'web'), await person(chat)];
    await listen(chat, bob);
    now += 60_001;
    await chat.leases.round();
    expect(await members(chat, 'defaultRoom')).toEqual([bob.session.id]);

    await say(chat, bob, 'defaultRoom', 'while you were away');
    const session = await chat.sessions.load(web.session.id);
    if (!session) throw new Error('the record has gone');
    await chat.renewal.touch(personOf(chat, session, 'web'));
    expect((await members(chat, 'defaultRoom')).sort()).toEqual([web.session.id, bob.session.id].sort());
    expect(session.rooms.get('defaultRoom')?.floor).toBe(web.session.rooms.get('defaultRoom')?.floor);
    const { entries } = await store.read('room:defaultRoom', session.places.get('room:defaultRoom') ?? '', 10);
    expect(entries.map(({ speaker }) => speaker)).toEqual([bob.session.id]);
  });

  test('saying where the lease ran out joins again first', async () => {
    let now = 1_000_000;
    const store = new MemoryStore(limits, () => now);
    const chat = await startChat({ store, leaseEvery: 1_000_000 });
    const ann = await person(chat);
    now += NODE_LEASE + 1;
    await chat.leases.round();
    expect(await members(chat, 'defaultRoom')).toEqual([]);
    await say(chat, ann, 'defaultRoom', 'still here');
    expect(await members(chat, 'defaultRoom')).toEqual([ann.session.id]);
  });

  test('but not where it was put out, nor where a hook keeps it out by now', async () => {
    let now = 1_000_000;
    let banned = false;
    const store = new StutteringStore(
      limits,
      () => 0.5,
      () => now,
    );
    const ban: ChatMiddleware = {
      name: 'ban',
      join: () => {
        if (banned) throw new Error('banned');
      },
    };
    const chat = await startChat({ store, leaseEvery: 1_000_000, middleware: [ban] });
    const [ann, bob] = [await person(chat), await person(chat)];
    await chat.rooms.removeMember(bob.session.id, 'defaultRoom');
    await expect(say(chat, bob, 'defaultRoom', 'may I')).rejects.toMatchObject({ code: 'not_in_room' });
    expect(await members(chat, 'defaultRoom')).toEqual([ann.session.id]);
    await expect(chat.rooms.removeMember(bob.session.id, 'defaultRoom')).rejects.toMatchObject({ code: 'not_in_room' });

    banned = true;
    now += NODE_LEASE + 1;
    await chat.leases.round();
    await expect(say(chat, ann, 'defaultRoom', 'may I')).rejects.toMatchObject({ code: 'not_in_room' });
    expect(ann.session.rooms.size).toBe(0);
    expect((await store.client(ann.session.id))?.rooms.size).toBe(0);
  });

  test('a join that its node did not live to finish is finished, or undone, by the next request', async () => {
    const chat = await startChat();
    const ann = await person(chat, 'web');
    const { id } = ann.session;
    await chat.setAttributes(ann.session, new Map([['name', 'Ann']]));
    const { store } = chat;
    const rooms = new Map(['kitchen', 'cellar'].map((room) => [room, newAttempt()]));
    await store.writeClient(id, { rooms }, { ttlMs: 60_000, create: false });
    await store.addRoom('kitchen');
    await store.append('room:kitchen', { data: 'x', speaker: '' }, { create: false });
    const holders = [{ web: true, leaseMs: 60_000 }] as const;
    await store.join({ room: 'kitchen', client: id, listening: false, holders, create: false });
    const { floor, presenceFloor } = (await store.membership('kitchen', id))!;

    const session = await chat.sessions.load(id);
    expect(session?.rooms.get('kitchen')).toEqual({ listening: false, floor, presenceFloor });
    expect([...(session?.rooms.keys() ?? [])].sort()).toEqual(['defaultRoom', 'kitchen']);
    const record = await store.client(id);
    expect(record?.rooms.get('kitchen')?.floor).toBe(floor);
    expect(record?.rooms.has('cellar')).toBe(false);
    expect(await store.roomExists('cellar')).toBe(false);
  });

  test('a record lives while anything hears for it, and dies with its TTL after', async () => {
    let now = 1_000_000;
    const store = new MemoryStore(limits, () => now);
    const chat = await startChat({ store, leaseEvery: 10, settings: { httpClientMessageTTL: 200 } });
    const ann = await person(chat);
    const { stop } = await listen(chat, ann);
    for (let step = 0; step < 10; step += 1) {
      now += 100;
      await new Promise((resolve) => setTimeout(resolve, 60));
      await chat.leases.round();
    }
    expect(await store.client(ann.session.id)).toBeDefined();
    stop();
    // And a quarter, because it may not have been renewed just now.
    now += 251;
    expect(await store.client(ann.session.id)).toBeUndefined();
  });
});

describe('the store is away as a client goes', () => {
  test('it is let go of once the store is back, and does not stand in the room for as long as others are there', async () => {
    const store = new MemoryStore(limits);
    const chat = await startChat({ store, leaseEvery: 3_600_000 });
    const [ann, bob] = [await person(chat), await person(chat)];
    await listen(chat, ann);
    const { stop } = await listen(chat, bob);
    const away = jest.spyOn(store, 'release').mockRejectedValue(new ChatError('store_unavailable'));
    stop();
    await eventually(() => chat.logger.lines.some(({ text }) => text.includes('could not be let go')));
    expect(await members(chat, 'defaultRoom')).toHaveLength(2);
    away.mockRestore();
    await chat.leases.round();
    expect(await members(chat, 'defaultRoom')).toEqual([ann.session.id]);
  });
});

describe('the store lost everything', () => {
  test('members, their rooms and the secret are put back as their nodes know them, and readers are told', async () => {
    const chat = await startChat({ store: new MemoryStore(limits), leaseEvery: 1_000_000 });
    const ann = await person(chat);
    await join(chat, ann, 'kitchen');
    await chat.setAttributes(ann.session, new Map([['auth', 'true']]));
    ann.session.setAttribute('auth', 'true');
    const { link } = await listen(chat, ann);
    await chat.saying.broadcast('kitchen', 'before');
    await eventually(() => link.texts.includes('before'));

    const { store } = chat;
    await Promise.all([store.removeRoom('kitchen'), store.removeClient(ann.session.id)]);
    await chat.leases.round();
    expect(await members(chat, 'kitchen')).toEqual([ann.session.id]);
    expect((await store.membership('kitchen', ann.session.id))?.afterReset).toBe(true);
    const record = await store.client(ann.session.id);
    expect(record).toMatchObject({ revived: 'reset', room: 'defaultRoom' });
    expect(record?.attributes.get('auth')).toBe('true');
    expect([...(record?.rooms.keys() ?? [])].sort()).toEqual(['defaultRoom', 'kitchen']);
    await chat.saying.broadcast('kitchen', 'after');
    await eventually(() => link.texts.includes('after'));
    expect(link.heard.filter(({ context }) => context === 'gap')).toEqual([
      { context: 'gap', room: 'kitchen', reason: 'reset', lost: null },
    ]);
  });

  test('also where somebody new comes into the room before that is noticed', async () => {
    const chat = await startChat({ leaseEvery: 1_000_000 });
    const ann = await person(chat);
    await join(chat, ann, 'kitchen');
    await listen(chat, ann);
    await chat.store.removeRoom('kitchen');
    const bob = await person(chat);
    await join(chat, bob, 'kitchen');
    await listen(chat, bob);
    await chat.leases.round();
    expect((await members(chat, 'kitchen')).sort()).toEqual([ann.session.id, bob.session.id].sort());
    const joining = jest.spyOn(chat.store, 'join');
    await chat.leases.round();
    expect(joining).not.toHaveBeenCalled();
  });

  test('also where the store goes away while they are put back', async () => {
    const chat = await startChat({ leaseEvery: 1_000_000 });
    const people = await Promise.all([1, 2, 3].map(() => person(chat)));
    for (const one of people) {
      await join(chat, one, 'kitchen');
      await listen(chat, one);
    }
    await chat.store.removeRoom('kitchen');
    const { id } = people[1]!.session;
    const store = chat.store.join.bind(chat.store);
    jest.spyOn(chat.store, 'join').mockImplementation((request) => {
      if (request.client !== id) return store(request);
      jest.restoreAllMocks();
      return Promise.reject(new ChatError('store_unavailable'));
    });
    await chat.leases.round();
    expect(await members(chat, 'kitchen')).toEqual([people[0]!.session.id]);
    await chat.leases.round();
    expect(await members(chat, 'kitchen')).toHaveLength(3);
  });

  test('a token from before has lost its record by that for as long as the record would have lived, by the store’s clock', async () => {
    let now = 1_000_000;
    const chat = await startChat({ store: new MemoryStore(limits, () => now) });
    const { since } = await chat.store.secret('whichever');
    expect(await chat.lostHow(since)).toBe('expired');
    expect(await chat.lostHow(since - 1)).toBe('reset');
    now = since + recordTTL(chat.settings) - 1;
    expect(await chat.lostHow(since - 1)).toBe('reset');
    now += 1;
    expect(await chat.lostHow(since - 1)).toBe('expired');
  });

  test('who comes back later than that hears nothing of what was said before', async () => {
    let now = 1_000_000;
    const chat = await startChat({ store: new MemoryStore(limits, () => now) });
    await chat.store.secret('whichever');
    await chat.saying.broadcast('defaultRoom', 'first after it');
    const heard = async (issuedAt: number): Promise<number> => {
      const session = await chat.welcome(
        `${String(issuedAt)}-${String(now)}`,
        peer('web'),
        await chat.lostHow(issuedAt),
      );
      const floor = session.rooms.get('defaultRoom')?.floor ?? '';
      return (await chat.store.read('room:defaultRoom', floor, 10)).entries.length;
    };
    expect(await heard(900_000)).toBe(1);
    now += recordTTL(chat.settings);
    await chat.saying.broadcast('defaultRoom', 'second');
    expect(await heard(900_001)).toBe(0);
  });
});

describe('places', () => {
  test('nothing from before the join, whatever the cursor says', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat), await person(chat)];
    await join(chat, ann, 'kitchen');
    await say(chat, ann, 'kitchen', 'secret');
    await join(chat, bob, 'kitchen');
    const floor = bob.session.rooms.get('kitchen')?.floor;
    expect(await chat.standing.placeIn(bob.session, 'kitchen', '1-1')).toEqual({ place: floor, loss: undefined });
    expect(await chat.standing.placeIn(bob.session, 'kitchen', '0-0')).toEqual({ place: floor, loss: undefined });
    await expect(chat.standing.placeIn(bob.session, 'cellar', undefined)).rejects.toMatchObject({
      code: 'not_in_room',
    });
  });

  test('of a client whose record was lost: told how, for what it had before and for nothing else', async () => {
    const chat = await startChat();
    const session = await chat.welcome('x'.repeat(22), peer('web'), 'expired');
    const floor = session.rooms.get('defaultRoom')?.floor ?? '';
    expect(await chat.standing.placeIn(session, 'defaultRoom', undefined)).toEqual({
      place: floor,
      loss: { reason: 'expired', lost: null },
    });
    expect(await chat.standing.placeIn(session, 'defaultRoom', '5-5')).toEqual({
      place: floor,
      loss: { reason: 'expired', lost: null },
    });
    expect(await chat.standing.placeIn(session, 'defaultRoom', floor)).toEqual({ place: floor, loss: undefined });
  });

  test('who had read nothing of a room yet is told when that is lost, and it is back there', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat, 'web'), await person(chat)];
    for (const who of [ann, bob]) await join(chat, who, 'kitchen');
    const heard = ann.session.rooms.get('kitchen')!;
    await chat.saying.say(bob, 'kitchen', 'unheard');
    await chat.store.removeRoom('kitchen');
    await eventually(() => Date.now() > entryIdParts(heard.floor).ms);
    await chat.memberships.rejoin(ann, 'kitchen', heard);
    const given = (await chat.store.client(ann.session.id))!.places.get(roomTopic('kitchen'));
    expect((await chat.standing.placeIn(ann.session, 'kitchen', given)).loss).toEqual({ reason: 'reset', lost: null });
  });

  test('and nothing of the rooms that it comes into, or is put into, only then', async () => {
    const chat = await startChat();
    const session = await chat.welcome('x'.repeat(22), peer('web'), 'expired');
    await chat.rooms.join(personOf(chat, session, 'web'), 'kitchen', { listening: false });
    await chat.rooms.addMember(session.id, 'hall');
    const back = (await chat.sessions.load(session.id))!;
    for (const room of ['kitchen', 'hall']) {
      const place = back.rooms.get(room)!.floor;
      expect(await chat.standing.placeIn(back, room, back.places.get(roomTopic(room)))).toEqual({
        place,
        loss: undefined,
      });
    }
  });
});
