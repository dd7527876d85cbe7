/** earshot's HTTP clients: a poll that waits and comes back with its cursor, a stream of events, one who only speaks. */
import { readAnswer, readChunks, readHead } from './http-answers';
import { getRequest, HttpConnection } from './http';
import { scanMarks, type Mark } from './marks';
import { Alike, type Wire } from './wire';

export interface Member {
  readonly connection: HttpConnection;
  readonly bearer: string;
  /** After its coming into the room. */
  readonly cursor: string;
}

export async function becomeMember(port: number, room: string): Promise<Member> {
  const connection = await HttpConnection.open(port);
  const { session } = JSON.parse(await connection.post('/chat/?method=connect', '')) as { session: string };
  const bearer = `Authorization: Bearer ${session}\r\n`;
  const added = await connection.post(`/chat/?method=roomAdd&room=${room}`, '', bearer);
  return { connection, bearer, cursor: (JSON.parse(added) as { cursor?: string }).cursor ?? '' };
}

interface Page {
  readonly marks: Mark[];
  readonly cursor: string;
}

const CURSOR = Buffer.from('"cursor":"');

export function pollWire(): Wire {
  const alike = new Alike<Page | undefined>((bytes) => {
    const answer = readAnswer(bytes);
    if (!answer) return { taken: 0, value: undefined };
    if (answer.status !== 200) throw new Error(bytes.toString());
    const marks: Mark[] = [];
    scanMarks(bytes, answer.from, answer.to, marks);
    const from = bytes.lastIndexOf(CURSOR, answer.to) + CURSOR.length;
    return { taken: answer.to, value: { marks, cursor: bytes.toString('latin1', from, bytes.indexOf('"', from)) } };
  });
  return async ({ port }, room, ear) => {
    const { connection, bearer, cursor } = await becomeMember(port, room);
    // Where it stands now: the place of its coming in.
    const start = cursor === '' ? await cursorNow(connection, bearer) : cursor;
    const socket = connection.take();
    const poll = (after: string): void => {
      socket.write(getRequest(port, `/chat/?method=messages&wait=60&after=${after}`, bearer));
    };
    socket.consume = (bytes) => {
      const { taken, value } = alike.read(bytes);
      if (!value) return 0;
      poll(value.cursor);
      if (value.marks.length > 0) ear(value.marks);
      return taken;
    };
    poll(start);
    return {
      say: () => undefined,
      close: () => {
        socket.close();
      },
    };
  };
}

async function cursorNow(connection: HttpConnection, bearer: string): Promise<string> {
  const page = await connection.get('/chat/?method=messages', bearer);
  return (JSON.parse(page) as { cursor: string }).cursor;
}

/** Comes in and goes away again: a client that waits without being there. */
export function absentWire(): Wire {
  return async ({ port }, room) => {
    const { connection } = await becomeMember(port, room);
    connection.close();
    return { say: () => undefined, close: () => undefined };
  };
}

export function eventStreamWire(): Wire {
  const alike = new Alike<Mark[]>((bytes) => {
    const value: Mark[] = [];
    const taken = readChunks(bytes, (from, to) => {
      scanMarks(bytes, from, to, value);
    });
    return { taken, value };
  });
  return async ({ port }, room, ear) => {
    const { connection, bearer, cursor } = await becomeMember(port, room);
    const after = cursor === '' ? await cursorNow(connection, bearer) : cursor;
    const socket = connection.take();
    const events = (bytes: Buffer): number => {
      const { taken, value } = alike.read(bytes);
      if (value.length > 0) ear(value);
      return taken;
    };
    const open = new Promise<void>((resolve, reject) => {
      socket.onClose = () => {
        reject(new Error('a stream was closed'));
      };
      socket.consume = (bytes) => {
        const head = readHead(bytes);
        if (!head) return 0;
        if (head.status !== 200) reject(new Error(bytes.toString()));
        socket.consume = events;
        socket.onClose = undefined;
        resolve();
        return head.end < bytes.length ? head.end + events(bytes.subarray(head.end)) : head.end;
      };
    });
    socket.write(getRequest(port, `/chat/?method=messages&stream=sse&after=${after}`, bearer));
    await open;
    return {
      say: () => undefined,
      close: () => {
        socket.close();
      },
    };
  };
}
