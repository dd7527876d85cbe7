/** Whatever several nodes do with one client at once: its rooms, its record and every node agree on it in the end. */
import type { Chat } from '../../src/core/chat';
import type { HeardRoom, Session } from '../../src/core/session';
import type { Attempt } from '../../src/core/store';
import { ChatError } from '../../src/protocol/errors';
import { MemoryStore } from '../../src/store/memory-store';
import { closeChats, hearer, limits, person, personOf, startChat, type Person } from '../support/core';
import { eventually } from '../support/eventually';
import { randomFrom, seedOfRun } from '../support/random';

afterEach(closeChats);

/** What is asked of it takes its time, there and back: the calls of two nodes, and of one, interleave in any way. */
class DistantStore extends MemoryStore {
  calm = false;

  constructor(
    readonly random: () => number,
    /** One write of the record in ten is done twice, as when its answer was lost. */
    readonly repeats: boolean,
  ) {
    super(limits);
  }

  async #far<T>(call: () => Promise<T>, isWrite = false): Promise<T> {
    await this.#wait();
    let answer = await call();
    if (this.repeats && isWrite && !this.calm && this.random() < 0.1) {
      await this.#wait();
      answer = await call();
    }
    await this.#wait();
    return answer;
  }

  async #wait(): Promise<void> {
    for (let turns = this.random() * 4; turns > 1; turns -= 1) await new Promise(setImmediate);
  }

  override join(...asked: Parameters<MemoryStore['join']>): ReturnType<MemoryStore['join']> {
    return this.#far(() => super.join(...asked));
  }
  override leave(...asked: Parameters<MemoryStore['leave']>): ReturnType<MemoryStore['leave']> {
    return this.#far(() => super.leave(...asked));
  }
  override client(...asked: Parameters<MemoryStore['client']>): ReturnType<MemoryStore['client']> {
    return this.#far(() => super.client(...asked));
  }
  override membership(...asked: Parameters<MemoryStore['membership']>): ReturnType<MemoryStore['membership']> {
    return this.#far(() => super.membership(...asked));
  }
  override writeClient(...asked: Parameters<MemoryStore['writeClient']>): ReturnType<MemoryStore['writeClient']> {
    return this.#far(() => super.writeClient(...asked), true);
  }
}

type Doing = (chat: Chat, session: Session, room: string) => Promise<unknown>;

class Walk {
  readonly random: () => number;
  readonly store: DistantStore;
  readonly id: string;
  readonly doings: readonly Doing[];

  private constructor(
    random: () => number,
    store: DistantStore,
    /** On the first two it is connected; on the third it asks over HTTP, so that each request reads its record. */
    readonly chats: readonly Chat[],
    readonly sessions: readonly Session[],
  ) {
    this.random = random;
    this.store = store;
    const { id } = sessions[0]!;
    this.id = id;
    const as = (chat: Chat, session: Session): Person => personOf(chat, session, chat === chats[2] ? 'web' : 'socket');
    this.doings = [
      (chat, session, room) => chat.rooms.join(as(chat, session), room, { listening: false }),
      (chat, session, room) => chat.rooms.join(as(chat, session), room, { listening: true }),
      (chat, session, room) => chat.rooms.leave(as(chat, session), room),
      (chat, session, room) => chat.rooms.changeRoom(as(chat, session), room),
      (chat, _session, room) => chat.rooms.removeMember(id, room),
      (chat, _session, room) => chat.rooms.addMember(id, room),
      (chat, _session, room) => chat.rooms.destroy(room),
      (chat, session) => chat.renewal.renew(as(chat, session)),
      async (chat, session) => {
        const back = as(chat, session);
        for (const [room, heard] of [...session.rooms]) await chat.memberships.rejoin(back, room, heard);
      },
    ];
  }

  static async begin(random: () => number, repeats: boolean, refuses: boolean): Promise<Walk> {
    const store = new DistantStore(random, repeats);
    store.calm = true;
    const refuse = (chance: number) => () => {
      if (random() < chance) throw new Error('not today');
    };
    const middleware = refuses ? [{ name: 'moody', join: refuse(0.15), leave: refuse(0.3) }] : [];
    const settings = refuses ? { roomsPerClient: 2 } : {};
    // Nothing is left to looks now and then.
    const never = { leaseEvery: 1e9, checkEvery: 1e9 };
    const start = (): Promise<Chat> => startChat({ store, middleware, settings, ...never });
    const chats = [await start(), await start(), await start()];
    let ann = await person(chats[0]!);
    // The hook may have refused the default room.
    while (ann.session.rooms.size === 0 && !refuses) ann = await person(chats[0]!);
    const sessions: Session[] = [];
    for (const chat of chats.slice(0, 2)) {
      const { session } = personOf(chat, (await chat.sessions.load(ann.session.id))!);
      sessions.push(await chat.holding.attach(session, hearer()));
    }
    return new Walk(random, store, chats, sessions);
  }

  /** Two to four things at once; whatever is refused, it is by a ChatError. */
  async round(): Promise<void> {
    const { random, chats, sessions, id, store } = this;
    store.calm = false;
    const one = async (): Promise<void> => {
      for (let turns = random() * 8; turns > 1; turns -= 1) await new Promise(setImmediate);
      const node = Math.floor(random() * 3);
      const doing = this.doings[Math.floor(random() * this.doings.length)]!;
      const room = random() < 0.5 ? 'kitchen' : 'attic';
      try {
        const session = sessions[node] ?? (await chats[node]!.sessions.load(id))!;
        await doing(chats[node]!, session, room);
      } catch (error) {
        if (!(error instanceof ChatError)) throw error;
      }
    };
    await Promise.all(Array.from({ length: 2 + Math.floor(random() * 3) }, one));
    store.calm = true;
  }

  async agreed(): Promise<void> {
    let seen: unknown[] = [];
    await eventually(async () => {
      seen = await this.#seen();
      return seen.every((one) => JSON.stringify(one) === JSON.stringify(seen[0]));
    }, 3000).catch(() => expect(seen).toEqual(seen.map(() => seen[0])));
    const { room, rooms } = this.sessions[0]!;
    expect(room === null || rooms.get(room)?.listening === false).toBe(true);
  }

  async #seen(): Promise<unknown[]> {
    const { store, id } = this;
    const record = (await store.client(id))!;
    const inStore = new Map<string, boolean>();
    for (const room of ['attic', 'defaultRoom', 'kitchen']) {
      const membership = await store.membership(room, id);
      if (membership) inStore.set(room, membership.listening);
    }
    const rooms = (of: ReadonlyMap<string, HeardRoom | Attempt>): unknown =>
      [...of].map(([room, one]) => [room, one.floor === undefined ? one : one.listening]).sort();
    return [
      [[...inStore].sort(), record.room],
      [rooms(record.rooms), record.room],
      ...this.sessions.map((session) => [rooms(new Map(session.rooms)), session.room]),
    ];
  }
}

const seed = seedOfRun();

test(`on a store that is far away (SEED=${seed})`, async () => {
  const walk = await Walk.begin(randomFrom(seed), false, false);
  for (let round = 0; round < 600; round += 1) {
    await walk.round();
    await walk.agreed();
  }
});

test(`where hooks refuse, rooms are few, and what was written is written again (SEED=${seed})`, async () => {
  const walk = await Walk.begin(randomFrom(seed), true, true);
  for (let round = 0; round < 400; round += 1) {
    await walk.round();
    await walk.agreed();
  }
});
