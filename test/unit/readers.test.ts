import { Feed } from '../../src/core/feed';
import type { Page } from '../../src/core/page';
import { clientTopic, presenceTopic, roomTopic } from '../../src/core/entry';
import { pageJson } from '../../src/core/reading';
import { cursorOf, placesOf } from '../../src/core/cursors';
import type { Chat } from '../../src/core/chat';
import type { ChatMiddleware } from '../../src/core/middleware';
import { closeChats, endsFor, feedOf, KeptLink, limits, listen, person, startChat, type Person } from '../support/core';
import { eventually } from '../support/eventually';
import { randomFrom, seedOfRun } from '../support/random';
import { StutteringStore } from '../support/stuttering-store';

afterEach(closeChats);

const say = (chat: Chat, who: Person, room: string, message: unknown): Promise<unknown> =>
  chat.saying.say(who, room, message);

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

async function readAll(feed: Feed): Promise<{ messages: { message: unknown; room: string }[]; gaps: unknown[] }> {
  const messages: { message: unknown; room: string }[] = [];
  const gaps: unknown[] = [];
  for (;;) {
    const page = await feed.next(50);
    gaps.push(...page.gaps);
    messages.push(...page.heard.map(({ json }) => JSON.parse(json) as { message: unknown; room: string }));
    if (page.heard.length === 0 && page.gaps.length === 0) return { messages, gaps };
  }
}

describe('announcements that are late, doubled, out of order or lost', () => {
  const seed = seedOfRun();

  test(`every reader hears each message once and in order (SEED=${seed})`, async () => {
    const random = randomFrom(seed);
    const store = new StutteringStore(limits, random);
    const chat = await startChat({ store, checkEvery: 50 });
    const ann = await person(chat);
    const hearers = await Promise.all(range(0, 5).map(async () => listen(chat, await person(chat))));

    for (const index of range(0, 400)) {
      await say(chat, ann, 'defaultRoom', index);
      if (random() < 0.2) store.letArrive();
      if (random() < 0.1) await new Promise(setImmediate);
    }
    await eventually(() => hearers.every(({ link }) => link.heard.length >= 400));
    for (const { link } of hearers) expect(link.texts).toEqual(range(0, 400));
  });

  test('a message whose announcement never comes is heard after the next look at the log’s end', async () => {
    const store = new StutteringStore(limits, () => 0.1);
    const chat = await startChat({ store, checkEvery: 20 });
    const [ann, bob] = [await person(chat), await person(chat)];
    const hearer = await listen(chat, bob);
    await say(chat, ann, 'defaultRoom', 'told to nobody');
    await eventually(() => hearer.link.texts.length === 1);
  });

  test(`a reader that hops with its cursor hears each message once and in order (SEED=${seed})`, async () => {
    const random = randomFrom(seed);
    const store = new StutteringStore(limits, random);
    const chat = await startChat({ store, checkEvery: 20 });
    const [ann, bob] = [await person(chat), await person(chat)];
    await chat.rooms.join(ann, 'kitchen', { listening: false });
    await chat.rooms.join(bob, 'kitchen', { listening: false });

    const heard = new Map<string, unknown[]>([
      ['defaultRoom', []],
      ['kitchen', []],
    ]);
    let cursor = cursorOf(chat, new Map([[clientTopic(bob.session.id), '0-0'], ...(await endsFor(chat, bob))]));
    let said = 0;
    for (let hop = 0; hop < 120; hop += 1) {
      for (const room of ['defaultRoom', 'kitchen', 'defaultRoom'])
        if (random() < 0.7) await say(chat, ann, room, (said += 1));
      if (random() < 0.3) store.letArrive();
      const places = placesOf(chat, bob.session, cursor);
      if (random() < 0.5) {
        const feed = await feedOf(chat, bob, places, random() < 0.5);
        const page = await feed.next(1 + Math.floor(random() * 5));
        for (const { json } of page.heard) {
          const { room, message } = JSON.parse(json) as { room: string; message: unknown };
          heard.get(room)?.push(message);
        }
        cursor = cursorOf(chat, page.places);
        feed.close();
      } else {
        const { link, pusher, stop } = await listen(chat, bob, { places });
        for (let turn = random() * 3; turn > 0; turn -= 1) await new Promise(setImmediate);
        cursor = pusher.cursor;
        for (const { room = '', message } of link.heard) heard.get(room)?.push(message);
        stop();
      }
    }
    // An announcement that was lost costs time: until the next look at the log's end.
    const rest = await feedOf(chat, bob, placesOf(chat, bob.session, cursor), true);
    const count = (): number => [...heard.values()].flat().length;
    await eventually(async () => {
      for (const { room, message } of (await readAll(rest)).messages) heard.get(room)?.push(message);
      return count() >= said;
    });
    const all = [...(heard.get('defaultRoom') ?? []), ...(heard.get('kitchen') ?? [])] as number[];
    expect(all.sort((a, b) => a - b)).toEqual(range(1, said + 1));
    for (const messages of heard.values())
      expect(messages).toEqual([...messages].sort((a, b) => Number(a) - Number(b)));
  });
});

describe('a warm log', () => {
  test('costs the store no read, however many stand at its end', async () => {
    const store = new StutteringStore(limits, () => 0.5);
    const chat = await startChat({ store, checkEvery: 1_000_000 });
    const ann = await person(chat);
    const hearers = await Promise.all(range(0, 20).map(async () => listen(chat, await person(chat))));
    await say(chat, ann, 'defaultRoom', 'first');
    await eventually(() => hearers.every(({ link }) => link.texts.length === 1));
    const { reads } = store;
    for (const index of range(0, 50)) await say(chat, ann, 'defaultRoom', index);
    await eventually(() => hearers.every(({ link }) => link.texts.length === 51));
    expect(store.reads - reads).toBe(0);
  });

  test('in which nothing is said is not read, however often its end is compared', async () => {
    const store = new StutteringStore(limits, () => 0.5);
    const compared = jest.spyOn(store, 'ends');
    const chat = await startChat({ store, checkEvery: 20 });
    await Promise.all(range(0, 20).map(async () => listen(chat, await person(chat))));
    const { reads } = store;
    const rounds = compared.mock.calls.length;
    await eventually(() => compared.mock.calls.length > rounds + 20);
    expect(store.reads - reads).toBe(0);
  });

  test('stays warm as long as somebody follows it, however many look in, and no longer', async () => {
    const chat = await startChat({ checkEvery: 20, linger: 5 });
    const [ann, bob] = [await person(chat), await person(chat)];
    await chat.rooms.join(bob, 'kitchen', { listening: false });
    const hearer = await listen(chat, ann);
    const brief = await listen(chat, bob);
    // A client comes into a room while its feed already looks for it: the feed then has it once.
    const twice = await feedOf(chat, bob, new Map(), true);
    twice.roomRemoved('kitchen');
    twice.roomAdded('kitchen', bob.session.rooms.get('kitchen')!);
    twice.roomRemoved('kitchen');
    twice.roomAdded('kitchen', bob.session.rooms.get('kitchen')!);
    for (let looks = 0; looks < 5; looks += 1) {
      const look = await feedOf(chat, bob);
      await look.next(10);
      look.close();
    }
    await eventually(() => twice.places.has(roomTopic('kitchen')));
    brief.stop();
    twice.close();
    await eventually(() => !chat.tails.warm(roomTopic('kitchen')));
    expect(chat.tails.warm(roomTopic('defaultRoom'))).toBeDefined();
    await say(chat, bob, 'defaultRoom', 'are you there?');
    await eventually(() => hearer.link.texts.length === 1);
    hearer.stop();
    await eventually(() => !chat.tails.warm(roomTopic('defaultRoom')));
  });

  test('gives all hearers of a turn the very same Buffer, and the speaker its own', async () => {
    const chat = await startChat();
    const [ann, bob, eve] = [await person(chat), await person(chat), await person(chat)];
    const [atAnn, atBob, atEve] = await Promise.all([listen(chat, ann), listen(chat, bob), listen(chat, eve)]);
    await Promise.all([
      say(chat, ann, 'defaultRoom', 1),
      say(chat, bob, 'defaultRoom', 2),
      say(chat, ann, 'defaultRoom', 3),
    ]);
    await eventually(() => atEve.link.texts.length === 3);
    expect(atEve.link.writes).toHaveLength(1);
    expect(atAnn.link.texts).toEqual([2]);
    expect(atBob.link.texts).toEqual([1, 3]);
    const carol = await listen(chat, await person(chat));
    await say(chat, ann, 'defaultRoom', 4);
    await eventually(() => carol.link.texts.length === 1);
    expect(carol.link.writes.at(-1)).toBe(atEve.link.writes.at(-1));
  });
});

describe('a peer that is full', () => {
  test('is pushed nothing, and everything when it has drained', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat), await person(chat)];
    const { link, pusher } = await listen(chat, bob);
    link.congested = true;
    for (const index of range(0, 3000)) await say(chat, ann, 'defaultRoom', index);
    await new Promise(setImmediate);
    expect(link.writes).toEqual([]);
    link.congested = false;
    pusher.drained();
    await eventually(() => link.heard.length === 3000);
    expect(link.texts).toEqual(range(0, 3000));
  });
});

describe('what is gone is told, once and in its place', () => {
  const short = { ...limits, maxLogLength: 10 };

  test('trimmed: with the count, then the rest; delivered and lost are all that was said', async () => {
    const chat = await startChat({ store: new StutteringStore(short, () => 0.5) });
    const [ann, bob] = [await person(chat), await person(chat)];
    const places = await endsFor(chat, bob);
    for (const index of range(0, 25)) await say(chat, ann, 'defaultRoom', index);
    const { messages, gaps } = await readAll(await feedOf(chat, bob, places));
    expect(gaps).toEqual([{ room: 'defaultRoom', reason: 'trimmed', lost: 15 }]);
    expect(messages.map(({ message }) => message)).toEqual(range(15, 25));
  });

  test('to a link as well, before what follows', async () => {
    const chat = await startChat({ store: new StutteringStore(short, () => 0.5) });
    const [ann, bob] = [await person(chat), await person(chat)];
    const places = await endsFor(chat, bob);
    for (const index of range(0, 12)) await say(chat, ann, 'defaultRoom', index);
    const { link } = await listen(chat, bob, { places });
    await eventually(() => link.heard.length === 11);
    expect(link.heard[0]).toEqual({ context: 'gap', room: 'defaultRoom', reason: 'trimmed', lost: 2 });
    expect(link.texts).toEqual(range(2, 12));
  });

  test('expired: by the clock of the store', async () => {
    let now = 1_000_000;
    const store = new StutteringStore(
      { ...limits, messageTTL: 1000 },
      () => 0.5,
      () => now,
    );
    const chat = await startChat({ store });
    const [ann, bob] = [await person(chat), await person(chat)];
    const places = await endsFor(chat, bob);
    for (const index of range(0, 4)) await say(chat, ann, 'defaultRoom', index);
    now += 1001;
    await say(chat, ann, 'defaultRoom', 4);
    const { messages, gaps } = await readAll(await feedOf(chat, bob, places));
    expect(gaps).toEqual([{ room: 'defaultRoom', reason: 'expired', lost: 4 }]);
    expect(messages.map(({ message }) => message)).toEqual([4]);
  });

  test('an own message is withheld, and moves the place all the same', async () => {
    const chat = await startChat();
    const ann = await person(chat);
    const feed = await feedOf(chat, ann);
    for (const index of range(0, 700)) await say(chat, ann, 'defaultRoom', index);
    const page = await feed.next(50);
    expect(page.heard).toEqual([]);
    expect(page.places.get(roomTopic('defaultRoom'))).toBe((await endsFor(chat, ann)).get(roomTopic('defaultRoom')));
  });
});

describe('a client’s rooms change while it is heard for', () => {
  test('a room that it joins is heard from then on, one that it leaves no more', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat), await person(chat)];
    const { link } = await listen(chat, bob);
    for (const who of [ann, bob]) await chat.rooms.join(who, 'kitchen', { listening: false });
    await say(chat, ann, 'kitchen', 'soup');
    await eventually(() => link.texts.includes('soup'));
    await chat.rooms.leave(bob, 'kitchen');
    await say(chat, ann, 'kitchen', 'nobody');
    await say(chat, ann, 'defaultRoom', 'marker');
    await eventually(() => link.texts.includes('marker'));
    expect(link.texts).toEqual(['soup', 'marker']);
  });

  test('also when it was another node that put it there', async () => {
    const store = new StutteringStore(limits, () => 0.5);
    const [here, there] = [await startChat({ store }), await startChat({ store })];
    const [ann, bob] = [await person(here), await person(here)];
    const { link } = await listen(here, bob);
    await there.rooms.addMember(bob.session.id, 'kitchen');
    await here.rooms.join(ann, 'kitchen', { listening: false });
    await eventually(() => bob.session.rooms.has('kitchen'));
    await say(here, ann, 'kitchen', 'soup');
    await eventually(() => link.texts.includes('soup'));
    await there.rooms.removeMember(bob.session.id, 'kitchen');
    await eventually(() => !bob.session.rooms.has('kitchen'));
    await expect(say(here, bob, 'kitchen', 'may I')).rejects.toMatchObject({ code: 'not_in_room' });
  });
});

test('what is told to a client alone reaches it, now or later', async () => {
  const chat = await startChat();
  const bob = await person(chat);
  await chat.tell(bob.session.id, 'early');
  const { link } = await listen(chat, bob, { link: new KeptLink() });
  await chat.tell(bob.session.id, { hush: true, context: 'user' });
  await eventually(() => link.heard.length === 2);
  expect(link.heard[0]).toEqual(expect.objectContaining({ message: 'early', from: 'earshot', context: 'user' }));
  expect(link.heard[0]).not.toHaveProperty('room');
  expect(link.heard[1]).toEqual(expect.objectContaining({ hush: true, from: 'earshot' }));
});

describe('what readers at the same places share', () => {
  test('is one page, and from it one body; the speaker, who is behind and whom a match leaves out have their own', async () => {
    const chat = await startChat();
    const people = await Promise.all(range(0, 4).map(() => person(chat)));
    const [ann, bob, , tom] = people as [Person, Person, Person, Person];
    const now = await endsFor(chat, tom);
    const feeds = await Promise.all(people.map((who) => feedOf(chat, who, now, true)));
    const [atAnn, atBob, atEve, atTom] = feeds as [Feed, Feed, Feed, Feed];

    await say(chat, ann, 'defaultRoom', 'first');
    const page = atBob.next(50);
    expect(page).not.toBeInstanceOf(Promise);
    expect(atEve.next(50)).toBe(page);
    const made = jest.fn(() => pageJson({ chat }, page as Page));
    const bodies = [ann, bob].map(() => (page as Page).made('answer', made));
    expect(made).toHaveBeenCalledTimes(1);
    expect(bodies[0]).toBe(bodies[1]);
    expect(JSON.parse(bodies[0]!)).toMatchObject({ messages: [{ message: 'first', from: ann.session.id }] });
    expect((await atAnn.next(50)).heard).toEqual([]);

    await say(chat, ann, 'defaultRoom', 'second');
    const second = await atBob.next(50);
    expect(second.heard.map(({ json }) => (JSON.parse(json) as { message: string }).message)).toEqual(['second']);
    const both = await atTom.next(50);
    expect(both.heard.map(({ json }) => (JSON.parse(json) as { message: string }).message)).toEqual([
      'first',
      'second',
    ]);
    expect(both).not.toBe(second);
    expect(await atEve.next(50)).toBe(second);

    const match = { key: 'id', value: bob.session.id };
    await chat.saying.say(ann, 'defaultRoom', 'for Bob', { match });
    expect((await atBob.next(50)).heard).toHaveLength(1);
    expect((await atEve.next(50)).heard).toHaveLength(0);
    for (const feed of feeds) feed.close();
  });

  test('is one page as well where it has to be read, and of too much the first part of it, after which all follows', async () => {
    const chat = await startChat();
    const people = await Promise.all(range(0, 4).map(() => person(chat)));
    const [ann, bob, eve] = people as [Person, Person, Person, Person];
    const now = await endsFor(chat, eve);
    const feeds = await Promise.all(people.slice(1).map((who) => feedOf(chat, who, now, true)));
    const [atBob, atEve, atTom] = feeds as [Feed, Feed, Feed];
    // More than the ring keeps, and than one page may have.
    const said = range(0, 200).map((nth) => `${String(nth)} ${'x'.repeat(16_000)}`);
    for (const text of said) await say(chat, ann, 'defaultRoom', text);
    const reads = jest.spyOn(chat.store, 'read');
    const [first, same, fewer] = await Promise.all([atBob.next(1000), atEve.next(1000), atTom.next(3)]);
    expect(same).toBe(first);
    expect(fewer.heard.map(({ json }) => json)).toEqual(first.heard.slice(0, 3).map(({ json }) => json));
    expect(fewer.places).not.toEqual(first.places);
    expect(reads.mock.calls.filter(([topic]) => topic === 'room:defaultRoom')).toHaveLength(1);
    const texts = first.heard.map(({ json }) => (JSON.parse(json) as { message: string }).message);
    expect(texts.join('').length).toBeLessThan(1024 * 1024);
    expect([...first.places]).toEqual([['room:defaultRoom', first.heard.at(-1)?.entry.id]]);
    for (const [feed, had] of [
      [atBob, texts.length],
      [atEve, texts.length],
      [atTom, 3],
    ] as const) {
      const { messages, gaps } = await readAll(feed);
      expect([...texts.slice(0, had), ...messages.map(({ message }) => message)]).toEqual(said);
      expect(gaps).toEqual([]);
    }

    // Whoever has something else to hear is given a page of its own.
    await chat.tell(eve.session.id, 'for Eve');
    const behind = await Promise.all([bob, eve].map((who) => feedOf(chat, who, now, true)));
    const [bobs, eves] = await Promise.all(behind.map(async (feed) => feed.next(1000)));
    expect(bobs).not.toBe(eves);
    const rest = await readAll(behind[1]!);
    const heard = eves!.heard.map(({ json }) => JSON.parse(json) as { message: string });
    expect([...heard, ...rest.messages].map(({ message }) => message)).toEqual([...said, 'for Eve']);
    for (const feed of [...feeds, ...behind]) feed.close();
    reads.mockRestore();
  });

  test('is not made by a reader that loses a room while it is read', async () => {
    const chat = await startChat();
    const [ann, bob, eve] = [await person(chat), await person(chat), await person(chat)];
    for (const who of [bob, eve]) await chat.rooms.join(who, 'kitchen', { listening: false });
    const now = await endsFor(chat, eve);
    // Nobody follows the room yet: what the feeds begin behind has to be read.
    await say(chat, ann, 'defaultRoom', 'x');
    const [atBob, atEve] = [await feedOf(chat, bob, now, true), await feedOf(chat, eve, now, true)];
    const coming = Promise.all([atBob, atEve].map(async (feed) => feed.next(50)));
    atBob.roomRemoved('kitchen');
    const pages = await coming;
    expect(pages.map(({ heard }) => heard.length)).toEqual([1, 1]);
    expect(pages[1]?.places).toEqual(await endsFor(chat, eve));
    for (const feed of [atBob, atEve]) feed.close();
  });

  test('is nothing once a hook looks at each hearer', async () => {
    const chat = await startChat({ middleware: [{ name: 'each', say: (_connection, _room, payload) => payload }] });
    const [ann, bob, eve] = [await person(chat), await person(chat), await person(chat)];
    const now = await endsFor(chat, eve);
    const [atBob, atEve] = [await feedOf(chat, bob, now, true), await feedOf(chat, eve, now, true)];
    await say(chat, ann, 'defaultRoom', 'x');
    const pages = [await atBob.next(50), await atEve.next(50)];
    expect(pages[0]).not.toBe(pages[1]);
    expect(pages.map(({ heard }) => heard.length)).toEqual([1, 1]);
    for (const feed of [atBob, atEve]) feed.close();
  });
});

test('what is withheld from a reader counts for no limit, and is not read for piece by piece', async () => {
  const chat = await startChat();
  const [ann, bob] = [await person(chat), await person(chat)];
  const nobody = { match: { key: 'id', value: 'nobody' } };
  for (const index of range(0, 600)) await chat.saying.say(ann, 'defaultRoom', index, nobody);
  for (const text of ['for all', 'the next']) await say(chat, ann, 'defaultRoom', text);
  const reads = jest.spyOn(chat.store, 'read');
  const feed = await feedOf(chat, bob);
  reads.mockClear();
  const heard = async (): Promise<unknown[]> =>
    (await feed.next(1)).heard.map(({ json }) => (JSON.parse(json) as { message: unknown }).message);
  expect(await heard()).toEqual(['for all']);
  // Its own log and the room's: one entry each, then all there is.
  expect(reads.mock.calls.length).toBeLessThanOrEqual(8);
  expect(await heard()).toEqual(['the next']);
  expect(await heard()).toEqual([]);
});

describe('who is put out of a room while a read for it waits', () => {
  /** All turns to read are taken until it is called. */
  function busy(chat: Chat): () => void {
    let free = (): void => undefined;
    const gate = new Promise<void>((resolve) => (free = resolve));
    for (let turn = 0; turn < 8; turn += 1) void chat.reads.run('10.0.0.1', () => gate);
    return free;
  }

  test('is given nothing that was said there since, by a feed', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat), await person(chat)];
    const late = jest.spyOn(chat.sessions, 'isLate').mockReturnValue(true);
    const feed = await feedOf(chat, bob);
    const free = busy(chat);
    const coming = feed.next(10);
    await chat.rooms.removeMember(bob.session.id, 'defaultRoom');
    await say(chat, ann, 'defaultRoom', 'among ourselves');
    free();
    expect((await coming).heard).toEqual([]);
    expect(late).toHaveBeenCalled();
    feed.close();
  });

  test('is given nothing that a `say` hook was looking at', async () => {
    let pass = (): void => undefined;
    const asked = jest.fn();
    const slow: ChatMiddleware = {
      name: 'slow',
      say: async () => {
        asked();
        await new Promise<void>((resolve) => (pass = resolve));
      },
    };
    const chat = await startChat({ middleware: [slow] });
    const [ann, bob] = [await person(chat), await person(chat)];
    const live = await chat.sessions.live(bob.session);
    const feed = await feedOf(chat, { ...bob, session: live }, new Map(), true);
    await chat.sessions.listen(live, feed);
    await chat.tell(bob.session.id, 'yours');
    await say(chat, ann, 'defaultRoom', 'among ourselves');
    const coming = feed.next(10);
    await eventually(() => asked.mock.calls.length > 0);
    await chat.rooms.removeMember(bob.session.id, 'defaultRoom');
    pass();
    expect((await coming).heard.map(({ json }) => (JSON.parse(json) as { message: unknown }).message)).toEqual([
      'yours',
    ]);
    chat.sessions.unlisten(live, feed);
    feed.close();
  });

  test('is pushed nothing of it', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat), await person(chat)];
    const places = await endsFor(chat, bob);
    await say(chat, ann, 'defaultRoom', 'before');
    const free = busy(chat);
    const { link, pusher } = await listen(chat, bob, { places });
    expect(link.texts).toEqual([]);
    await chat.rooms.removeMember(bob.session.id, 'defaultRoom');
    await eventually(() => !pusher.places.has(roomTopic('defaultRoom')));
    await say(chat, ann, 'defaultRoom', 'among ourselves');
    free();
    // Told to it alone, and read in the same way.
    await chat.tell(bob.session.id, 'that was all');
    await eventually(() => link.texts.length > 0);
    expect(link.texts).toEqual(['that was all']);
  });
});

describe('who leaves a room and comes back while its log is being looked for', () => {
  /** As it is, but that whoever would follow the kitchen's log waits until it is called. */
  function withheld(chat: Chat): () => void {
    let free = (): void => undefined;
    const gate = new Promise<void>((resolve) => (free = resolve));
    const follow = chat.store.follow.bind(chat.store);
    jest.spyOn(chat.store, 'follow').mockImplementation(async (topic, follower) => {
      if (topic === roomTopic('kitchen')) await gate;
      return follow(topic, follower);
    });
    return free;
  }

  async function inAndOutAndIn(chat: Chat, ann: Person, bob: Person): Promise<void> {
    await chat.rooms.join(ann, 'kitchen', { listening: false });
    await chat.rooms.join(bob, 'kitchen', { listening: false });
    await chat.rooms.leave(bob, 'kitchen');
    await say(chat, ann, 'kitchen', 'while it was out');
    await chat.rooms.join(bob, 'kitchen', { listening: false });
  }

  test('is pushed nothing of what was said while it was out', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat), await person(chat)];
    const { link } = await listen(chat, bob);
    const free = withheld(chat);
    await inAndOutAndIn(chat, ann, bob);
    free();
    await say(chat, ann, 'kitchen', 'welcome back');
    await eventually(() => link.texts.includes('welcome back'));
    expect(link.texts).toEqual(['welcome back']);
  });

  test('is given nothing of it by a feed', async () => {
    const chat = await startChat();
    const [ann, bob] = [await person(chat), await person(chat)];
    const session = await chat.sessions.live(bob.session);
    const feed = await feedOf(chat, { ...bob, session }, new Map(), true);
    await chat.sessions.listen(session, feed);
    const free = withheld(chat);
    await inAndOutAndIn(chat, ann, { ...bob, session });
    free();
    await say(chat, ann, 'kitchen', 'welcome back');
    await eventually(() => feed.places.has(roomTopic('kitchen')));
    const { messages } = await readAll(feed);
    expect(messages.map(({ message }) => message)).toEqual(['welcome back']);
    chat.sessions.unlisten(session, feed);
    feed.close();
  });
});

test('who comes in again hears who comes and goes there again', async () => {
  const chat = await startChat();
  const [ann, bob] = [await person(chat), await person(chat)];
  const live = await chat.sessions.live(bob.session);
  const feed = new Feed(chat, { session: live, client: bob, echo: false }, { presence: true, follow: true });
  await feed.start(new Map());
  await chat.sessions.listen(live, feed);
  await chat.rooms.leave({ ...bob, session: live }, 'defaultRoom');
  await chat.rooms.join({ ...bob, session: live }, 'defaultRoom', { listening: false });
  await eventually(() => feed.places.has(presenceTopic('defaultRoom')));
  await chat.rooms.leave(ann, 'defaultRoom');
  await eventually(async () => (await feed.next(10)).heard.some(({ entry }) => entry.isPresence));
  chat.sessions.unlisten(live, feed);
  feed.close();
});
