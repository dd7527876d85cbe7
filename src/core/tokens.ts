/** The secret behind a client, and what others may know of it: the token, its public id, and keyed marks. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** 192 random bits, 6 bytes of issue time (ms), 15 bytes of MAC: 60 characters of base64url. */
const TOKEN = /^[A-Za-z0-9_-]{60}$/;
const RANDOM_BYTES = 24;
const SIGNED_BYTES = RANDOM_BYTES + 6;
const MAC_BYTES = 15;
const ID_BYTES = 16;
const REMEMBERED = 10_000;

export type TokenReading =
  | { readonly outcome: 'ours'; readonly id: string; /** ms since 1970 */ readonly issuedAt: number }
  | { readonly outcome: 'forged' | 'foreign' };

export class Tokens {
  /** Tokens read lately: two MACs a request would be a tenth of what a say costs. */
  readonly #known = new Map<string, TokenReading>();
  readonly #marks = new Map<string, string>();

  /** @param secret the deployment's; every node has the same */
  constructor(readonly secret: string) {}

  /** A new client's secret. Whoever has it is that client. */
  issue(now: number): string {
    const bytes = Buffer.alloc(SIGNED_BYTES);
    randomBytes(RANDOM_BYTES).copy(bytes);
    bytes.writeUIntBE(now, RANDOM_BYTES, 6);
    return Buffer.concat([bytes, this.#tokenMac(bytes)]).toString('base64url');
  }

  /** `foreign`: has not our form, and may be meant for somebody else. `forged`: has it, but we never made it. */
  read(token: string): TokenReading {
    const known = this.#known.get(token);
    if (known) return known;
    if (!TOKEN.test(token)) return { outcome: 'foreign' };
    const bytes = Buffer.from(token, 'base64url');
    const signed = bytes.subarray(0, SIGNED_BYTES);
    if (!timingSafeEqual(this.#tokenMac(signed), bytes.subarray(SIGNED_BYTES))) return { outcome: 'forged' };
    const reading: TokenReading = {
      outcome: 'ours',
      id: this.id(token),
      issuedAt: bytes.readUIntBE(RANDOM_BYTES, 6),
    };
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    // Made anew: what was cut out of a header keeps all of that header.
    this.#known.set(bytes.toString('base64url'), reading);
    return reading;
  }

  /** The public id: a keyed hash, so that neither it nor the store leads back to the token. */
  id(token: string): string {
    return this.#mac('id', token).toString('base64url', 0, ID_BYTES);
  }

  /** The id of a client that is known by what its requests have in common. Clients that look alike share it. */
  fingerprintId(elements: readonly string[]): string {
    return this.#mac('fingerprint', JSON.stringify(elements)).toString('base64url', 0, ID_BYTES);
  }

  /** 8 bytes that stand for a topic in a cursor. */
  mark(topic: string): string {
    let mark = this.#marks.get(topic);
    if (mark === undefined) {
      mark = this.#mac('topic', topic).toString('latin1', 0, 8);
      if (this.#marks.size >= REMEMBERED) this.#marks.clear();
      this.#marks.set(topic, mark);
    }
    return mark;
  }

  /** Signs a small text, such as the room in the cookie `__room`. */
  sign(purpose: string, text: string): string {
    return this.#mac(purpose, text).toString('base64url', 0, ID_BYTES);
  }

  #tokenMac(signed: Buffer): Buffer {
    return this.#mac('token', signed).subarray(0, MAC_BYTES);
  }

  #mac(purpose: string, data: string | Buffer): Buffer {
    return createHmac('sha256', this.secret).update(`${purpose}:`).update(data).digest().subarray(0, 16);
  }
}
