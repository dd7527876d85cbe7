/**
 * What outlives connections and is shared by nodes: logs, members, client records. The core owns this contract;
 * `test/contract/store.ts` holds every implementation to it, line by line.
 *
 * Of every method: a `ChatError` `store_unavailable` means nothing was done; `outcome_unknown` means it may have been
 * (repeat it: every write is safe to repeat); `store_full` means that the store refused it whole.
 */
import type { EntryId } from '../protocol/entry-id';
import type { Entry, NewEntry, Topic } from './entry';
import type { Histogram } from './histogram';

/** Where a log stands. */
export interface LogState {
  /** The last entry's id, also after that entry is gone; `born` when there never was one. */
  readonly last: EntryId;
  /** `<ms>-0` of the log's making. A place from before it belongs to another log of the same name. */
  readonly born: EntryId;
  /** The highest `seq` that was dropped because the log was full, not because it was old. 0 when none was. */
  readonly trimmed: number;
}

export interface Slice {
  /** Unexpired entries after the asked place, oldest first, each the `prev` of the next. */
  readonly entries: readonly Entry[];
  /** Undefined: there is no such log. From the same instant as `entries`. */
  readonly state: LogState | undefined;
}

/** Told of appends as they happen. A hint that may come late, doubled, out of order or never: the log is the truth. */
export interface Follower {
  entry(entry: Entry): void;
  /** Announcements may have been lost, or tell no more than that the log moved: read again. */
  stale(): void;
  /** Of a client's topic only: its record has this version now. */
  changed(version: number): void;
}

export interface AppendOptions {
  /**
   * Makes the append idempotent: the same key within `keyMs` answers the first id and appends nothing. Without one it is
   * for the store to see that what it repeats by itself, when an answer is lost on the way, is appended once.
   */
  readonly key?: string | undefined;
  readonly keyMs?: number | undefined;
  /** Refuse unless this client is a member of the topic's room. */
  readonly member?: string | undefined;
  /** Bring the log into being when there is none; else the answer is `no_log`. */
  readonly create: boolean;
}

export type Appended =
  { readonly outcome: 'appended' | 'repeated'; readonly id: EntryId } | { readonly outcome: 'not_member' | 'no_log' };

/** Who keeps a member in its room: a node, by its lease, or the client's own coming back over HTTP, until a time. */
export type Holder =
  { readonly node: string; readonly leaseMs: number } | { readonly web: true; readonly leaseMs: number };

export interface JoinRequest {
  readonly room: string;
  readonly client: string;
  readonly listening: boolean;
  readonly holders: readonly Holder[];
  /** False: `no_room` unless the room exists already. */
  readonly create: boolean;
  /**
   * Set when a client that was here comes back (its lease had run out, or the store lost the room): it goes on from
   * these, unless the room's log was born after that, which marks the member `afterReset`.
   */
  readonly rejoinFrom?: Floors | undefined;
}

/** Where a client came into a room: nothing before it is for this client. */
export interface Floors {
  readonly floor: EntryId;
  /** The same in the presence log, right after its own coming. */
  readonly presenceFloor: EntryId;
}

/** A member's or listener's entry in its room: the truth for say, roomView and the floor of every cursor. */
export interface Membership extends Floors {
  readonly listening: boolean;
  readonly joinedAt: number;
  /** The entry was remade after the room's log was lost: a place before `floor` is told as `reset`. */
  readonly afterReset: boolean;
}

interface Entered {
  readonly membership: Membership;
  /** A node among the holders had no lease in the room: whomever else it holds there may be gone. */
  readonly leaseBegan: boolean;
}

export type Joined =
  /** `created`: there was no such room until now. */
  | (Entered & { readonly outcome: 'joined'; readonly created: boolean })
  | (Entered & { readonly outcome: 'already' })
  | { readonly outcome: 'no_room' };

export interface Departure {
  readonly client: string;
  readonly listening: boolean;
}

export interface MemberView {
  readonly id: string;
  readonly joinedAt: number;
}

export interface RoomSnapshot {
  /** Ordered by id. Listeners are no members. */
  readonly members: readonly MemberView[];
  readonly membersCount: number;
  /** Give it as `after` for the next page; undefined on the last one. */
  readonly next: string | undefined;
  /** The end of the room's presence log at the instant of the view, so that log + view = every later view. */
  readonly presence: EntryId;
  /** The end of the room's message log at the same instant. */
  readonly messages: EntryId;
  /** Whom this look found gone: their presence entries are written, their `leave` hooks are the caller's to run. */
  readonly departed: readonly Departure[];
}

/** A client's record: what it is and where it stands. Dies with its TTL, with the client's own log. */
export interface ClientRecord {
  /** Grows with every change of rooms, current room or attributes, on whatever node. */
  readonly version: number;
  /** ms, the store's clock: when the record was made. */
  readonly connectedAt: number;
  /** Set when this client had a record before, and how that one was lost: a place from before `connectedAt` is told so. */
  readonly revived: 'expired' | 'reset' | undefined;
  /** The current room. */
  readonly room: string | null;
  readonly rooms: ReadonlyMap<string, RecordedRoom>;
  readonly attributes: ReadonlyMap<string, unknown>;
  /** Read so far, for clients that keep no cursor themselves. */
  readonly places: ReadonlyMap<Topic, EntryId>;
  /** The last answer's places, not known to have arrived. */
  readonly pending: Pending;
}

export type RecordedRoom = (Floors & { readonly listening: boolean }) | Attempt;

/** A change of the room is under way: its own entry tells where the client came in, if there is one. */
export interface Attempt {
  readonly floor: undefined;
  /** Tells it from every other; without spaces. */
  readonly attempt: string;
}

export interface Pending {
  /** Number of the last answer; 0 before the first. */
  readonly generation: number;
  readonly places: ReadonlyMap<Topic, EntryId>;
}

/** What became of a record by being written to. */
export interface Written extends Pick<ClientRecord, 'version' | 'connectedAt'> {
  /** The current room until this write: of changes at the same time each has another one to leave. */
  readonly roomBefore: string | null;
}

/**
 * Each named part is set; null removes it. What is not named stays; a room that goes, or that is only listened to, is the
 * current one no more.
 */
export interface ClientChange {
  readonly revived?: 'expired' | 'reset';
  readonly room?: string | null;
  readonly rooms?: ReadonlyMap<string, RecordedRoom | null>;
  readonly attributes?: ReadonlyMap<string, unknown>;
  readonly places?: ReadonlyMap<Topic, EntryId>;
  /** Refused as a whole when the client would hear more rooms than this: what it asks for at once is counted together. */
  readonly mostRooms?: number;
  /**
   * Refused as a whole when there is a record without this room: who was put out meanwhile stays out. With `as` also when
   * it has the room in another way.
   */
  readonly expects?: { readonly room: string; readonly as?: RecordedRoom };
}

/** One answer to a client that keeps no cursor: where it starts, and where it will be when it is known to have come. */
export interface Delivery {
  /** The generation that this answer was made from; another one stored means another answer went in between. */
  readonly from: number;
  /** Known to have arrived. */
  readonly confirmed: ReadonlyMap<Topic, EntryId>;
  readonly pending: ReadonlyMap<Topic, EntryId>;
}

export interface Store {
  /** Connects; rejects when that cannot be done. */
  open(): Promise<void>;
  /** Never waits for something that may be dead. */
  close(): Promise<void>;
  /** The store answers and its announcements arrive; otherwise says what is wrong. */
  health(): Promise<StoreHealth>;
  /**
   * The deployment's secret: the first one proposed is kept, and put back by any node when the store lost it.
   * `since` is when it was put there: what is older than that was lost, unless it would have expired by `now`.
   */
  secret(proposed: string): Promise<KeptSecret>;

  // --- logs ---

  /**
   * Appends and announces in one step, so the log's order is the order of announcements. Trims what is older than the
   * message TTL or over the log's length, exactly.
   */
  append(topic: Topic, entry: NewEntry, options: AppendOptions): Promise<Appended>;
  /** What was appended with this key, as long as it makes that happen once. */
  appended(topic: Topic, key: string): Promise<EntryId | undefined>;
  /** Entries after a place; `limit` 0 asks only where the log stands. */
  read(topic: Topic, after: EntryId, limit: number): Promise<Slice>;
  /** Where logs end, in the order asked; undefined for one that is not there. Of many it costs much less than to read. */
  ends(topics: readonly Topic[]): Promise<readonly (EntryId | undefined)[]>;
  /** The last `limit` unexpired entries before a place (undefined: the end), oldest first. */
  history(topic: Topic, before: EntryId | undefined, limit: number): Promise<Entry[]>;
  /**
   * Resolves once every later append will be announced to the follower, until `unfollow`. A follower of a client's topic
   * also hears of changes of its record.
   */
  follow(topic: Topic, follower: Follower): Promise<void>;
  /** Also of one whose following is not confirmed yet; nothing where it does not follow. */
  unfollow(topic: Topic, follower: Follower): void;

  // --- rooms ---

  /** False when it exists already. A room made so stays when empty, whatever `createRoomsOnJoin` says. */
  addRoom(room: string): Promise<boolean>;
  /** Everybody leaves; the room and its logs stay. Undefined when there is no such room. */
  emptyRoom(room: string): Promise<Departure[] | undefined>;
  /**
   * Removes the room and its logs; the clients that were in it still, or undefined when there was no such room. Whoever
   * reads one of its logs then finds it lost, so everybody should have left: no follower is told.
   */
  removeRoom(room: string): Promise<Departure[] | undefined>;
  roomExists(room: string): Promise<boolean>;
  rooms(): Promise<string[]>;
  /** How many, about: those that have just ended may be counted still. Costs no look at each. */
  countRooms(): Promise<number>;

  /**
   * At the log's present end, with one `join` in the presence log (members only). `already` changes nothing but adds
   * the holders. A listener that joins becomes a member; a member that listens is `already`.
   */
  join(request: JoinRequest): Promise<Joined>;
  membership(room: string, client: string): Promise<Membership | undefined>;
  /** Leaves whoever holds it, with one `leave` in the presence log; undefined when it was not there. */
  leave(room: string, client: string): Promise<Departure | undefined>;
  /** Takes one holder away; the last one's going is the leave. Undefined while others hold, or when it was not there. */
  release(
    room: string,
    client: string,
    holder: { readonly node: string } | { readonly web: true },
  ): Promise<Departure | undefined>;
  /**
   * Renews the node's lease in each room; the rooms in which it had none (it ran out, or the store lost it) are
   * answered: everyone whom the node holds there must join again. Costs O(rooms), never O(members).
   */
  renewNode(node: string, leaseMs: number, rooms: readonly string[]): Promise<string[]>;
  /** Renews clients' own leases, never shortening one; answers those that are not in the room any more. */
  renewWeb(room: string, clients: readonly string[], leaseMs: number): Promise<string[]>;
  /** Removes everyone whose last lease ran out. Each departure is answered to exactly one caller. */
  sweep(room: string): Promise<Departure[]>;
  /**
   * One instant of a room; undefined when it does not exist. `sweep` as above first, unless told not to (after an
   * outage every lease has run out, and its holders get the time to say that they live).
   */
  view(
    room: string,
    options: { readonly limit: number; readonly after?: string | undefined; readonly sweep: boolean },
  ): Promise<RoomSnapshot | undefined>;

  // --- clients ---

  client(id: string): Promise<ClientRecord | undefined>;
  /**
   * Writes and renews a record; undefined when there is none and `create` is false. Announced to followers of the
   * client's topic, unless it changes no more than `places`.
   * @throws ChatError too_many_rooms, not_in_room
   */
  writeClient(
    id: string,
    change: ClientChange,
    options: { readonly ttlMs: number; readonly create: boolean },
  ): Promise<Written | undefined>;
  /** Renews the record and the client's own log; the record's version, or undefined when there is none. */
  renewClient(id: string, ttlMs: number): Promise<number | undefined>;
  /**
   * Writes an answer's places and renews the record; the answer's generation, or undefined when there is no record.
   * When `from` is not the stored generation, `confirmed` is left out: the client then hears things twice, never not.
   */
  deliver(id: string, delivery: Delivery, ttlMs: number): Promise<number | undefined>;
  removeClient(id: string): Promise<void>;

  // --- rates ---

  /**
   * Takes tokens out of the buckets that nodes share under a limit's name, and answers what is left in each, which may
   * be less than nothing. A bucket that nobody has taken from for long enough is full. Absent where there is one node.
   */
  tally?(
    name: string,
    limit: { readonly perSecond: number; readonly burst: number },
    taken: ReadonlyMap<string, number>,
  ): Promise<ReadonlyMap<string, number>>;

  // --- nodes ---

  /** Keeps what a node says of itself for `ttlMs`, in place of what it said before. */
  beat(node: string, record: string, ttlMs: number): Promise<void>;
  /** What the living nodes last said of themselves, in no order. */
  nodes(): Promise<string[]>;

  /** What working with it has shown so far on this node. */
  readonly figures: StoreFigures;
}

export interface KeptSecret {
  readonly secret: string;
  /** ms, by the store's clock, as all of its times. */
  readonly since: number;
  readonly now: number;
}

export interface StoreFigures {
  /** Announcements that were thrown away: none of ours, or more than a wake-up where only that is believed. */
  readonly malformed: number;
  /** How long calls took (ms); undefined where there is nothing to wait for. */
  readonly latency: Histogram | undefined;
}

export interface StoreHealth {
  readonly ready: boolean;
  /** What is wrong, for an operator; empty when ready. */
  readonly reason: string;
}

/** What a store needs to know of the settings (`chat.*`). */
export interface StoreLimits {
  /** ms; 0 keeps messages until the log is full. */
  readonly messageTTL: number;
  /** Entries a log may hold. */
  readonly maxLogLength: number;
  /** ms that an unused log's place and name outlive its last use. */
  readonly logKeep: number;
  /** What may be held in this process's memory, about: for a store that has no other place. 0 or left out: any number. */
  readonly bytes?: number;
}
