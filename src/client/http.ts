/** Asking by plain requests. */
import { ChatError } from './errors';
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
    if (!answer || typeof answer['code'] === 'string') throw refusal(response, text);
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
  const { error, code } = parsed(text) ?? {};
  const retryAfter = Number(response.headers.get('Retry-After')) || undefined;
  if (typeof code === 'string') {
    return new ChatError(code, String(error).replace(/^Error: /, ''), retryAfter);
  }
  const passing = response.status >= 500 || response.status === 429;
  return new ChatError(passing ? 'unreachable' : 'unusable', response.statusText, retryAfter);
}
