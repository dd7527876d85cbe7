/** A WebSocket client whose dialect is given: what it sends to come in, what it sends to say something. */
import { RawSocket } from './socket';
import { clientFrame, readFrames, upgrade, type Frames } from './websocket-frames';
import { Alike, failing, type Link, type Wire } from './wire';

export const READY = Symbol('ready');

export interface Dialect {
  readonly path: (room: string) => string;
  /** Sent as soon as the WebSocket is open. */
  readonly first?: readonly string[];
  /** What to answer to a text that is no message; `READY` when the client hears the room from now on. */
  readonly answer: (text: string, room: string) => string | typeof READY | undefined;
  /** Ready without being told so. */
  readonly readyAtOnce?: boolean;
  readonly say: (room: string, text: string) => string;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const PONG = clientFrame('', 0xa);

/** Connections of one room get the same bytes, and share what is read of them. */
export function webSocketWire(dialect: Dialect): Wire {
  const alike = new Alike<Frames>((bytes) => {
    const value = readFrames(bytes);
    return { taken: value.taken, value };
  });
  return (target, room, ear) =>
    new Promise((resolve, reject) => {
      const socket = new RawSocket(target.port, () => {
        socket.write(upgrade(target.port, dialect.path(room)));
      });
      const link: Link = {
        say: (texts) => {
          socket.write(Buffer.concat(texts.map((text) => clientFrame(dialect.say(room, text)))));
        },
        close: () => {
          socket.close();
        },
      };
      const ready = (): void => {
        socket.onClose = undefined;
        resolve(link);
      };
      const frames = (bytes: Buffer): number => {
        const { taken, value } = alike.read(bytes);
        for (let count = 0; count < value.pings; count += 1) socket.write(PONG);
        for (const text of value.texts) {
          const answer = dialect.answer(text, room);
          if (answer === READY) ready();
          else if (answer !== undefined) socket.write(clientFrame(answer));
        }
        if (value.marks.length > 0) ear(value.marks);
        return taken;
      };
      socket.onClose = failing(reject, `a WebSocket on port ${String(target.port)}`);
      socket.consume = (bytes) => {
        const end = bytes.indexOf(HEAD_END);
        if (end < 0) return 0;
        if (!bytes.toString('latin1', 0, 12).endsWith('101')) {
          reject(new Error(`no WebSocket: ${bytes.toString('latin1', 0, end)}`));
          return bytes.length;
        }
        socket.consume = frames;
        for (const text of dialect.first ?? []) socket.write(clientFrame(text));
        if (dialect.readyAtOnce) ready();
        const start = end + HEAD_END.length;
        return start < bytes.length ? start + frames(bytes.subarray(start)) : start;
      };
    });
}
