/** What express's body parser throws, in our words. */
import { ChatError } from '../../protocol/errors';

export function fromBodyParser(error: unknown): unknown {
  const { status, type } = error as { status?: unknown; type?: unknown };
  if (error instanceof ChatError) return error;
  if (type === 'entity.too.large') return new ChatError('too_large', 'the body is too large');
  if (type === 'encoding.unsupported') return new ChatError('bad_request', 'a compressed body is not accepted');
  if (typeof status === 'number' && status >= 400 && status < 500)
    return new ChatError('bad_request', 'the body could not be read');
  return error;
}
