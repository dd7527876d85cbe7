/** What may be said of a call that failed, once something was done. */
import { asChatError, ChatError } from '../protocol/errors';

/** Something was changed before this was thrown: that nothing was done is not true. */
export function unlessDone(error: unknown): never {
  const { status } = asChatError(error);
  throw status === 503 || status === 507 ? new ChatError('outcome_unknown') : error;
}
