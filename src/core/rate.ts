/** Token buckets: how often one client or one address may do what costs others something. */
import { ChatError } from '../protocol/errors';
import { networkOf } from './network';

interface Bucket {
  tokens: number;
  /** ms, the steady clock. */
  at: number;
  /** That in which it is full again, when nothing more is taken. */
  step: number;
}

/**
 * Buckets that are kept. One of the fullest makes room for a new one, as it tells least: were it the oldest, somebody with
 * enough addresses could have an empty one forgotten, which would then be full.
 */
const MOST = 100_000;
/** Parts of the time in which an empty bucket fills: buckets that are full again in the same one are as full. */
const STEPS = 64;

export class RateLimit {
  readonly #buckets = new Map<string, Bucket>();
  /** The same buckets by their step: whoever is to be forgotten is found without a look at all of them. */
  readonly #steps = new Map<number, Set<string>>();
  #taken: Map<string, number> | undefined;
  #step = 0;

  /**
   * @param perSecond what flows back each second; 0 turns the limit off
   * @param burst what may be taken at once
   */
  constructor(
    readonly perSecond: number,
    readonly burst: number,
    readonly now: () => number = () => performance.now(),
  ) {}

  get size(): number {
    return this.#buckets.size;
  }

  /**
   * @param count more than the bucket holds is as all of it
   * @throws ChatError too_many_requests, with the seconds after which there are as many tokens
   */
  take(key: string, count = 1): void {
    if (this.perSecond === 0) return;
    const tokens = Math.min(count, this.burst);
    const bucket = this.#bucket(key);
    if (bucket.tokens < tokens) {
      throw new ChatError('too_many_requests', '', Math.max(1, Math.ceil((tokens - bucket.tokens) / this.perSecond)));
    }
    bucket.tokens -= tokens;
    this.#place(key, bucket);
    this.#taken?.set(key, (this.#taken.get(key) ?? 0) + tokens);
  }

  /** What was taken and is not used after all. */
  giveBack(key: string, tokens = 1): void {
    if (this.perSecond === 0) return;
    const bucket = this.#bucket(key);
    bucket.tokens = Math.min(this.burst, bucket.tokens + tokens);
    this.#place(key, bucket);
    // Less than nothing, when others have heard of it meanwhile.
    this.#taken?.set(key, (this.#taken.get(key) ?? 0) - tokens);
  }

  /** What was taken since the last call, by key: of the `most` that took most. Counted from the first call on. */
  takenSince(most: number): ReadonlyMap<string, number> {
    const taken = this.#taken ?? new Map<string, number>();
    this.#taken = new Map();
    if (taken.size <= most) return taken;
    return new Map([...taken].sort(([, one], [, other]) => other - one).slice(0, most));
  }

  /** Others have taken from the same bucket elsewhere: this much is left of it, and less than nothing is a debt. */
  leave(key: string, tokens: number): void {
    const bucket = this.#bucket(key);
    bucket.tokens = Math.min(bucket.tokens, tokens);
    this.#place(key, bucket);
  }

  /** As it is now. */
  #bucket(key: string): Bucket {
    const now = this.now();
    this.#tidy(now);
    let bucket = this.#buckets.get(key);
    if (!bucket) {
      if (this.#buckets.size >= MOST) this.#forgetFullest();
      bucket = { tokens: this.burst, at: now, step: this.#step };
      this.#buckets.set(key, bucket);
      this.#keysOf(bucket.step).add(key);
    }
    bucket.tokens = Math.min(this.burst, bucket.tokens + ((now - bucket.at) / 1000) * this.perSecond);
    bucket.at = now;
    return bucket;
  }

  #place(key: string, bucket: Bucket): void {
    const step = this.#stepAt(bucket.at + ((this.burst - bucket.tokens) / this.perSecond) * 1000);
    if (step === bucket.step) return;
    const before = this.#keysOf(bucket.step);
    before.delete(key);
    if (before.size === 0) this.#steps.delete(bucket.step);
    bucket.step = step;
    this.#keysOf(step).add(key);
  }

  #keysOf(step: number): Set<string> {
    let keys = this.#steps.get(step);
    if (!keys) {
      keys = new Set();
      this.#steps.set(step, keys);
    }
    return keys;
  }

  #stepAt(ms: number): number {
    return Math.floor((ms * this.perSecond * STEPS) / (this.burst * 1000));
  }

  #forgetFullest(): void {
    const step = Math.min(...this.#steps.keys());
    for (const key of this.#keysOf(step)) {
      this.#forget(step, [key]);
      return;
    }
  }

  /** A bucket that is full again says nothing that a new one would not. */
  #tidy(now: number): void {
    const step = this.#stepAt(now);
    if (step === this.#step) return;
    this.#step = step;
    for (const [past, keys] of this.#steps) if (past < step) this.#forget(past, keys);
  }

  #forget(step: number, keys: Iterable<string>): void {
    const there = this.#keysOf(step);
    for (const key of keys) {
      this.#buckets.delete(key);
      there.delete(key);
    }
    if (there.size === 0) this.#steps.delete(step);
  }
}

export interface RateSettings {
  readonly saysPerSecond: number;
  readonly saysPerSecondPerAddress: number;
  readonly bytesPerSecondPerAddress: number;
  readonly joinsPerSecond: number;
  readonly joinsPerSecondPerAddress: number;
  readonly newClientsPerSecondPerAddress: number;
  readonly newRoomsPerSecondPerAddress: number;
}

/** The limits that hold across all transports of a node, and by SharedRates across nodes. */
export class Rates {
  /** By the name under which nodes share them. */
  readonly limits: ReadonlyMap<string, RateLimit>;
  readonly #says: RateLimit;
  readonly #saysOfAddress: RateLimit;
  readonly #bytesOfAddress: RateLimit;
  readonly #joins: RateLimit;
  readonly #joinsOfAddress: RateLimit;
  readonly #newClients: RateLimit;
  readonly #newRooms: RateLimit;

  constructor(settings: RateSettings, now?: () => number) {
    // Of a rate below one a second, one at least may be taken at once, or none ever could.
    const limit = (perSecond: number, bursts: number): RateLimit =>
      new RateLimit(perSecond, Math.max(1, perSecond * bursts), now);
    this.#says = limit(settings.saysPerSecond, 2);
    this.#saysOfAddress = limit(settings.saysPerSecondPerAddress, 2);
    this.#bytesOfAddress = limit(settings.bytesPerSecondPerAddress, 8);
    this.#joins = limit(settings.joinsPerSecond, 10);
    this.#joinsOfAddress = limit(settings.joinsPerSecondPerAddress, 10);
    this.#newClients = limit(settings.newClientsPerSecondPerAddress, 4);
    // Of a rate that lets one address make no more in a day than there may be, so many that nobody ever meets it.
    this.#newRooms = limit(settings.newRoomsPerSecondPerAddress, 1000);
    this.limits = new Map([
      ['says', this.#says],
      ['says-of-address', this.#saysOfAddress],
      ['bytes-of-address', this.#bytesOfAddress],
      ['joins', this.#joins],
      ['joins-of-address', this.#joinsOfAddress],
      ['new-clients', this.#newClients],
      ['new-rooms', this.#newRooms],
    ]);
  }

  say(client: string, address: string): void {
    this.#says.take(client);
    this.#saysOfAddress.take(networkOf(address));
  }

  /** What was said, in bytes: it is kept for a while, for everybody. */
  words(bytes: number, address: string): void {
    this.#bytesOfAddress.take(networkOf(address), bytes);
  }

  /** They were not said. */
  giveBackWords(bytes: number, address: string): void {
    this.#bytesOfAddress.giveBack(networkOf(address), bytes);
  }

  join(client: string, address: string): void {
    this.#joins.take(client);
    this.joinOfAddress(address);
  }

  /** Of somebody who has not said yet who it is. */
  joinOfAddress(address: string): void {
    this.#joinsOfAddress.take(networkOf(address));
  }

  newClient(address: string): void {
    this.#newClients.take(networkOf(address));
  }

  /** A room that a join may make. @returns gives it back: the room was there, or was not made */
  newRoom(address: string): () => void {
    const network = networkOf(address);
    this.#newRooms.take(network);
    return () => this.#newRooms.giveBack(network);
  }
}
