/** Who this client is and what it has had: all that must outlive a link, and in a page its reload. */
import type { Frame } from './link';
import { parsed } from './parsed';
import type { ClientOptions } from './types';

interface Record {
  readonly id?: string;
  readonly session?: string;
  readonly cursor?: string;
  readonly rooms: readonly string[];
  readonly seen: readonly (readonly [string, string])[];
}

const NOTHING: Record = { rooms: [], seen: [] };

export class Kept {
  id: string | undefined;
  /** The token, where no cookie has it. */
  session: string | undefined;
  /** A place in the logs of all rooms: everything up to it has been heard, and perhaps more. */
  cursor: string | undefined;
  /** Where it wants to be. */
  rooms: Set<string>;
  /** What was heard last in each log. A WebSocket's cursor lags behind: what it brings again is known by this. */
  readonly #seen: Map<string, string>;

  /** @param cookies a cookie has the token, until a server turns out to have none */
  constructor(
    readonly storage: ClientOptions['storage'],
    readonly key: string,
    public cookies: boolean,
  ) {
    const { id, session, cursor, rooms, seen } = (parsed(storage?.getItem(key) ?? '') as Record | undefined) ?? NOTHING;
    Object.assign(this, { id, session, cursor });
    this.rooms = new Set(rooms);
    this.#seen = new Map(seen);
  }

  /** False for what was heard before. */
  isNew(frame: Frame): boolean {
    const { id } = frame;
    if (frame['context'] === 'presence') return this.#isNewPresence(frame);
    // An object that was sent to this client alone may bring an `id` of its own.
    if (typeof id !== 'string' || !id.startsWith(`${String(frame['sentAt'])}-`)) return true;
    const log = `said ${(frame['room'] as string | undefined) ?? ''}`;
    if (!isAfter(id, this.#seen.get(log))) return false;
    this.#seen.set(log, id);
    return true;
  }

  /** The room's log began anew, or goes on from an earlier place: what is known of it says nothing any more. */
  forget(room = ''): void {
    this.#seen.delete(`said ${room}`);
    this.#seen.delete(`presence ${room}`);
  }

  save(): void {
    const { id, session, cursor } = this;
    try {
      this.storage?.setItem(
        this.key,
        JSON.stringify({ id, session, cursor, rooms: [...this.rooms], seen: [...this.#seen] }),
      );
    } catch {
      // Full, or forbidden: then the place does not outlive a reload.
    }
  }

  /** The client was ended on purpose: nobody goes on as it. */
  drop(): void {
    this.storage?.removeItem(this.key);
  }

  /** An entry of a presence log is known by its time, and within a millisecond by what it says. */
  #isNewPresence({ room, at, event, id }: Frame): boolean {
    const log = `presence ${String(room)}`;
    const what = `${String(event)}:${String(id)} `;
    const now = `${String(at)} `;
    const last = this.#seen.get(log) ?? '';
    const same = last.startsWith(now);
    if (Number(at) < parseInt(last) || (same && last.includes(what))) return false;
    this.#seen.set(log, (same ? last : now) + what);
    return true;
  }
}

/** Entry ids are `<ms>-<seq>`; where a log began anew, its times tell before its numbers do. */
function isAfter(id: string, last = '0-0'): boolean {
  const [ms = '', seq] = id.split('-');
  const [lastMs, lastSeq] = last.split('-');
  return Number(ms) > Number(lastMs) || (ms === lastMs && Number(seq) > Number(lastSeq));
}
