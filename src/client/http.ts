/** Asking by plain requests. */
import { ChatError, refusedBy } from './errors';
import type { Kept } from './kept';
import { parsed, type Answer } from './parsed';

export class Http {
  /**
   * @param chat where the chat is: `http://localhost:8080/chat/`
   * @param timeout ms that an answer may take
   */
  constructor(
    readonly chat: URL,
    readonly kept: Kept,
    readonly timeout: number,
    readonly fetching: typeof fetch,
  ) {}

  /** @throws ChatError */
  async post(path: string, params: object, signal = AbortSignal.timeout(this.timeout)): Promise<Response> {
    const { session, cookies } = this.kept;
    const { fetching } = this;
    const response = await fetching(new URL(path, this.chat), {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(session && { Authorization: `Bearer ${session}` }) },
      body: JSON.stringify(params),
      credentials: cookies ? 'include' : 'omit',
      signal,
    }).catch(unreachable);
    if (!response.ok) throw refusal(response, await textOf(response));
    return response;
  }

  /** The parsed answer. @throws ChatError */
  async json(path: string, params: object, signal?: AbortSignal): Promise<Answer> {
    const response = await this.post(path, params, signal);
    const text = await textOf(response);
    const answer = parsed(text);
    // With commonWeb.returnErrorCodes off a refusal is a 200 as well.
    if (!answer || refusedBy(answer)) throw refusal(response, text);
    return answer;
  }

  /** A method of the chat, or an action, answered as a WebSocket would. */
  async ask(event: string, params: object, signal?: AbortSignal): Promise<unknown> {
    if (event === 'action') {
      const { action, ...rest } = params as { readonly action: string };
      return this.json(`../api/${encodeURIComponent(action)}`, rest, signal);
    }
    const answer = await this.json('', { method: event, ...params }, signal);
    return answer['roomStatus'] ?? answer['details'] ?? answer;
  }
}

/** The rest of an answer that breaks off is as good as no answer. */
function textOf(response: Response): Promise<string> {
  return response.text().catch(unreachable);
}

function unreachable(cause: unknown): never {
  throw new ChatError('unreachable', String(cause));
}

/** In the server's words; where a proxy answers for it, in the proxy's. */
export function refusal(response: Response, text: string): ChatError {
  const retryAfter = secondsOf(response.headers.get('Retry-After') ?? '');
  const refused = refusedBy({ ...parsed(text), retryAfter });
  if (refused) return refused;
  const passing = response.status >= 500 || response.status === 429;
  return new ChatError(passing ? 'unreachable' : 'unusable', response.statusText, retryAfter);
}

/**
 * A number, or a date (RFC 9110, 10.2.3). A day at most: this clock may be wrong by years, and a timer that is set to weeks
 * goes off at once.
 */
function secondsOf(retryAfter: string): number | undefined {
  const seconds = Number(retryAfter) || (Date.parse(retryAfter) - Date.now()) / 1000;
  return Math.min(Math.max(seconds, 0), 86_400) || undefined;
}
