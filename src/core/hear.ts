/** What of a batch one hearer gets: not its own words, not what is matched to others, and what the hooks make of it. */
import type { Batch, LogEntry } from './batch';
import type { ChatConnection, Peer } from './connection';
import { topicSubject } from './entry';
import type { MiddlewareChain, Payload } from './middleware';
import type { Session } from './session';

export interface Listener {
  readonly session: Session;
  /** Whose connection `say` hooks are shown. */
  readonly client: { readonly connection: ChatConnection; readonly peer: Pick<Peer, 'remoteIP'> };
  /** It wants to hear itself. */
  readonly echo: boolean;
}

/** One thing to deliver: the entry as it is, or what the hooks made of it. */
export interface Heard {
  readonly entry: LogEntry;
  readonly json: string;
}

/** All of it, to the byte: the hearers for whom this holds share one Buffer. */
export function hearsAll(batch: Batch, listener: Listener): boolean {
  return !batch.selective && (listener.echo || !batch.isSpokenBy(listener.session.id));
}

export function hears(entry: LogEntry, listener: Listener): boolean {
  if (entry.speaker === listener.session.id && entry.speaker !== '' && !listener.echo) return false;
  return !entry.match || listener.session.matched(entry.match.key) === entry.match.value;
}

/** The same through the `say` hooks, which see messages of rooms only. */
export async function hearThrough(
  middleware: MiddlewareChain,
  entries: readonly LogEntry[],
  listener: Listener,
): Promise<Heard[]> {
  const heard: Heard[] = [];
  for (const entry of entries) {
    if (!hears(entry, listener)) continue;
    if (!entry.topic.startsWith('room:') || !middleware.hasSay) {
      heard.push({ entry, json: entry.json });
      continue;
    }
    const room = topicSubject(entry.topic);
    const payload = await middleware.hear(listener.client.connection, room, JSON.parse(entry.json) as Payload);
    if (payload === null) continue;
    // A hook writes the message; where and when it was said is the server's word.
    const said = { room, context: 'user', sentAt: entry.ms, id: entry.id };
    heard.push({ entry, json: JSON.stringify(Object.assign({}, payload, said)) });
  }
  return heard;
}
