/** A session that is kept while it is written to here and changed elsewhere: in whatever order the store's word comes. */
import type { Chat } from '../../src/core/chat';
import { clientTopic, roomTopic, type Topic } from '../../src/core/entry';
import { Session, type Hearer } from '../../src/core/session';
import type { Live } from '../../src/core/sessions';
import type { ClientChange, ClientRecord, Follower, Written } from '../../src/core/store';
import { ChatError } from '../../src/protocol/errors';
import { MemoryStore } from '../../src/store/memory-store';
import { nextMillisecond } from '../contract/store/given';
import { closeChats, limits, person, startChat, type Person } from '../support/core';
import { eventually } from '../support/eventually';
import { OverheardStore } from '../support/overheard-store';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeChats();
});

const keep = { ttlMs: 60_000, create: false };

function eachOf({ sessions }: Chat): Live[] {
  const all: Live[] = [];
  sessions.each((live) => all.push(live));
  return all;
}

/** A store in which each step of a write is taken by itself: done there, announced here, answered here; reads as well. */
class SteppedStore extends OverheardStore {
  stepped = false;
  readonly #undone: (() => void)[] = [];
  readonly #unanswered: (() => void)[] = [];
  readonly #unannounced: (() => void)[] = [];
  readonly #unread: (() => void)[] = [];

  override writeClient(id: string, change: ClientChange, options: typeof keep): Promise<Written | undefined> {
    if (!this.stepped) return super.writeClient(id, change, options);
    return new Promise((resolve) => {
      this.#undone.push(() => {
        const written = super.writeClient(id, change, options);
        this.#unanswered.push(() => resolve(written));
      });
    });
  }

  override client(id: string): Promise<ClientRecord | undefined> {
    const record = super.client(id);
    if (!this.stepped) return record;
    return new Promise((resolve) => this.#unread.push(() => resolve(record)));
  }

  protected override overheard(follower: Follower): Partial<Follower> {
    return {
      changed: (version) => {
        if (this.stepped) this.#unannounced.push(() => follower.changed(version));
        else follower.changed(version);
      },
    };
  }

  /** Another node's change. */
  elsewhere(id: string, change: ClientChange): Promise<Written | undefined> {
    return super.writeClient(id, change, keep);
  }

  do(): void {
    this.#undone.shift()!();
  }
  answer(): void {
    this.#unanswered.shift()!();
  }
  announce(): void {
    this.#unannounced.shift()!();
  }
  /** Answers what was asked so far; false when nothing was. */
  answerReads(): boolean {
    const unread = this.#unread.splice(0);
    for (const answer of unread) answer();
    return unread.length > 0;
  }
}

/** What links and streams make of what they are told. */
class KnownRooms implements Hearer {
  readonly rooms = new Set<string>();
  readonly told: string[] = [];

  roomAdded(room: string): void {
    this.rooms.add(room);
    this.told.push(`+${room}`);
  }
  roomRemoved(room: string): void {
    this.rooms.delete(room);
    this.told.push(`-${room}`);
  }
  ownLogBegun(): void {
    this.told.push('own');
  }
  close(): void {
    this.told.push('closed');
  }
}

interface Kept {
  readonly chat: Chat;
  readonly store: SteppedStore;
  readonly session: Session;
  readonly who: Person;
  readonly hearer: KnownRooms;
}

/** In three rooms, with an attribute. */
async function kept(): Promise<Kept> {
  const store = new SteppedStore(limits);
  const chat = await startChat({ store });
  const who = await person(chat);
  const { session } = who;
  const hearer = new KnownRooms();
  for (const room of ['kitchen', 'attic']) await chat.rooms.join(who, room, { listening: false });
  await chat.setAttributes(session, new Map([['auth', 'true']]));
  await chat.holding.attach(session, hearer);
  for (const room of session.rooms.keys()) hearer.rooms.add(room);
  return { chat, store, session, who, hearer };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function shown({ rooms, attributes, room, version }: Session | ClientRecord): object {
  return { rooms: [...rooms.keys()].sort(), attributes: Object.fromEntries(attributes), room, version };
}

type Step = 'do' | 'answer' | 'announce' | 'elsewhere';

/** Every order of the steps of writes here, done one after the other, and of one change elsewhere. */
function orders(announced: readonly boolean[]): Step[][] {
  const found: Step[][] = [];
  const go = (steps: readonly Step[], count: Readonly<Record<Step, number>>): void => {
    const news = announced.slice(0, count.do).filter(Boolean).length + count.elsewhere;
    const can: Readonly<Record<Step, boolean>> = {
      do: count.do < announced.length,
      answer: count.answer < count.do,
      announce: count.announce < news,
      elsewhere: count.elsewhere < 1,
    };
    const next = (Object.keys(can) as Step[]).filter((step) => can[step]);
    if (next.length === 0) found.push([...steps]);
    for (const step of next) go([...steps, step], { ...count, [step]: count[step] + 1 });
  };
  go([], { do: 0, answer: 0, announce: 0, elsewhere: 0 });
  return found;
}

const places = new Map([[roomTopic('kitchen'), '5-5']]);

interface Writes {
  /** Of each whether it is announced. */
  readonly announced: readonly boolean[];
  readonly begin: (kept: Kept) => Promise<unknown>[];
}

const writes: Readonly<Record<string, Writes>> = {
  'a place': {
    announced: [false],
    begin: ({ chat, session }) => [chat.sessions.write(session, { places })],
  },
  'two places': {
    announced: [false, false],
    begin: ({ chat, session }) => [1, 2].map(() => chat.sessions.write(session, { places })),
  },
  'a leave': {
    announced: [true],
    begin: ({ chat, who }) => [chat.rooms.leave(who, 'kitchen')],
  },
  'a place and a leave': {
    announced: [false, true],
    begin: ({ chat, session, who }) => [chat.sessions.write(session, { places }), chat.rooms.leave(who, 'kitchen')],
  },
  'two leaves': {
    announced: [true, true],
    begin: ({ chat, who }) => ['kitchen', 'defaultRoom'].map((room) => chat.rooms.leave(who, room)),
  },
  'a room that it is in': {
    announced: [true],
    begin: ({ chat, session }) => {
      const heard = session.rooms.get('kitchen')!;
      return [chat.sessions.write(session, { rooms: new Map([['kitchen', heard]]) })];
    },
  },
  'an attribute with the current room': {
    announced: [true],
    begin: ({ chat, session }) => {
      const attributes = new Map([['mood', 'good']]);
      session.setAttribute('mood', 'good');
      session.room = 'kitchen';
      return [chat.sessions.write(session, { attributes, room: 'kitchen' })];
    },
  },
};

const takenAway = {
  rooms: new Map([
    ['attic', null],
    ['kitchen', null],
  ]),
  attributes: new Map([['auth', null]]),
};

/** When what was asked for is answered: it was read when it was asked for. */
const reads = ['at once', 'a step later', 'after all the rest'] as const;

describe('what is taken away elsewhere is taken away here', () => {
  test.each(Object.keys(writes))('while %s is written, in every order', async (name) => {
    const { announced, begin } = writes[name]!;
    for (const order of orders(announced)) {
      for (const when of reads) {
        const one = await kept();
        const { store, session, hearer } = one;
        store.stepped = true;
        const begun = begin(one);
        await turn();
        for (const step of order) {
          if (step === 'elsewhere') {
            await store.elsewhere(session.id, takenAway);
          } else {
            store[step]();
          }
          if (when === 'a step later') store.answerReads();
          await turn();
          while (when === 'at once' && store.answerReads()) await turn();
        }
        while (store.answerReads()) await turn();
        await Promise.all(begun);
        store.stepped = false;
        const record = (await store.client(session.id))!;
        const told = { order, when, ...shown(session), heard: [...hearer.rooms].sort() };
        expect(told).toEqual({ order, when, ...shown(record), heard: [...record.rooms.keys()].sort() });
        await closeChats();
      }
    }
  });
});

describe('a change elsewhere is heard of', () => {
  test('also in a record that another node made anew, which counts from the beginning', async () => {
    const { chat, store, session } = await kept();
    const { version, rooms, room } = session;
    await store.removeClient(session.id);
    await nextMillisecond();
    const remade = { rooms: new Map(rooms), room, attributes: new Map(session.attributes) };
    await store.writeClient(session.id, remade, { ...keep, create: true });
    await chat.sessions.write(session, { places });
    expect(session.version).toBe(1);
    expect(version).toBeGreaterThan(2);
    await store.elsewhere(session.id, takenAway);
    await eventually(() => !session.rooms.has('attic') && !session.attributes.has('auth'));
    expect(session.version).toBe(2);
  });

  test('when the record could not be read as it was announced', async () => {
    const store = new SteppedStore(limits);
    const chat = await startChat({ store, checkEvery: 20 });
    const { session } = await person(chat);
    await chat.holding.attach(session, new KnownRooms());
    const failing = jest.spyOn(store, 'client').mockRejectedValueOnce(new Error('away'));
    await store.elsewhere(session.id, { attributes: new Map([['auth', 'true']]) });
    expect(failing).toHaveBeenCalledTimes(1);
    await eventually(() => session.attributes.get('auth') === 'true');
  });

  test('when a write of our own that it came between has failed', async () => {
    const { chat, store, session } = await kept();
    jest.spyOn(store, 'writeClient').mockImplementationOnce(async () => {
      await store.elsewhere(session.id, takenAway);
      throw new Error('outcome unknown');
    });
    await expect(chat.sessions.write(session, { room: 'kitchen' })).rejects.toThrow('outcome unknown');
    await eventually(() => !session.rooms.has('attic'));
  });

  test('when it was read while what it is about was written, and read again while something else was', async () => {
    const { chat, store, session } = await kept();
    const heard = session.rooms.get('kitchen')!;
    const done = async (): Promise<void> => {
      store.do();
      store.answer();
      await turn();
    };
    store.stepped = true;
    const first = chat.sessions.write(session, { attributes: new Map([['mood', 'good']]) });
    await store.elsewhere(session.id, takenAway);
    await done();
    const expects = { room: 'kitchen', as: heard };
    const refused = chat.sessions.write(session, { rooms: new Map([['kitchen', heard]]), expects });
    expect(store.answerReads()).toBe(true);
    await first;
    expect([...session.rooms.keys()].sort()).toEqual(['defaultRoom', 'kitchen']);
    await Promise.all([expect(refused).rejects.toMatchObject({ code: 'not_in_room' }), stepOn()]);
    store.stepped = false;
    await eventually(() => !session.rooms.has('kitchen'));

    async function stepOn(): Promise<void> {
      await done();
      const last = chat.sessions.write(session, { attributes: new Map([['mood', 'better']]) });
      await done();
      while (store.answerReads()) await turn();
      await last;
    }
  });

  test('and an attribute that is set here meanwhile stays set', async () => {
    const { store, session, who } = await kept();
    const { connection } = who;
    Object.assign(connection, { hat: 'on' });
    await store.elsewhere(session.id, takenAway);
    await eventually(() => !session.rooms.has('attic'));
    await connection.set('mood', 'good');
    expect(Object.fromEntries(session.attributes)).toEqual({ mood: 'good', hat: 'on' });
    expect(Object.fromEntries((await store.client(session.id))!.attributes)).toEqual({ mood: 'good', hat: 'on' });
  });
});

describe('a session that is being brought up', () => {
  class UnsureStore extends MemoryStore {
    slow = false;
    refuses = false;
    readonly #waiting: (() => void)[] = [];

    override async follow(topic: Topic, follower: Follower): Promise<void> {
      if (this.slow) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      if (this.refuses) throw new ChatError('store_unavailable');
      await super.follow(topic, follower);
    }
    letThrough(): void {
      for (const go of this.#waiting.splice(0)) go();
    }
  }

  async function coming(): Promise<{ chat: Chat; store: UnsureStore; session: Session }> {
    const store = new UnsureStore(limits);
    const chat = await startChat({ store });
    const session = new Session('newcomer'.padEnd(22, '-'));
    await chat.sessions.create(session, {});
    store.slow = true;
    return { chat, store, session };
  }

  test('is nobody’s live session yet, and one for all who wait for it', async () => {
    const { chat, store, session } = await coming();
    const first = chat.sessions.keep(session);
    const second = chat.sessions.keep(session);
    expect(chat.sessions.kept(session.id)).toBeUndefined();
    expect(chat.sessions.liveCount).toBe(0);
    expect(eachOf(chat)).toEqual([]);
    expect(chat.sessions.load(session.id)).toBeInstanceOf(Promise);
    store.letThrough();
    const live = await first;
    expect(await second).toBe(live);
    expect(await chat.sessions.keep(session)).toBe(live);
    expect(chat.sessions.kept(session.id)).toBe(live);
    expect(eachOf(chat)).toEqual([live]);
    expect(chat.sessions.load(session.id)).toBe(live.session);
  });

  test('is tried anew by who comes next, when it could not be followed', async () => {
    const { chat, store, session } = await coming();
    store.refuses = true;
    const all = [chat.sessions.keep(session), chat.sessions.keep(session)];
    store.letThrough();
    for (const one of await Promise.allSettled(all))
      expect(one).toMatchObject({ reason: { code: 'store_unavailable' } });
    store.refuses = false;
    const again = chat.sessions.keep(session);
    store.letThrough();
    expect(chat.sessions.kept((await again).session.id)).toBe(await again);
    expect(chat.sessions.liveCount).toBe(1);
  });
});

describe('the places of a session are those of its record', () => {
  async function afterReading(change: ClientChange): Promise<[Session, ClientRecord]> {
    const store = new MemoryStore(limits);
    const chat = await startChat({ store });
    const { session } = await person(chat);
    await chat.sessions.write(session, change);
    await chat.sessions.refresh(session);
    return [session, (await store.client(session.id))!];
  }

  test('where it came into all of its rooms', async () => {
    const [session, { places, rooms }] = await afterReading({});
    expect([...places]).toEqual([[roomTopic('defaultRoom'), rooms.get('defaultRoom')!.floor]]);
    expect(session.places).toEqual(places);
  });

  test('where it has gone further', async () => {
    const further = new Map([[roomTopic('defaultRoom'), '9999999999999-1']]);
    const [session, { places }] = await afterReading({ places: further });
    expect(places).toEqual(further);
    expect(session.places).toEqual(further);
  });

  test('where it was told something in its own log', async () => {
    const own = clientTopic('newcomer');
    const [session, { places }] = await afterReading({ places: new Map([[own, '5-1']]) });
    expect([...places.keys()].sort()).toEqual([own, roomTopic('defaultRoom')]);
    expect(session.places).toEqual(places);
  });

  const anew = { listening: false, floor: '9-1', presenceFloor: '9-2' };
  test.each<[string, (session: Session) => void]>([
    ['it comes into a room anew', (session) => session.replace('defaultRoom', anew)],
    ['it comes into another one', (session) => session.enter('attic', anew)],
    ['it goes', (session) => session.exit('defaultRoom')],
  ])('as they were read, though %s', async (_, change) => {
    const [session, { places }] = await afterReading({});
    change(session);
    expect(session.places).toEqual(places);
  });

  test('where it has none in a room, because it was lost', async () => {
    const [session, record] = await afterReading({
      rooms: new Map([['attic', { listening: false, floor: '5-1', presenceFloor: '5-2' }]]),
    });
    expect(record.rooms.has('attic')).toBe(true);
    expect(session.places.has(roomTopic('attic'))).toBe(false);
    expect(session.places).toEqual(record.places);
  });
});
