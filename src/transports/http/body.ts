/** A request's body, all of it or a word on why not. What the bytes mean is decided once, by bodyParams. */
import type { IncomingMessage } from 'node:http';
import { ChatError } from '../../protocol/errors';

/** `body`: what an application around us has read already. */
export type ChatRequest = IncomingMessage & { readonly body?: unknown };

/**
 * The bytes, or what was made of them before us; undefined where there are none.
 * @param limit bytes; 0 for no limit
 * @throws ChatError too_large, bad_request; the rest is taken and thrown away then, so that the answer arrives
 */
export function readBody(request: ChatRequest, limit: number): unknown {
  if (request.body !== undefined) return request.body;
  const { headers } = request;
  const length = headers['content-length'];
  if (length === '0' || (length === undefined && headers['transfer-encoding'] === undefined)) return undefined;
  // An application around us has taken it and made nothing of it.
  if (request.readableEnded) return undefined;
  try {
    const encoding = headers['content-encoding'] ?? 'identity';
    if (encoding.toLowerCase() !== 'identity') throw new ChatError('bad_request', 'a compressed body is not accepted');
    if (limit > 0 && Number(length ?? 0) > limit) throw tooLarge();
  } catch (error) {
    request.resume();
    throw error;
  }
  return collect(request, limit);
}

function collect(request: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const fail = (error: ChatError): void => {
      request.off('data', take).off('end', end).off('close', lost).off('error', lost);
      // Whoever comes off later with an error has nobody to tell it to.
      request.on('error', () => undefined).resume();
      reject(error);
    };
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (limit > 0 && bytes > limit) fail(tooLarge());
    };
    const end = (): void => {
      request.off('close', lost);
      const [only] = chunks;
      resolve(only && chunks.length === 1 ? only : Buffer.concat(chunks));
    };
    const lost = (): void => {
      fail(new ChatError('bad_request', 'the body could not be read'));
    };
    request.on('data', take).once('end', end).once('close', lost).once('error', lost);
  });
}

function tooLarge(): ChatError {
  return new ChatError('too_large', 'the body is too large');
}
