/** What goes on over one socket: requests read in order, answered in the client's name, and what its rooms say. */
import { randomUUID } from 'node:crypto';
import { asChatError, ChatError } from '../protocol/errors';
import { isReservedName, roomNameOrUndefined } from '../protocol/room';
import type { Actions } from '../core/action';
import type { Chat } from '../core/chat';
import { Client, type SayParams } from '../core/client';
import { roomsOf, type Peer } from '../core/connection';
import { cursorOf, placesOf } from '../core/cursors';
import { Pusher } from '../core/push';
import type { Rates } from '../core/rate';
import { Reading } from '../core/reading';
import type { Session } from '../core/session';
import type { SocketLink } from './link';

export interface ConversationOptions<Api> {
  readonly chat: Chat;
  readonly actions: Actions<Api>;
  readonly api: Api;
  readonly rates: Rates;
  readonly welcomeMessage: string;
  readonly simultaneousActions: number;
}

/** A request as its transport read it. */
export interface SocketRequest {
  /** A verb, or `action`. */
  readonly event: string;
  /** The verb's arguments, or the action's parameters with its name as `action`. */
  readonly params: Readonly<Record<string, unknown>>;
  /** Its own; a fresh one otherwise. */
  readonly messageId: unknown;
  /** What an error gives back as `data` (WebSocket). */
  readonly echoed: Readonly<Record<string, unknown>>;
}

/** What follows a TCP `say`. A class, so that no JSON can pretend to be it. */
export class SaidWords {
  constructor(
    readonly first: string,
    readonly rest: string,
    readonly whole: string,
  ) {}
}

/** How answers look on this kind of socket. */
export interface Dialect {
  readonly type: 'websocket' | 'socket';
  /** An error that a verb was answered with. */
  readonly errorOf: (error: ChatError, request: SocketRequest) => object;
}

/** The other end, and how to be rid of it. */
export interface SocketPeer {
  readonly remoteIP: string;
  readonly remotePort: number;
  /** The public id behind the handshake's cookie. */
  readonly cookieId: string | undefined;
  /** Says goodbye and ends, once all answers are out. */
  readonly goodbye: () => void;
  /** Reading goes on or stops, when more is asked than is answered. */
  readonly pause: (paused: boolean) => void;
}

/** Verbs read and not yet done at which reading stops. */
const MAX_QUEUED = 256;

export class Conversation<Api> {
  /** Sticky parameters. */
  readonly params: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  #client: Client | undefined;
  #pusher: Pusher | undefined;
  #turn: Promise<void>;
  #queued = 0;
  #count = 0;
  #totalActions = 0;
  #pendingActions = 0;
  /** Rooms that it came into by connecting: saying so once more is no mistake, clients of ActionHero do. */
  readonly #implicit = new Set<string>();
  #over = false;

  constructor(
    readonly options: ConversationOptions<Api>,
    readonly link: SocketLink,
    readonly dialect: Dialect,
    readonly peer: SocketPeer,
  ) {
    link.onDrained = () => {
      this.#pusher?.drained();
    };
    this.#turn = this.#begin();
  }

  get sessionId(): string | undefined {
    return this.#client?.id;
  }

  /** A frame that counts, though it is no request: its number. */
  count(): number {
    this.#count += 1;
    return this.#count;
  }

  /** Takes effect in the order read; only actions overtake. */
  receive(request: SocketRequest, messageCount: number): void {
    if (this.#over) return;
    const messageId = request.messageId ?? randomUUID();
    const respond = (body: object): void => {
      if (!this.#over) this.link.send(JSON.stringify({ ...body, context: 'response', messageCount, messageId }));
    };
    if (request.event === 'action') this.#action(request, respond);
    else this.#verb(request, respond);
  }

  /** What could not even be read as a request. */
  refuse(error: ChatError, messageCount: number): void {
    const nothing: SocketRequest = { event: '', params: {}, messageId: undefined, echoed: {} };
    this.#enqueue(() => {
      const body = this.dialect.errorOf(error, nothing);
      if (!this.#over)
        this.link.send(JSON.stringify({ ...body, context: 'response', messageCount, messageId: randomUUID() }));
      return Promise.resolve();
    });
  }

  /** All that was asked has been answered. */
  async settled(): Promise<void> {
    await this.#turn;
  }

  /** @param clean the client said that it goes; a dropped link keeps its rooms for the grace */
  end(clean: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#release(clean);
  }

  // --- inside ---

  async #begin(): Promise<void> {
    const { chat, rates, welcomeMessage } = this.options;
    try {
      rates.newClient(this.peer.remoteIP);
      const token = chat.tokens.issue(Date.now());
      const id = chat.tokens.id(token);
      const session = await chat.welcome(id, this.#peerOf(id));
      const { room } = session;
      if (room !== null) this.#implicit.add(room);
      const pusher = await this.#become(session, { echo: false, presence: false });
      if (this.#over) return;
      this.link.send(JSON.stringify({ welcome: welcomeMessage, context: 'api', id, room, session: token }));
      await pusher.start(new Map());
    } catch (error) {
      this.#failed(error, 'a client could not be welcomed');
      const { code, message } = asChatError(error);
      this.link.send(JSON.stringify({ error: message, code, context: 'api' }));
      this.peer.goodbye();
    }
  }

  /** From now on this socket is that client; what its rooms say is pushed once the pusher is started. */
  async #become(loaded: Session, { echo, presence }: { echo: boolean; presence: boolean }): Promise<Pusher> {
    const { chat, rates } = this.options;
    const session = await chat.sessions.live(loaded);
    const client = new Client(chat, session, this.#peerOf(session.id), rates);
    const listener = { session, connection: client.connection, echo: echo || chat.settings.echo };
    const pusher = new Pusher(chat, this.link, listener, presence);
    await chat.sessions.attach(session, pusher, true);
    this.#release(true);
    this.#client = client;
    this.#pusher = pusher;
    if (this.#over) this.#release(false);
    return pusher;
  }

  #release(clean: boolean): void {
    if (!this.#client || !this.#pusher) return;
    this.#pusher.stop();
    this.options.chat.sessions.detach(this.#client.session, this.#pusher, { held: true, clean });
    this.#pusher = undefined;
    this.#client = undefined;
  }

  #peerOf(id: string): Peer {
    return {
      type: this.dialect.type,
      fingerprint: this.peer.cookieId ?? id,
      remoteIP: this.peer.remoteIP,
      remotePort: this.peer.remotePort,
      params: this.params,
      destroy: () => {
        this.link.cutOff('destroyed');
      },
    };
  }

  #enqueue(work: () => Promise<void>): void {
    this.#queued += 1;
    if (this.#queued === MAX_QUEUED) this.peer.pause(true);
    this.#turn = this.#turn.then(work).catch((error: unknown) => {
      this.#failed(error, 'a request failed');
    });
    void this.#turn.then(() => {
      this.#queued -= 1;
      if (this.#queued === MAX_QUEUED / 2) this.peer.pause(false);
    });
  }

  #verb(request: SocketRequest, respond: (body: object) => void): void {
    // Sticky parameters act as their line is read: the next line's messageId may be one of them.
    const sticky = this.#sticky(request);
    this.#enqueue(async () => {
      if (this.#over) return;
      try {
        const data = sticky ? sticky() : await this.#perform(request, respond);
        if (data !== ANSWERED) respond({ status: 'OK', data });
      } catch (error) {
        this.#failed(error, 'a verb failed');
        respond(this.dialect.errorOf(asChatError(error), request));
      }
    });
  }

  #action(request: SocketRequest, respond: (body: object) => void): void {
    const { actions, api, simultaneousActions } = this.options;
    const fail = (error: unknown): void => {
      this.#failed(error, 'an action failed');
      const { message, code, retryAfter } = asChatError(error);
      respond({ error: message, code, ...(retryAfter === undefined ? {} : { retryAfter }) });
    };
    this.#totalActions += 1;
    if (this.#pendingActions >= simultaneousActions) {
      fail(new ChatError('too_many_pending'));
      return;
    }
    this.#pendingActions += 1;
    const { params } = request;
    const run = async (): Promise<void> => {
      const client = this.#client;
      if (!client) return;
      const action = actions.find(params['action'], this.dialect.type);
      const { connection } = client;
      const result = await action.perform(params, { client, connection, api, httpMethod: undefined });
      await client.flush();
      respond(result instanceof Reading ? await result.now() : { ...(result as object | undefined) });
    };
    // After what was read before it, and ahead of nothing that comes after.
    void this.#turn
      .then(run)
      .catch(fail)
      .finally(() => {
        this.#pendingActions -= 1;
      });
  }

  /** `param*`: done at once; the answer waits its turn. */
  #sticky({ event, params }: SocketRequest): (() => unknown) | undefined {
    const { key, value } = params;
    switch (event) {
      case 'paramAdd': {
        if (typeof key !== 'string' || key === '' || isReservedName(key)) return refusing('key is required');
        if (!(key in this.params) && Object.keys(this.params).length >= MAX_PARAMS) return refusing('too many params');
        this.params[key] = value ?? null;
        return () => null;
      }
      case 'paramDelete':
        if (typeof key === 'string') Reflect.deleteProperty(this.params, key);
        return () => null;
      case 'paramView': {
        const found = typeof key === 'string' ? this.params[key] : undefined;
        return () => found ?? null;
      }
      case 'paramsView': {
        const all = { ...this.params };
        return () => all;
      }
      case 'paramsDelete':
        for (const name of Object.keys(this.params)) Reflect.deleteProperty(this.params, name);
        return () => null;
      default:
        return undefined;
    }
  }

  async #perform({ event, params }: SocketRequest, respond: (body: object) => void): Promise<unknown> {
    const client = this.#client;
    if (!client) throw new ChatError('shutting_down');
    const { room } = params;
    switch (event) {
      case 'say':
        return client.say(await this.#saying(client, params));
      case 'roomAdd':
        if (typeof room === 'string' && this.#implicit.delete(room) && client.session.rooms.has(room)) return true;
        await client.roomAdd(room);
        return true;
      case 'roomLeave':
        await client.roomLeave(room);
        return true;
      case 'listenToRoom':
        await client.listenToRoom(room);
        return true;
      case 'silenceRoom':
        await client.silenceRoom(room);
        return true;
      case 'roomChange':
        return { room: await client.roomChange(room) };
      case 'roomView':
        return client.roomView({
          room,
          limit: countOrUndefined(params, 'limit'),
          cursor: textOrUndefined(params, 'cursor'),
        });
      case 'detailsView':
        return {
          ...client.details(),
          totalActions: this.#totalActions,
          pendingActions: this.#pendingActions,
          cursor: this.#pusher?.cursor,
        };
      case 'documentation':
        return this.options.actions.documentation();
      case 'history': {
        const limit = countOrUndefined(params, 'limit');
        const messages = await client.history({ room, limit, before: textOrUndefined(params, 'before') });
        return { messages: messages.map((json) => JSON.parse(json) as unknown) };
      }
      case 'resume':
        return this.#resume(params, respond);
      case 'quit':
      case 'exit':
        this.link.send(JSON.stringify({ status: 'Bye!', context: 'api' }));
        this.peer.goodbye();
        this.end(true);
        return ANSWERED;
      default:
        throw new ChatError('unknown_verb', event);
    }
  }

  async #saying(client: Client, params: Readonly<Record<string, unknown>>): Promise<SayParams> {
    const { room, message } =
      params['words'] instanceof SaidWords ? await this.#addressed(client, params['words']) : params;
    if (message === undefined || message === '') throw new ChatError('room_and_message_required');
    return {
      room: typeof room === 'string' ? room : undefined,
      message,
      key: textOrUndefined(params, 'key'),
      roomMatchKey: textOrUndefined(params, 'roomMatchKey'),
      roomMatchValue: textOrUndefined(params, 'roomMatchValue'),
    };
  }

  /** `say <room> <words>` or `say <words>`: the first word is a room when it names one; else it was meant to be said. */
  async #addressed(client: Client, words: SaidWords): Promise<{ room?: string; message: string }> {
    const name = roomNameOrUndefined(words.first);
    if (name === undefined) return { message: words.whole };
    if (client.session.rooms.has(name)) return { room: name, message: words.rest };
    if (await this.options.chat.store.roomExists(name)) throw new ChatError('not_in_room', name);
    return { message: words.whole };
  }

  /** This connection becomes the client that it was, on whatever transport and node, and goes on at its cursor. */
  async #resume(params: Readonly<Record<string, unknown>>, respond: (body: object) => void): Promise<unknown> {
    const { chat } = this.options;
    const { session: token, after } = params;
    const id = await this.#resumedId(token);
    const loaded = await chat.sessions.load(id);
    if (!loaded) throw new ChatError('session_expired');
    // The rooms' rules are asked again: who was banned meanwhile does not come back in by a cursor.
    const { connection } = chat.connection(loaded, this.#peerOf(id));
    for (const [room, heard] of [...loaded.rooms]) await chat.rejoin(loaded, connection, room, heard);
    const places = isAfter(after) ? placesOf(chat, loaded, after) : await chat.placesNow(loaded);
    const pusher = await this.#become(loaded, { echo: params['echo'] === true, presence: params['presence'] === true });
    if (this.#over) return ANSWERED;
    this.#implicit.clear();
    const cursor = typeof after === 'string' && after !== '' ? after : cursorOf(chat, places);
    const rooms = roomsOf(pusher.listener.session, false);
    respond({ status: 'OK', data: { id, rooms, recovered: true, cursor } });
    await pusher.start(places);
    return ANSWERED;
  }

  async #resumedId(token: unknown): Promise<string> {
    const { chat } = this.options;
    if (token === undefined || token === null) {
      if (this.peer.cookieId === undefined) throw new ChatError('invalid_parameter', 'session is required to resume');
      return this.peer.cookieId;
    }
    const reading = typeof token === 'string' ? chat.tokens.read(token) : undefined;
    if (reading?.outcome !== 'ours') throw new ChatError('session_unknown');
    const known = await chat.sessions.load(reading.id);
    if (!known) {
      if ((await chat.lostHow(reading.issuedAt)) === 'expired') throw new ChatError('session_expired');
      await chat.welcome(reading.id, this.#peerOf(reading.id), 'reset');
    }
    return reading.id;
  }

  #failed(error: unknown, text: string): void {
    if (!(error instanceof ChatError)) this.options.chat.logger.error({ err: error, client: this.sessionId }, text);
  }
}

const ANSWERED = Symbol('answered');
const MAX_PARAMS = 100;

function refusing(text: string): () => never {
  return () => {
    throw new ChatError('invalid_parameter', text);
  };
}

function isAfter(after: unknown): after is string | Readonly<Record<string, unknown>> {
  if (after === undefined || after === null || after === '') return false;
  if (typeof after === 'string' || (typeof after === 'object' && !Array.isArray(after))) return true;
  throw new ChatError('invalid_parameter', 'after must be a cursor, or name an id for each room');
}

function textOrUndefined(params: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = params[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new ChatError('invalid_parameter', `${name} must be text`);
}

function countOrUndefined(params: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = params[name];
  if (value === undefined || value === null) return undefined;
  const count = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 1) {
    throw new ChatError('invalid_parameter', `${name} must be a whole number from 1`);
  }
  return count;
}
