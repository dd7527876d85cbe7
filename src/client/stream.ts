/** Server-sent events, read by fetch: an EventSource shows neither why it was refused nor when it may come back. */
import { ChatError } from './errors';
import { refusal } from './http';
import { Link, type Details, type Frame, type LinkContext } from './link';
import { takeSlot } from './slots';

/** ms of silence after which nobody is there: the server says something every 20 s. */
const SILENCE = 50_000;

/**
 * @throws ChatError `unusable` where nothing of the stream arrives, as behind a proxy that collects answers; `busy` where
 * other tabs have streams enough
 */
export async function openStream(context: LinkContext): Promise<Link> {
  const release = await takeSlot(context.http.chat.origin);
  if (!release) throw new ChatError('busy');
  try {
    return await new StreamLink(context, await context.identify(), release).open();
  } catch (error) {
    release();
    throw error;
  }
}

class StreamLink extends Link {
  readonly kind = 'sse';
  #watch: ReturnType<typeof setTimeout> | undefined;

  constructor(
    context: LinkContext,
    details: Details,
    readonly release: () => void,
  ) {
    super(context, details);
    this.#expect(context.http.timeout, new ChatError('unusable'));
    this.#read().catch((error: unknown) => {
      this.end(error);
    });
  }

  async #read(): Promise<void> {
    const { http, kept, wishes } = this.context;
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
      this.#expect(SILENCE, new ChatError('unreachable', 'silence'));
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

  /** Something within this time, or it is over. */
  #expect(ms: number, otherwise: ChatError): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      this.end(otherwise);
    }, ms);
  }

  protected override end(error: unknown): void {
    clearTimeout(this.#watch);
    this.release();
    super.end(error);
  }
}
