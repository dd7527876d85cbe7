/**
 * The room core against a model of it, by commands in any order: two nodes on one store, clients that say, come, go, drop
 * and come back elsewhere. The model is what a user would write down: who is in a room, and what was said there.
 */
import fc from 'fast-check';
import { cursorOf, placesOf } from '../../src/core/cursors';
import { clientTopic, presenceTopic, roomTopic, type Topic } from '../../src/core/entry';
import { Feed } from '../../src/core/feed';
import { ChatError } from '../../src/protocol/errors';
import type { EntryId } from '../../src/protocol/entry-id';
import type { Chat } from '../../src/core/chat';
import { MemoryStore } from '../../src/store/memory-store';
import { closeChats, limits, listen, person, personOf, startChat, type KeptLink, type Person } from '../support/core';
import { eventually } from '../support/eventually';
import { seedOfRun } from '../support/random';

afterEach(closeChats);

const ROOMS = ['defaultRoom', 'den', 'garden'] as const;
type Room = (typeof ROOMS)[number];
const PEOPLE = 3;

/** What was said in a room, by whom, and who is there. */
interface ModelRoom {
  readonly said: { readonly by: number; readonly text: string }[];
  readonly present: Set<number>;
}
interface ModelPerson {
  connected: boolean;
  /** Where it has read up to in each room that it is in, or was in when its link dropped. */
  readonly places: Map<Room, number>;
  /** All that a link of its has to have been pushed since it was made. */
  pushed: string[];
}
interface Model {
  readonly rooms: ReadonlyMap<Room, ModelRoom>;
  readonly people: readonly ModelPerson[];
  texts: number;
}

interface RealPerson {
  node: number;
  person: Person;
  cursor: string;
  link: KeptLink;
  stop: (clean?: boolean) => void;
}
interface Real {
  readonly nodes: readonly Chat[];
  readonly people: RealPerson[];
  /** Each view of a room so far: its members, and the place at which that was true. */
  readonly views: { readonly room: Room; readonly members: readonly string[]; readonly at: EntryId }[];
}

type Command = fc.AsyncCommand<Model, Real>;

const refusal = async (work: Promise<unknown>): Promise<string | undefined> => {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof ChatError) return error.code;
    throw error;
  }
};

/** Pushes come with the next turn of the event loop. */
async function caughtUp(link: KeptLink, { pushed }: ModelPerson): Promise<void> {
  await eventually(() => link.texts.length >= pushed.length, 3000).catch(() => {
    throw new Error(`pushed: ${link.texts.join(', ')}\nand not: ${pushed.join(', ')}`);
  });
}

abstract class ByPerson implements Command {
  constructor(readonly who: number) {}

  check({ people }: Readonly<Model>): boolean {
    return people[this.who]!.connected;
  }

  abstract run(model: Model, real: Real): Promise<void>;
  /** How it stands in a counterexample. */
  abstract toString(): string;
}

class Say extends ByPerson {
  constructor(
    who: number,
    readonly room: Room,
  ) {
    super(who);
  }

  override async run(model: Model, real: Real): Promise<void> {
    const { node, person } = real.people[this.who]!;
    const chat = real.nodes[node]!;
    const text = `${String((model.texts += 1))} ${this.room}`;
    const refused = await refusal(chat.saying.say(person, this.room, text));
    const there = model.rooms.get(this.room)!;
    expect(refused).toBe(there.present.has(this.who) ? undefined : 'not_in_room');
    if (refused) return;
    there.said.push({ by: this.who, text });
    for (const hearer of there.present) if (hearer !== this.who) model.people[hearer]!.pushed.push(text);
  }

  override toString(): string {
    return `${String(this.who)} says in ${this.room}`;
  }
}

class Join extends ByPerson {
  constructor(
    who: number,
    readonly room: Room,
  ) {
    super(who);
  }

  override async run(model: Model, real: Real): Promise<void> {
    const { node, person } = real.people[this.who]!;
    const joining = real.nodes[node]!.rooms.join(person, this.room, { listening: false });
    const there = model.rooms.get(this.room)!;
    expect(await refusal(joining)).toBe(there.present.has(this.who) ? 'already_in_room' : undefined);
    if (there.present.has(this.who)) return;
    there.present.add(this.who);
    model.people[this.who]!.places.set(this.room, there.said.length);
  }

  override toString(): string {
    return `${String(this.who)} joins ${this.room}`;
  }
}

class Leave extends ByPerson {
  constructor(
    who: number,
    readonly room: Room,
  ) {
    super(who);
  }

  override async run(model: Model, real: Real): Promise<void> {
    const { node, person, link } = real.people[this.who]!;
    // Whoever leaves gives up what is on its way.
    await caughtUp(link, model.people[this.who]!);
    const leaving = real.nodes[node]!.rooms.leave(person, this.room);
    const there = model.rooms.get(this.room)!;
    expect(await refusal(leaving)).toBe(there.present.delete(this.who) ? undefined : 'not_in_room');
    model.people[this.who]!.places.delete(this.room);
  }

  override toString(): string {
    return `${String(this.who)} leaves ${this.room}`;
  }
}

/** By a cursor, at any node: exactly what followed it. */
class Read extends ByPerson {
  constructor(
    who: number,
    readonly at: number,
  ) {
    super(who);
  }

  override async run(model: Model, real: Real): Promise<void> {
    const own = real.people[this.who]!;
    const chat = real.nodes[this.at]!;
    const session = (await chat.sessions.load(own.person.session.id))!;
    const client = personOf(chat, session);
    const feed = new Feed(chat, { session, client, echo: false }, { presence: false, follow: false });
    await feed.start(placesOf(chat, session, own.cursor));
    const heard: { message: string; room: string }[] = [];
    for (;;) {
      const page = await feed.next(7);
      expect(page.gaps).toEqual([]);
      if (page.heard.length === 0) break;
      heard.push(...page.heard.map(({ json }) => JSON.parse(json) as { message: string; room: string }));
    }
    own.cursor = cursorOf(chat, new Map([...feed.places]));
    feed.close();
    const { places } = model.people[this.who]!;
    for (const room of ROOMS) {
      const { said } = model.rooms.get(room)!;
      const expected = said.slice(places.get(room) ?? said.length).filter(({ by }) => by !== this.who);
      const given = heard.filter((message) => message.room === room).map(({ message }) => message);
      expect(given).toEqual(expected.map(({ text }) => text));
      if (places.has(room)) places.set(room, said.length);
    }
  }

  override toString(): string {
    return `${String(this.who)} reads at node ${String(this.at)}`;
  }
}

/** Its link ends; it says goodbye or not, and the grace is none here: it is no member any more. */
class Go extends ByPerson {
  override async run(model: Model, real: Real): Promise<void> {
    const own = real.people[this.who]!;
    const mine = model.people[this.who]!;
    await caughtUp(own.link, mine);
    expect([...own.link.texts].sort()).toEqual([...mine.pushed].sort());
    own.stop(true);
    mine.connected = false;
    for (const { present } of model.rooms.values()) present.delete(this.who);
    const chat = real.nodes[own.node]!;
    await eventually(async () => {
      const views = await Promise.all(
        [...mine.places.keys()].map((room) => chat.rooms.view(room).catch(() => undefined)),
      );
      return views.every((view) => !view?.members.some(({ id }) => id === own.person.session.id));
    });
  }

  override toString(): string {
    return `${String(this.who)} goes`;
  }
}

/** At any node, as whom it was: in its rooms again, and nothing of what was said meanwhile is lost to it. */
class Return extends ByPerson {
  constructor(
    who: number,
    readonly at: number,
  ) {
    super(who);
  }

  override check({ people }: Readonly<Model>): boolean {
    return !people[this.who]!.connected;
  }

  override async run(model: Model, real: Real): Promise<void> {
    const own = real.people[this.who]!;
    const mine = model.people[this.who]!;
    const chat = real.nodes[this.at]!;
    const session = (await chat.sessions.load(own.person.session.id))!;
    const again = personOf(chat, session);
    for (const [room, heard] of [...session.rooms]) await chat.memberships.rejoin(again, room, heard);
    mine.connected = true;
    mine.pushed = [];
    for (const [room, place] of mine.places) {
      const there = model.rooms.get(room)!;
      there.present.add(this.who);
      const missed = there.said.slice(place).filter(({ by }) => by !== this.who);
      mine.pushed.push(...missed.map(({ text }) => text));
    }
    const { link, stop } = await listen(chat, again, { places: placesOf(chat, session, own.cursor) });
    real.people[this.who] = { ...own, node: this.at, person: again, link, stop };
  }

  override toString(): string {
    return `${String(this.who)} returns at node ${String(this.at)}`;
  }
}

/** The members are the model's; and each view before this one, with what the presence log tells since, is this one. */
class View implements Command {
  constructor(
    readonly room: Room,
    readonly at: number,
  ) {}

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const chat = real.nodes[this.at]!;
    const there = model.rooms.get(this.room)!;
    const view = await chat.rooms.view(this.room).catch(() => undefined);
    const members = (view?.members ?? []).map(({ id }) => id).sort();
    expect(members).toEqual([...there.present].map((who) => real.people[who]!.person.session.id).sort());
    if (!view) {
      // A room that nobody spoke in goes with its last member, and its log with it.
      real.views.splice(0, Infinity, ...real.views.filter(({ room }) => room !== this.room));
      return;
    }
    for (const before of real.views.filter(({ room }) => room === this.room)) {
      const { entries, state } = await chat.store.read(presenceTopic(this.room), before.at, 100_000);
      if (!state || entries[0]?.prev !== before.at) continue;
      const folded = new Set(before.members);
      for (const { data } of entries) {
        const { event, id } = JSON.parse(`${data}}`) as { event: 'join' | 'leave'; id: string };
        // Every entry changes something: nobody joins who is there, or leaves who is not.
        expect(folded.has(id)).toBe(event === 'leave');
        if (event === 'join') folded.add(id);
        else folded.delete(id);
      }
      expect([...folded].sort()).toEqual(members);
    }
    real.views.push({ room: this.room, members, at: view.presence });
  }

  toString(): string {
    return `${this.room} is looked at from node ${String(this.at)}`;
  }
}

const who = fc.nat(PEOPLE - 1);
const node = fc.nat(1);
const room = fc.constantFrom(...ROOMS);
const commands = fc.commands(
  [
    fc.tuple(who, room).map(([person, name]) => new Say(person, name)),
    fc.tuple(who, room).map(([person, name]) => new Say(person, name)),
    fc.tuple(who, room).map(([person, name]) => new Join(person, name)),
    fc.tuple(who, room).map(([person, name]) => new Leave(person, name)),
    fc.tuple(who, node).map(([person, at]) => new Read(person, at)),
    who.map((person) => new Go(person)),
    fc.tuple(who, node).map(([person, at]) => new Return(person, at)),
    fc.tuple(room, node).map(([name, at]) => new View(name, at)),
  ],
  { maxCommands: 60, size: 'max' },
);

async function begin(): Promise<{ model: Model; real: Real }> {
  const store = new MemoryStore(limits);
  const nodes = [await startChat({ store }), await startChat({ store })];
  const rooms = new Map<Room, ModelRoom>(ROOMS.map((name) => [name, { said: [], present: new Set() }]));
  const real: Real = { nodes, people: [], views: [] };
  const people: ModelPerson[] = [];
  for (let nth = 0; nth < PEOPLE; nth += 1) {
    const chat = nodes[nth % 2]!;
    const one = await person(chat);
    const { link, stop } = await listen(chat, one);
    const own: [Topic, EntryId] = [clientTopic(one.session.id), '0-0'];
    const floor: [Topic, EntryId] = [roomTopic('defaultRoom'), one.session.rooms.get('defaultRoom')!.floor];
    real.people.push({ node: nth % 2, person: one, cursor: cursorOf(chat, new Map([own, floor])), link, stop });
    people.push({ connected: true, places: new Map([['defaultRoom', 0]]), pushed: [] });
    rooms.get('defaultRoom')!.present.add(nth);
  }
  return { model: { rooms, people, texts: 0 }, real };
}

const seed = seedOfRun();
/** More of it: MODEL_RUNS=5000. */
const numRuns = Number(process.env['MODEL_RUNS'] ?? 40);

test(`whatever people do, in whatever order, the core does as its model (SEED=${String(seed)})`, async () => {
  const property = fc.asyncProperty(commands, async (some) => {
    const { model, real } = await begin();
    await fc.asyncModelRun(() => ({ model, real }), some);
    for (const [nth, { link }] of real.people.entries()) {
      const { connected, pushed } = model.people[nth]!;
      if (!connected) continue;
      await caughtUp(link, model.people[nth]!);
      for (const name of ROOMS) {
        const of = (texts: readonly unknown[]): unknown[] => texts.filter((text) => String(text).endsWith(` ${name}`));
        expect(of(link.texts)).toEqual(of(pushed));
      }
    }
    await closeChats();
  });
  await fc.assert(property, { seed, numRuns });
});
