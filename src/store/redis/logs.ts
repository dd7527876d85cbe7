/** The logs in Redis: a stream for the entries, and beside it a hash that outlives them and tells where the log stands. */
import { randomUUID } from 'node:crypto';
import type { Entry, Match, NewEntry, Topic } from '../../core/entry';
import { topicSubject } from '../../core/entry';
import { NODE_KEY_MS } from '../../core/settings';
import type { Appended, AppendOptions, Slice } from '../../core/store';
import { ChatError } from '../../protocol/errors';
import { BEGINNING, type EntryId } from '../../protocol/entry-id';
import { encodeTag, MOVED } from './announcement';
import { listOf, pairsOf, textOf, type Context, type Reply } from './context';
import type { Replication } from './replication';

export class Logs {
  readonly #pace: number;

  constructor(
    readonly context: Context,
    readonly replication: Replication | undefined,
    /** Told of a room that an append brought into being. */
    readonly made: (room: string) => Promise<void>,
  ) {
    const { messageTTL, logKeep } = context.limits;
    // A TTL is renewed eight times in its course at most, not with every say.
    this.#pace = Math.max(1, Math.floor(Math.min(messageTTL || logKeep, logKeep) / 8));
  }

  async append(topic: Topic, entry: NewEntry, options: AppendOptions): Promise<Appended> {
    const { calls, keys, limits, publish, announce } = this.context;
    const { state, log, once, kind } = keys.log(topic);
    const roll = kind === 'client' ? state : keys.roll(topicSubject(topic));
    const parameters = [
      publish,
      limits.logKeep,
      limits.messageTTL,
      limits.maxLogLength,
      this.#pace,
      kind,
      options.member ?? '',
      options.create ? '1' : '0',
      Math.max(1, Math.round(options.keyMs ?? NODE_KEY_MS)),
      encodeTag(entry),
      'd',
      entry.data,
    ];
    if (entry.speaker !== '') parameters.push('s', entry.speaker);
    if (entry.match) parameters.push('k', entry.match.key, 'v', entry.match.value);

    const link = calls.link;
    const answer = textOf(
      (await calls.script('append', [state, log, once(options.key ?? randomUUID()), roll], parameters)) as Reply,
    );
    if (answer === '!') return { outcome: 'not_member' };
    if (answer === '?') return { outcome: 'no_log' };
    if (this.replication && !(await this.replication.reached(link))) throw new ChatError('outcome_unknown', '', 1);
    if (answer.startsWith('=')) return { outcome: 'repeated', id: answer.slice(1) };
    announce(log, MOVED);
    if (!answer.startsWith('*')) return { outcome: 'appended', id: answer };
    await this.made(topicSubject(topic));
    return { outcome: 'appended', id: answer.slice(1) };
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
