/** A request's body, all of it or a word on why not. What the bytes mean is decided once, by bodyParams. */
import type { IncomingMessage } from 'node:http';
import { ChatError } from '../../protocol/errors';

/** `body`: what an application around us has read already. */
export type ChatRequest = IncomingMessage & { readonly body?: unknown };

/**
 * The bytes, or what was made of them before us; undefined where there are none.
 * @param limit bytes; 0 for no limit
 * @throws ChatError too_large, bad_request; the rest is taken and thrown away then, within bounds, so that the answer arrives
 */
export function readBody(request: ChatRequest, limit: number): unknown {
  if (request.body !== undefined) return request.body;
  const { headers } = request;
  const length = headers['content-length'];
  if (length === '0' || (length === undefined && headers['transfer-encoding'] === undefined)) return undefined;
  // An application around us has taken it and made nothing of it.
  if (request.readableEnded) return undefined;
  const encoding = headers['content-encoding'] ?? 'identity';
  const refused =
    encoding.toLowerCase() !== 'identity'
      ? new ChatError('bad_request', 'a compressed body is not accepted')
      : limit > 0 && Number(length ?? 0) > limit && tooLarge();
  if (!refused) return collect(request, limit);
  discard(request);
  throw refused;
}

function collect(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const body = new Body();
    let over = false;
    const fail = (error: ChatError): void => {
      over = true;
      discard(request);
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      if (over) return;
      body.add(chunk);
      if (limit > 0 && body.length > limit) fail(tooLarge());
    };
    const end = (): void => {
      over = true;
      // Node would take it away with the answer, in a way that makes a hash table of the other listeners.
      request.off('data', take);
      resolve(body.bytes);
    };
    const lost = (): void => {
      // Of every request that was read, too: making an error costs a tenth of its answer.
      if (!over) fail(new ChatError('bad_request', 'the body could not be read'));
    };
    request.on('data', take).on('end', end).on('close', lost).on('error', lost);
  });
}

/** Copied together: of a body in pieces of one byte, each piece would weigh a hundred times what it says. */
class Body {
  #buffer: Buffer = EMPTY;
  length = 0;

  add(chunk: Buffer): void {
    if (this.length === 0) {
      this.#buffer = chunk;
    } else {
      const length = this.length + chunk.length;
      if (length > this.#buffer.length) {
        const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#buffer.length));
        this.#buffer.copy(larger, 0, 0, this.length);
        this.#buffer = larger;
      }
      chunk.copy(this.#buffer, this.length);
    }
    this.length += chunk.length;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }
}

const EMPTY = Buffer.alloc(0);

/** What is taken and thrown away of a refused body, so that the answer arrives; and what each piece of it counts. */
const DISCARDED = 16 * 1_048_576;
const PIECE = 1024;

function discard(request: IncomingMessage): void {
  let left = DISCARDED;
  request.on('data', ({ length }: Buffer) => {
    left -= length + PIECE;
    if (left < 0) request.destroy();
  });
}

function tooLarge(): ChatError {
  return new ChatError('too_large', 'the body is too large');
}
