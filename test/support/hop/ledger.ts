/** The log as a test knows it: what was answered and what was heard must be one sequence, the same for everybody. */
import { entryIdParts } from '../../../src/protocol/entry-id';

interface Line {
  readonly id: string;
  readonly message: unknown;
}

/** Kept behind the slowest reader, for what a reader of a cookie jar may be given once more. */
const KEPT_BEHIND = 2000;

export class Ledger {
  /** What is wrong, in words. */
  readonly faults: string[] = [];
  readonly ears: Ear[] = [];
  accepted = 0;
  readonly #rooms = new Map<string, Map<number, Line>>();
  readonly #lasts = new Map<string, number>();
  readonly #begins = new Map<string, number>();
  /** Where each message stands: none may stand twice. */
  readonly #seqs = new Map<unknown, number>();
  #prunedAt = 0;

  /** What stands in the room's log up to this number was said before anybody here listened. */
  begin(room: string, seq: number): void {
    this.#begins.set(room, seq);
  }

  begins(room: string): number {
    return this.#begins.get(room) ?? 0;
  }

  /** A say was answered OK. */
  answered(room: string, id: string, message: unknown): void {
    this.accepted += 1;
    this.enter(room, id, message, 'the answer');
  }

  /** The entry of that number is this one, for whoever comes to know of it first and for all others. */
  enter(room: string, id: string, message: unknown, who: string): void {
    const { seq } = entryIdParts(id);
    const lines = this.lines(room);
    const known = lines.get(seq);
    if (known) {
      if (known.id !== id || known.message !== message)
        this.fault(`${who}: ${id} (${String(message)}) is ${known.id} (${String(known.message)}) to others`);
      return;
    }
    const twice = this.#seqs.get(message);
    if (twice !== undefined) this.fault(`${String(message)} stands in the log as ${String(twice)} and ${String(seq)}`);
    lines.set(seq, { id, message });
    this.#lasts.set(room, Math.max(seq, this.last(room)));
    this.#seqs.set(message, seq);
    if (this.#seqs.size > 3 * KEPT_BEHIND + this.#prunedAt) this.#prune();
  }

  lines(room: string): Map<number, Line> {
    const lines = this.#rooms.get(room) ?? new Map<number, Line>();
    this.#rooms.set(room, lines);
    return lines;
  }

  get rooms(): readonly string[] {
    return [...this.#rooms.keys()];
  }

  /** The number of the room's last entry that anybody knows of. */
  last(room: string): number {
    return this.#lasts.get(room) ?? this.begins(room);
  }

  /** How many messages of one room the slowest reader has still to hear. */
  get lag(): number {
    let lag = 0;
    for (const room of this.rooms) for (const ear of this.ears) lag = Math.max(lag, this.last(room) - ear.last(room));
    return lag;
  }

  /** Readers that have not heard all there is. */
  behind(): string[] {
    return this.ears.flatMap((ear) =>
      this.rooms
        .filter((room) => ear.last(room) < this.last(room))
        .map((room) => `${ear.name}: heard ${String(ear.last(room))} of ${String(this.last(room))} in ${room}`),
    );
  }

  ear(name: string): Ear {
    const ear = new Ear(name, this);
    this.ears.push(ear);
    return ear;
  }

  fault(text: string): void {
    if (this.faults.length < 50) this.faults.push(text);
  }

  /** A soak says more than memory holds: what everybody has heard is let go of. */
  #prune(): void {
    for (const [room, lines] of this.#rooms) {
      const slowest = Math.min(...this.ears.map((ear) => ear.last(room))) - KEPT_BEHIND;
      for (const [seq, { message }] of lines) {
        if (seq >= slowest) continue;
        lines.delete(seq);
        this.#seqs.delete(message);
      }
    }
    this.#prunedAt = this.#seqs.size;
  }
}

/** What one reader was given, judged as it comes: the next number of its room, every time. */
export class Ear {
  readonly #last = new Map<string, number>();
  heard = 0;
  /** Given once more to a reader that cannot say what it has. */
  repeats = 0;
  hops = 0;

  constructor(
    readonly name: string,
    readonly ledger: Ledger,
  ) {}

  last(room: string): number {
    return this.#last.get(room) ?? this.ledger.begins(room);
  }

  /** @param again what was given before may come again: the answer that had it may not have arrived */
  take(frame: { readonly [key: string]: unknown }, { again = false } = {}): void {
    if (frame['context'] === 'gap') {
      this.ledger.fault(`${this.name}: was told of a gap: ${JSON.stringify(frame)}`);
      return;
    }
    if (frame['context'] !== 'user' || typeof frame['room'] !== 'string') return;
    const { room, message } = frame;
    const id = String(frame['id']);
    const { seq } = entryIdParts(id);
    const last = this.last(room);
    if (seq === last + 1) {
      this.#last.set(room, seq);
      this.heard += 1;
    } else if (again && seq <= last) {
      this.repeats += 1;
    } else {
      this.ledger.fault(`${this.name}: ${String(seq)} came after ${String(last)} in ${room}`);
      this.#last.set(room, Math.max(last, seq));
    }
    this.ledger.enter(room, id, message, this.name);
  }
}
