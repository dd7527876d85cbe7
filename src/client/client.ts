/** One participant in a chat, over whatever link there is. */
import { backoff, type BackoffOptions } from './backoff';
import { ChatError, isForgotten, isPassing } from './errors';
import { Events, type Listener } from './events';
import { Http } from './http';
import { Keeper } from './keeper';
import { Kept } from './kept';
import type { Details, Frame, Link, LinkContext } from './link';
import { page } from './page';
import { openPoll } from './poll';
import { sleep } from './sleep';
import { alone, slotOf } from './slots';
import { openStream } from './stream';
import type { ChatEvents, ClientOptions, Gap, LinkKind, Message, Presence, RoomView, Said, SayOptions } from './types';
import { openWebSocket } from './websocket';

const openers: Readonly<Record<LinkKind, (context: LinkContext) => Promise<Link>>> = {
  websocket: openWebSocket,
  sse: openStream,
  poll: openPoll,
};

/** What `connect` answers. */
interface Made {
  readonly session: string;
  readonly id: string;
  readonly room: string | null;
  readonly cursor: string;
}

export class ChatClient {
  readonly #events = new Events<ChatEvents>();
  readonly #http: Http;
  readonly #kept: Kept;
  readonly #keeper: Keeper;
  readonly #context: LinkContext;
  readonly #timeout: number;
  readonly #backoff: BackoffOptions;
  readonly #stop = new AbortController();
  /** The server has said who this client is, since the page was loaded or the client was forgotten. */
  #known = false;
  /** Aborted when it says so. */
  #saysWho = new AbortController();
  #lastSay: Promise<unknown> = Promise.resolve();

  /** @param chat `https://example.com/chat/` */
  constructor(chat: URL, options: ClientOptions) {
    const { linkTimeout = 8000, timeout = 30_000, name = '', links = ['websocket', 'sse', 'poll'] } = options;
    const { identity = page.location?.origin === chat.origin ? 'cookie' : 'token', echo, presence } = options;
    this.#timeout = timeout;
    this.#backoff = { base: 500, most: 30_000, ...options.backoff };
    this.#kept = new Kept(storageOf(options), `earshot ${chat.href} ${name}`, identity === 'cookie');
    this.#http = new Http(chat, this.#kept, linkTimeout, options.fetch ?? ((...request) => fetch(...request)));
    this.#context = {
      http: this.#http,
      kept: this.#kept,
      slot: slotOf(chat.origin),
      wishes: { echo, presence },
      WebSocket: options.WebSocket ?? (globalThis as { WebSocket?: typeof WebSocket }).WebSocket,
      identify: () => this.#identify(),
      adopt: (details) => this.#adopt(details),
      receive: (frame, cursor) => this.#receive(frame, cursor),
    };
    this.#keeper = new Keeper({
      openers: links.map((kind) => [kind, () => this.#open(kind)]),
      backoff: this.#backoff,
      opened: (link) => void this.#opened(link),
      closed: (error, retryIn) => this.#events.emit('close', { error, retryIn }),
      forgotten: () => this.#forgotten(),
    });
    this.#listenToThePage();
    void this.#keeper.run();
  }

  /** Who this client is to others; undefined until the server has said so. */
  get id(): string | undefined {
    return this.#kept.id;
  }

  /** The rooms that it is in, and comes back into when it was away. */
  get rooms(): readonly string[] {
    return [...this.#kept.rooms];
  }

  /** What it hears by; undefined while there is none. */
  get link(): LinkKind | undefined {
    return this.#keeper.link?.kind;
  }

  /** Answers what ends it. */
  on<Name extends keyof ChatEvents>(event: Name, listener: Listener<ChatEvents[Name]>): () => void {
    return this.#events.on(event, listener);
  }

  /**
   * Resolves when the message is in the room's log: once, whatever had to be repeated. Messages of one client are said
   * in the order of the calls.
   * @throws ChatError
   */
  say(message: unknown, options: SayOptions = {}): Promise<Said> {
    const key = options.key ?? randomKey();
    const said = this.#ask('say', { ...options, message, key }, this.#lastSay);
    this.#lastSay = said.catch(() => undefined);
    return said as Promise<Said>;
  }

  /** Into one more room; nothing happens when it is there already. @throws ChatError */
  async roomAdd(room: string): Promise<void> {
    await this.#ask('roomAdd', { room }).catch(unless('already_in_room'));
    this.#kept.rooms.add(room);
    this.#moved();
  }

  /** Out of a room; nothing happens when it is not there. @throws ChatError and it is there as before */
  async roomLeave(room: string): Promise<void> {
    const { rooms } = this.#kept;
    // Before the answer: a link that opens meanwhile is not to take it back there.
    const wasThere = rooms.delete(room);
    await this.#ask('roomLeave', { room })
      .catch(unless('not_in_room'))
      .catch((error: unknown) => {
        if (wasThere) rooms.add(room);
        throw error;
      });
    this.#moved();
  }

  /** Who is there. @throws ChatError */
  async roomView(room?: string, part: { readonly limit?: number; readonly cursor?: string } = {}): Promise<RoomView> {
    const view = (await this.#ask('roomView', { room, ...part })) as RoomView & { readonly members: object };
    const { members } = view;
    return { ...view, members: Array.isArray(members) ? (members as string[]) : Object.keys(members) };
  }

  /** What was said before this client came, oldest first, where the server allows it. @throws ChatError */
  async history(
    room: string,
    part: { readonly limit?: number; readonly before?: string } = {},
  ): Promise<readonly Message[]> {
    const { messages } = (await this.#ask('history', { room, ...part })) as { readonly messages: readonly Message[] };
    return messages;
  }

  /** Any other action. It is asked for once: what it does a second time is not known here. @throws ChatError */
  action(name: string, params: object = {}): Promise<Readonly<Record<string, unknown>>> {
    return this.#ask('action', { ...params, action: name }) as Promise<Readonly<Record<string, unknown>>>;
  }

  /** Ends it. What is under way is rejected with `closed`. */
  close(): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#keeper.stop();
    this.#saysWho.abort();
    this.#kept.drop();
    this.#events.emit('close', { error: undefined, retryIn: null });
  }

  // --- asking ---

  /** @param turn what has to be over first, in the same time */
  async #ask(event: string, params: object, turn?: Promise<unknown>): Promise<unknown> {
    const until = performance.now() + this.#timeout;
    await turn;
    /** As whom it may have been done, without an answer. A key counts for one client only. */
    let perhapsDoneBy: string | undefined;
    for (let failures = 0; ; failures += 1) {
      const known = this.#known;
      try {
        if (!known || this.#stop.signal.aborted) throw new ChatError('unreachable');
        if (event === 'say' && (perhapsDoneBy ?? this.id) !== this.id) throw new ChatError('outcome_unknown');
        return await this.#askOnce(event, params);
      } catch (error) {
        if (this.#stop.signal.aborted) throw new ChatError('closed');
        const forgotten = isForgotten(error);
        const { code, retryAfter = 0 } = error as ChatError;
        const asked = known && code !== 'chat_disabled';
        if ((event === 'action' && asked) || !(forgotten || isPassing(error))) throw error;
        if (asked && (code === 'unreachable' || code === 'outcome_unknown')) perhapsDoneBy ??= this.id;
        const left = until - performance.now();
        if (retryAfter * 1000 >= left) throw error;
        // Where requests get no answer, a stream or a poll that is still silent may be as dead.
        if (forgotten || (code === 'unreachable' && !this.#keeper.link?.ask)) this.#keeper.reopen(error as ChatError);
        // Nobody waits longer than it takes: the server may say at any time who this is.
        const wait = Math.min(backoff(this.#backoff, failures, retryAfter), left);
        await sleep(wait, this.#known ? this.#stop.signal : this.#saysWho.signal);
      }
    }
  }

  #askOnce(event: string, params: object): Promise<unknown> {
    const { link } = this.#keeper;
    if (link?.ask) return link.ask(event, params);
    // How long an action takes is its own business.
    return this.#http.ask(event, params, event === 'action' ? AbortSignal.timeout(this.#timeout) : undefined);
  }

  // --- who this is ---

  async #open(kind: LinkKind): Promise<Link> {
    // A handshake brings its cookie, so it has to be there; the other links ask by themselves.
    if (kind === 'websocket' && this.#kept.cookies && !this.#known) {
      await this.#identify().catch((error: unknown) => {
        unless('chat_disabled')(error);
        // No chat over HTTP, so no cookies: the socket brings a token.
        this.#kept.cookies = false;
      });
    }
    return openers[kind](this.#context);
  }

  async #identify(): Promise<Details> {
    const { cookies } = this.#kept;
    const ask = async (): Promise<Details> => {
      if (!cookies && this.#kept.session === undefined) return this.#connect();
      return (await this.#http.ask('detailsView', {})) as Details;
    };
    // Tabs that are opened together would each be given a cookie, and all but one be somebody whom no cookie names.
    const details = await (cookies && !this.#known ? alone(`earshot ${this.#http.chat.href}`, ask) : ask());
    this.#adopt(details);
    return details;
  }

  async #connect(): Promise<Details> {
    const { session, id, room, cursor } = (await this.#http.json('', { method: 'connect' })) as unknown as Made;
    this.#kept.session = session;
    return { id, rooms: room === null ? [] : [room], cursor };
  }

  /** Tells what cannot be heard any more, where the server took this client for somebody new, or out of its rooms. */
  #adopt({ id, rooms, cursor }: Details): void {
    const kept = this.#kept;
    const before = kept.id;
    if (before === undefined) kept.rooms = new Set(rooms);
    if (before !== id) kept.cursor = cursor;
    kept.id = id;
    kept.cursor ??= cursor;
    for (const room of kept.rooms) {
      if ((before ?? id) !== id || !rooms.includes(room))
        this.#events.emit('gap', { room, reason: 'expired', lost: null });
    }
    kept.save();
    this.#known = true;
    this.#saysWho.abort();
  }

  /** Back into the rooms that the server did not keep it in; then it is open. */
  async #opened(link: Link): Promise<void> {
    const { rooms, id } = link.details;
    await this.#comeBack(rooms);
    if (this.#keeper.link !== link) return;
    this.#events.emit('open', { id, rooms: this.rooms, link: link.kind });
  }

  async #comeBack(rooms: readonly string[]): Promise<void> {
    for (const room of this.#kept.rooms) {
      if (rooms.includes(room)) continue;
      await this.roomAdd(room).catch((error: unknown) => {
        // Refused: it may not be there any more, and `open` tells where it is.
        if (!isPassing(error)) this.#kept.rooms.delete(room);
      });
    }
  }

  #forgotten(): void {
    this.#known = false;
    this.#saysWho = new AbortController();
    this.#kept.session = undefined;
  }

  // --- hearing ---

  #receive(frame: Frame, cursor?: string): void {
    const kept = this.#kept;
    switch (frame['context']) {
      case 'gap': {
        const { context: _context, ...gap } = frame;
        const { reason } = gap;
        if (reason === 'reset' || reason === 'fork') kept.forget(gap['room'] as string | undefined);
        this.#events.emit('gap', gap as unknown as Gap);
        // Over HTTP a client whose record was lost is put into the default room, and has to ask for the others.
        const { link } = this.#keeper;
        if ((reason === 'reset' || reason === 'expired') && !link?.ask) {
          this.#identify()
            .then(({ rooms }) => this.#comeBack(rooms))
            .catch((error: unknown) => {
              this.#keeper.reopen(error as ChatError);
            });
        }
        break;
      }
      case 'presence':
        if (kept.isNew(frame)) this.#events.emit('presence', frame as unknown as Presence);
        break;
      default:
        if (kept.isNew(frame)) this.#events.emit('say', frame as unknown as Message);
    }
    if (cursor !== undefined) kept.cursor = cursor;
    kept.save();
  }

  /** A cursor that knows the rooms as they are now. */
  #moved(): void {
    this.#kept.save();
    this.#keeper.link?.probe();
  }

  /** What the browser knows of the network is a hint and no more: a server on this machine is there without one. */
  #listenToThePage(): void {
    const { document } = page;
    if (!document) return;
    const hurry = (): void => {
      if (document.visibilityState === 'visible') this.#keeper.hurry();
    };
    const { signal } = this.#stop;
    for (const event of ['online', 'pageshow', 'visibilitychange']) addEventListener(event, hurry, { signal });
  }
}

function storageOf({ storage }: ClientOptions): ClientOptions['storage'] {
  if (storage !== undefined) return storage;
  try {
    return sessionStorage;
  } catch {
    // There is none, or the browser's settings forbid it.
    return null;
  }
}

/** `crypto.randomUUID` is there only where the page came over TLS. */
function randomKey(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join();
}

/** Throws on what is not a refusal of this code. */
function unless(code: string): (error: unknown) => void {
  return (error) => {
    if ((error as Partial<ChatError>).code !== code) throw error;
  };
}
