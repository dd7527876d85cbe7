/** The clients' records of the memory store; each dies with its TTL. */
import { isDeepStrictEqual } from 'node:util';
import type { ClientChange, ClientRecord, Delivery, RecordedRoom, StoreLimits, Written } from '../core/store';
import { presenceTopic, roomTopic, type Topic } from '../core/entry';
import type { EntryId } from '../protocol/entry-id';
import { ChatError } from '../protocol/errors';
import { bytesOf, type Budget } from './memory-budget';
import { MemoryLog } from './memory-log';

interface StoredClient {
  version: number;
  readonly connectedAt: number;
  revived: 'expired' | 'reset' | undefined;
  room: string | null;
  rooms: PackedRooms;
  /** These are replaced and never changed. Of a room where the place is where the client came in, its entry tells. */
  places: ReadonlyMap<Topic, EntryId>;
  pending: ReadonlyMap<Topic, EntryId>;
  /** As JSON, so that no caller shares an object with the store. */
  attributes: ReadonlyMap<string, string>;
  generation: number;
  expiresAt: number;
  log: MemoryLog | undefined;
  /** As it was last counted. */
  bytes: number;
}

/** What each costs, about: a record, and a room in it together with its member's entry there. */
const COST = { client: 1500, membership: 1000 } as const;

export class MemoryClients {
  readonly #clients = new Map<string, StoredClient>();

  constructor(
    readonly limits: StoreLimits,
    readonly now: () => number,
    readonly budget: Budget,
    readonly announce: (id: string, version: number) => void,
  ) {}

  record(id: string): ClientRecord | undefined {
    const stored = this.#live(id);
    if (!stored) return undefined;
    const { version, connectedAt, revived, room, generation, pending } = stored;
    const { rooms, places } = unpacked(stored);
    const attributes = stored.attributes.size > 0 ? parsed(stored.attributes) : NONE;
    const undelivered = generation === 0 ? NEVER_ANSWERED : { generation, places: pending };
    return { version, connectedAt, revived, room, rooms, attributes, places, pending: undelivered };
  }

  /** @throws ChatError not_in_room, too_many_rooms, store_full */
  write(
    id: string,
    change: ClientChange,
    options: { readonly ttlMs: number; readonly create: boolean },
  ): Written | undefined {
    const known = this.#live(id);
    const { expects, mostRooms } = change;
    const { rooms, places } = unpacked(known ?? NOWHERE);
    if (known && expects) {
      const recorded = rooms.get(expects.room);
      const isAnother = expects.as && !isDeepStrictEqual(recorded, expects.as);
      if (!recorded || isAnother) throw new ChatError('not_in_room', expects.room);
    }
    if (mostRooms && new Set([...rooms.keys(), ...(change.rooms?.keys() ?? [])]).size > mostRooms) {
      throw new ChatError('too_many_rooms', String(mostRooms));
    }
    if (!known && !options.create) return undefined;
    const stored = known ?? this.#make(id);
    stored.expiresAt = this.now() + options.ttlMs;
    const roomBefore = stored.room;
    apply(change, stored, rooms, places);
    this.#weigh(stored);
    if (stored.version === 0 || change.room !== undefined || change.rooms || change.attributes) {
      stored.version += 1;
      this.announce(id, stored.version);
    }
    const { version, connectedAt } = stored;
    return { version, connectedAt, roomBefore };
  }

  /** Its version; undefined when there is none. */
  renew(id: string, ttlMs: number): number | undefined {
    const stored = this.#live(id);
    if (stored) stored.expiresAt = this.now() + ttlMs;
    return stored?.version;
  }

  /** The generation that confirms it; undefined when there is no record. */
  deliver(id: string, delivery: Delivery, ttlMs: number): number | undefined {
    const stored = this.#live(id);
    if (!stored) return undefined;
    const { rooms, places } = unpacked(stored);
    if (delivery.from === stored.generation) pack(stored, rooms, new Map([...places, ...delivery.confirmed]));
    stored.generation += 1;
    stored.pending = new Map(delivery.pending);
    stored.expiresAt = this.now() + ttlMs;
    return stored.generation;
  }

  remove(id: string): void {
    const stored = this.#live(id);
    if (!stored) return;
    this.#drop(id, stored);
    this.announce(id, stored.version + 1);
  }

  /** The log of what is said to this client alone; none without a record. */
  log(id: string, create: boolean): MemoryLog | undefined {
    const stored = this.#live(id);
    if (stored && create) stored.log ??= new MemoryLog(this.limits, this.now, this.budget);
    return stored?.log;
  }

  /** Lets go of what has expired. */
  tidy(): void {
    const now = this.now();
    this.#clients.forEach((stored, id) => {
      if (stored.expiresAt > now) stored.log?.expire();
      else this.#drop(id, stored);
    });
  }

  #make(id: string): StoredClient {
    if (this.budget.full) throw new ChatError('store_full');
    const stored: StoredClient = {
      version: 0,
      connectedAt: this.now(),
      revived: undefined,
      room: null,
      // One by one: of a literal with a spread V8 makes two objects.
      rooms: NOWHERE.rooms,
      places: NOWHERE.places,
      attributes: NONE,
      generation: 0,
      pending: NONE,
      expiresAt: 0,
      log: undefined,
      bytes: 0,
    };
    this.#clients.set(id, stored);
    return stored;
  }

  #live(id: string): StoredClient | undefined {
    const stored = this.#clients.get(id);
    if (!stored) return undefined;
    if (stored.expiresAt > this.now()) return stored;
    this.#drop(id, stored);
    return undefined;
  }

  #drop(id: string, { log, bytes }: StoredClient): void {
    this.#clients.delete(id);
    this.budget.add(-bytes);
    log?.release();
  }

  #weigh(stored: StoredClient): void {
    let bytes = COST.client + COST.membership * (stored.rooms.length / ROOM_PARTS);
    for (const [key, json] of stored.attributes) bytes += bytesOf(key) + bytesOf(json);
    this.budget.add(bytes - stored.bytes);
    stored.bytes = bytes;
  }
}

/** With a room that is left its places go as well; that one, or one that is only listened to, is the current one no more. */
function apply(
  change: ClientChange,
  stored: StoredClient,
  rooms: Map<string, RecordedRoom>,
  places: Map<Topic, EntryId>,
): void {
  if (change.revived !== undefined) stored.revived = change.revived;
  if (change.room !== undefined) stored.room = change.room;
  if (change.rooms) {
    for (const [room, recorded] of change.rooms) {
      if (recorded) {
        rooms.set(room, recorded);
        if (recorded.floor !== undefined && recorded.listening && stored.room === room) stored.room = null;
        continue;
      }
      rooms.delete(room);
      if (stored.room === room) stored.room = null;
      places.delete(roomTopic(room));
      places.delete(presenceTopic(room));
    }
  }
  if (change.attributes) {
    const attributes = new Map(stored.attributes);
    for (const [key, value] of change.attributes) {
      if (value === null || value === undefined) attributes.delete(key);
      else attributes.set(key, JSON.stringify(value));
    }
    stored.attributes = attributes;
  }
  for (const [topic, place] of change.places ?? []) places.set(topic, place);
  pack(stored, rooms, places);
}

/**
 * Of each room its name, what is recorded of it, and whether the client's place there is where it came in. A map has a
 * table for four, and most clients are in one room, from which they were told nothing by a request.
 */
type PackedRooms = readonly (string | RecordedRoom | boolean)[];
const ROOM_PARTS = 3;

type Packed = Pick<StoredClient, 'rooms' | 'places'>;

interface Unpacked {
  readonly rooms: Map<string, RecordedRoom>;
  readonly places: Map<Topic, EntryId>;
}

function unpacked(packed: Packed): Unpacked {
  const rooms = new Map<string, RecordedRoom>();
  const places = new Map(packed.places);
  for (let at = 0; at < packed.rooms.length; at += ROOM_PARTS) {
    const [room, recorded, isAtFloor] = packed.rooms.slice(at, at + ROOM_PARTS) as [string, RecordedRoom, boolean];
    rooms.set(room, recorded);
    if (isAtFloor && recorded.floor !== undefined) places.set(roomTopic(room), recorded.floor);
  }
  return { rooms, places };
}

function pack(stored: Packed, rooms: ReadonlyMap<string, RecordedRoom>, places: Map<Topic, EntryId>): void {
  const packed: (string | RecordedRoom | boolean)[] = [];
  for (const [room, recorded] of rooms) {
    const topic = roomTopic(room);
    const isAtFloor = recorded.floor !== undefined && places.get(topic) === recorded.floor;
    if (isAtFloor) places.delete(topic);
    packed.push(room, recorded, isAtFloor);
  }
  // A list that grew has room for more; a slice of it has none.
  stored.rooms = packed.slice();
  stored.places = places.size > 0 ? places : NONE;
}

const NONE: ReadonlyMap<never, never> = new Map<never, never>();
const NOWHERE: Packed = { rooms: [], places: NONE };
/** Most clients keep no place here. */
const NEVER_ANSWERED: ClientRecord['pending'] = { generation: 0, places: NONE };

function parsed(attributes: ReadonlyMap<string, string>): Map<string, unknown> {
  return new Map([...attributes].map(([key, json]) => [key, JSON.parse(json)]));
}
