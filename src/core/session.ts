/** One client as this node knows it: its rooms, its places, its attributes, and what hears for it here. */
import type { EntryId } from '../protocol/entry-id';
import { Few } from './few';
import { clientTopic, roomTopic, type Topic } from './entry';
import type { Attempt, ClientChange, ClientRecord, Floors, Written } from './store';

export interface HeardRoom extends Floors {
  readonly listening: boolean;
}

/** A link or a parked request of a live session; told when the client comes into a room or goes, on whatever node. */
export interface Hearer {
  roomAdded(room: string, heard: HeardRoom): void;
  roomRemoved(room: string): void;
  /** There is something in the client's own log, or may be: to be followed, be it that one does so already. */
  ownLogBegun(): void;
  /** The client is to be cut off (`connection.destroy()`, a lost record that cannot be remade). */
  close(reason: string): void;
}

/** A change of one's own that the store has not answered yet. */
export interface Writing {
  readonly change: ClientChange;
  /** The record was read meanwhile, and what this change is about was left as it is here. */
  overtaken: boolean;
}

const NO_WRITING: readonly Writing[] = [];
const NOTHING_UNFINISHED: ReadonlyMap<string, Attempt> = new Map();
const NO_ATTRIBUTES: ReadonlyMap<string, unknown> = new Map();
const NO_PLACES: ReadonlyMap<Topic, EntryId> = new Map();
const NOTHING_PENDING: ClientRecord['pending'] = { generation: 0, places: NO_PLACES };

/** What few clients have is not made for the others: there is one of these for everybody who is connected. */
export class Session {
  readonly #rooms = new Few<HeardRoom>();
  /** Another list with every change, so that whoever goes through one may change it. */
  hearers: readonly Hearer[] = [];
  /** The current room. */
  room: string | null = null;
  /** The version of the record that this is as. */
  version = 0;
  /** The highest version that anybody has told of. Above `version`, the record has to be read again. */
  told = 0;
  /** Tells a client's record from the one that it had before. */
  connectedAt = 0;
  /** How this client's former record was lost, when it had one. */
  revived: 'expired' | 'reset' | undefined;
  /** Undefined while in each of its rooms it is where it came in: so it is for most, and that needs no table. */
  #places: ReadonlyMap<Topic, EntryId> | undefined = NO_PLACES;
  pending = NOTHING_PENDING;
  /** What the store announces while there are any is likely our own doing: their answers tell. */
  writing = NO_WRITING;
  /** The highest version that came of a write of one's own. */
  #written = 0;
  /** What was being written when the record was last read was left as it is here: these have not told yet. */
  #leftOut = NO_WRITING;
  /** Rooms in which a change is under way, as far as is known of the record. */
  unfinished = NOTHING_UNFINISHED;
  /** Made by the request at hand; it stands in its rooms for a short time only until it comes back. */
  isNew = false;
  #attributes: Map<string, unknown> | undefined;

  /** What is told to this client alone. */
  readonly topic: Topic;

  constructor(readonly id: string) {
    this.topic = clientTopic(id);
  }

  get rooms(): Omit<Few<HeardRoom>, 'set' | 'delete'> {
    return this.#rooms;
  }

  /** Where it stood by its record when that was last read. */
  get places(): ReadonlyMap<Topic, EntryId> {
    return this.#places ?? new Map(Array.from(this.#rooms, ([room, { floor }]) => [roomTopic(room), floor]));
  }

  get attributes(): ReadonlyMap<string, unknown> {
    return this.#attributes ?? NO_ATTRIBUTES;
  }

  /** @param value null removes it */
  setAttribute(key: string, value: unknown): void {
    if (value === null) {
      this.#attributes?.delete(key);
      return;
    }
    this.#attributes ??= new Map();
    this.#attributes.set(key, value);
  }

  /** A value as `roomMatchKey` sees it: the id, or an attribute that an action set. Nothing else can be matched. */
  matched(key: string): string | undefined {
    if (key === 'id') return this.id;
    const value = this.attributes.get(key);
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      ? String(value)
      : undefined;
  }

  /** A room that it only listens to is its current one no more. */
  enter(room: string, heard: HeardRoom): void {
    this.replace(room, heard);
    if (heard.listening && this.room === room) this.room = null;
    for (const hearer of this.hearers) hearer.roomAdded(room, heard);
  }

  /** Without a word to those who hear: they were there all the time, or are told otherwise. */
  replace(room: string, heard: HeardRoom): void {
    if (this.#rooms.get(room)?.floor !== heard.floor) this.#places = this.places;
    this.#rooms.set(room, heard);
  }

  exit(room: string): void {
    if (this.room === room) this.room = null;
    if (!this.#rooms.has(room)) return;
    this.#places = this.places;
    this.#rooms.delete(room);
    for (const hearer of this.hearers) hearer.roomRemoved(room);
  }

  /** The record has, as far as is known, what is not here. */
  get isBehind(): boolean {
    return this.told > this.version || this.#leftOut.length > 0;
  }

  /** A write begins. Of places alone there is nothing to announce: it raises no version. */
  begin(change: ClientChange): Writing {
    const writing = { change, overtaken: false };
    if (raisesVersion(change)) this.writing = [...this.writing, writing];
    return writing;
  }

  end(writing: Writing): void {
    const others = this.writing.filter((other) => other !== writing);
    this.writing = others.length > 0 ? others : NO_WRITING;
  }

  /**
   * Notes what became of the record by a write. Only a version that this write made, right after the one that is known,
   * is ours: every other one tells of somebody else's change.
   * @returns false when the record has to be read again
   */
  wrote({ change, overtaken }: Writing, { version, connectedAt }: Written): boolean {
    const isAnother = this.version > 0 && connectedAt !== this.connectedAt;
    this.connectedAt = connectedAt;
    if (isAnother) {
      this.version = 0;
      this.told = version;
      this.#written = version;
      return false;
    }
    this.told = Math.max(this.told, version);
    if (!raisesVersion(change)) return version <= this.version;
    this.#written = Math.max(this.#written, version);
    if (version === this.version + 1) this.version = version;
    else if (overtaken) return false;
    return version <= this.version;
  }

  /** What was written from here, once the store has it: in the order of its answers, as others write as well. */
  take(writing: Writing): void {
    const { room, rooms } = writing.change;
    for (const [name, recorded] of rooms ?? []) {
      if (!recorded) this.exit(name);
      else if (recorded.floor !== undefined) this.#hear(name, recorded);
      this.#note(name, recorded && recorded.floor === undefined ? recorded : undefined);
    }
    if (room !== undefined) this.room = room;
    if (this.#leftOut.length > 0) this.#leftOut = this.#leftOut.filter((other) => other !== writing);
  }

  #note(room: string, attempt: Attempt | undefined): void {
    if (!attempt && !this.unfinished.has(room)) return;
    const unfinished = new Map(this.unfinished);
    if (attempt) unfinished.set(room, attempt);
    else unfinished.delete(room);
    this.unfinished = unfinished.size > 0 ? unfinished : NOTHING_UNFINISHED;
  }

  /** From before what is known here, or without what was written from here. */
  isPast({ version, connectedAt }: ClientRecord): boolean {
    if (connectedAt !== this.connectedAt) return connectedAt < this.connectedAt;
    return version < Math.max(this.version, this.#written);
  }

  /**
   * Takes over what the store has; rooms whose join is still under way stay out until that is done, and what is being
   * written from here stays as it is.
   */
  read(record: ClientRecord): void {
    const { writing } = this;
    for (const one of writing) one.overtaken = true;
    this.#leftOut = writing;
    this.unfinished = unfinishedOf(record);
    if (record.connectedAt !== this.connectedAt) this.#written = 0;
    this.version = record.version;
    this.connectedAt = record.connectedAt;
    this.revived = record.revived;
    this.#places = record.places;
    this.pending = record.pending;
    const attributes = new Map(record.attributes);
    for (const { change } of writing) {
      for (const key of change.attributes?.keys() ?? []) {
        if (this.attributes.has(key)) attributes.set(key, this.attributes.get(key));
        else attributes.delete(key);
      }
    }
    this.#attributes = attributes.size > 0 ? attributes : undefined;

    const isWritten = (room: string): boolean => writing.some(({ change }) => change.rooms?.has(room));
    for (const room of this.rooms.keys()) if (!record.rooms.has(room) && !isWritten(room)) this.exit(room);
    for (const [room, recorded] of record.rooms) {
      if (recorded.floor === undefined || isWritten(room)) continue;
      this.#hear(room, recorded);
    }
    if (this.#areFloors(record.places)) this.#places = undefined;
    if (writing.every(({ change }) => change.room === undefined)) this.room = record.room;
  }

  /** In each of its rooms the place is where it came in, and there is no other. */
  #areFloors(places: ReadonlyMap<Topic, EntryId>): boolean {
    if (places.size !== this.#rooms.size) return false;
    for (const [room, { floor }] of this.#rooms) if (places.get(roomTopic(room)) !== floor) return false;
    return true;
  }

  #hear(room: string, heard: HeardRoom): void {
    const known = this.rooms.get(room);
    if (!known || !isSame(known, heard)) this.enter(room, heard);
  }
}

function unfinishedOf({ rooms }: ClientRecord): ReadonlyMap<string, Attempt> {
  let unfinished: Map<string, Attempt> | undefined;
  for (const [room, recorded] of rooms) {
    if (recorded.floor === undefined) (unfinished ??= new Map()).set(room, recorded);
  }
  return unfinished ?? NOTHING_UNFINISHED;
}

function raisesVersion({ room, rooms, attributes }: ClientChange): boolean {
  return room !== undefined || rooms !== undefined || attributes !== undefined;
}

/** The same coming into a room, in the same way. */
export function isSame(one: HeardRoom, other: HeardRoom): boolean {
  return one.listening === other.listening && cameInAt(one, other);
}

/** The same coming into a room, and not another one after it was left. */
export function cameInAt(one: Floors, other: Floors): boolean {
  return one.floor === other.floor && one.presenceFloor === other.presenceFloor;
}

export function heardAs({ listening, floor, presenceFloor }: HeardRoom): HeardRoom {
  return { listening, floor, presenceFloor };
}
