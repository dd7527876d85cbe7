/** What goes on over one socket: a welcome, then requests, read in order and answered in the client's name. */
import { randomUUID } from 'node:crypto';
import { asChatError, ChatError } from '../protocol/errors';
import type { Actions } from '../core/action';
import type { Chat } from '../core/chat';
import { roomsOf, type Peer } from '../core/connection';
import type { Rates } from '../core/rate';
import { Reading } from '../core/reading';
import { Attachment } from './attachment';
import type { SocketLink } from './link';
import { flagOf, given, type Arguments, type SocketRequest } from './request';
import { findResumed, type Credential } from './resume';
import { StickyParams } from './sticky';
import { Turns } from './turns';
import { verbs } from './verbs';

export interface ConversationOptions<Api> {
  readonly chat: Chat;
  readonly actions: Actions<Api>;
  readonly api: Api;
  readonly rates: Rates;
  readonly welcomeMessage: string;
  readonly simultaneousActions: number;
}

/** How answers look on this kind of socket. */
export interface Dialect {
  readonly type: 'websocket' | 'socket';
  /** An error that a verb was answered with. */
  readonly errorOf: (error: ChatError, request: SocketRequest) => object;
}

/** How a connection comes to be somebody's. */
export type Beginning =
  /**
   * A new client, unless its first request, within so many ms, is to resume: to make somebody new of it would be a join
   * and a leave for nothing.
   */
  | { readonly as: 'new'; readonly patience: number }
  /** The one that its handshake names. */
  | { readonly as: 'resumed'; readonly params: Arguments }
  /** It will say who it was before anything else, within so many ms (0: at any time). */
  | { readonly as: 'nobody'; readonly patience: number };

/** The other end, and how to be rid of it. */
export interface SocketPeer {
  readonly link: SocketLink;
  readonly dialect: Dialect;
  readonly remoteIP: string;
  readonly remotePort: number;
  /** Who the handshake's cookie says it is. */
  readonly cookie: Credential | undefined;
  /** The client asked to go, and all its answers are out. */
  goodbye(): void;
  /** Reading stops or goes on, when more is asked than is answered. */
  pause(paused: boolean): void;
}

class ClientPeer implements Peer {
  constructor(
    readonly conversation: { readonly peer: SocketPeer; readonly sticky: StickyParams },
    readonly id: string,
  ) {}

  get type(): Peer['type'] {
    return this.conversation.peer.dialect.type;
  }
  get fingerprint(): string {
    return this.conversation.peer.cookie?.id ?? this.id;
  }
  get remoteIP(): string {
    return this.conversation.peer.remoteIP;
  }
  get remotePort(): number {
    return this.conversation.peer.remotePort;
  }
  get params(): Peer['params'] {
    return this.conversation.sticky.values;
  }
  destroy(): void {
    this.conversation.peer.link.cutOff('destroyed');
  }
}

type Respond = (body: object) => void;

/** Two turns of the event loop later: what came while we were held up has been read by then. */
function afterReading(work: () => void): void {
  setImmediate(() => setImmediate(work));
}

/** Most sockets set none. */
const NONE_SET = new StickyParams();

const ANSWERED = Symbol('answered');
const UNREADABLE: SocketRequest = { event: '', params: {}, messageId: undefined, echoed: {} };

export class Conversation<Api> {
  #sticky: StickyParams | undefined;
  readonly #attachment: Attachment;
  /** The room that it came into by connecting. */
  #implicit: string | undefined;
  readonly #turns: Turns;
  /** It has to say who it was. */
  readonly #isNobody: boolean;
  #actions: Set<Promise<void>> | undefined;
  /** Set while the first request is waited for; told whether it is to resume. */
  #first: ((resumes: boolean) => void) | undefined;
  /** Set while it may yet say who it was. */
  #impatience: NodeJS.Timeout | undefined;
  #totalActions = 0;
  /** Requests read so far. */
  #count = 0;
  /** Nothing more is read. */
  #leaving = false;
  /** Nothing more is said. */
  #over = false;

  constructor(
    readonly options: ConversationOptions<Api>,
    readonly peer: SocketPeer,
    beginning: Beginning,
  ) {
    this.#attachment = new Attachment(options.chat, options.rates, peer.link, this);
    this.#turns = new Turns(peer);
    this.#isNobody = beginning.as === 'nobody';
    if (beginning.as !== 'nobody') this.#turns.add(() => this.#begin(beginning));
    else if (beginning.patience > 0) this.#becomesSomebody(beginning.patience);
  }

  /** The peer has taken what it was sent, and can be pushed to again. */
  drained(): void {
    this.#attachment.drained();
  }

  /** To be looked at; what changes them goes by `receive`. */
  get sticky(): StickyParams {
    return this.#sticky ?? NONE_SET;
  }

  /** The client's id; undefined before it is welcome. */
  get clientId(): string | undefined {
    return this.#attachment.current?.client.id;
  }

  /** The number of the request that is being read. */
  count(): number {
    this.#count += 1;
    return this.#count;
  }

  /**
   * Takes effect in the order read; only actions overtake.
   * @param bytes as it was read
   */
  receive(request: SocketRequest, messageCount: number, bytes: number): void {
    if (this.#leaving) return;
    this.#first?.(request.event === 'resume');
    const respond = this.#responder(request.messageId, messageCount);
    if (request.event === 'action') this.#action(request, respond);
    else if (request.event === 'quit' || request.event === 'exit') this.#quit();
    else this.#verb(request, respond, bytes);
  }

  /** What could not even be read as a request. */
  refuse(error: ChatError, messageCount: number): void {
    if (this.#leaving) return;
    this.#first?.(false);
    const respond = this.#responder(undefined, messageCount);
    this.#turns.add(() => {
      respond(this.peer.dialect.errorOf(this.#refused(error), UNREADABLE));
      return Promise.resolve();
    });
  }

  /** All that was asked has been answered. */
  get idle(): boolean {
    return this.#turns.idle && this.#pendingActions === 0;
  }

  /** Reads no more, and resolves when all that was asked has been answered. */
  async settled(): Promise<void> {
    this.#leaving = true;
    this.#first?.(false);
    await this.#turns.done;
    if (this.#actions) await Promise.all(this.#actions);
  }

  /** @param clean the client said that it goes; a dropped link keeps its rooms for the grace */
  end(clean: boolean): void {
    if (this.#over) return;
    this.#leaving = true;
    this.#over = true;
    this.#first?.(false);
    clearTimeout(this.#impatience);
    this.#attachment.end(clean);
  }

  // --- inside ---

  async #begin(beginning: Beginning): Promise<void> {
    if (beginning.as === 'resumed') {
      try {
        const { data, start, room } = await this.#resumed(beginning.params);
        this.#greet({ ...data, room });
        await start();
      } catch (error) {
        this.#turnAway(error, 'a client could not be resumed');
      }
    } else if (beginning.as === 'new') {
      const resumes = beginning.patience > 0 && (await this.#firstResumes(beginning.patience));
      if (!resumes && !this.#over) await this.#welcome();
    }
  }

  /** Before it is anybody. */
  #turnAway(error: unknown, text: string): void {
    this.#log(error, text);
    const { code, message } = this.#refused(error);
    this.peer.link.send(JSON.stringify({ error: message, code, context: 'api' }));
    this.peer.link.cutOff('try again later');
  }

  #becomesSomebody(withinMs: number): void {
    const late = (): void => {
      // Behind what was asked in time, be it that the store takes longer.
      this.#turns.add(() => {
        if (!this.#over && this.clientId === undefined) this.peer.link.cutOff('it never resumed');
        return Promise.resolve();
      });
    };
    this.#impatience = setTimeout(() => afterReading(late), withinMs).unref();
  }

  #firstResumes(withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const late = (): void => afterReading(() => this.#first?.(false));
      const timer = setTimeout(late, withinMs);
      this.#first = (resumes) => {
        clearTimeout(timer);
        this.#first = undefined;
        resolve(resumes);
      };
    });
  }

  /** A new client. */
  async #welcome(): Promise<void> {
    const { chat } = this.options;
    try {
      const token = chat.tokens.issue(Date.now());
      const id = chat.tokens.id(token);
      const session = await chat.welcome(id, this.peerOf(id));
      const { room } = session;
      this.#implicit = room ?? undefined;
      const { pusher } = await this.#attachment.become(session, {}, session.rooms);
      if (this.#over) return;
      this.#greet({ id, room, session: token });
      await pusher.start(new Map());
    } catch (error) {
      this.#turnAway(error, 'a client could not be welcomed');
    }
  }

  /** The first words, whoever the connection is. */
  #greet(who: object): void {
    this.peer.link.send(JSON.stringify({ welcome: this.options.welcomeMessage, context: 'api', ...who }));
  }

  /** Its first words are still to come. A call, as TypeScript sees no change of a field while something is awaited. */
  #isUnwelcomed(): boolean {
    return this.clientId === undefined && !this.#isNobody;
  }

  /** The other end, as that client. */
  peerOf(id: string): Peer {
    return new ClientPeer(this, id);
  }

  get #pendingActions(): number {
    return this.#actions?.size ?? 0;
  }

  #responder(own: unknown, messageCount: number): Respond {
    const messageId = own ?? randomUUID();
    return (body) => {
      if (!this.#over) this.peer.link.send(JSON.stringify({ ...body, context: 'response', messageCount, messageId }));
    };
  }

  #verb(request: SocketRequest, respond: Respond, bytes: number): void {
    const sticky = this.#actOnSticky(request);
    this.#turns.add(async () => {
      if (this.#over) return;
      try {
        const data = sticky ? sticky() : await this.#perform(request, respond);
        if (data !== ANSWERED) respond({ status: 'OK', data });
      } catch (error) {
        this.#log(error, 'a verb failed');
        respond(this.peer.dialect.errorOf(this.#refused(error), request));
      }
    }, bytes);
  }

  #actOnSticky(request: SocketRequest): (() => unknown) | undefined {
    // So are all the verbs about them called.
    if (!request.event.startsWith('param')) return undefined;
    this.#sticky ??= new StickyParams();
    return this.#sticky.act(request);
  }

  #perform(request: SocketRequest, respond: Respond): unknown {
    if (request.refusal) throw request.refusal;
    if (request.event === 'resume') return this.#resume(request, respond);
    const verb = verbs.get(request.event);
    if (!verb) throw new ChatError('unknown_verb', request.event);
    const { current } = this.#attachment;
    if (!current) throw new ChatError(this.#isNobody ? 'session_unknown' : 'shutting_down');
    const { client, pusher } = current;
    const counts = { totalActions: this.#totalActions, pendingActions: this.#pendingActions };
    const details = (): object => ({ ...counts, cursor: pusher.cursor });
    const documentation = (): object => this.options.actions.documentation();
    const cameWith = (room: unknown): boolean => this.#cameWith(room);
    return verb({ client, cameWith, details, documentation }, request.params);
  }

  /** True once. */
  #cameWith(room: unknown): boolean {
    if (room !== this.#implicit || this.#implicit === undefined) return false;
    const there = this.#attachment.current?.client.session.rooms.has(this.#implicit) ?? false;
    this.#implicit = undefined;
    return there;
  }

  async #resume({ params }: SocketRequest, respond: Respond): Promise<typeof ANSWERED> {
    const isFirst = this.#isUnwelcomed();
    try {
      const { data, start, room } = await this.#resumed(params);
      if (isFirst) this.#greet({ ...data, room, session: given(params, 'session') });
      respond({ status: 'OK', data });
      // Behind the answer, so that the client knows whose messages these are.
      await start();
      return ANSWERED;
    } catch (error) {
      if (this.#isUnwelcomed()) await this.#welcome();
      throw error;
    }
  }

  /** This connection becomes the client that it was; `start` lets it go on at its cursor. */
  async #resumed(
    params: Arguments,
  ): Promise<{ readonly data: object; readonly room: string | null; readonly start: () => Promise<void> }> {
    const wishes = { echo: flagOf(params, 'echo'), presence: flagOf(params, 'presence') };
    const { chat, rates } = this.options;
    // It comes into all its rooms anew, so it is a join: one after the other would be many for the price of a line.
    if (this.clientId === undefined) rates.joinOfAddress(this.peer.remoteIP);
    else rates.join(this.clientId, this.peer.remoteIP);
    const resumed = await findResumed(chat, params, this.peer.cookie, (id) => this.peerOf(id));
    const { client, pusher } = await this.#attachment.become(resumed.session, wishes, resumed.held);
    this.#implicit = undefined;
    const data = { id: client.id, rooms: roomsOf(client.session, false), recovered: true, cursor: resumed.cursor };
    const start = async (): Promise<void> => {
      if (!this.#over) await pusher.start(resumed.places);
    };
    return { data, room: client.session.room, start };
  }

  /** Whatever was asked before it is answered first. */
  #quit(): void {
    void this.settled().then(() => {
      if (this.#over) return;
      this.peer.link.send(JSON.stringify({ status: 'Bye!', context: 'api' }));
      this.peer.goodbye();
      this.end(true);
    });
  }

  #action(request: SocketRequest, respond: Respond): void {
    const fail = (error: unknown): void => {
      this.#log(error, 'an action failed');
      const { message, code, retryAfter } = this.#refused(error);
      respond({ error: message, code, retryAfter });
    };
    this.#totalActions += 1;
    if (this.#pendingActions >= this.options.simultaneousActions) {
      fail(new ChatError('too_many_pending'));
      return;
    }
    // After what was read before it, and holding up nothing that comes after.
    const running = this.#turns.done.then(() => this.#run(request, respond)).catch(fail);
    const actions = (this.#actions ??= new Set());
    actions.add(running);
    void running.then(() => actions.delete(running));
  }

  async #run({ params, refusal }: SocketRequest, respond: Respond): Promise<void> {
    if (refusal) throw refusal;
    const { current } = this.#attachment;
    if (!current) {
      if (this.#isNobody) throw new ChatError('session_unknown');
      return;
    }
    const { client } = current;
    const { actions, api } = this.options;
    const action = actions.find(params['action'], this.peer.dialect.type);
    const result = await action.perform(params, {
      client,
      api,
      httpMethod: undefined,
    });
    await client.flush();
    respond(result instanceof Reading ? await result.now() : { ...(result as object | undefined) });
  }

  /** What the client is told of it; counted, unless there is nobody left to tell. */
  #refused(error: unknown): ChatError {
    const told = asChatError(error);
    if (!this.#over) this.options.chat.counters.refuse(told.code);
    return told;
  }

  #log(error: unknown, text: string): void {
    if (!(error instanceof ChatError)) this.options.chat.logger.error({ err: error, client: this.clientId }, text);
  }
}
