/** The logs in Redis: a stream for the entries, and beside it a hash that outlives them and tells where the log stands. */
import { randomBytes } from 'node:crypto';
import type { Entry, Match, NewEntry, Topic } from '../../core/entry';
import { topicSubject } from '../../core/entry';
import { NODE_KEY_MS } from '../../core/settings';
import type { Appended, AppendOptions, Slice } from '../../core/store';
import { ChatError } from '../../protocol/errors';
import { BEGINNING, type EntryId } from '../../protocol/entry-id';
import { encodeTag } from './announcement';
import { Appends } from './appends';
import { listOf, pairsOf, textOf, type Context, type Reply } from './context';
import type { Replication } from './replication';

export class Logs {
  readonly #appends: Appends;
  /** Tells this process' own keys from others'. */
  readonly #node = randomBytes(12).toString('base64url');
  #count = 0;

  constructor(
    readonly context: Context,
    readonly replication: Replication | undefined,
    /** Told of a room that an append brought into being. */
    readonly made: (room: string) => Promise<void>,
  ) {
    const { messageTTL, logKeep } = context.limits;
    // A TTL is renewed eight times in its course at most, not with every say.
    const pace = Math.max(1, Math.floor(Math.min(messageTTL || logKeep, logKeep) / 8));
    this.#appends = new Appends(context, pace);
  }

  async append(topic: Topic, entry: NewEntry, options: AppendOptions): Promise<Appended> {
    const { link } = this.context.calls;
    const answer = await this.#appends.append(topic, {
      once: options.key ?? this.#ownKey(),
      member: options.member ?? '',
      create: options.create,
      keyMs: Math.max(1, Math.round(options.keyMs ?? NODE_KEY_MS)),
      tag: encodeTag(entry),
      data: entry.data,
      speaker: entry.speaker,
      match: entry.match,
    });
    if (answer === '!') return { outcome: 'not_member' };
    if (answer === '?') return { outcome: 'no_log' };
    if (this.replication && !(await this.replication.reached(link))) throw new ChatError('outcome_unknown', '', 1);
    if (answer.startsWith('=')) return { outcome: 'repeated', id: answer.slice(1) };
    if (!answer.startsWith('*')) return { outcome: 'appended', id: answer };
    await this.made(topicSubject(topic));
    return { outcome: 'appended', id: answer.slice(1) };
  }

  async appended(topic: Topic, key: string): Promise<EntryId | undefined> {
    const { calls, keys } = this.context;
    const once = keys.log(topic).once(key);
    return (await calls.read((client) => client.get(once))) ?? undefined;
  }

  /** For what may be written again, when its answer is lost on the way. */
  #ownKey(): string {
    this.#count += 1;
    return `${this.#node}:${this.#count.toString(36)}`;
  }

  async read(topic: Topic, after: EntryId, limit: number): Promise<Slice> {
    const { calls, keys, limits } = this.context;
    const { state, log, kind } = keys.log(topic);
    const reply = (await calls.script('read', [state, log], [limits.messageTTL, kind, after, limit])) as Reply;
    if (reply === null) return { entries: [], state: undefined };
    const [last, born, trimmed, entries] = listOf(reply);
    return {
      entries: listOf(entries).map(decodeEntry),
      state: { last: textOf(last), born: textOf(born), trimmed: Number(trimmed) },
    };
  }

  /** In one call; on a cluster each log is where its own slot is. */
  async ends(topics: readonly Topic[]): Promise<(EntryId | undefined)[]> {
    const { calls, keys } = this.context;
    const logs = topics.map((topic) => {
      const { state, kind } = keys.log(topic);
      return { state, field: kind === 'presence' ? 'plast' : 'last' };
    });
    if (calls.isCluster) {
      const end = ({ state, field }: (typeof logs)[number]): Promise<string | null> =>
        calls.read((client) => client.hget(state, field));
      return (await Promise.all(logs.map(end))).map((id) => id ?? undefined);
    }
    const states = logs.map(({ state }) => state);
    const fields = logs.map(({ field }) => field);
    const reply = (await calls.script('ends', states, fields)) as Reply;
    return listOf(reply).map((id) => (id === null ? undefined : textOf(id)));
  }

  async history(topic: Topic, before: EntryId | undefined, limit: number): Promise<Entry[]> {
    // Nothing is before the beginning, and Redis takes that for a mistake.
    if (limit <= 0 || before === BEGINNING) return [];
    const { calls, keys, limits } = this.context;
    const end = before === undefined ? '+' : `(${before}`;
    const reply = (await calls.script('history', [keys.log(topic).log], [limits.messageTTL, end, limit])) as Reply;
    return listOf(reply).map(decodeEntry).reverse();
  }
}

function decodeEntry(reply: Reply): Entry {
  const [id, fields] = listOf(reply);
  let prev = '';
  let data = '';
  let speaker = '';
  let key: string | undefined;
  let match: Match | undefined;
  for (const [field, value] of pairsOf(fields)) {
    if (field === 'p') prev = value;
    else if (field === 'd') data = value;
    else if (field === 's') speaker = value;
    else if (field === 'k') key = value;
    else if (field === 'v' && key !== undefined) match = { key, value };
  }
  return match ? { id: textOf(id), prev, data, speaker, match } : { id: textOf(id), prev, data, speaker };
}
