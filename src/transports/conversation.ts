/** What goes on over one socket: requests read in order, answered in the client's name, and what its rooms say. */
import { randomUUID } from 'node:crypto';
import { asChatError, ChatError } from '../protocol/errors';
import type { Actions } from '../core/action';
import type { Chat } from '../core/chat';
import { Client } from '../core/client';
import { roomsOf, type Peer } from '../core/connection';
import { Pusher } from '../core/push';
import type { Rates } from '../core/rate';
import { Reading } from '../core/reading';
import type { Session } from '../core/session';
import type { SocketLink } from './link';
import { flagOf, type SocketRequest } from './request';
import { findResumed, type Credential } from './resume';
import { StickyParams } from './sticky';
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

/** The other end, and how to be rid of it. */
export interface SocketPeer {
  readonly remoteIP: string;
  readonly remotePort: number;
  /** Who the handshake's cookie says it is. */
  readonly cookie: Credential | undefined;
  /** The client asked to go, and all its answers are out. */
  readonly goodbye: () => void;
  /** Reading stops or goes on, when more is asked than is answered. */
  readonly pause: (paused: boolean) => void;
}

type Respond = (body: object) => void;

interface Attached {
  readonly client: Client;
  readonly pusher: Pusher;
}

/** Verbs read and not yet done at which reading stops. */
const MAX_QUEUED = 256;
const ANSWERED = Symbol('answered');
const UNREADABLE: SocketRequest = { event: '', params: {}, messageId: undefined, echoed: {} };

export class Conversation<Api> {
  readonly sticky = new StickyParams();
  readonly #implicit = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  #attached: Attached | undefined;
  #turn: Promise<void>;
  #queued = 0;
  #count = 0;
  #totalActions = 0;
  /** Nothing more is read. */
  #leaving = false;
  /** Nothing more is said. */
  #over = false;

  constructor(
    readonly options: ConversationOptions<Api>,
    readonly link: SocketLink,
    readonly dialect: Dialect,
    readonly peer: SocketPeer,
  ) {
    link.onDrained = () => {
      this.#attached?.pusher.drained();
    };
    this.#turn = this.#begin();
  }

  get sessionId(): string | undefined {
    return this.#attached?.client.id;
  }

  /** Requests read so far. */
  get counted(): number {
    return this.#count;
  }

  /** The number of the request that is being read. */
  count(): number {
    this.#count += 1;
    return this.#count;
  }

  /** Takes effect in the order read; only actions overtake. */
  receive(request: SocketRequest, messageCount: number): void {
    if (this.#over || this.#leaving) return;
    const respond = this.#responder(request.messageId, messageCount);
    if (request.event === 'action') this.#action(request, respond);
    else if (request.event === 'quit' || request.event === 'exit') this.#quit();
    else this.#verb(request, respond);
  }

  /** What could not even be read as a request. */
  refuse(error: ChatError, messageCount: number): void {
    if (this.#over || this.#leaving) return;
    const respond = this.#responder(undefined, messageCount);
    this.#enqueue(() => {
      respond(this.dialect.errorOf(error, UNREADABLE));
      return Promise.resolve();
    });
  }

  /** Reads no more; resolves when all that was asked has been answered, at once when nothing is left to answer. */
  async settled(): Promise<void> {
    this.#leaving = true;
    if (this.#queued > 0) await this.#turn;
    if (this.#running.size > 0) await Promise.all(this.#running);
  }

  get idle(): boolean {
    return this.#queued === 0 && this.#running.size === 0;
  }

  /** @param clean the client said that it goes; a dropped link keeps its rooms for the grace */
  end(clean: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#release(clean);
  }

  // --- who speaks ---

  async #begin(): Promise<void> {
    const { chat, welcomeMessage } = this.options;
    try {
      const token = chat.tokens.issue(Date.now());
      const id = chat.tokens.id(token);
      const session = await chat.welcome(id, this.#peerOf(id));
      const { room } = session;
      if (room !== null) this.#implicit.add(room);
      const pusher = await this.#become(session, { echo: undefined, presence: false });
      if (this.#over) return;
      this.link.send(JSON.stringify({ welcome: welcomeMessage, context: 'api', id, room, session: token }));
      await pusher.start(new Map());
    } catch (error) {
      this.#log(error, 'a client could not be welcomed');
      const { code, message, retryAfter } = asChatError(error);
      this.link.send(JSON.stringify({ error: message, code, retryAfter, context: 'api' }));
      this.link.cutOff('not now');
    }
  }

  /** From now on this socket is that client; what its rooms say is pushed once the pusher is started. */
  async #become(
    loaded: Session,
    { echo, presence }: { readonly echo: boolean | undefined; readonly presence: boolean },
  ): Promise<Pusher> {
    const { chat, rates } = this.options;
    const session = await chat.sessions.live(loaded);
    const client = new Client(chat, session, this.#peerOf(session.id), rates);
    const listener = { session, connection: client.connection, echo: echo ?? chat.settings.echo };
    const pusher = new Pusher(chat, this.link, listener, presence);
    await chat.sessions.attach(session, pusher, true);
    // After the new one is held: who resumes what it is already never leaves its rooms.
    this.#release(true);
    this.#attached = { client, pusher };
    if (this.#over) this.#release(false);
    return pusher;
  }

  #release(clean: boolean): void {
    if (!this.#attached) return;
    const { client, pusher } = this.#attached;
    this.#attached = undefined;
    pusher.stop();
    this.options.chat.sessions.detach(client.session, pusher, { held: true, clean });
  }

  /** This connection becomes the client that it was, and goes on at its cursor. */
  async #resume({ params }: SocketRequest, respond: Respond): Promise<typeof ANSWERED> {
    const echo = flagOf(params, 'echo');
    const presence = flagOf(params, 'presence') ?? false;
    const peerOf = (id: string): Peer => this.#peerOf(id);
    const { session, places, cursor } = await findResumed(this.options.chat, params, this.peer.cookie, peerOf);
    const pusher = await this.#become(session, { echo, presence });
    this.#implicit.clear();
    const rooms = roomsOf(pusher.listener.session, false);
    respond({ status: 'OK', data: { id: session.id, rooms, recovered: true, cursor } });
    // Behind the answer, so that the client knows whose messages these are.
    if (!this.#over) await pusher.start(places);
    return ANSWERED;
  }

  #peerOf(id: string): Peer {
    const { remoteIP, remotePort, cookie } = this.peer;
    return {
      type: this.dialect.type,
      fingerprint: cookie?.id ?? id,
      remoteIP,
      remotePort,
      params: this.sticky.values,
      destroy: () => {
        this.link.cutOff('destroyed');
      },
    };
  }

  // --- what is asked ---

  #responder(own: unknown, messageCount: number): Respond {
    const messageId = own ?? randomUUID();
    return (body) => {
      if (!this.#over) this.link.send(JSON.stringify({ ...body, context: 'response', messageCount, messageId }));
    };
  }

  #enqueue(work: () => Promise<void>): void {
    this.#queued += 1;
    if (this.#queued === MAX_QUEUED) this.peer.pause(true);
    const next = async (): Promise<void> => {
      try {
        if (!this.#over) await work();
      } catch (error) {
        this.#log(error, 'a request failed');
      }
      this.#queued -= 1;
      if (this.#queued === MAX_QUEUED / 2) this.peer.pause(false);
    };
    this.#turn = this.#turn.then(next);
  }

  #verb(request: SocketRequest, respond: Respond): void {
    const sticky = this.sticky.act(request);
    this.#enqueue(async () => {
      try {
        const data = sticky ? sticky() : await this.#perform(request, respond);
        if (data !== ANSWERED) respond({ status: 'OK', data });
      } catch (error) {
        this.#log(error, 'a verb failed');
        respond(this.dialect.errorOf(asChatError(error), request));
      }
    });
  }

  #perform(request: SocketRequest, respond: Respond): unknown {
    if (request.event === 'resume') return this.#resume(request, respond);
    const verb = verbs.get(request.event);
    if (!verb) throw new ChatError('unknown_verb', request.event);
    if (!this.#attached) throw new ChatError('shutting_down');
    const { client, pusher } = this.#attached;
    const { cursor } = pusher;
    const details = (): object => ({
      totalActions: this.#totalActions,
      pendingActions: this.#running.size,
      cursor,
    });
    const documentation = (): object => this.options.actions.documentation();
    return verb({ client, implicit: this.#implicit, details, documentation }, request.params);
  }

  /** Whatever was asked before it is answered first. */
  #quit(): void {
    const before = this.settled();
    void before.then(() => {
      if (this.#over) return;
      this.link.send(JSON.stringify({ status: 'Bye!', context: 'api' }));
      this.peer.goodbye();
      this.end(true);
    });
  }

  #action(request: SocketRequest, respond: Respond): void {
    const fail = (error: unknown): void => {
      this.#log(error, 'an action failed');
      const { message, code, retryAfter } = asChatError(error);
      respond({ error: message, code, retryAfter });
    };
    this.#totalActions += 1;
    if (this.#running.size >= this.options.simultaneousActions) {
      fail(new ChatError('too_many_pending'));
      return;
    }
    // After what was read before it, and holding up nothing that comes after.
    const running = this.#turn.then(() => this.#run(request, respond)).catch(fail);
    this.#running.add(running);
    void running.then(() => this.#running.delete(running));
  }

  async #run({ params }: SocketRequest, respond: Respond): Promise<void> {
    if (!this.#attached) return;
    const { client } = this.#attached;
    const { connection } = client;
    const action = this.options.actions.find(params['action'], this.dialect.type);
    const result = await action.perform(params, { client, connection, api: this.options.api, httpMethod: undefined });
    await client.flush();
    respond(result instanceof Reading ? await result.now() : { ...(result as object | undefined) });
  }

  #log(error: unknown, text: string): void {
    if (!(error instanceof ChatError)) this.options.chat.logger.error({ err: error, client: this.sessionId }, text);
  }
}
