/**
 * A worker that tells a room what it does, by the admin port of any node: every line that it reads is said there once,
 * whatever breaks on the way.
 *
 *     npx earshot --admin-port 9100
 *     tail -f build.log | npx tsx examples/worker.ts builds
 *
 * EARSHOT_ADMIN_URL and EARSHOT_PUBLISH_TOKEN say where and by what right; without a token the server has to be on this
 * machine.
 */
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Publication {
  readonly room: string;
  readonly message: unknown;
  /** In whose name. */
  readonly from?: string;
}

export interface PublisherOptions {
  /** Of the admin port: `http://localhost:9100/` */
  readonly url: string;
  readonly token?: string | undefined;
  /** Times that one message is tried; after the last one its error is thrown. */
  readonly attempts?: number;
}

/** ms: doubled with every failure. */
const FIRST_PAUSE = 200;
const LONGEST_PAUSE = 10_000;

export class Publisher {
  constructor(readonly options: PublisherOptions) {}

  /** Resolves with the message's id once it is in the room's log. Repeated with one key, it is there once. */
  async publish(publication: Publication): Promise<string> {
    const key = randomUUID();
    const { attempts = 10 } = this.options;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#send({ ...publication, key });
      } catch (error) {
        if (attempt >= attempts || (error instanceof Refused && !error.mayPass)) throw error;
        const told = error instanceof Refused ? error.retryAfterMs : 0;
        const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** attempt);
        // Not all at once, when many wait for the same server.
        await sleep(Math.max(told, Math.random() * longest));
      }
    }
  }

  async #send(body: Publication & { readonly key: string }): Promise<string> {
    const { url, token } = this.options;
    const response = await fetch(new URL('api/publish', url), {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    const answer = (await response.json()) as { id: string; error: string };
    if (response.ok) return answer.id;
    throw new Refused(answer.error, response.status, Number(response.headers.get('retry-after') ?? 0) * 1000);
  }
}

class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly retryAfterMs: number,
  ) {
    super(message);
  }

  /** Too many requests, or a server that is not well: later it may go through. */
  get mayPass(): boolean {
    return this.status === 429 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

async function main(room: string): Promise<void> {
  const publisher = new Publisher({
    url: process.env['EARSHOT_ADMIN_URL'] ?? 'http://localhost:9100/',
    token: process.env['EARSHOT_PUBLISH_TOKEN'],
  });
  // One after the other, so that they are said in their order.
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(await publisher.publish({ room, message: line, from: 'worker' }));
  }
}

if (require.main === module) {
  main(process.argv[2] ?? 'defaultRoom').catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
}
