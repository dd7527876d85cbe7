/** A change of a client's rooms of which a part is missing: because the store went away, or somebody came in between. */
import type { Chat } from '../../src/core/chat';
import { newAttempt } from '../../src/core/memberships';
import type { Hearer, Session } from '../../src/core/session';
import { ChatError } from '../../src/protocol/errors';
import { MemoryStore } from '../../src/store/memory-store';
import { findResumed } from '../../src/transports/resume';
import { closeChats, hearer, limits, peer, person, type Person, personOf, startChat } from '../support/core';
import { eventually } from '../support/eventually';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeChats();
});

const away = (): Promise<never> => Promise.reject(new ChatError('store_unavailable'));
const keep = { ttlMs: 60_000, create: false };

interface Two {
  readonly store: MemoryStore;
  readonly here: Chat;
  readonly there: Chat;
  /** Connected here. */
  readonly ann: Person;
  readonly hearer: Hearer;
}

async function two(settings: { readonly roomsPerClient?: number } = {}): Promise<Two> {
  const store = new MemoryStore(limits);
  const start = (): Promise<Chat> => startChat({ store, settings, leaseEvery: 1e9, checkEvery: 20 });
  const [here, there] = [await start(), await start()];
  const ann = await person(here);
  const hears = hearer();
  await here.holding.attach(ann.session, hears);
  return { store, here, there, ann, hearer: hears };
}

/** By a request over HTTP. */
async function elsewhere({ there, ann }: Two): Promise<Person> {
  return personOf(there, (await there.sessions.load(ann.session.id))!, 'web');
}

const join = (chat: Chat, who: Person, room: string, listening = false): Promise<unknown> =>
  chat.rooms.join(who, room, { listening });

const codeOf = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => 'ok',
    (error: unknown) => (error as ChatError).code,
  );

/** What the room, the record and the session say, of whether the client is in there. */
async function said({ store }: { store: MemoryStore }, session: Session, room: string): Promise<unknown[]> {
  const recorded = (await store.client(session.id))?.rooms.get(room);
  const shown = [await store.membership(room, session.id), recorded, session.rooms.get(room)];
  return shown.map((one) => one && (one.floor === undefined ? 'under way' : one.listening ? 'listens' : 'member'));
}

const nowhere = [undefined, undefined, undefined];
const everywhere = ['member', 'member', 'member'];

describe('where the store goes away in the middle of it', () => {
  test('a join that the room has is not called undone, and is done once the store is back', async () => {
    const given = await two();
    const { store, here, ann } = given;
    const write = store.writeClient.bind(store);
    jest.spyOn(store, 'writeClient').mockImplementationOnce(write).mockImplementationOnce(away);
    expect(await codeOf(join(here, ann, 'kitchen'))).toBe('outcome_unknown');
    expect(await said(given, ann.session, 'kitchen')).toEqual(['member', 'under way', undefined]);
    await eventually(() => ann.session.rooms.has('kitchen'));
    expect(await said(given, ann.session, 'kitchen')).toEqual(everywhere);
  });

  test('one that a full store refuses leaves nothing of it in the record', async () => {
    const given = await two();
    jest.spyOn(given.store, 'join').mockRejectedValueOnce(new ChatError('store_full'));
    expect(await codeOf(join(given.here, given.ann, 'kitchen'))).toBe('store_full');
    expect(await said(given, given.ann.session, 'kitchen')).toEqual(nowhere);
    expect(await codeOf(join(given.here, given.ann, 'kitchen'))).toBe('ok');
  });

  test('one of which no record could be told is undone', async () => {
    const given = await two();
    const { store, here, ann } = given;
    jest.spyOn(store, 'writeClient').mockImplementationOnce(away);
    expect(await codeOf(join(here, ann, 'kitchen'))).toBe('store_unavailable');
    expect(await said(given, ann.session, 'kitchen')).toEqual(nowhere);
  });

  test('a newcomer whose room cannot be asked is told so, and nobody else', async () => {
    const { store, here } = await two();
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    try {
      jest.spyOn(store, 'membership').mockImplementationOnce(away);
      const write = store.writeClient.bind(store);
      jest.spyOn(store, 'writeClient').mockImplementationOnce(write).mockImplementationOnce(away);
      expect(await codeOf(here.welcome('new', peer('socket')))).toBe('outcome_unknown');
      await new Promise(setImmediate);
      expect(unhandled).not.toHaveBeenCalled();
    } finally {
      process.off('unhandledRejection', unhandled);
    }
  });

  test('so is one of which the room has to be asked', async () => {
    const given = await two();
    const { store, here, there, ann } = given;
    const late = await elsewhere(given);
    await here.setAttributes(ann.session, new Map([['mood', 'good']]));
    jest.spyOn(store, 'membership').mockImplementationOnce(away);
    expect(await codeOf(join(there, late, 'kitchen'))).toBe('outcome_unknown');
    await eventually(() => ann.session.rooms.has('kitchen'));
    expect(await said(given, ann.session, 'kitchen')).toEqual(everywhere);
  });

  test('a join that the room has not leaves nothing behind', async () => {
    const given = await two({ roomsPerClient: 2 });
    const { store, here, ann } = given;
    jest.spyOn(store, 'join').mockImplementationOnce(away);
    expect(await codeOf(join(here, ann, 'kitchen'))).toBe('store_unavailable');
    expect(await said(given, ann.session, 'kitchen')).toEqual(nowhere);
    expect(await codeOf(join(here, ann, 'attic'))).toBe('ok');
  });

  test('nor of who listens there already, and would be a member', async () => {
    const given = await two();
    const { store, here, ann } = given;
    await join(here, ann, 'kitchen', true);
    jest.spyOn(store, 'join').mockImplementationOnce(away);
    expect(await codeOf(join(here, ann, 'kitchen'))).toBe('store_unavailable');
    expect(await said(given, ann.session, 'kitchen')).toEqual(['listens', 'listens', 'listens']);
  });

  test('a leave that the room has is not called undone, and can be repeated', async () => {
    const given = await two();
    const { store, here, ann } = given;
    await join(here, ann, 'kitchen');
    jest.spyOn(store, 'writeClient').mockImplementationOnce(away);
    const leave = (): Promise<string> => codeOf(here.rooms.leave(ann, 'kitchen'));
    expect(await leave()).toBe('outcome_unknown');
    expect(await leave()).toBe('ok');
    expect(await said(given, ann.session, 'kitchen')).toEqual(nowhere);
  });

  test('who was removed is out, though its record could not be told', async () => {
    const given = await two();
    const { store, here, there, ann } = given;
    await join(here, ann, 'kitchen');
    const write = store.writeClient.bind(store);
    jest.spyOn(store, 'writeClient').mockImplementationOnce(write).mockImplementationOnce(away);
    expect(await codeOf(there.rooms.removeMember(ann.session.id, 'kitchen'))).toBe('outcome_unknown');
    await eventually(() => !ann.session.rooms.has('kitchen'));
    expect(await said(given, ann.session, 'kitchen')).toEqual(nowhere);
  });

  test('of a room that is destroyed everybody is out, though one of them could not be taken out', async () => {
    const given = await two();
    const { store, here, there, ann } = given;
    const bob = await person(here);
    await here.holding.attach(bob.session, hearer());
    await join(here, ann, 'kitchen');
    await join(here, bob, 'kitchen');
    jest.spyOn(store, 'leave').mockImplementationOnce(away);
    expect(await codeOf(there.rooms.destroy('kitchen'))).toBe('outcome_unknown');
    for (const { session } of [ann, bob]) {
      await eventually(() => !session.rooms.has('kitchen'));
      expect(await said(given, session, 'kitchen')).toEqual(nowhere);
    }
  });

  test('who is let go of leaves with its hooks told, however often that is tried', async () => {
    const store = new MemoryStore(limits);
    const told: string[] = [];
    const leave = (_connection: unknown, room: string): Promise<void> => {
      told.push(room);
      // Nobody waits for it: leases are to be renewed.
      return new Promise(() => undefined);
    };
    const chat = await startChat({ store, middleware: [{ name: 'told', leave }], leaseEvery: 1e9 });
    const ann = await person(chat);
    const hears = hearer();
    await chat.holding.attach(ann.session, hears);
    await join(chat, ann, 'kitchen');
    const release = store.release.bind(store);
    jest.spyOn(store, 'release').mockImplementationOnce(release).mockImplementationOnce(away);
    chat.holding.detach(ann.session, hears, true);
    await eventually(() => told.length === 1);
    await chat.leases.round();
    await eventually(() => told.length === 2);
    expect(told).toEqual(['defaultRoom', 'kitchen']);
    expect(await store.membership('kitchen', ann.session.id)).toBeUndefined();
  });

  test('who cannot be put back yet keeps its place in the record', async () => {
    const given = await two();
    const { store, here, ann } = given;
    await join(here, ann, 'kitchen');
    await store.leave('kitchen', ann.session.id);
    const heard = ann.session.rooms.get('kitchen')!;
    jest.spyOn(store, 'join').mockImplementationOnce(() => Promise.reject(new ChatError('outcome_unknown')));
    const back = (): Promise<string> => codeOf(here.memberships.rejoin(ann, 'kitchen', heard));
    expect(await back()).toBe('outcome_unknown');
    await here.leases.round();
    expect(await said(given, ann.session, 'kitchen')).toEqual([undefined, 'member', 'member']);
    expect(await back()).toBe('ok');
    expect(await said(given, ann.session, 'kitchen')).toEqual(everywhere);
  });

  test('what a node did not live to finish is finished where the client is connected', async () => {
    const given = await two();
    const { store, here, ann } = given;
    const holders = [{ node: here.node, leaseMs: 60_000 }];
    const { id } = ann.session;
    await store.writeClient(id, { rooms: new Map([['kitchen', newAttempt()]]) }, keep);
    await store.writeClient(id, { rooms: new Map([['attic', newAttempt()]]) }, keep);
    await store.join({ room: 'kitchen', client: id, listening: false, holders, create: true });
    await eventually(async () => !(await store.client(id))!.rooms.has('attic'));
    await eventually(() => ann.session.rooms.has('kitchen'));
    expect(await said(given, ann.session, 'kitchen')).toEqual(everywhere);
    expect(await said(given, ann.session, 'attic')).toEqual(nowhere);
  });
});

describe('where others come in between', () => {
  test.each(['removed', 'destroyed'] as const)('a newcomer that is %s before it has a record is out', async (how) => {
    const given = await two();
    const { store, here, there } = given;
    const write = store.writeClient.bind(store);
    jest.spyOn(store, 'writeClient').mockImplementationOnce(async (...asked) => {
      await eventually(async () => (await store.membership('defaultRoom', 'new')) !== undefined);
      if (how === 'removed') await there.rooms.removeMember('new', 'defaultRoom');
      else await there.rooms.destroy('defaultRoom');
      return write(...asked);
    });
    const session = await here.welcome('new', peer('socket'));
    await here.holding.attach(session, hearer());
    expect(await said(given, session, 'defaultRoom')).toEqual(nowhere);
  });

  test('a join is done though the client’s own requests finish each of its attempts', async () => {
    const given = await two();
    const { store, here, ann } = given;
    const write = store.writeClient.bind(store);
    const writes = jest.spyOn(store, 'writeClient').mockImplementation(async (id, change, options) => {
      const written = await write(id, change, options);
      const attempts = [...(change.rooms?.values() ?? [])].filter((one) => one?.floor === undefined);
      if (attempts.length > 0 && writes.mock.calls.length < 50) {
        await eventually(async () => (await store.membership('kitchen', id)) !== undefined);
        await elsewhere(given);
      }
      return written;
    });
    await join(here, ann, 'kitchen');
    expect(await said(given, ann.session, 'kitchen')).toEqual(everywhere);
    expect(writes.mock.calls.length).toBeLessThan(10);
  });

  test('who is in a room all the time is in there for its request, though its record is asked about', async () => {
    const given = await two();
    const { store, here, ann } = given;
    await join(here, ann, 'kitchen');
    const asked = (): Promise<unknown> =>
      store.writeClient(ann.session.id, { rooms: new Map([['kitchen', newAttempt()]]) }, keep);
    await asked();
    const membership = store.membership.bind(store);
    jest.spyOn(store, 'membership').mockImplementationOnce(async (...given) => {
      const there = await membership(...given);
      await asked();
      return there;
    });
    expect((await elsewhere(given)).session.rooms.get('kitchen')).toMatchObject({ listening: false });
  });

  test('a room that it only listens to is not its current one, though it was', async () => {
    const given = await two();
    const { store, here, there, ann } = given;
    const late = await elsewhere(given);
    await here.rooms.changeRoom(ann, 'kitchen');
    here.holding.detach(ann.session, given.hearer, true);
    await eventually(async () => (await store.membership('kitchen', ann.session.id)) === undefined);
    await join(there, late, 'kitchen', true);
    expect((await store.client(ann.session.id))!.room).toBeNull();
    await eventually(() => ann.session.room === null);
  });

  test('nor is one that it did not come into, as its old one would not let it go and was lost', async () => {
    const store = new MemoryStore(limits);
    const chats: Chat[] = [];
    const leave = async (_connection: unknown, room: string): Promise<void> => {
      if (room !== 'defaultRoom') return;
      await chats[1]?.rooms.destroy('defaultRoom');
      throw new Error('stay');
    };
    const here = await startChat({ store, middleware: [{ name: 'sticky', leave }] });
    chats.push(here, await startChat({ store }));
    const ann = await person(here);
    await here.holding.attach(ann.session, hearer());
    await join(here, ann, 'kitchen', true);
    await expect(here.rooms.changeRoom(ann, 'kitchen')).rejects.toThrow('stay');
    await eventually(() => !ann.session.rooms.has('defaultRoom'));
    expect([(await store.client(ann.session.id))!.room, ann.session.room]).toEqual([null, null]);
    expect(await said({ store }, ann.session, 'kitchen')).toEqual(['listens', 'listens', 'listens']);
  });

  test('who listens in as many rooms as it may can become a member of one', async () => {
    const given = await two({ roomsPerClient: 2 });
    const { here, there, ann } = given;
    await join(here, ann, 'kitchen', true);
    await there.rooms.addMember(ann.session.id, 'attic');
    await eventually(() => ann.session.rooms.has('attic'));
    expect(await codeOf(join(here, ann, 'kitchen'))).toBe('ok');
    expect(await said(given, ann.session, 'kitchen')).toEqual(everywhere);
  });

  test('who is back while it is let go of is in all its rooms', async () => {
    const given = await two();
    const { store, here, ann } = given;
    for (const room of ['a', 'b', 'c']) await join(here, ann, room);
    const release = store.release.bind(store);
    let back: Promise<Session> | undefined;
    const released = jest.spyOn(store, 'release').mockImplementation(async (...asked) => {
      if (asked[0] === 'a') {
        back = here.holding.attach(ann.session, hearer());
        for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
      }
      return release(...asked);
    });
    here.holding.detach(ann.session, given.hearer, true);
    await eventually(() => back !== undefined);
    await back;
    await Promise.all(released.mock.results.map(({ value }) => value as Promise<unknown>));
    for (const room of ['defaultRoom', 'a', 'b', 'c']) {
      expect([room, ...(await said(given, ann.session, room))]).toEqual([room, ...everywhere]);
    }
    expect(released.mock.calls.map(([room]) => room)).toEqual(['defaultRoom', 'a']);
  });

  test('so is who is let go of after it has come back into them, before it is held there', async () => {
    const given = await two();
    const { store, here, ann } = given;
    await join(here, ann, 'kitchen');
    const held = new Map(ann.session.rooms);
    for (const [room, heard] of held) await here.memberships.rejoin(ann, room, heard);
    here.holding.detach(ann.session, given.hearer, true);
    await here.holding.parted(ann.session.id);
    expect(await store.membership('kitchen', ann.session.id)).toBeUndefined();
    await here.holding.attach(ann.session, hearer(), held);
    expect(await said(given, ann.session, 'kitchen')).toEqual(everywhere);
  });

  test('also where it is not known whether it was let go of', async () => {
    const given = await two();
    const { store, here, ann } = given;
    await join(here, ann, 'kitchen');
    const held = new Map(ann.session.rooms);
    const release = store.release.bind(store);
    jest.spyOn(store, 'release').mockImplementation(async (...asked) => {
      await release(...asked);
      throw new ChatError('outcome_unknown');
    });
    here.holding.detach(ann.session, given.hearer, true);
    await here.holding.parted(ann.session.id);
    await here.holding.attach(ann.session, hearer(), held);
    expect(await said(given, ann.session, 'defaultRoom')).toEqual(everywhere);
    expect(await said(given, ann.session, 'kitchen')).toEqual(everywhere);
  });

  test('who comes back into its rooms comes in once', async () => {
    const given = await two();
    const { store, here, ann } = given;
    here.holding.detach(ann.session, given.hearer, true);
    await eventually(async () => (await store.membership('defaultRoom', ann.session.id)) === undefined);
    const joins = jest.spyOn(store, 'join');
    const held = new Map(ann.session.rooms);
    for (const [room, heard] of held) await here.memberships.rejoin(ann, room, heard);
    await here.holding.attach(ann.session, hearer(), held);
    expect(joins).toHaveBeenCalledTimes(1);
    expect(await said(given, ann.session, 'defaultRoom')).toEqual(everywhere);
  });

  test('who is refused as it resumes is let go of again', async () => {
    const given = await two();
    const { store, here, ann } = given;
    here.holding.detach(ann.session, given.hearer, true);
    await eventually(async () => (await store.membership('defaultRoom', ann.session.id)) === undefined);
    const cookie = { id: ann.session.id, issuedAt: Date.now() };
    const resuming = findResumed(here, { after: { nowhere: 'rubbish' } }, cookie, () => peer('socket'));
    await expect(resuming).rejects.toMatchObject({ code: 'invalid_parameter' });
    await eventually(async () => (await store.membership('defaultRoom', ann.session.id)) === undefined);
  });

  test('a slow leave hook keeps neither it nor anybody else waiting', async () => {
    const store = new MemoryStore(limits);
    let goOn = (): void => undefined;
    const slow = new Promise<void>((resolve) => (goOn = resolve));
    const chat = await startChat({ store, middleware: [{ name: 'slow', leave: () => slow }] });
    const ann = await person(chat);
    const first = hearer();
    await chat.holding.attach(ann.session, first);
    chat.holding.detach(ann.session, first, true);
    await eventually(async () => (await store.membership('defaultRoom', ann.session.id)) === undefined);
    await chat.leases.round();
    await chat.holding.attach(ann.session, hearer());
    expect(await said({ store }, ann.session, 'defaultRoom')).toEqual(everywhere);
    goOn();
  });

  test('the room that it leaves for another is left, though the answer was lost and the write done again', async () => {
    const given = await two();
    const { store, here, ann } = given;
    const write = store.writeClient.bind(store);
    jest.spyOn(store, 'writeClient').mockImplementation(async (...asked) => {
      if (asked[1].room === 'kitchen') await write(...asked);
      return write(...asked);
    });
    await here.rooms.changeRoom(ann, 'kitchen');
    expect(ann.session.room).toBe('kitchen');
    expect(await said(given, ann.session, 'defaultRoom')).toEqual(nowhere);
  });

  test('a client that is written to all the time is not read as often', async () => {
    const given = await two();
    const { store, here, ann } = given;
    const late = await elsewhere(given);
    const [client, write] = [store.client.bind(store), store.writeClient.bind(store)];
    const far = async (): Promise<void> => {
      for (let turn = 0; turn < 2; turn += 1) await new Promise(setImmediate);
    };
    const reads = jest.spyOn(store, 'client').mockImplementation(async (id) => {
      await far();
      return client(id).finally(far);
    });
    jest.spyOn(store, 'writeClient').mockImplementation(async (...asked) => {
      await far();
      return write(...asked).finally(far);
    });
    let done = 0;
    const writing = (async () => {
      for (; done < 100; done += 1) await here.setAttributes(ann.session, new Map([['n', done]]));
    })();
    await eventually(() => done > 10);
    await given.there.setAttributes(late.session, new Map([['mood', 'good']]));
    await writing;
    await eventually(() => ann.session.attributes.get('mood') === 'good');
    expect(reads.mock.calls.length).toBeLessThan(10);
  });
});
