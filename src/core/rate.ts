/** Token buckets: how often one client or one address may do what costs others something. */
import { ChatError } from '../protocol/errors';

interface Bucket {
  tokens: number;
  /** ms, the steady clock. */
  at: number;
}

export class RateLimit {
  readonly #buckets = new Map<string, Bucket>();
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

  /** @throws ChatError too_many_requests, with the seconds after which there is a token again */
  take(key: string): void {
    if (this.perSecond === 0) return;
    const now = this.now();
    this.#tidy(now);
    const bucket = this.#buckets.get(key) ?? { tokens: this.burst, at: now };
    const tokens = Math.min(this.burst, bucket.tokens + ((now - bucket.at) / 1000) * this.perSecond);
    this.#buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    if (tokens >= 1) return;
    throw new ChatError('too_many_requests', '', Math.max(1, Math.ceil((1 - tokens) / this.perSecond)));
  }

  /** A bucket that is full again says nothing that a new one would not. */
  #tidy(now: number): void {
    const refill = (this.burst / this.perSecond) * 1000;
    if (now - this.#tidiedAt < refill) return;
    this.#tidiedAt = now;
    for (const [key, { at }] of this.#buckets) if (now - at >= refill) this.#buckets.delete(key);
  }
}

export interface RateSettings {
  readonly saysPerSecond: number;
  readonly saysPerSecondPerAddress: number;
  readonly joinsPerSecond: number;
  readonly newClientsPerSecondPerAddress: number;
}

/** The limits that hold across all transports of a node. */
export class Rates {
  readonly #says: RateLimit;
  readonly #saysOfAddress: RateLimit;
  readonly #joins: RateLimit;
  readonly #newClients: RateLimit;

  constructor(settings: RateSettings) {
    this.#says = new RateLimit(settings.saysPerSecond, settings.saysPerSecond * 2);
    this.#saysOfAddress = new RateLimit(settings.saysPerSecondPerAddress, settings.saysPerSecondPerAddress * 2);
    this.#joins = new RateLimit(settings.joinsPerSecond, settings.joinsPerSecond * 10);
    this.#newClients = new RateLimit(
      settings.newClientsPerSecondPerAddress,
      settings.newClientsPerSecondPerAddress * 4,
    );
  }

  say(client: string, address: string): void {
    this.#says.take(client);
    this.#saysOfAddress.take(address);
  }

  join(client: string): void {
    this.#joins.take(client);
  }

  newClient(address: string): void {
    this.#newClients.take(address);
  }
}
