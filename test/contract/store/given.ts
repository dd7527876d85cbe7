/** Short ways to say what a store's test is about. */
import type { Entry, NewEntry, Topic } from '../../../src/core/entry';
import type {
  Appended,
  AppendOptions,
  Follower,
  Holder,
  Joined,
  JoinRequest,
  Membership,
  Store,
} from '../../../src/core/store';
import type { EntryId } from '../../../src/protocol/entry-id';
import { BEGINNING } from '../../../src/protocol/entry-id';
import { eventually } from '../../support/eventually';

let keys = 0;

/** Appends a text that nobody said, with a key that nobody used. */
export function tell(
  store: Store,
  topic: Topic,
  entry: string | NewEntry,
  options: Partial<AppendOptions> = {},
): Promise<Appended> {
  const whole = typeof entry === 'string' ? { data: entry, speaker: '' } : entry;
  return store.append(topic, whole, { key: `key ${++keys}`, keyMs: 10_000, create: true, ...options });
}

/** The same, where it is sure to go in. */
export async function told(store: Store, topic: Topic, data: string): Promise<EntryId> {
  const appended = await tell(store, topic, data);
  if (appended.outcome !== 'appended') throw new Error(`not appended: ${appended.outcome}`);
  return appended.id;
}

export async function texts(store: Store, topic: Topic, after: EntryId = BEGINNING): Promise<string[]> {
  return (await store.read(topic, after, 10_000)).entries.map(({ data }) => data);
}

export const node = (name = 'n1', leaseMs = 60_000): Holder => ({ node: name, leaseMs });
export const web = (leaseMs = 60_000): Holder => ({ web: true, leaseMs });

export function enter(store: Store, room: string, client: string, options: Partial<JoinRequest> = {}): Promise<Joined> {
  return store.join({ room, client, listening: false, holders: [node()], create: true, ...options });
}

/** The same, where it is sure to succeed. */
export async function joined(...parameters: Parameters<typeof enter>): Promise<Membership> {
  const answer = await enter(...parameters);
  if (answer.outcome !== 'joined') throw new Error(`not joined: ${answer.outcome}`);
  return answer.membership;
}

export async function memberIds(store: Store, room: string): Promise<string[] | undefined> {
  const view = await store.view(room, { limit: 1000, sweep: false });
  return view?.members.map(({ id }) => id);
}

export interface PresenceEvent {
  readonly event: 'join' | 'leave';
  readonly id: string;
  readonly room: string;
}

export async function presenceEvents(store: Store, room: string, after: EntryId = BEGINNING): Promise<PresenceEvent[]> {
  return (await texts(store, `presence:${room}`, after)).map((data) => JSON.parse(`${data}}`) as PresenceEvent);
}

/** Until the store's clock has moved on: two logs of one name then have two births. */
export async function nextMillisecond(): Promise<void> {
  const now = Date.now();
  await eventually(() => Date.now() > now + 1);
}

/** A follower that keeps what it hears. */
export class Ear implements Follower {
  readonly entries: Entry[] = [];
  readonly versions: number[] = [];
  stales = 0;

  get texts(): string[] {
    return this.entries.map(({ data }) => data);
  }

  entry(entry: Entry): void {
    this.entries.push(entry);
  }
  stale(): void {
    this.stales += 1;
  }
  changed(version: number): void {
    this.versions.push(version);
  }
}
