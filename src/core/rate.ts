/** Token buckets: how often one client or one address may do what costs others something. */
import { ChatError } from '../protocol/errors';
import { networkOf } from './network';

interface Bucket {
  tokens: number;
  /** ms, the steady clock. */
  at: number;
}

/** Buckets that are kept; the one that was begun first makes room for a new one. */
const MOST = 100_000;

export class RateLimit {
  readonly #buckets = new Map<string, Bucket>();
  #taken: Map<string, number> | undefined;
  #tidiedAt = 0;

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
    this.#taken?.set(key, (this.#taken.get(key) ?? 0) + tokens);
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
  }

  /** As it is now. */
  #bucket(key: string): Bucket {
    const now = this.now();
    this.#tidy(now);
    let bucket = this.#buckets.get(key);
    if (!bucket) {
      bucket = { tokens: this.burst, at: now };
      if (this.#buckets.size >= MOST) this.#forgetOldest();
      this.#buckets.set(key, bucket);
    }
    bucket.tokens = Math.min(this.burst, bucket.tokens + ((now - bucket.at) / 1000) * this.perSecond);
    bucket.at = now;
    return bucket;
  }

  #forgetOldest(): void {
    for (const key of this.#buckets.keys()) {
      this.#buckets.delete(key);
      return;
    }
  }

  /** A bucket that is full again says nothing that a new one would not. */
  #tidy(now: number): void {
    const refill = (this.burst / this.perSecond) * 1000;
    if (now - this.#tidiedAt < refill) return;
    this.#tidiedAt = now;
    for (const [key, { at, tokens }] of this.#buckets) {
      if (((now - at) / 1000) * this.perSecond >= this.burst - tokens) this.#buckets.delete(key);
    }
  }
}

export interface RateSettings {
  readonly saysPerSecond: number;
  readonly saysPerSecondPerAddress: number;
  readonly bytesPerSecondPerAddress: number;
  readonly joinsPerSecond: number;
  readonly joinsPerSecondPerAddress: number;
  readonly newClientsPerSecondPerAddress: number;
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
    this.limits = new Map([
      ['says', this.#says],
      ['says-of-address', this.#saysOfAddress],
      ['bytes-of-address', this.#bytesOfAddress],
      ['joins', this.#joins],
      ['joins-of-address', this.#joinsOfAddress],
      ['new-clients', this.#newClients],
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
}
