/** Who may do what on the admin port: all of it with the admin's token, publishing alone with the publishers' one. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { ChatError } from '../protocol/errors';

export type Right = 'admin' | 'publish';

export class AdminKeys {
  readonly #token: Buffer | undefined;
  readonly #publishToken: Buffer | undefined;

  /**
   * @param token null: whoever reaches the port is the admin, which the settings allow on loopback only
   * @param publishToken null: only the admin publishes
   */
  constructor(token: string | null, publishToken: string | null) {
    this.#token = token === null ? undefined : digest(token);
    this.#publishToken = publishToken === null ? undefined : digest(publishToken);
  }

  /** @throws ChatError unauthorized without a token that we know, forbidden with one that is not for this */
  check(request: IncomingMessage, right: Right): void {
    if (!this.#token) return;
    const given = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (given === undefined) throw new ChatError('unauthorized');
    // Digests have one length, which the comparison asks for, and tell nothing of the tokens' own.
    const known = digest(given);
    if (timingSafeEqual(known, this.#token)) return;
    const publishes = this.#publishToken !== undefined && timingSafeEqual(known, this.#publishToken);
    if (!publishes) throw new ChatError('unauthorized');
    if (right !== 'publish') throw new ChatError('forbidden', 'this token may only publish');
  }
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
