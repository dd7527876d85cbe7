/** The clients' records in Redis: the hash `queue:{id}`, which dies with the client's TTL. */
import { presenceTopic, roomTopic, type Topic } from '../../core/entry';
import type { ClientChange, ClientRecord, Delivery, RecordedRoom, Written } from '../../core/store';
import type { EntryId } from '../../protocol/entry-id';
import { ChatError } from '../../protocol/errors';
import { listOf, type Context, type Reply } from './context';

/** Fields of many have a letter in front: r:<room> its entry, a:<attribute> JSON, p:<topic> the place in it. */
export class Clients {
  constructor(readonly context: Context) {}

  async client(id: string): Promise<ClientRecord | undefined> {
    const { calls, keys } = this.context;
    const [record] = keys.client(id);
    const fields = new Map(Object.entries(await calls.read((client) => client.hgetall(record))));
    const version = fields.get('v');
    return version === undefined ? undefined : decodeRecord(Number(version), fields);
  }

  async writeClient(
    id: string,
    change: ClientChange,
    options: { readonly ttlMs: number; readonly create: boolean },
  ): Promise<Written | undefined> {
    const { calls, keys, publish } = this.context;
    const removed: string[] = [];
    const set: string[] = [];
    if (change.revived !== undefined) set.push('revived', change.revived);
    if (change.room === null) removed.push('room');
    else if (change.room !== undefined) set.push('room', change.room);
    for (const [room, recorded] of change.rooms ?? []) {
      if (recorded) set.push(`r:${room}`, encodeRoom(recorded));
      else removed.push(`r:${room}`, `p:${roomTopic(room)}`, `p:${presenceTopic(room)}`);
    }
    for (const [key, value] of change.attributes ?? []) {
      if (value === null || value === undefined) removed.push(`a:${key}`);
      else set.push(`a:${key}`, JSON.stringify(value));
    }
    for (const [topic, place] of change.places ?? []) set.push(`p:${topic}`, place);

    const counts = change.room !== undefined || change.rooms !== undefined || change.attributes !== undefined;
    const { mostRooms = 0, expects } = change;
    const conditions = [mostRooms, expects ? `r:${expects.room}` : '', expects?.as ? encodeRoom(expects.as) : ''];
    const flags = [options.create ? '1' : '0', counts ? '1' : '0', ...conditions];
    const parameters = [publish, milliseconds(options.ttlMs), ...flags, removed.length, ...removed, ...set];
    const reply = (await calls.script('writeClient', keys.client(id), parameters)) as Reply;
    if (reply === null) return undefined;
    if (reply === 'not_in_room') throw new ChatError(reply, expects?.room);
    if (reply === 'too_many_rooms') throw new ChatError(reply, String(mostRooms));
    const [version, connectedAt, roomBefore] = listOf(reply);
    if (counts) this.#announce(id, Number(version));
    return {
      version: Number(version),
      connectedAt: Number(connectedAt),
      roomBefore: roomBefore === null ? null : String(roomBefore),
    };
  }

  async renewClient(id: string, ttlMs: number): Promise<number | undefined> {
    const { calls, keys } = this.context;
    const version = await calls.script('renewClient', keys.client(id), [milliseconds(ttlMs)]);
    return version === null ? undefined : Number(version);
  }

  async deliver(id: string, delivery: Delivery, ttlMs: number): Promise<number | undefined> {
    const { calls, keys } = this.context;
    const pending = JSON.stringify([...delivery.pending]);
    const confirmed = [...delivery.confirmed].flatMap(([topic, place]) => [`p:${topic}`, place]);
    const parameters = [milliseconds(ttlMs), delivery.from, pending, ...confirmed];
    const generation = await calls.script('deliver', keys.client(id), parameters);
    return generation === null ? undefined : Number(generation);
  }

  async removeClient(id: string): Promise<void> {
    const { calls, keys, publish } = this.context;
    const version = await calls.script('removeClient', keys.client(id), [publish]);
    if (version !== null) this.#announce(id, Number(version));
  }

  #announce(id: string, version: number): void {
    const [, log] = this.context.keys.client(id);
    this.context.announce(log, `1\nchanged\n${String(version)}`);
  }
}

function decodeRecord(version: number, fields: ReadonlyMap<string, string>): ClientRecord {
  const rooms = new Map<string, RecordedRoom>();
  const attributes = new Map<string, unknown>();
  const places = new Map<Topic, EntryId>();
  for (const [field, value] of fields) {
    const name = field.slice(2);
    if (field.startsWith('r:')) rooms.set(name, decodeRoom(value));
    else if (field.startsWith('a:')) attributes.set(name, JSON.parse(value));
    else if (field.startsWith('p:')) places.set(name as Topic, value);
  }
  const revived = fields.get('revived');
  return {
    version,
    connectedAt: Number(fields.get('at')),
    revived: revived === 'expired' || revived === 'reset' ? revived : undefined,
    room: fields.get('room') ?? null,
    rooms,
    attributes,
    places,
    pending: {
      generation: Number(fields.get('gen') ?? 0),
      places: new Map(JSON.parse(fields.get('pend') ?? '[]') as [Topic, EntryId][]),
    },
  };
}

/** `m` or `l`, then where it came in, in both logs; while a change is under way `?`, then which. */
function encodeRoom(room: RecordedRoom): string {
  if (room.floor === undefined) return `? ${room.attempt}`;
  return `${room.listening ? 'l' : 'm'} ${room.floor} ${room.presenceFloor}`;
}

function decodeRoom(text: string): RecordedRoom {
  const [kind = '', first = '', presenceFloor = ''] = text.split(' ');
  if (kind === '?') return { floor: undefined, attempt: first };
  return { listening: kind === 'l', floor: first, presenceFloor };
}

function milliseconds(duration: number): number {
  return Math.max(1, Math.round(duration));
}
