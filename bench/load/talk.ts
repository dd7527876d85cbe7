/** Hearers and publishers in rooms: everything that is said is heard by everybody once and in order, or counted as wrong. */
import { becomeMember } from './earshot-http';
import type { TalkJob, TalkResult } from './jobs';
import { Ledger } from './ledger';
import { markOf, publisherOf, textOf, type Mark } from './marks';
import { measure, sleep } from './stopwatch';
import type { Link } from './wire';
import { wires } from './wires';

/** Connections that are being made at a time. */
const AT_ONCE = 100;
/** ms after the last message in which everybody must have heard it. */
const SETTLE = 20_000;

export async function talk(job: TalkJob): Promise<TalkResult> {
  const run = new Talk(job);
  try {
    await run.open();
    return await run.measure();
  } finally {
    run.close();
  }
}

class Talk {
  readonly #links: Link[] = [];
  readonly #publishers: Link[][] = [];
  readonly #ledgers: Ledger[];
  /** What each publisher has said in each room. */
  readonly #said: number[][];
  readonly #sentAt = new Map<Mark, number>();
  readonly #waits: number[] = [];
  #due: { room: number; publisher: number }[] = [];
  #going = true;
  #measuring = false;
  #probing: Promise<number[]> = Promise.resolve([]);
  #flushing = false;

  constructor(readonly job: TalkJob) {
    const rooms = job.rooms ?? 1;
    this.#said = Array.from({ length: rooms }, () => Array.from({ length: job.publishers }, () => 0));
    this.#ledgers = this.#said.map((_, room) => {
      const hearers = Math.floor(job.hearers / rooms);
      return new Ledger(hearers, job.publishers, (mark) => {
        this.#complete(room, mark);
      });
    });
  }

  async open(): Promise<void> {
    const { job } = this;
    const wire = wires[job.wire]();
    const rooms = this.#ledgers.length;
    const each = Math.floor(job.hearers / rooms);
    await inTurns(each * rooms, AT_ONCE, async (index) => {
      const room = index % rooms;
      const hearer = Math.floor(index / rooms);
      const target = job.targets[index % job.targets.length]!;
      const link = await wire(target, this.#room(room), (marks) => {
        this.#heard(room, hearer, marks);
      });
      this.#links.push(link);
    });
    const publisherWire = wires[job.publisherWire]();
    await inTurns(rooms * job.publishers, AT_ONCE, async (index) => {
      const room = index % rooms;
      const target = job.targets[index % job.targets.length]!;
      const link = await publisherWire(target, this.#room(room), ignore);
      this.#links.push(link);
      (this.#publishers[room] ??= []).push(link);
    });
    // Long-polls are written and may not have been read yet.
    await sleep(200);
  }

  async measure(): Promise<TalkResult> {
    const { job } = this;
    if (job.probe) this.#probing = this.#probe();
    const timer = job.rate === undefined ? undefined : this.#startRate(job.rate);
    if (timer === undefined) this.#start();
    let deliveriesBefore = 0;
    let messagesBefore = 0;
    const measured = await measure(job.pids, job.span, () => {
      deliveriesBefore = this.#deliveries;
      messagesBefore = this.#messages;
      this.#measuring = true;
    });
    this.#measuring = false;
    const deliveries = this.#deliveries - deliveriesBefore;
    const messages = this.#messages - messagesBefore;
    this.#going = false;
    clearInterval(timer);
    await this.#settle();
    const probes = (await this.#probing).sort((a, b) => a - b);

    const sum = (count: (ledger: Ledger) => number): number =>
      this.#ledgers.reduce((all, each) => all + count(each), 0);
    const waits = this.#waits.sort((a, b) => a - b);
    return {
      deliveries,
      messages,
      ...measured,
      p50: quantile(waits, 0.5),
      p99: quantile(waits, 0.99),
      checked: this.#deliveries,
      together:
        this.#deliveries /
        Math.max(
          1,
          sum(({ reads }) => reads),
        ),
      wrong: { missing: sum((l) => l.missing), doubled: sum((l) => l.doubled), reordered: sum((l) => l.reordered) },
      ...(job.probe ? { probeP99: quantile(probes, 0.99) } : {}),
    };
  }

  close(): void {
    this.#going = false;
    for (const link of this.#links) link.close();
  }

  #room(index: number): string {
    return this.#ledgers.length === 1 ? this.job.room : `${this.job.room}-${String(index)}`;
  }

  get #deliveries(): number {
    return this.#ledgers.reduce((sum, ledger) => sum + ledger.deliveries, 0);
  }

  get #messages(): number {
    return this.#said.reduce((sum, of) => sum + of.reduce((a, b) => a + b, 0), 0);
  }

  #heard(room: number, hearer: number, marks: readonly Mark[]): void {
    this.#ledgers[room]!.heard(hearer, marks);
    if (!this.#measuring || this.job.rate === undefined) return;
    const now = performance.now();
    for (const mark of marks) this.#waits.push(now - (this.#sentAt.get(mark) ?? now));
  }

  /** Everybody has heard it: its publisher says the next one, in one write with others that are due at once. */
  #complete(room: number, mark: Mark): void {
    if (this.job.rate !== undefined || !this.#going) return;
    // With many rooms each message goes to the next of them, so that their number alone makes the difference.
    this.#due.push({ room: (room + 1) % this.#ledgers.length, publisher: publisherOf(mark) });
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      const due = this.#due;
      this.#due = [];
      if (this.#going) this.#say(due);
    });
  }

  #start(): void {
    const due: { room: number; publisher: number }[] = [];
    for (let publisher = 0; publisher < this.job.publishers; publisher += 1) {
      for (let count = 0; count < this.job.inFlight; count += 1) due.push({ room: 0, publisher });
    }
    this.#say(due);
  }

  #startRate(rate: number): NodeJS.Timeout {
    const began = performance.now();
    let said = 0;
    return setInterval(() => {
      const until = ((performance.now() - began) / 1000) * rate;
      for (; said < until; said += 1) this.#say([{ room: 0, publisher: said % this.job.publishers }]);
    }, 1);
  }

  #say(due: readonly { room: number; publisher: number }[]): void {
    const texts = new Map<Link, string[]>();
    for (const { room, publisher } of due) {
      const link = this.#publishers[room]![publisher]!;
      const sequence = this.#said[room]![publisher]!;
      this.#said[room]![publisher] = sequence + 1;
      if (this.job.rate !== undefined) this.#sentAt.set(markOf(publisher, sequence), performance.now());
      const own = texts.get(link) ?? [];
      own.push(textOf(publisher, sequence));
      texts.set(link, own);
    }
    for (const [link, own] of texts) link.say(own);
  }

  /** Until all that was said has been heard, or enough time has passed for it. */
  async #settle(): Promise<void> {
    const until = performance.now() + SETTLE;
    const expected = (): number =>
      this.#ledgers.reduce((sum, { hearers }, room) => {
        return sum + hearers * this.#said[room]!.reduce((a, b) => a + b, 0);
      }, 0);
    while (this.#deliveries < expected() && performance.now() < until) await sleep(20);
    // What comes twice comes now.
    await sleep(50);
    for (const [room, ledger] of this.#ledgers.entries()) ledger.close(this.#said[room]!);
  }

  async #probe(): Promise<number[]> {
    const target = this.job.targets[0]!;
    const { connection, bearer } = await becomeMember(target.port, this.#room(0));
    const times: number[] = [];
    while (this.#going) {
      const began = performance.now();
      await connection.get(`/chat/?method=roomView&limit=1&room=${this.#room(0)}`, bearer);
      if (this.#measuring) times.push(performance.now() - began);
      await sleep(2);
    }
    connection.close();
    return times;
  }
}

function ignore(): void {
  // Publishers hear each other; only hearers are checked.
}

export async function inTurns(count: number, atOnce: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await work(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
}

/** Of values in order. */
export function quantile(values: readonly number[], share: number): number {
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;
}
