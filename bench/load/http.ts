/** One kept HTTP connection, one request at a time. */
import { readAnswer, type Answer } from './http-answers';
import { RawSocket } from './socket';

export class HttpConnection {
  readonly #socket: RawSocket;
  #waiting: { resolve: (body: string) => void; reject: (error: Error) => void } | undefined;

  private constructor(
    readonly port: number,
    onConnect: () => void,
  ) {
    this.#socket = new RawSocket(port, onConnect);
    this.#socket.consume = (bytes) => this.#answered(bytes);
    this.#socket.onClose = () => {
      this.#waiting?.reject(new Error('the connection was closed'));
    };
  }

  static open(port: number): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const connection = new HttpConnection(port, () => {
        resolve(connection);
      });
      connection.#waiting = { resolve: () => undefined, reject };
    });
  }

  /** The body of its answer; rejects when it is no 2xx. */
  ask(request: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(request);
    });
  }

  get(path: string, headers = ''): Promise<string> {
    return this.ask(getRequest(this.port, path, headers));
  }

  post(path: string, body: string, headers = ''): Promise<string> {
    return this.ask(postRequest(this.port, path, body, headers));
  }

  /** From now on the bytes are somebody else's. */
  take(): RawSocket {
    this.#socket.onClose = undefined;
    return this.#socket;
  }

  close(): void {
    this.#socket.close();
  }

  #answered(bytes: Buffer): number {
    const answer: Answer | undefined = readAnswer(bytes);
    if (!answer) return 0;
    const body = bytes.toString('utf8', answer.from, answer.to);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (answer.status >= 200 && answer.status < 300) waiting?.resolve(body);
    else waiting?.reject(new Error(`${answer.head}\n${body}`));
    return answer.to;
  }
}

export function getRequest(port: number, path: string, headers = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${String(port)}\r\n${headers}\r\n`;
}

export function postRequest(port: number, path: string, body: string, headers = ''): string {
  return (
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${String(port)}\r\nContent-Length: ${String(Buffer.byteLength(body))}\r\n` +
    `${headers}\r\n${body}`
  );
}
