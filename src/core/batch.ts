/** What a reader at one place of one log gets next; shared by all who stand there, and encoded once for all of them. */
import { tcpLine, webSocketFrame } from '../protocol/frames';
import { entryIdParts, type EntryId } from '../protocol/entry-id';
import { completePresence, completeStored } from '../protocol/message';
import type { Entry, Match, Topic } from './entry';
import type { Page } from './page';
import type { Loss } from './verdict';

/** How one JSON text becomes bytes on a link that is pushed to. */
export type PushFormat = 'websocket' | 'tcp';

const frame: Readonly<Record<PushFormat, (text: string) => Buffer>> = { websocket: webSocketFrame, tcp: tcpLine };

/** An entry with the texts made of it, each made at most once on this node. */
export class LogEntry {
  readonly id: EntryId;
  readonly prev: EntryId;
  readonly ms: number;
  readonly seq: number;
  readonly speaker: string;
  readonly match: Match | undefined;
  /** By the node's steady clock; what a ring keeps is bounded by age as well. */
  readonly receivedAt = performance.now();
  readonly json: string;
  #websocket: Buffer | undefined;
  #tcp: Buffer | undefined;

  constructor(
    readonly topic: Topic,
    entry: Entry,
  ) {
    const { ms, seq } = entryIdParts(entry.id);
    this.id = entry.id;
    this.prev = entry.prev;
    this.ms = ms;
    this.seq = seq;
    this.speaker = entry.speaker;
    this.match = entry.match;
    this.json = this.isPresence ? completePresence(entry.data, ms) : completeStored(entry.data, ms, entry.id);
  }

  get isPresence(): boolean {
    return this.topic.startsWith('presence:');
  }

  framed(format: PushFormat): Buffer {
    if (format === 'websocket') return (this.#websocket ??= frame.websocket(this.json));
    return (this.#tcp ??= frame.tcp(this.json));
  }
}

/** Pages made of one batch: as many as there are other logs read with it; beyond this each reader makes its own. */
const PAGES = 64;

export class Batch {
  /** Someone may not hear all of it: an entry has a match. */
  readonly selective: boolean;
  /** Characters of all its entries. */
  readonly length: number;
  readonly #speakers: ReadonlySet<string>;
  #websocket: Buffer | undefined;
  #tcp: Buffer | undefined;
  #pages: Map<string, Page> | undefined;

  /** @param end where the reader stands after it */
  constructor(
    readonly entries: readonly LogEntry[],
    readonly loss: Loss | undefined,
    readonly end: EntryId,
    readonly more: boolean,
  ) {
    let selective = false;
    const speakers = new Set<string>();
    let length = 0;
    for (const entry of entries) {
      length += entry.json.length;
      if (entry.match) selective = true;
      if (entry.speaker !== '') speakers.add(entry.speaker);
    }
    this.selective = selective;
    this.length = length;
    this.#speakers = speakers;
  }

  isSpokenBy(client: string): boolean {
    return this.#speakers.has(client);
  }

  /** All entries in one Buffer: one write a hearer, however many messages. */
  joined(format: PushFormat): Buffer {
    if (format === 'websocket') return (this.#websocket ??= this.#join(format));
    return (this.#tcp ??= this.#join(format));
  }

  /** What it is together with the places in other logs that `others` names, for feeds. */
  page(others: string, make: () => Page): Page {
    this.#pages ??= new Map();
    let page = this.#pages.get(others);
    if (!page) {
      page = make();
      if (this.#pages.size < PAGES) this.#pages.set(others, page);
    }
    return page;
  }

  #join(format: PushFormat): Buffer {
    return joinFrames(this.entries, format);
  }
}

export function joinFrames(entries: readonly LogEntry[], format: PushFormat): Buffer {
  const [only] = entries;
  if (only && entries.length === 1) return only.framed(format);
  return Buffer.concat(entries.map((entry) => entry.framed(format)));
}
