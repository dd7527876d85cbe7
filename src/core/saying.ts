/** Saying something in a room: what the hooks make of it, and its one step into the room's log. */
import { ChatError } from '../protocol/errors';
import { entryIdParts, type EntryId } from '../protocol/entry-id';
import { encodeStored } from '../protocol/message';
import type { ChatConnection, Participant } from './connection';
import type { Counters } from './counters';
import { roomTopic, type Match } from './entry';
import type { Memberships } from './memberships';
import type { MiddlewareChain, Payload } from './middleware';
import type { Renewal } from './renewal';
import type { Rooms } from './rooms';
import type { Session } from './session';
import { CLIENT_KEY_MS, type ChatSettings } from './settings';
import type { Store } from './store';

export interface SayingOptions {
  readonly store: Store;
  readonly settings: ChatSettings;
  readonly middleware: MiddlewareChain;
  readonly memberships: Memberships;
  readonly rooms: Rooms;
  readonly renewal: Renewal;
  readonly counters: Counters;
}

export interface Said {
  readonly room: string;
  readonly id: EntryId;
  /** ms since 1970, the store's clock. */
  readonly sentAt: number;
}

export interface SayOptions {
  /** Says it once: the same client, room and key within 5 minutes answers with the first id. */
  readonly key?: string | undefined;
  readonly match?: Match | undefined;
  /** Told how many bytes the message has before it is stored; may refuse. */
  readonly spend?: ((bytes: number) => void) | undefined;
}

/** Somebody's words, or the server's own when the id is empty. */
interface Speaker {
  readonly id: string;
  readonly from: string;
}

export class Saying {
  /** Of clients that were refused as they spoke: the last of what they say again, when it is done. */
  readonly #saidAgain = new WeakMap<Session, Promise<void>>();

  constructor(readonly options: SayingOptions) {}

  /**
   * Accepted when it resolves: then it is in the room's log. What was said with this key is answered also where the client
   * has left meanwhile.
   * @throws ChatError not_in_room, room_not_found, dropped, too_large, what `spend` throws, store_unavailable (nothing was
   * done), store_full, outcome_unknown (repeat it with its key)
   */
  async say(client: Participant, room: string, message: unknown, options: SayOptions = {}): Promise<Said> {
    const { session } = client;
    const speaker = { id: session.id, from: session.id };
    const place = session.rooms.get(room);
    if (place?.listening !== false) {
      const before = await this.#saidBefore(room, speaker, options.key);
      if (before) return before;
      throw place ? new ChatError('not_in_room', room) : await this.options.rooms.notHeard(room, client);
    }
    const data = this.options.middleware.hasReceive
      ? await this.#accept(client.connection, speaker, room, message, options)
      : this.#encode(room, speaker.from, message, options);
    const said = await this.#append(room, data, speaker, options, true);
    return said ?? this.#inOrder(session, (isFirst) => this.#sayAgain(isFirst, client, room, data, speaker, options));
  }

  /** What a client says need not wait for its record: no hook wants to know more of it, and it is not to be renewed yet. */
  maySayUnread(client: string): boolean {
    return !this.options.middleware.hasReceive && !this.options.renewal.isDue(client);
  }

  /**
   * Says it for a client whose record was not read: the room itself knows who is in it. One script, and nothing else.
   * @returns undefined when the client is not in the room: what its record says of that is for `say`
   * @throws ChatError too_large, what `spend` throws, store_unavailable, store_full, outcome_unknown: as `say`
   */
  async sayUnread(client: string, room: string, message: unknown, options: SayOptions): Promise<Said | undefined> {
    const data = this.#encode(room, client, message, options);
    return this.#append(room, data, { id: client, from: client }, options, true);
  }

  async #saidBefore(room: string, speaker: Speaker, key: string | undefined): Promise<Said | undefined> {
    if (key === undefined) return undefined;
    const id = await this.options.store.appended(roomTopic(room), ownKey(speaker, key));
    if (id === undefined) return undefined;
    this.options.counters.repeated += 1;
    return saidIn(room, id);
  }

  /** What a client was refused, in whatever room, is said again one after the other, so in its order. */
  #inOrder(session: Session, sayAgain: (isFirst: boolean) => Promise<Said>): Promise<Said> {
    const before = this.#saidAgain.get(session);
    const saying = before ? before.then(() => sayAgain(false)) : sayAgain(true);
    const done = saying.then(
      () => undefined,
      () => undefined,
    );
    this.#saidAgain.set(session, done);
    return saying;
  }

  async #sayAgain(
    isFirst: boolean,
    client: Participant,
    room: string,
    data: string,
    speaker: Speaker,
    options: SayOptions,
  ): Promise<Said> {
    const { session } = client;
    // Who said something before this is back in, most likely.
    const said = isFirst ? undefined : await this.#append(room, data, speaker, options, true);
    if (said) return said;
    // Its lease ran out, or the store lost the room: it goes back in, if its record says that it belongs there.
    const record = await this.options.store.client(session.id);
    if (record && !record.rooms.has(room)) session.exit(room);
    const heard = session.rooms.get(room);
    if (heard && !heard.listening) await this.options.memberships.rejoin(client, room, heard);
    const isMember = session.rooms.has(room) && !heard?.listening;
    const again = isMember ? await this.#append(room, data, speaker, options, true) : undefined;
    if (!again) throw new ChatError('not_in_room', room);
    return again;
  }

  /** The server's word, or one in somebody's name (`from`), to everybody in the room. */
  async broadcast(
    room: string,
    message: unknown,
    options: SayOptions & { from?: string; connection?: ChatConnection } = {},
  ): Promise<Said> {
    const speaker = {
      id: options.connection?.id ?? '',
      from: options.from ?? options.connection?.id ?? this.options.settings.serverName,
    };
    const { connection, match, key } = options;
    const data = connection
      ? await this.#accept(connection, speaker, room, message, options)
      : this.#encode(room, speaker.from, message, options);
    const said = await this.#append(room, data, speaker, { match, key }, false);
    if (!said) throw new ChatError('room_not_found');
    return said;
  }

  /** What the hooks make of a message, as it will be stored. */
  async #accept(
    connection: ChatConnection,
    speaker: Speaker,
    room: string,
    message: unknown,
    options: SayOptions,
  ): Promise<string> {
    const payload: Payload = { message, room, from: speaker.from, context: 'user' };
    const received = await this.options.middleware.receive(connection, room, payload);
    if (received === null) throw new ChatError('dropped');
    return this.#encode(room, speaker.from, received.message, options);
  }

  /** What it is matched by weighs as much in the log, and on its way, as what is said. */
  #encode(room: string, from: string, message: unknown, { match, spend }: SayOptions): string {
    const { messageBytes } = this.options.settings;
    if (messageBytes > 0 || spend) {
      const said = Buffer.byteLength(typeof message === 'string' ? message : JSON.stringify(message ?? null));
      const bytes = said + (match ? Buffer.byteLength(match.value) : 0);
      if (messageBytes > 0 && bytes > messageBytes) {
        throw new ChatError('too_large', `a message has ${String(messageBytes)} bytes at most`);
      }
      spend?.(bytes);
    }
    return encodeStored({ message, room, from });
  }

  async #append(
    room: string,
    data: string,
    speaker: Speaker,
    options: SayOptions,
    member: boolean,
  ): Promise<Said | undefined> {
    const { key, match } = options;
    const result = await this.options.store.append(
      roomTopic(room),
      { data, speaker: speaker.id, match },
      {
        ...(key === undefined ? {} : { key: ownKey(speaker, key), keyMs: CLIENT_KEY_MS }),
        member: member ? speaker.id : undefined,
        create: !member && this.options.settings.createRoomsOnJoin,
      },
    );
    if (!('id' in result)) return undefined;
    if (result.outcome === 'appended') this.options.counters.accepted += 1;
    else this.options.counters.repeated += 1;
    return saidIn(room, result.id);
  }
}

function saidIn(room: string, id: EntryId): Said {
  return { room, id, sentAt: entryIdParts(id).ms };
}

/** A client's keys are told from others': where no client says it, from those of whom it is said for. */
function ownKey({ id, from }: Speaker, key: string): string {
  return `${id === '' ? JSON.stringify(from) : id}:${key}`;
}
