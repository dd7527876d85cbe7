/** One client as this node knows it: its rooms, its places, its attributes, and what hears for it here. */
import type { EntryId } from '../protocol/entry-id';
import type { Topic } from './entry';
import type { ClientRecord } from './store';

export interface HeardRoom {
  readonly listening: boolean;
  /** Nothing before this place is for this client. */
  readonly floor: EntryId;
}

/** A link or a parked request of a live session; told when the client comes into a room or goes, on whatever node. */
export interface Hearer {
  roomAdded(room: string, heard: HeardRoom): void;
  roomRemoved(room: string): void;
  /** The client is to be cut off (`connection.destroy()`, a lost record that cannot be remade). */
  close(reason: string): void;
}

const NO_ATTRIBUTES: ReadonlyMap<string, unknown> = new Map();
const NO_PLACES: ReadonlyMap<Topic, EntryId> = new Map();
const NOTHING_PENDING: ClientRecord['pending'] = { generation: 0, places: NO_PLACES };

/** What few clients have is not made for the others: there is one of these for everybody who is connected. */
export class Session {
  readonly rooms = new Map<string, HeardRoom>();
  /** Another list with every change, so that whoever goes through one may change it. */
  hearers: readonly Hearer[] = [];
  /** The current room. */
  room: string | null = null;
  version = 0;
  connectedAt = 0;
  /** How this client's former record was lost, when it had one. */
  revived: 'expired' | 'reset' | undefined;
  places = NO_PLACES;
  pending = NOTHING_PENDING;
  /** Own writes under way: what the store announces meanwhile is likely our own doing. */
  writing = 0;
  /** Made by the request at hand; it stands in its rooms for a short time only until it comes back. */
  isNew = false;
  #attributes: Map<string, unknown> | undefined;

  constructor(readonly id: string) {}

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

  enter(room: string, heard: HeardRoom): void {
    this.rooms.set(room, heard);
    for (const hearer of this.hearers) hearer.roomAdded(room, heard);
  }

  exit(room: string): void {
    if (!this.rooms.delete(room)) return;
    if (this.room === room) this.room = null;
    for (const hearer of this.hearers) hearer.roomRemoved(room);
  }

  /** Takes over what the store has; rooms whose join is still under way stay out until that is done. */
  read(record: ClientRecord): void {
    this.version = record.version;
    this.connectedAt = record.connectedAt;
    this.revived = record.revived;
    this.places = record.places;
    this.pending = record.pending;
    this.#attributes = record.attributes.size > 0 ? new Map(record.attributes) : undefined;
    for (const room of [...this.rooms.keys()]) if (!record.rooms.has(room)) this.exit(room);
    for (const [room, { listening, floor }] of record.rooms) {
      if (floor === undefined) continue;
      const known = this.rooms.get(room);
      if (known?.floor !== floor || known.listening !== listening) this.enter(room, { listening, floor });
    }
    this.room = record.room;
  }
}
