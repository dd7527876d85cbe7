/** The link that carries both ways. */
import { ChatError, refusedBy } from './errors';
import { Link, type Details, type Frame, type LinkContext } from './link';
import type { Answer } from './parsed';

/** ms between looks whether the other end is there: a browser shows its pages no pings. */
const BEAT = 25_000;
/** Messages after which the cursor is asked for anew, so that few come twice after a break, and no log outruns it. */
const MANY = 500;

interface Pending {
  readonly resolve: (data: unknown) => void;
  readonly reject: (error: ChatError) => void;
  readonly timer: ReturnType<typeof setTimeout> | undefined;
}

/** @throws ChatError `unreachable` where WebSockets do not get through, or what the server refused it with */
export async function openWebSocket(context: LinkContext): Promise<Link> {
  const { http, kept, WebSocket } = context;
  if (!WebSocket) throw new ChatError('unusable');
  const url = new URL(http.chat);
  url.protocol = url.protocol.replace('http', 'ws');
  // Where it is somebody already, nobody new needs to be made for this socket.
  const resumes = kept.cookies || kept.session !== undefined;
  if (resumes) url.search = 'resume=true';
  return new WebSocketLink(context, new WebSocket(url), resumes).open();
}

class WebSocketLink extends Link {
  readonly kind = 'websocket';
  readonly #pending = new Map<string, Pending>();
  #asked = 0;
  #heard = 0;
  #timer: ReturnType<typeof setTimeout>;

  constructor(
    context: LinkContext,
    readonly socket: WebSocket,
    readonly resumes: boolean,
  ) {
    super(context);
    this.#timer = this.expire(context.http.timeout);
    socket.onopen = () => {
      if (resumes) this.#resume();
    };
    socket.onmessage = ({ data }) => {
      this.#read(JSON.parse(String(data)) as Frame);
    };
    // `close` follows, and tells more.
    socket.onerror = () => undefined;
    socket.onclose = ({ code }) => {
      const going = code === 1012;
      this.end(new ChatError(going ? 'shutting_down' : 'unreachable', `close ${String(code)}`));
    };
  }

  override readonly ask = (event: string, params: object): Promise<unknown> => {
    return new Promise((resolve, reject) => {
      this.#ask(event, params, resolve, reject);
    });
  };

  override probe(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.probe();
    }, BEAT);
    this.#heard = 0;
    this.ask('detailsView', {}).then(
      (data) => {
        const { kept } = this.context;
        kept.cursor = (data as Details).cursor;
        kept.save();
      },
      // A link that does not answer has ended, and whoever has it knows.
      () => undefined,
    );
  }

  override close(clean: boolean): void {
    if (clean) this.socket.close(1000);
    super.close(clean);
  }

  protected override end(error: unknown): void {
    if (this.signal.aborted) return;
    super.end(error);
    clearTimeout(this.#timer);
    // It may take its time to close; what it says meanwhile comes again over the next link.
    this.socket.onmessage = this.socket.onopen = null;
    this.socket.close(4000);
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new ChatError('outcome_unknown'));
    }
    this.#pending.clear();
  }

  #ask(event: string, params: object, resolve: (data: unknown) => void, reject: (error: ChatError) => void): void {
    if (this.signal.aborted) {
      reject(new ChatError('unreachable'));
      return;
    }
    this.#asked += 1;
    const messageId = String(this.#asked);
    // How long an action takes is its own business.
    const timer = event === 'action' ? undefined : this.expire(this.context.http.timeout);
    this.#pending.set(messageId, { resolve, reject, timer });
    this.socket.send(JSON.stringify({ event, ...(event === 'action' ? { params } : params), messageId }));
  }

  #read(frame: Frame): void {
    switch (frame['context']) {
      case 'response':
        this.#answer(frame);
        return;
      case 'api':
        this.#word(frame);
        return;
      default:
        this.context.receive(frame);
        this.#heard += 1;
        // What no id tells apart shall not come again: gaps, and what is told to this client alone.
        if (this.#heard >= MANY || frame['context'] === 'gap' || frame['room'] === undefined) this.probe();
    }
  }

  #answer({ messageId, context: _context, messageCount: _count, ...answer }: Frame): void {
    const pending = this.#pending.get(String(messageId));
    if (!pending) return;
    this.#pending.delete(String(messageId));
    clearTimeout(pending.timer);
    const refused = refusedBy(answer);
    if (refused) pending.reject(refused);
    else pending.resolve(answer['status'] === 'OK' && 'data' in answer ? answer['data'] : answer);
  }

  #word(word: Answer): void {
    const { welcome, session } = word;
    const refused = refusedBy(word);
    if (refused) this.end(refused);
    if (welcome === undefined || this.resumes) return;
    this.context.kept.session = String(session);
    this.#resume();
  }

  /** As whoever this client is, with what it wishes to hear, from its place on. */
  #resume(): void {
    const { kept, wishes } = this.context;
    const { cookies } = kept;
    const session = cookies ? undefined : kept.session;
    const after = this.resumes ? kept.cursor : undefined;
    const become = (data: unknown): void => {
      // Before the next frame is read: all that follows is heard as this client.
      this.details = data as Details;
      this.context.adopt(this.details);
      this.isOpen();
      // The places in the logs of who comes and goes are in no cursor of before.
      this.probe();
    };
    this.#ask('resume', { session, after, ...wishes }, become, (error) => {
      const cookieGone = cookies && error.code === 'invalid_parameter';
      this.end(cookieGone ? new ChatError('session_unknown', error.message) : error);
    });
  }
}
