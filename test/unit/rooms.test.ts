/** Who holds a client in its rooms, and what a node writes and reads for that. */
import type { Chat } from '../../src/core/chat';
import { roomTopic } from '../../src/core/entry';
import type { Session } from '../../src/core/session';
import type { Joined, JoinRequest, Store } from '../../src/core/store';
import { MemoryStore } from '../../src/store/memory-store';
import {
  closeChats,
  hearer,
  limits,
  NODE_LEASE,
  peer,
  person,
  type Person,
  personOf,
  startChat,
} from '../support/core';
import { eventually } from '../support/eventually';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeChats();
});

const members = async (chat: Chat, room: string): Promise<string[]> =>
  (await chat.store.view(room, { limit: 100, sweep: false }))?.members.map(({ id }) => id) ?? [];

describe('a client that is put into a room', () => {
  test('is held there by this node when it is connected here, and only then', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat, 'web'), await person(chat, 'web')];
    await chat.holding.attach(ann.session, hearer());
    const join = jest.spyOn(chat.store, 'join');
    for (const { session } of [ann, bob]) await chat.rooms.addMember(session.id, 'kitchen');
    const nodes = join.mock.calls.map(([{ holders }]) => holders.filter((holder) => 'node' in holder));
    expect(nodes).toEqual([[{ node: chat.node, leaseMs: NODE_LEASE }], []]);
  });

  test('is a member that hears from then on; where it listened, it goes on at its place', async () => {
    const chat = await startChat();
    const [ann, bob, cat] = [await person(chat), await person(chat), await person(chat)];
    await chat.rooms.join(cat, 'kitchen', { listening: false });
    await chat.rooms.join(ann, 'kitchen', { listening: true });
    const { floor } = ann.session.rooms.get('kitchen')!;
    const { id } = await chat.saying.say(cat, 'kitchen', 'meanwhile');
    for (const { session } of [ann, bob]) await chat.rooms.addMember(session.id, 'kitchen');
    const [annsRecord, bobsRecord] = [await chat.store.client(ann.session.id), await chat.store.client(bob.session.id)];
    expect(annsRecord!.places.get(roomTopic('kitchen'))).toBe(floor);
    expect(bobsRecord!.places.get(roomTopic('kitchen'))).toBe(id);
    const heard = { listening: false, floor: id, presenceFloor: expect.any(String) };
    expect(bobsRecord!.rooms.get('kitchen')).toEqual(heard);
    expect(bob.session.rooms.get('kitchen')).toEqual(bobsRecord!.rooms.get('kitchen'));
    await expect(chat.rooms.addMember(bob.session.id, 'kitchen')).rejects.toMatchObject({ code: 'already_in_room' });
    await expect(chat.rooms.addMember('nobody', 'kitchen')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('is put into no room that is not there, where rooms are made on purpose only', async () => {
    const chat = await startChat({ settings: { createRoomsOnJoin: false } });
    const ann = await person(chat);
    await expect(chat.rooms.addMember(ann.session.id, 'kitchen')).rejects.toMatchObject({ code: 'room_not_found' });
    expect(ann.session.rooms.has('kitchen')).toBe(false);
  });
});

/** Has something happen right before a client comes into a room, or right after, and not again. */
class InterruptedStore extends MemoryStore {
  before: (() => Promise<unknown>) | undefined;
  after: (() => Promise<unknown>) | undefined;

  override async join(request: JoinRequest): Promise<Joined> {
    const { before, after } = this;
    this.before = undefined;
    this.after = undefined;
    await before?.();
    const joined = await super.join(request);
    await after?.();
    return joined;
  }
}

describe('a client that is put out of a room while it comes in', () => {
  async function two(): Promise<{ store: InterruptedStore; here: Chat; there: Chat }> {
    const store = new InterruptedStore(limits);
    const [here, there] = [await startChat({ store }), await startChat({ store })];
    return { store, here, there };
  }

  async function isOut({ store, here }: { store: Store; here: Chat }, session: Session, room: string): Promise<void> {
    const { id } = session;
    expect(session.rooms.has(room)).toBe(false);
    expect(session.room).not.toBe(room);
    const record = await store.client(id);
    expect([record?.rooms.has(room), record?.room === room, record?.places.has(roomTopic(room))]).toEqual([
      false,
      false,
      false,
    ]);
    await here.leases.round();
    expect((await here.sessions.load(id))?.rooms.has(room)).toBe(false);
    expect(await store.membership(room, id)).toBeUndefined();
  }

  const ways: readonly [string, (chat: Chat, ann: Person) => Promise<unknown>][] = [
    ['joining', (chat, ann) => chat.rooms.join(ann, 'kitchen', { listening: false })],
    ['listening', (chat, ann) => chat.rooms.join(ann, 'kitchen', { listening: true })],
    ['changing its room', (chat, ann) => chat.rooms.changeRoom(ann, 'kitchen')],
    ['being put there', (chat, ann) => chat.rooms.addMember(ann.session.id, 'kitchen')],
  ];

  test.each(ways)('stays out, and is told: by %s', async (_way, come) => {
    const chats = await two();
    const ann = await person(chats.here);
    await chats.here.holding.attach(ann.session, hearer());
    chats.store.after = () => chats.there.rooms.removeMember(ann.session.id, 'kitchen');
    await expect(come(chats.here, ann)).rejects.toMatchObject({ code: 'not_in_room' });
    await isOut(chats, ann.session, 'kitchen');
    expect(ann.session.room).toBe('defaultRoom');
    expect(await members(chats.here, 'defaultRoom')).toEqual([ann.session.id]);
    // Nothing is left of it that would keep it out later on.
    await come(chats.here, ann);
    expect(ann.session.rooms.has('kitchen')).toBe(true);
    expect(await chats.store.membership('kitchen', ann.session.id)).toBeDefined();
  });

  test('stays out: as a new client, which is one all the same', async () => {
    const chats = await two();
    chats.store.after = () => chats.there.rooms.removeMember('new', 'defaultRoom');
    const session = await chats.here.welcome('new', peer('socket'));
    await isOut(chats, session, 'defaultRoom');
    await chats.here.rooms.join(personOf(chats.here, session), 'kitchen', { listening: false });
  });

  test.each(['before', 'after'] as const)('stays out: when it is put back, right %s that', async (when) => {
    const chats = await two();
    const ann = await person(chats.here);
    await chats.here.rooms.join(ann, 'kitchen', { listening: false });
    const heard = ann.session.rooms.get('kitchen')!;
    await chats.store.leave('kitchen', ann.session.id);
    chats.store[when] = () => chats.there.rooms.removeMember(ann.session.id, 'kitchen').catch(() => undefined);
    await chats.here.memberships.rejoin(ann, 'kitchen', heard);
    await isOut(chats, ann.session, 'kitchen');
  });

  test('has the last word of two in its record: where it was made a member as it began to listen', async () => {
    const store = new InterruptedStore(limits);
    const [here, there] = [await startChat({ store }), await startChat({ store })];
    const ann = await person(here);
    const write = store.writeClient.bind(store);
    let listens = (): void => undefined;
    const listening = new Promise<void>((resolve) => (listens = resolve));
    store.after = () => {
      listens();
      return Promise.resolve();
    };
    // What its node says first to the record comes there last.
    jest.spyOn(store, 'writeClient').mockImplementationOnce(async (...asked) => {
      await listening;
      await there.rooms.addMember(ann.session.id, 'kitchen');
      return write(...asked);
    });
    const heard = await here.rooms.join(ann, 'kitchen', { listening: true });
    expect(heard.listening).toBe(false);
    expect(await store.membership('kitchen', ann.session.id)).toMatchObject(heard);
    expect((await store.client(ann.session.id))!.rooms.get('kitchen')).toEqual(heard);
    expect(ann.session.rooms.get('kitchen')).toEqual(heard);
  });

  test('is no current one where it has left and listens by the time it says so', async () => {
    const store = new InterruptedStore(limits);
    const [here, there] = [await startChat({ store }), await startChat({ store })];
    const ann = await person(here);
    const { id } = ann.session;
    await here.rooms.join(ann, 'kitchen', { listening: false });
    const write = store.writeClient.bind(store);
    jest.spyOn(store, 'writeClient').mockImplementationOnce(async (...asked) => {
      const other = personOf(there, (await there.sessions.load(id))!);
      await there.rooms.leave(other, 'kitchen');
      await there.rooms.join(other, 'kitchen', { listening: true });
      return write(...asked);
    });
    const changing = here.rooms.changeRoom(ann, 'kitchen');
    await expect(changing).rejects.toMatchObject({ code: 'not_in_room' });
    const record = (await store.client(id))!;
    expect(record.room).toBe('defaultRoom');
    expect(record.rooms.get('kitchen')).toMatchObject({ listening: true });
  });

  test('comes in when that was over before it did', async () => {
    const chats = await two();
    const ann = await person(chats.here);
    chats.store.before = () => chats.there.rooms.removeMember(ann.session.id, 'kitchen').catch(() => undefined);
    await chats.here.rooms.join(ann, 'kitchen', { listening: false });
    const heard = ann.session.rooms.get('kitchen');
    expect((await chats.store.client(ann.session.id))!.rooms.get('kitchen')).toEqual(heard);
    expect(await chats.store.membership('kitchen', ann.session.id)).toMatchObject(heard!);
  });
});

describe('a join that another node finds begun', () => {
  test('is taken back where the room has not got it yet, and done all the same', async () => {
    const store = new InterruptedStore(limits);
    const [here, there] = [await startChat({ store }), await startChat({ store })];
    const ann = await person(here);
    store.before = () => Promise.resolve(there.sessions.load(ann.session.id));
    await here.rooms.join(ann, 'kitchen', { listening: false });
    const heard = ann.session.rooms.get('kitchen');
    expect((await store.client(ann.session.id))!.rooms.get('kitchen')).toEqual(heard);
    expect((await there.sessions.load(ann.session.id))?.rooms.get('kitchen')).toEqual(heard);
  });

  test('is not taken back when it was done before that came to pass', async () => {
    const store = new InterruptedStore(limits);
    const [here, there] = [await startChat({ store }), await startChat({ store })];
    const ann = await person(here);
    let loading: Promise<Session | undefined> | undefined;
    let goOn = (): void => undefined;
    const done = new Promise<void>((resolve) => (goOn = resolve));
    const membership = store.membership.bind(store);
    const asked = jest.spyOn(store, 'membership').mockImplementationOnce(async (room, client) => {
      const there = await membership(room, client);
      await done;
      return there;
    });
    store.before = async () => {
      loading = Promise.resolve(there.sessions.load(ann.session.id));
      await eventually(() => asked.mock.calls.length === 1);
    };
    await here.rooms.join(ann, 'kitchen', { listening: false });
    goOn();
    const heard = ann.session.rooms.get('kitchen');
    expect((await loading)?.rooms.get('kitchen')).toEqual(heard);
    expect((await store.client(ann.session.id))!.rooms.get('kitchen')).toEqual(heard);
  });
});

describe('a room that the store has lost', () => {
  test('begins anew for whoever is put back: there, and in the record', async () => {
    const chat = await startChat();
    const ann = await person(chat);
    await chat.rooms.join(ann, 'kitchen', { listening: false });
    await chat.saying.say(ann, 'kitchen', 'lost');
    const before = ann.session.rooms.get('kitchen')!;
    await chat.store.removeRoom('kitchen');
    await new Promise((resolve) => setTimeout(resolve, 2));
    await chat.memberships.hold(ann.session, new Map([['kitchen', before]]));
    const after = ann.session.rooms.get('kitchen')!;
    expect(after.listening).toBe(false);
    expect(after.floor).not.toBe(before.floor);
    expect((await chat.store.client(ann.session.id))!.rooms.get('kitchen')).toEqual(after);
    expect(await members(chat, 'kitchen')).toEqual([ann.session.id]);
  });

  test('and one that it has not lost is written about to nobody', async () => {
    const chat = await startChat();
    const ann = await person(chat);
    const heard = ann.session.rooms.get('defaultRoom')!;
    const write = jest.spyOn(chat.store, 'writeClient');
    await chat.memberships.hold(ann.session, new Map([['defaultRoom', heard]]));
    expect(write).not.toHaveBeenCalled();
    expect(ann.session.rooms.get('defaultRoom')).toBe(heard);
  });
});

describe('a node holds a client in its rooms', () => {
  test('until the last of its links has gone; polls do not count', async () => {
    const chat = await startChat();
    const ann = await person(chat);
    const [one, other, poll] = [hearer(), hearer(), hearer()];
    const session = await chat.holding.attach(ann.session, one);
    await chat.holding.attach(session, other);
    await chat.sessions.listen(session, poll);
    const release = jest.spyOn(chat.store, 'release');
    chat.sessions.unlisten(session, poll);
    chat.holding.detach(session, one, true);
    expect(chat.holding.isHeld(session.id)).toBe(true);
    await new Promise(setImmediate);
    expect(release).not.toHaveBeenCalled();
    chat.holding.detach(session, other, true);
    expect(chat.holding.isHeld(session.id)).toBe(false);
    await eventually(async () => (await members(chat, 'defaultRoom')).length === 0);
    // Who has gone already goes no second time.
    chat.holding.detach(session, other, true);
    expect(release).toHaveBeenCalledTimes(1);
  });

  test('for the grace when a link drops, and not when it says goodbye, or there is no grace', async () => {
    const chat = await startChat({ settings: { reconnectGrace: 60_000 } });
    const [ann, bob] = [await person(chat), await person(chat)];
    const [anns, bobs] = [hearer(), hearer()];
    await chat.holding.attach(ann.session, anns);
    await chat.holding.attach(bob.session, bobs);
    chat.holding.detach(ann.session, anns, false);
    chat.holding.detach(bob.session, bobs, true);
    await eventually(async () => !(await members(chat, 'defaultRoom')).includes(bob.session.id));
    expect(await members(chat, 'defaultRoom')).toEqual([ann.session.id]);
    expect(chat.holding.held()).toEqual([ann.session]);

    const abrupt = await startChat({ settings: { reconnectGrace: 0 } });
    const cat = await person(abrupt);
    const cats = hearer();
    await abrupt.holding.attach(cat.session, cats);
    abrupt.holding.detach(cat.session, cats, false);
    await eventually(async () => (await members(abrupt, 'defaultRoom')).length === 0);
  });
});

describe('a live session', () => {
  test('is read again when another node has changed its record, and not for what was written here', async () => {
    const store = new MemoryStore(limits);
    const chat = await startChat({ store });
    const ann = await person(chat);
    await chat.holding.attach(ann.session, hearer());
    const reads = jest.spyOn(store, 'client');
    await chat.rooms.join(ann, 'kitchen', { listening: false });
    await chat.rooms.leave(ann, 'kitchen');
    await new Promise(setImmediate);
    expect(reads).not.toHaveBeenCalled();

    const change = { attributes: new Map([['mood', 'good']]) };
    await store.writeClient(ann.session.id, change, { ttlMs: 60_000, create: false });
    await eventually(() => ann.session.attributes.get('mood') === 'good');
    expect(reads).toHaveBeenCalledTimes(1);
  });
});
