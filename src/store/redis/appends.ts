/**
 * What is said in one room while Redis does what was said before it goes there together: one script, one announcement and
 * one answer for all of it, in the order in which it was said. (Databases call it a group commit.) A quiet room's say
 * waits for nothing; in a busy one Redis has as much to do for sixty as for a few.
 */
import { topicSubject, type Match, type Topic } from '../../core/entry';
import { MOST_ENTRIES, MOVED } from './announcement';
import { isPassing, NotWritten, type Sending } from './calls';
import { listOf, textOf, type Context, type Reply } from './context';

/** One entry, as the script wants it. */
export interface Append {
  /** Makes it happen once, however often it is written. */
  readonly once: string;
  /** Who has to be a member; empty: nobody. */
  readonly member: string;
  readonly create: boolean;
  readonly keyMs: number;
  readonly tag: string;
  readonly data: string;
  readonly speaker: string;
  readonly match: Match | undefined;
}

interface Waiting {
  readonly append: Append;
  readonly call: Sending;
  readonly resolve: (answer: string) => void;
  readonly reject: (error: Error) => void;
}

/** Characters of the entries in one script: Redis does nothing else meanwhile. */
const MOST_LENGTH = 262_144;

export class Appends {
  #logs = new Map<Topic, LogAppends>();
  /** The number of the link that all of them are written on. */
  #link = 0;

  constructor(
    readonly context: Context,
    /** ms between two renewals of a log's TTL. */
    readonly pace: number,
  ) {}

  /**
   * @returns what the script answers for this entry: see lua/append.lua. Rejects as Calls do
   */
  append(topic: Topic, append: Append): Promise<string> {
    return this.context.calls.together(
      (call) =>
        new Promise<string>((resolve, reject) => {
          this.#log(topic).add({ append, call, resolve, reject });
        }),
    ) as Promise<string>;
  }

  #log(topic: Topic): LogAppends {
    const { link } = this.context.calls;
    if (link !== this.#link) {
      // All of them are sent again on the new one: nobody answers what was written on one that is lost.
      this.#link = link;
      for (const log of this.#logs.values()) log.forget();
      this.#logs = new Map();
    }
    let log = this.#logs.get(topic);
    if (!log) {
      const logs = this.#logs;
      log = new LogAppends(topic, this, () => logs.delete(topic));
      logs.set(topic, log);
    }
    return log;
  }
}

/** Those to one log: what is written, and what waits for its answer. */
class LogAppends {
  #waiting: Waiting[] = [];
  #isWritten = false;
  #isDue = false;

  constructor(
    readonly topic: Topic,
    readonly appends: Appends,
    /** Nothing is left to do. Of its own link: those of a newer one are not to be touched. */
    readonly over: () => void,
  ) {}

  add(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#goOn();
  }

  /** Nothing more is written. */
  forget(): void {
    this.#waiting = [];
  }

  #goOn(): void {
    if (this.#isWritten || this.#isDue) return;
    if (this.#waiting.length === 0) {
      this.over();
      return;
    }
    this.#isDue = true;
    this.appends.context.calls.beforeWriting(() => {
      this.#isDue = false;
      this.#write(this.#next());
    });
  }

  /** As much as goes at once, of what somebody still waits for. */
  #next(): Waiting[] {
    const next: Waiting[] = [];
    let length = 0;
    let seen = 0;
    for (const waiting of this.#waiting) {
      const more = length + lengthOf(waiting.append);
      if (next.length >= MOST_ENTRIES || (next.length > 0 && more > MOST_LENGTH)) break;
      seen += 1;
      if (!waiting.call.write()) continue;
      next.push(waiting);
      length = more;
    }
    this.#waiting = this.#waiting.slice(seen);
    return next;
  }

  #write(batch: readonly Waiting[]): void {
    if (batch.length === 0) {
      this.#goOn();
      return;
    }
    this.#isWritten = true;
    const { keys, parameters } = this.#scriptOf(batch);
    const answering = this.appends.context.calls.runFor('append', keys, parameters);
    answering
      .then((reply) => this.#answer(batch, listOf(reply as Reply).map(textOf)))
      .catch((error: unknown) => this.#fail(batch, error as Error))
      .finally(() => {
        this.#isWritten = false;
        this.#goOn();
      });
  }

  #scriptOf(batch: readonly Waiting[]): { readonly keys: string[]; readonly parameters: (string | number)[] } {
    const { context, pace } = this.appends;
    const { limits, publish } = context;
    const { state, log, once, kind } = context.keys.log(this.topic);
    const roll = kind === 'client' ? state : context.keys.roll(topicSubject(this.topic));
    const keys = [state, log, roll];
    const parameters: (string | number)[] = [
      publish,
      limits.logKeep,
      limits.messageTTL,
      limits.maxLogLength,
      pace,
      kind,
    ];
    for (const { append } of batch) {
      keys.push(once(append.once));
      const { member, create, keyMs, tag } = append;
      const fields = fieldsOf(append);
      parameters.push(member, create ? '1' : '0', keyMs, tag, fields.length, ...fields);
    }
    return { keys, parameters };
  }

  #answer(batch: readonly Waiting[], answers: readonly string[]): void {
    const refused = new Map<string, string>();
    batch.forEach(({ append, resolve }, index) => {
      const answer = answers[index] ?? '';
      if (append.member !== '' && isRefusal(answer)) refused.set(append.member, answer);
      resolve(answer);
    });
    if (refused.size > 0) this.#refuse(refused);
    const { context } = this.appends;
    if (answers.some(isAppended)) context.announce(context.keys.log(this.topic).log, MOVED);
  }

  #fail(batch: readonly Waiting[], error: Error): void {
    for (const { reject } of batch) reject(error);
    // They are sent again, and what waits behind them with them, so that the order stays.
    if (isPassing(error)) for (const { reject } of this.#waiting.splice(0)) reject(new NotWritten());
  }

  /** Who is refused comes back in and says it again: nothing that it said later may come before that. */
  #refuse(members: ReadonlyMap<string, string>): void {
    this.#waiting = this.#waiting.filter(({ append, resolve }) => {
      const answer = members.get(append.member);
      if (answer !== undefined) resolve(answer);
      return answer === undefined;
    });
  }
}

function isRefusal(answer: string): boolean {
  return answer === '!' || answer === '?';
}

/** An id, and not one of before. */
function isAppended(answer: string): boolean {
  return !isRefusal(answer) && !answer.startsWith('=');
}

/** Characters; what it is matched by goes into the tag as well, where some take six. */
function lengthOf({ data, tag, match }: Append): number {
  return data.length + tag.length + (match?.value.length ?? 0);
}

function fieldsOf({ data, speaker, match }: Append): string[] {
  const fields = ['d', data];
  if (speaker !== '') fields.push('s', speaker);
  if (match) fields.push('k', match.key, 'v', match.value);
  return fields;
}
