/** The room core without transports: a chat on a store, people in it, and a link that keeps what it is pushed. */
import { Chat, type ChatOptions } from '../../src/core/chat';
import type { ChatConnection, ConnectionType, Peer } from '../../src/core/connection';
import { Pusher, type PushLink } from '../../src/core/push';
import type { Hearer, Session } from '../../src/core/session';
import type { ChatSettings } from '../../src/core/settings';
import type { Store, StoreLimits } from '../../src/core/store';
import { Tokens } from '../../src/core/tokens';
import { roomTopic, type Topic } from '../../src/core/entry';
import { Feed } from '../../src/core/feed';
import { MemoryStore } from '../../src/store/memory-store';
import { tcpLine } from '../../src/protocol/frames';
import type { EntryId } from '../../src/protocol/entry-id';
import { KeptLog } from './logger';

export const limits: StoreLimits = { messageTTL: 60_000, maxLogLength: 10_000, logKeep: 600_000 };

export const NODE_LEASE = 15_000;

const settings: ChatSettings = {
  serverName: 'earshot',
  defaultRoom: 'defaultRoom',
  startingRooms: [],
  createRoomsOnJoin: true,
  reconnectGrace: 0,
  nodeLease: NODE_LEASE,
  echo: false,
  httpClientMessageTTL: 60_000,
  messageTTL: 60_000,
  history: 0,
  roomsPerClient: 50,
  rooms: 0,
  membersListed: 1000,
  messageBytes: 16_384,
};

export interface CoreOptions extends Partial<Omit<ChatOptions, 'settings' | 'logger'>> {
  readonly settings?: Partial<ChatSettings>;
}

const open = new Set<{ chat: Chat; store: Store }>();

export async function startChat(options: CoreOptions = {}): Promise<Chat & { readonly logger: KeptLog }> {
  const { settings: changed = {}, store = new MemoryStore(limits), ...rest } = options;
  await store.open();
  const logger = new KeptLog();
  const tokens = new Tokens('a secret for the tests of the core');
  const chat = new Chat({ tokens, ...rest, store, logger, settings: { ...settings, ...changed } });
  await chat.open();
  open.add({ chat, store });
  return chat as Chat & { readonly logger: KeptLog };
}

/** Hears, and makes nothing of it. */
export function hearer(): Hearer {
  const nothing = (): void => undefined;
  return { roomAdded: nothing, roomRemoved: nothing, ownLogBegun: nothing, close: nothing };
}

export async function closeChats(): Promise<void> {
  for (const { chat, store } of open) {
    await chat.close();
    await store.close();
  }
  open.clear();
}

/** A push link that takes everything, or nothing while `congested`. */
export class KeptLink implements PushLink {
  readonly format = 'tcp';
  congested = false;
  readonly writes: Buffer[] = [];
  cut: string | undefined;

  frame(json: string): Buffer {
    return tcpLine(json);
  }
  push(bytes: Buffer): void {
    this.writes.push(bytes);
  }
  cutOff(reason: string): void {
    this.cut = reason;
  }

  get heard(): Parsed[] {
    return Buffer.concat(this.writes)
      .toString()
      .split('\r\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Parsed);
  }

  get texts(): unknown[] {
    return this.heard.filter(({ context }) => context === 'user').map(({ message }) => message);
  }
}

export interface Parsed {
  readonly message?: unknown;
  readonly room?: string;
  readonly from?: string;
  readonly context?: string;
  readonly id?: string;
  readonly reason?: string;
  readonly lost?: number | null;
  readonly event?: string;
}

export interface Person {
  readonly session: Session;
  readonly connection: ChatConnection;
  readonly peer: Peer;
}

let people = 0;

export async function person(chat: Chat, type: ConnectionType = 'socket'): Promise<Person> {
  people += 1;
  return personOf(chat, await chat.welcome(`person${String(people)}`.padEnd(22, '-'), peer(type)), type);
}

export function personOf(chat: Chat, session: Session, type: ConnectionType = 'socket'): Person {
  const other = peer(type);
  return { session, peer: other, connection: chat.connection(session, other).connection };
}

export function peer(type: ConnectionType): Peer {
  return { type, fingerprint: 'print', remoteIP: '127.0.0.1', remotePort: 1, params: {}, destroy: () => undefined };
}

/** Attaches a link for the person, as a socket's transport does. */
export async function listen(
  chat: Chat,
  person: Person,
  options: { echo?: boolean; presence?: boolean; places?: ReadonlyMap<Topic, EntryId>; link?: KeptLink } = {},
): Promise<{ link: KeptLink; pusher: Pusher; stop(clean?: boolean): void }> {
  const { echo = false, presence = false, places = new Map<Topic, EntryId>(), link = new KeptLink() } = options;
  const live = await chat.sessions.live(person.session);
  const pusher = new Pusher(chat, link, { session: live, client: person, echo }, presence);
  await chat.holding.attach(live, pusher);
  await pusher.start(places);
  const stop = (clean = true): void => {
    pusher.stop();
    chat.holding.detach(live, pusher, clean);
  };
  return { link, pusher, stop };
}

/** Where one stands who has heard all of its rooms. */
export function endsFor(chat: Chat, { session, peer: { remoteIP } }: Person): Promise<Map<Topic, EntryId>> {
  return chat.standing.ends([...session.rooms.keys()].map(roomTopic), remoteIP);
}

/** A feed that has begun; nothing tells it yet that there is more. */
export async function feedOf(
  chat: Chat,
  who: Person,
  places: ReadonlyMap<Topic, EntryId> = new Map(),
  follow = false,
): Promise<Feed> {
  const feed = new Feed(chat, { session: who.session, client: who, echo: false }, { presence: false, follow });
  await feed.start(places);
  return feed;
}
