/** How a socket comes to be somebody: welcomed as new, resumed by its handshake or its first words, or turned away. */
import type { ChatError } from '../protocol/errors';
import type { Chat } from '../core/chat';
import { roomsOf, type Peer } from '../core/connection';
import type { Rates } from '../core/rate';
import { Attachment, type Attached } from './attachment';
import { flagOf, given, type Arguments, type SocketRequest } from './request';
import { findResumed } from './resume';
import type { SocketPeer } from './socket-peer';
import type { StickyParams } from './sticky';
import type { Turns } from './turns';

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

/** The conversation that it leads into. */
export interface Entered {
  readonly options: { readonly chat: Chat; readonly rates: Rates; readonly welcomeMessage: string };
  readonly peer: SocketPeer;
  /** To be looked at; what changes them goes by the conversation. */
  readonly sticky: StickyParams;
  readonly turns: Turns;
  /** Nothing more is said. */
  readonly isOver: boolean;
  /** What the client is told of it. */
  refused(error: unknown): ChatError;
  log(error: unknown, text: string): void;
}

class ClientPeer implements Peer {
  constructor(
    readonly within: Pick<Entered, 'peer' | 'sticky'>,
    readonly id: string,
  ) {}

  get type(): Peer['type'] {
    return this.within.peer.dialect.type;
  }
  get fingerprint(): string {
    return this.within.peer.cookie?.id ?? this.id;
  }
  get remoteIP(): string {
    return this.within.peer.remoteIP;
  }
  get remotePort(): number {
    return this.within.peer.remotePort;
  }
  get params(): Peer['params'] {
    return this.within.sticky.values;
  }
  destroy(): void {
    this.within.peer.link.cutOff('destroyed');
  }
}

/** Two turns of the event loop later: what came while we were held up has been read by then. */
function afterReading(work: () => void): void {
  setImmediate(() => setImmediate(work));
}

export class Entrance {
  readonly #attachment: Attachment;
  /** It has to say who it was. */
  readonly isNobody: boolean;
  /** The room that it came into by connecting. */
  #implicit: string | undefined;
  /** Set while the first request is waited for; told whether it is to resume. */
  #first: ((resumes: boolean) => void) | undefined;
  /** Set while it may yet say who it was. */
  #impatience: NodeJS.Timeout | undefined;

  constructor(
    readonly within: Entered,
    beginning: Beginning,
  ) {
    const { options, peer } = within;
    this.#attachment = new Attachment(options.chat, options.rates, peer.link, this);
    this.isNobody = beginning.as === 'nobody';
    if (beginning.as !== 'nobody') within.turns.add(() => this.#begin(beginning));
    else if (beginning.patience > 0) this.#becomesSomebody(beginning.patience);
  }

  /** Whose connection it is; undefined before it is anybody's. */
  get current(): Attached | undefined {
    return this.#attachment.current;
  }

  get clientId(): string | undefined {
    return this.current?.client.id;
  }

  /** The other end, as that client. */
  peerOf(id: string): Peer {
    return new ClientPeer(this.within, id);
  }

  /** The peer has taken what it was sent, and can be pushed to again. */
  drained(): void {
    this.#attachment.drained();
  }

  /** A request was read, or none will be. */
  asked(resumes: boolean): void {
    this.#first?.(resumes);
  }

  /** @param clean the client said that it goes; a dropped link keeps its rooms for the grace */
  end(clean: boolean): void {
    this.asked(false);
    clearTimeout(this.#impatience);
    this.#attachment.end(clean);
  }

  /** Whether it is in that room by having connected: true once. */
  cameWith(room: unknown): boolean {
    if (room !== this.#implicit || this.#implicit === undefined) return false;
    const there = this.current?.client.session.rooms.has(this.#implicit) ?? false;
    this.#implicit = undefined;
    return there;
  }

  /**
   * The verb: the connection becomes the client that it was, and goes on at its cursor.
   * @param answer tells it so, before any message comes that it has missed
   */
  async resume({ params }: SocketRequest, answer: (data: object) => void): Promise<void> {
    const isFirst = this.#isUnwelcomed();
    try {
      const { data, start, room } = await this.#resumed(params);
      if (isFirst) this.#greet({ ...data, room, session: given(params, 'session') });
      answer(data);
      // Behind the answer, so that the client knows whose messages these are.
      await start();
    } catch (error) {
      if (this.#isUnwelcomed()) await this.#welcome();
      throw error;
    }
  }

  // --- inside ---

  async #begin(beginning: Exclude<Beginning, { readonly as: 'nobody' }>): Promise<void> {
    if (beginning.as === 'resumed') {
      try {
        const { data, start, room } = await this.#resumed(beginning.params);
        this.#greet({ ...data, room });
        await start();
      } catch (error) {
        this.#turnAway(error, 'a client could not be resumed');
      }
      return;
    }
    const resumes = beginning.patience > 0 && (await this.#firstResumes(beginning.patience));
    if (!resumes && !this.within.isOver) await this.#welcome();
  }

  /** Before it is anybody. */
  #turnAway(error: unknown, text: string): void {
    this.within.log(error, text);
    const { code, message } = this.within.refused(error);
    const { link } = this.within.peer;
    link.send(JSON.stringify({ error: message, code, context: 'api' }));
    link.cutOff('try again later');
  }

  #becomesSomebody(withinMs: number): void {
    const late = (): void => {
      // Behind what was asked in time, be it that the store takes longer.
      this.within.turns.add(() => {
        if (!this.within.isOver && this.clientId === undefined) this.within.peer.link.cutOff('it never resumed');
        return Promise.resolve();
      });
    };
    this.#impatience = setTimeout(() => afterReading(late), withinMs).unref();
  }

  #firstResumes(withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const late = (): void => afterReading(() => this.asked(false));
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
    const { chat } = this.within.options;
    try {
      const token = chat.tokens.issue(Date.now());
      const id = chat.tokens.id(token);
      const session = await chat.welcome(id, this.peerOf(id));
      const { room } = session;
      this.#implicit = room ?? undefined;
      const { pusher } = await this.#attachment.become(session, {}, session.rooms);
      if (this.within.isOver) return;
      this.#greet({ id, room, session: token });
      await pusher.start(new Map());
    } catch (error) {
      this.#turnAway(error, 'a client could not be welcomed');
    }
  }

  /** The first words, whoever the connection is. */
  #greet(who: object): void {
    const { options, peer } = this.within;
    peer.link.send(JSON.stringify({ welcome: options.welcomeMessage, context: 'api', ...who }));
  }

  /** Its first words are still to come. A call, as TypeScript sees no change of a field while something is awaited. */
  #isUnwelcomed(): boolean {
    return this.clientId === undefined && !this.isNobody;
  }

  /** This connection becomes the client that it was; `start` lets it go on at its cursor. */
  async #resumed(
    params: Arguments,
  ): Promise<{ readonly data: object; readonly room: string | null; readonly start: () => Promise<void> }> {
    const wishes = { echo: flagOf(params, 'echo'), presence: flagOf(params, 'presence') };
    const { options, peer } = this.within;
    const { chat, rates } = options;
    // It comes into all its rooms anew, so it is a join: one after the other would be many for the price of a line.
    if (this.clientId === undefined) rates.joinOfAddress(peer.remoteIP);
    else rates.join(this.clientId, peer.remoteIP);
    const resumed = await findResumed(chat, params, peer.cookie, (id) => this.peerOf(id));
    const { client, pusher } = await this.#attachment.become(resumed.session, wishes, resumed.held);
    this.#implicit = undefined;
    const data = { id: client.id, rooms: roomsOf(client.session, false), recovered: true, cursor: resumed.cursor };
    const start = async (): Promise<void> => {
      if (!this.within.isOver) await pusher.start(resumed.places);
    };
    return { data, room: client.session.room, start };
  }
}
