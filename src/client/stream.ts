/** Server-sent events, read by fetch: an EventSource shows neither why it was refused nor when it may come back. */
import { ChatError } from './errors';
import { refusal } from './http';
import { Link, type Frame, type LinkContext } from './link';

/** ms of silence after which nobody is there: the server says something every 20 s. */
const SILENCE = 50_000;

/**
 * @throws ChatError `unusable` where nothing of the stream arrives, as behind a proxy that collects answers; `busy` where
 * other tabs have streams enough
 */
export async function openStream(context: LinkContext): Promise<Link> {
  const release = await context.slot();
  if (!release) throw new ChatError('busy');
  return new StreamLink(context, release).open();
}

class StreamLink extends Link {
  readonly kind = 'sse';
  #silence: ReturnType<typeof setTimeout> | undefined;

  constructor(context: LinkContext, release: () => void) {
    super(context);
    this.#read()
      .catch((error: unknown) => {
        this.end(error);
      })
      .finally(() => {
        clearTimeout(this.#silence);
        release();
      });
  }

  async #read(): Promise<void> {
    const { http, kept, wishes } = this.context;
    this.details = await this.context.identify();
    this.#silence = this.expire(http.timeout, 'unusable');
    const params = { method: 'messages', stream: 'sse', after: kept.cursor, ...wishes };
    const response = await http.post('', params, this.signal);
    if (!response.body || !response.headers.get('Content-Type')?.startsWith('text/event-stream')) {
      throw refusal(response, await response.text());
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.signal.aborted) break;
      clearTimeout(this.#silence);
      this.#silence = this.expire(SILENCE);
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) this.#event(block);
    }
    this.end(new ChatError('unreachable'));
  }

  #event(block: string): void {
    const cursor = /^id: (.*)$/m.exec(block)?.[1];
    const data = /^data: (.*)$/m.exec(block)?.[1];
    if (cursor !== undefined) this.isOpen();
    if (data !== undefined) {
      this.context.receive(JSON.parse(data) as Frame, cursor);
    } else if (cursor !== undefined) {
      this.context.kept.cursor = cursor;
      this.context.kept.save();
    }
  }
}
