/** What is told to a client alone: its log, which most often is empty, is followed by all who hear for it once it is not. */
import { clientTopic, type Topic } from '../../src/core/entry';
import type { Feed } from '../../src/core/feed';
import { Pusher } from '../../src/core/push';
import type { Follower, Slice } from '../../src/core/store';
import type { EntryId } from '../../src/protocol/entry-id';
import { ChatError } from '../../src/protocol/errors';
import { closeChats, endsFor, feedOf, KeptLink, limits, listen, person, startChat } from '../support/core';
import { eventually } from '../support/eventually';
import { OverheardStore } from '../support/overheard-store';
import { randomFrom, seedOfRun } from '../support/random';

afterEach(closeChats);

const textsOf = async (feed: Feed): Promise<unknown[]> =>
  (await feed.next(50)).heard.map(({ json }) => (JSON.parse(json) as { message: unknown }).message);

/** Reads of clients' logs are counted, can fail, and can be kept waiting; announcements can say no more than that a log moved. */
class OwnLogs extends OverheardStore {
  wakeOnly = false;
  reads = 0;
  /** What is waited for, or thrown, before the answer is given: it is as the store saw it. */
  before: (nth: number) => Promise<void> | undefined = () => undefined;

  protected override overheard(follower: Follower): Partial<Follower> {
    return { entry: (entry) => (this.wakeOnly ? follower.stale() : follower.entry(entry)) };
  }

  override async read(topic: Topic, after: EntryId, limit: number): Promise<Slice> {
    const slice = await super.read(topic, after, limit);
    if (topic.startsWith('client:')) await this.before((this.reads += 1));
    return slice;
  }
}

const away = (): Promise<never> => Promise.reject(new ChatError('store_unavailable'));

describe('what is said to a client alone, in whose log there was nothing', () => {
  test('is heard by each of its links, and by a feed that looked before and hears since', async () => {
    const chat = await startChat();
    const bob = await person(chat);
    const [one, other] = [await listen(chat, bob), await listen(chat, bob)];
    const feed = await feedOf(chat, bob, await endsFor(chat, bob), true);
    expect(chat.tails.isSilent(bob.session.topic)).toBe(true);
    await chat.tell(bob.session.id, 'first');
    let wakes = 0;
    feed.sleeper = { wake: () => (wakes += 1) };
    await chat.sessions.listen(bob.session, feed);
    await chat.tell(bob.session.id, 'second');
    await eventually(() => one.link.heard.length === 2 && other.link.heard.length === 2);
    for (const { link } of [one, other]) expect(link.texts).toEqual(['first', 'second']);
    await eventually(() => wakes > 0 && !feed.atHead);
    expect(await textsOf(feed)).toEqual(['first', 'second']);
    feed.close();
  });

  test('comes after what is told of a loss, where a link stood in that log before, be it said before the link began', async () => {
    const chat = await startChat();
    const bob = await person(chat);
    const link = new KeptLink();
    const pusher = new Pusher(chat, link, { session: bob.session, client: bob, echo: false }, false);
    await chat.holding.attach(bob.session, pusher);
    await chat.tell(bob.session.id, 'after that');
    await pusher.start(new Map([[bob.session.topic, '5-3']]));
    await eventually(() => link.heard.length > 0);
    expect(link.heard.map(({ context }) => context)).toEqual(['gap', 'user']);
    await chat.tell(bob.session.id, 'and then');
    await eventually(() => link.heard.length === 3);
    expect(link.texts).toEqual(['after that', 'and then']);
  });

  test('leaves a loss to be told, at once, to who stood in that log before', async () => {
    const chat = await startChat();
    const bob = await person(chat);
    const places = new Map([[bob.session.topic, '5-3']]);
    const { link } = await listen(chat, bob, { places });
    await eventually(() => link.heard.length === 1);
    expect(link.heard.map(({ context }) => context)).toEqual(['gap']);

    const eve = await person(chat);
    await chat.sessions.live(eve.session);
    for (const follow of [false, true]) {
      const feed = await feedOf(chat, eve, new Map([[eve.session.topic, '5-3']]), follow);
      expect((await feed.next(10)).gaps).toHaveLength(1);
      feed.close();
    }
  });

  test('costs no read of a log in which there is nothing, by polls and by sockets', async () => {
    const store = new OwnLogs(limits);
    const chat = await startChat({ store });
    const bob = await person(chat);
    const now = await endsFor(chat, bob);
    await listen(chat, bob);
    const before = store.reads;
    for (const follow of [true, false]) {
      const feed = await feedOf(chat, bob, now, follow);
      expect((await feed.next(10)).isEmpty).toBe(true);
      feed.close();
    }
    expect(store.reads).toBe(before);
  });
});

describe('a log that cannot be read for a moment', () => {
  test('ends nothing that hears for the client already', async () => {
    const store = new OwnLogs(limits);
    const chat = await startChat({ store, checkEvery: 1_000_000 });
    const bob = await person(chat);
    const { link } = await listen(chat, bob);
    const feed = await feedOf(chat, bob, new Map(), true);
    await chat.sessions.listen(bob.session, feed);
    store.before = away;
    // Another reading of it, with a cursor from when there was something in its log.
    const other = await feedOf(chat, bob, new Map([[bob.session.topic, '5-3']]), true);
    await expect(other.next(10)).rejects.toMatchObject({ code: 'store_unavailable' });
    expect({ cut: link.cut, open: feed.open }).toEqual({ cut: undefined, open: true });
    store.before = () => undefined;
    await chat.tell(bob.session.id, 'first');
    await eventually(() => link.texts.length === 1 && !feed.atHead);
    expect(await textsOf(feed)).toEqual(['first']);
  });

  test('is pushed when it can, though nothing more is said', async () => {
    const store = new OwnLogs(limits);
    const chat = await startChat({ store, checkEvery: 1_000_000 });
    const bob = await person(chat);
    const { link } = await listen(chat, bob);
    store.reads = 0;
    // The tail reads it, and then the link cannot.
    store.before = (nth) => (nth === 2 ? away() : undefined);
    await chat.tell(bob.session.id, 'first');
    await eventually(() => link.heard.length === 1);
    expect(link.texts).toEqual(['first']);
    expect(store.reads).toBe(3);
  });
});

test('a feed that could not follow a room is where it was: the answer says from where to go on', async () => {
  const store = new OwnLogs(limits);
  const chat = await startChat({ store });
  const bob = await person(chat);
  const feed = await feedOf(chat, bob, await endsFor(chat, bob), true);
  await chat.sessions.listen(bob.session, feed);
  const { places } = feed;
  jest.spyOn(store, 'follow').mockImplementationOnce(away);
  await chat.rooms.addMember(bob.session.id, 'kitchen');
  await eventually(() => !feed.open);
  expect(feed.places).toEqual(places);
  await chat.rooms.leave(bob, 'defaultRoom');
  expect(feed.places).toEqual(places);
});

describe('what is told while a session comes live', () => {
  test('reaches who goes on at the place before it, where announcements only wake', async () => {
    const store = new OwnLogs(limits);
    store.wakeOnly = true;
    const chat = await startChat({ store, checkEvery: 1_000_000 });
    const bob = await person(chat, 'web');
    const first = await chat.tell(bob.session.id, 'first');
    // One connection's answers come in the order of what was asked; announcements, by another one, overtake them.
    const answers: (() => void)[] = [];
    let late = true;
    store.before = () => (late ? new Promise((resolve) => answers.push(resolve)) : undefined);
    const coming = listen(chat, bob, { places: new Map([[bob.session.topic, first]]) });
    await eventually(() => answers.length === 1);
    await chat.tell(bob.session.id, 'second');
    await eventually(() => answers.length === 2);
    late = false;
    for (const answer of answers) {
      answer();
      await new Promise(setImmediate);
    }
    const { link } = await coming;
    await eventually(() => link.heard.length > 0);
    expect(link.texts).toEqual(['second']);
  });

  const seed = seedOfRun();

  test.each([false, true])(
    `is heard once and in order, without a look at the ends (wakeOnly %s, SEED=${seed})`,
    async (wakeOnly) => {
      const random = randomFrom(seed);
      const soon = (most: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, random() * most));
      const walk = async (): Promise<unknown[][]> => {
        const store = new OwnLogs(limits);
        store.wakeOnly = wakeOnly;
        let answered = Promise.resolve();
        store.before = () => (answered = Promise.all([answered, soon(12)]).then(() => undefined));
        const chat = await startChat({ store, checkEvery: 1_000_000 });
        const bob = await person(chat, 'web');
        const places = new Map<Topic, EntryId>();
        const before = Math.floor(random() * 3);
        for (let nth = 0; nth < before; nth += 1) {
          places.set(clientTopic(bob.session.id), await chat.tell(bob.session.id, 'before'));
        }
        const hears = async (): Promise<() => unknown[]> => {
          await soon(8);
          if (random() < 0.5) {
            const { link } = await listen(chat, bob, { places });
            return () => link.texts;
          }
          const feed = await feedOf(chat, { ...bob, session: await chat.sessions.live(bob.session) }, places, true);
          const heard: unknown[] = [];
          let looking = Promise.resolve();
          const look = async (): Promise<void> => {
            if (!feed.atHead) heard.push(...(await textsOf(feed)));
          };
          feed.sleeper = {
            wake: () => {
              looking = looking.then(look);
            },
          };
          await chat.sessions.listen(feed.session, feed);
          feed.wake();
          return () => heard;
        };
        const hearing = Promise.all([hears(), hears()]);
        for (const text of [1, 2]) {
          await soon(8);
          await chat.tell(bob.session.id, text);
        }
        const heard = await hearing;
        await eventually(() => heard.every((texts) => texts().length >= 2));
        return heard.map((texts) => texts());
      };
      const all = await Promise.all(Array.from({ length: 60 }, walk));
      expect(all.flat()).toEqual(Array.from({ length: 120 }, () => [1, 2]));
    },
  );
});
