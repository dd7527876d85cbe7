/** What one client may ask for, on whatever transport: checks what it sends, and does it in its name. */
import { ChatError } from '../protocol/errors';
import { parseEntryId } from '../protocol/entry-id';
import { parseRoomName, roomNameOrUndefined } from '../protocol/room';
import type { LogEntry } from './batch';
import type { Chat } from './chat';
import { roomsOf, type ChatConnection, type OpenConnection, type Participant, type Peer } from './connection';
import { cursorOf } from './cursors';
import { presenceTopic, roomTopic, type Match } from './entry';
import { hearThrough } from './hear';
import type { Rates } from './rate';
import { Reading, type ReadOptions } from './reading';
import type { Making } from './rooms';
import type { Said } from './saying';
import type { Session } from './session';
import type { RoomSnapshot } from './store';

export interface SayParams {
  readonly room?: string | undefined;
  readonly message?: unknown;
  readonly key?: string | undefined;
  readonly roomMatchKey?: string | undefined;
  readonly roomMatchValue?: string | undefined;
}

export interface RoomView {
  readonly room: string;
  /** By id, as Chat.shownMember has them. */
  readonly members: Readonly<Record<string, unknown>>;
  readonly membersCount: number;
  /** Where the room's log and its presence log stood at that instant: reading on from here keeps the view true. */
  readonly cursor: string;
  /** Give it as `cursor` for the next page of members. */
  readonly next?: string;
}

export interface Details {
  readonly id: string;
  readonly fingerprint: string;
  readonly remoteIP: string;
  readonly remotePort: number;
  readonly params: Readonly<Record<string, unknown>>;
  readonly connectedAt: number;
  readonly room: string | null;
  readonly rooms: readonly string[];
  readonly listening: readonly string[];
  readonly attributes: Readonly<Record<string, unknown>>;
}

const KEY_LENGTH = 64;

export class Client implements Participant {
  #opened: OpenConnection | undefined;

  #session: Session;
  /** Of whom nothing is known yet but who it is; undefined once more is. */
  #unread: (() => Promise<Session>) | undefined;

  /**
   * @param read for a session of which nothing is known but whose it is: the one that its record makes. All that this client
   * can do then is to say something in a room that it names; it is read when the room does not know it
   */
  constructor(
    readonly chat: Chat,
    session: Session,
    readonly peer: Peer,
    readonly rates: Rates,
    read?: () => Promise<Session>,
  ) {
    this.#session = session;
    this.#unread = read;
  }

  /** False of somebody who only says something: then no more is known than the id. */
  get isRead(): boolean {
    return this.#unread === undefined;
  }

  /** @throws Error when it is not read */
  get session(): Session {
    if (this.#unread) throw new Error('an action that says of itself `onlySays` looks at its client');
    return this.#session;
  }

  /** Made when somebody looks at it: most requests have no action or hook that does. */
  get connection(): ChatConnection {
    this.#opened ??= this.chat.connection(this.session, this.peer);
    return this.#opened.connection;
  }

  /** Resolves once every attribute that an action set is in the store; undefined when none was. */
  flush(): Promise<void> | undefined {
    return this.#opened?.flush();
  }

  get id(): string {
    return this.#session.id;
  }

  /**
   * @param asked what, or how to find that out, which may cost something: only who may say makes us look
   * @throws ChatError message_required, what `asked` throws and what Saying.say throws
   */
  async say(asked: SayParams | (() => Promise<SayParams>)): Promise<Said> {
    this.rates.say(this.id, this.peer.remoteIP);
    const params = typeof asked === 'function' ? await asked() : asked;
    if (params.message === undefined || params.message === '') throw new ChatError('message_required');
    if (params.key !== undefined && (params.key === '' || characters(params.key) > KEY_LENGTH)) {
      throw new ChatError('invalid_parameter', `key must have 1 to ${String(KEY_LENGTH)} characters`);
    }
    const room = this.#roomOrCurrent(params.room);
    const match = matchOf(params.roomMatchKey, params.roomMatchValue);
    let spent = 0;
    const spend = (bytes: number): void => {
      this.rates.words(bytes, this.peer.remoteIP);
      spent += bytes;
    };
    const options = { key: params.key, match, spend };
    const read = this.#unread;
    if (read) {
      const said = await this.chat.saying.sayUnread(this.id, room, params.message, options);
      if (said) return said;
      this.rates.giveBackWords(spent, this.peer.remoteIP);
      this.#session = await read();
      this.#unread = undefined;
    }
    return await this.chat.saying.say(this, room, params.message, options);
  }

  /** The room that a request means: the one it names, or the client's current one. */
  #roomOrCurrent(room: unknown): string {
    const meant = named(room) ?? this.session.room;
    if (meant === null) throw new ChatError('room_required');
    return meant;
  }

  /** A read that asks by itself whether this client may: by what is known when its turn comes. */
  #inTurn<T>(read: () => Promise<T>): Promise<T> {
    const began = performance.now();
    const { reads, sessions } = this.chat;
    return reads.run(this.peer.remoteIP, async () => {
      if (sessions.isLate(began)) await sessions.refresh(this.session);
      return read();
    });
  }

  get #making(): Making {
    return () => this.rates.newRoom(this.peer.remoteIP);
  }

  async roomAdd(room: unknown): Promise<string> {
    const name = required(room);
    this.rates.join(this.id, this.peer.remoteIP);
    if (this.session.rooms.get(name)?.listening === false) throw new ChatError('already_in_room', name);
    await this.chat.rooms.join(this, name, { listening: false, making: this.#making });
    return name;
  }

  async listenToRoom(room: unknown): Promise<string> {
    const name = required(room);
    this.rates.join(this.id, this.peer.remoteIP);
    if (this.session.rooms.has(name)) throw new ChatError('already_in_room', name);
    await this.chat.rooms.join(this, name, { listening: true, making: this.#making });
    return name;
  }

  async roomLeave(room: unknown): Promise<string> {
    const name = required(room);
    if (this.session.rooms.get(name)?.listening !== false) throw new ChatError('not_in_room', name);
    await this.chat.rooms.leave(this, name);
    return name;
  }

  async silenceRoom(room: unknown): Promise<string> {
    const name = required(room);
    if (this.session.rooms.get(name)?.listening !== true) throw new ChatError('not_in_room', name);
    await this.chat.rooms.leave(this, name);
    return name;
  }

  async roomChange(room: unknown): Promise<string> {
    if (room === undefined || room === null || room === '') throw new ChatError('room_change_needs_room');
    const name = parseRoomName(room);
    if (name !== this.session.room) this.rates.join(this.id, this.peer.remoteIP);
    await this.chat.rooms.changeRoom(this, name, { making: this.#making });
    return name;
  }

  async roomView(params: {
    room?: unknown;
    limit?: number | undefined;
    cursor?: string | undefined;
  }): Promise<RoomView> {
    const room = this.#roomOrCurrent(params.room);
    const { limit, cursor: after } = params;
    const view = (): Promise<RoomSnapshot> => this.chat.rooms.view(room, { by: this, limit, after });
    const snapshot = await this.#inTurn(view);
    const { membersCount, next } = snapshot;
    // An id never is `__proto__`: it has 22 characters, or is a name that the server gave.
    const members = Object.fromEntries(
      snapshot.members.map((member) => [member.id, this.chat.shownMember({ ...member })]),
    );
    const at = new Map([
      [roomTopic(room), snapshot.messages],
      [presenceTopic(room), snapshot.presence],
    ]);
    return { room, members, membersCount, cursor: cursorOf(this.chat, at), ...(next === undefined ? {} : { next }) };
  }

  /** Messages from before a place, also from before its joining, `chat.history` at a time; as JSON texts, oldest first. */
  async history(params: {
    room?: unknown;
    limit?: number | undefined;
    before?: string | undefined;
  }): Promise<string[]> {
    const room = required(params.room);
    if (params.before !== undefined && !parseEntryId(params.before)) {
      throw new ChatError('invalid_parameter', 'before must be the id of a message');
    }
    const read = (): Promise<LogEntry[]> => this.chat.history(this.session, room, params.limit, params.before);
    const entries = await this.#inTurn(read);
    const heard = await hearThrough(this.chat.middleware, entries, {
      session: this.session,
      client: this,
      echo: true,
    });
    return heard.map(({ json }) => json);
  }

  details(): Details {
    const { peer, session } = this;
    return {
      id: session.id,
      fingerprint: peer.fingerprint,
      remoteIP: peer.remoteIP,
      remotePort: peer.remotePort,
      params: peer.params,
      connectedAt: session.connectedAt,
      room: session.room,
      rooms: roomsOf(session, false),
      listening: roomsOf(session, true),
      attributes: Object.fromEntries(session.attributes),
    };
  }

  /** Where the client stands that reads from now on: the live end of everything it hears. */
  async cursorNow(): Promise<string> {
    const { isNew, rooms } = this.session;
    // Who has just come in stands at the end already.
    if (isNew) return cursorOf(this.chat, new Map([...rooms].map(([room, { floor }]) => [roomTopic(room), floor])));
    return cursorOf(this.chat, await this.chat.standing.ends(rooms.keys().map(roomTopic), this.peer.remoteIP));
  }

  /** What `method=messages` asks for; the transport decides how it is answered. */
  messages(options: ReadOptions): Reading {
    return new Reading(this, options);
  }
}

/** Code points, as room names are counted; what is longer in any case is not counted to its end. */
function characters(text: string): number {
  return text.length > 2 * KEY_LENGTH ? text.length : Array.from(text).length;
}

/** A room that may be left out. */
function named(room: unknown): string | undefined {
  return room === undefined || room === null ? undefined : required(room);
}

function required(room: unknown): string {
  if (room === undefined || room === null || room === '') throw new ChatError('room_required');
  return parseRoomName(room);
}

/** @throws ChatError invalid_parameter, when there is one without the other */
export function matchOf(key: string | undefined, value: string | undefined): Match | undefined {
  if (key === undefined && value === undefined) return undefined;
  if (key === undefined || key === '' || value === undefined) {
    throw new ChatError('invalid_parameter', 'roomMatchKey and roomMatchValue go together');
  }
  if (!roomNameOrUndefined(key))
    throw new ChatError('invalid_parameter', 'roomMatchKey is not the name of an attribute');
  return { key, value };
}
