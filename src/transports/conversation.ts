/** What goes on over one socket once it is let in: requests, read in order and answered in the client's name. */
import { randomUUID } from 'node:crypto';
import { asChatError, ChatError } from '../protocol/errors';
import type { Actions } from '../core/action';
import type { Chat } from '../core/chat';
import type { Rates } from '../core/rate';
import { Reading } from '../core/reading';
import { Entrance, type Beginning, type Entered } from './entrance';
import { SaidWords, type SocketRequest } from './request';
import type { SocketPeer } from './socket-peer';
import { StickyParams } from './sticky';
import { Turns, type Turn } from './turns';
import { verbs } from './verbs';

export interface ConversationOptions<Api> {
  readonly chat: Chat;
  readonly actions: Actions<Api>;
  readonly api: Api;
  readonly rates: Rates;
  readonly welcomeMessage: string;
  readonly simultaneousActions: number;
}

/** @param answer nobody else's: what every one has is added to it */
type Respond = (answer: object) => void;

/** What every answer has. */
interface Response {
  context: 'response';
  messageCount: number;
  messageId: unknown;
}

/** Most sockets set none. */
const NONE_SET = new StickyParams();

interface Asked {
  readonly request: SocketRequest;
  readonly respond: Respond;
}

/** Words for one room that were read right after each other. */
interface Sayings {
  readonly turn: Turn;
  readonly all: Asked[];
}

/** Of them, and bytes, done in one turn: what one socket says leaves room for others' in the script that it goes into. */
const SAID_TOGETHER = 32;
const SAID_TOGETHER_BYTES = 65_536;

const DONE = Promise.resolve();
const ANSWERED = Symbol('answered');
const UNREADABLE: SocketRequest = { event: '', params: {}, messageId: undefined, echoed: {} };

function fits({ request }: Asked, bytes: number, { turn, all }: Sayings): boolean {
  const [first] = all;
  const isRoomLeft = all.length < SAID_TOGETHER && turn.bytes + bytes <= SAID_TOGETHER_BYTES;
  return isRoomLeft && first?.request.params['room'] === request.params['room'];
}

export class Conversation<Api> implements Entered {
  readonly turns: Turns;
  readonly #entrance: Entrance;
  #sticky: StickyParams | undefined;
  #actions: Set<Promise<void>> | undefined;
  /** The last ones, until they are begun. */
  #sayings: Sayings | undefined;
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
    this.turns = new Turns(peer);
    this.#entrance = new Entrance(this, beginning);
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** The peer has taken what it was sent, and can be pushed to again. */
  drained(): void {
    this.#entrance.drained();
  }

  /** To be looked at; what changes them goes by `receive`. */
  get sticky(): StickyParams {
    return this.#sticky ?? NONE_SET;
  }

  /** The client's id; undefined before it is welcome. */
  get clientId(): string | undefined {
    return this.#entrance.clientId;
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
    this.#entrance.asked(request.event === 'resume');
    const respond = this.#responder(request.messageId, messageCount);
    if (request.event === 'action') this.#action(request, respond);
    else if (request.event === 'quit' || request.event === 'exit') this.#quit();
    else this.#verb(request, respond, bytes);
  }

  /** What could not even be read as a request. */
  refuse(error: ChatError, messageCount: number): void {
    if (this.#leaving) return;
    this.#entrance.asked(false);
    const respond = this.#responder(undefined, messageCount);
    this.turns.add(() => {
      respond(this.peer.dialect.errorOf(this.refused(error), UNREADABLE));
      return Promise.resolve();
    });
  }

  /** All that was asked has been answered. */
  get idle(): boolean {
    return this.turns.idle && this.#pendingActions === 0;
  }

  /** Reads no more, and resolves when all that was asked has been answered. */
  async settled(): Promise<void> {
    this.#leaving = true;
    this.#entrance.asked(false);
    await this.turns.done;
    if (this.#actions) await Promise.all(this.#actions);
  }

  /** @param clean the client said that it goes; a dropped link keeps its rooms for the grace */
  end(clean: boolean): void {
    if (this.#over) return;
    this.#leaving = true;
    this.#over = true;
    this.#entrance.end(clean);
  }

  // --- inside ---

  get #pendingActions(): number {
    return this.#actions?.size ?? 0;
  }

  #responder(own: unknown, messageCount: number): Respond {
    const messageId = own ?? randomUUID();
    return (answer) => {
      if (this.#over) return;
      // Not behind a spread of it, for which V8 takes three microseconds: most of what an answer costs.
      const response = answer as Response;
      response.context = 'response';
      response.messageCount = messageCount;
      response.messageId = messageId;
      this.peer.link.send(JSON.stringify(response));
    };
  }

  #verb(request: SocketRequest, respond: Respond, bytes: number): void {
    if (request.event === 'say' && !(request.params['words'] instanceof SaidWords)) {
      this.#say({ request, respond }, bytes);
      return;
    }
    const sticky = this.#actOnSticky(request);
    this.turns.add(async () => {
      if (!this.#over) await this.#answer({ request, respond }, sticky);
    }, bytes);
  }

  /** What is said in one room in one breath is stored together: a store far away is not waited for by each of it. */
  #say(asked: Asked, bytes: number): void {
    const last = this.#sayings;
    if (last && fits(asked, bytes, last) && this.turns.extend(last.turn, bytes)) {
      last.all.push(asked);
      return;
    }
    const all = [asked];
    this.#sayings = { turn: this.turns.add(() => this.#sayAll(all), bytes), all };
  }

  async #sayAll(all: readonly Asked[]): Promise<void> {
    if (this.#sayings?.all === all) this.#sayings = undefined;
    // A hook may take its time, and may end the connection.
    if (this.options.chat.middleware.hasReceive) {
      for (const asked of all) if (!this.#over) await this.#answer(asked);
      return;
    }
    if (this.#over) return;
    // Each is on its way to the store when the next one begins, and answered when those before it are.
    let before = DONE;
    for (const asked of all) before = this.#answer(asked, undefined, before);
    await before;
  }

  /**
   * Does what was asked and answers it; never rejects.
   * @param before what is answered first
   */
  async #answer({ request, respond }: Asked, sticky?: () => unknown, before?: Promise<void>): Promise<void> {
    let data: unknown;
    let failure: { readonly error: unknown } | undefined;
    try {
      data = sticky ? sticky() : await this.#perform(request, respond);
    } catch (error) {
      failure = { error };
    }
    if (before) await before;
    try {
      if (failure) throw failure.error;
      if (data !== ANSWERED) respond({ status: 'OK', data });
    } catch (error) {
      this.log(error, 'a verb failed');
      respond(this.peer.dialect.errorOf(this.refused(error), request));
    }
  }

  #actOnSticky(request: SocketRequest): (() => unknown) | undefined {
    // So are all the verbs about them called.
    if (!request.event.startsWith('param')) return undefined;
    this.#sticky ??= new StickyParams();
    return this.#sticky.act(request);
  }

  #perform(request: SocketRequest, respond: Respond): unknown {
    if (request.refusal) throw request.refusal;
    if (request.event === 'resume') {
      const answer = (data: object): void => respond({ status: 'OK', data });
      return this.#entrance.resume(request, answer).then(() => ANSWERED);
    }
    const verb = verbs.get(request.event);
    if (!verb) throw new ChatError('unknown_verb', request.event);
    const { current } = this.#entrance;
    if (!current) throw new ChatError(this.#entrance.isNobody ? 'session_unknown' : 'shutting_down');
    const { client, pusher } = current;
    const [totalActions, pendingActions] = [this.#totalActions, this.#pendingActions];
    const details = (): object => ({ totalActions, pendingActions, cursor: pusher.cursor });
    const documentation = (): object => this.options.actions.documentation();
    const cameWith = (room: unknown): boolean => this.#entrance.cameWith(room);
    return verb({ client, cameWith, details, documentation }, request.params);
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
      this.log(error, 'an action failed');
      const { message, code, retryAfter } = this.refused(error);
      respond({ error: message, code, retryAfter });
    };
    this.#totalActions += 1;
    // What is said after it is not to be said before it.
    this.#sayings = undefined;
    if (this.#pendingActions >= this.options.simultaneousActions) {
      fail(new ChatError('too_many_pending'));
      return;
    }
    // After what was read before it, and holding up nothing that comes after.
    const running = this.turns.done.then(() => this.#run(request, respond)).catch(fail);
    const actions = (this.#actions ??= new Set());
    actions.add(running);
    void running.then(() => actions.delete(running));
  }

  async #run({ params, refusal }: SocketRequest, respond: Respond): Promise<void> {
    if (refusal) throw refusal;
    const { current } = this.#entrance;
    if (!current) {
      if (this.#entrance.isNobody) throw new ChatError('session_unknown');
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
    respond(result instanceof Reading ? await result.now() : Object.assign({}, result));
  }

  /** What the client is told of it; counted, unless there is nobody left to tell. */
  refused(error: unknown): ChatError {
    const told = asChatError(error);
    if (!this.#over) this.options.chat.counters.refuse(told.code);
    return told;
  }

  log(error: unknown, text: string): void {
    if (!(error instanceof ChatError)) this.options.chat.logger.error({ err: error, client: this.clientId }, text);
  }
}
