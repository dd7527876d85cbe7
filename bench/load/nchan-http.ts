/** Nchan's HTTP subscribers: long-polls that come back with the time and tag of the last message, and event streams. */
import { readAnswer } from './http-answers';
import { getRequest, HttpConnection } from './http';
import { scanMarks, type Mark } from './marks';
import { Alike, type Wire } from './wire';

interface Page {
  readonly marks: Mark[];
  readonly headers: string;
}

export function nchanPollWire(): Wire {
  const alike = new Alike<Page | undefined>((bytes) => {
    const answer = readAnswer(bytes);
    if (!answer) return { taken: 0, value: undefined };
    if (answer.status !== 200) throw new Error(bytes.toString());
    const marks: Mark[] = [];
    scanMarks(bytes, answer.from, answer.to, marks);
    const modified = /\r\nlast-modified: ([^\r]*)/i.exec(answer.head)?.[1] ?? '';
    const etag = /\r\netag: ([^\r]*)/i.exec(answer.head)?.[1] ?? '';
    return {
      taken: answer.to,
      value: { marks, headers: `If-Modified-Since: ${modified}\r\nIf-None-Match: ${etag}\r\n` },
    };
  });
  return async ({ port }, room, ear) => {
    const connection = await HttpConnection.open(port);
    const socket = connection.take();
    socket.consume = (bytes) => {
      const { taken, value } = alike.read(bytes);
      if (!value) return 0;
      socket.write(getRequest(port, `/poll/${room}`, value.headers));
      ear(value.marks);
      return taken;
    };
    socket.write(getRequest(port, `/poll/${room}`));
    return {
      say: () => undefined,
      close: () => {
        socket.close();
      },
    };
  };
}

export function nchanEventsWire(): Wire {
  const LF = 0x0a;
  const alike = new Alike<Mark[]>((bytes) => {
    const value: Mark[] = [];
    const taken = bytes.lastIndexOf(LF) + 1;
    scanMarks(bytes, 0, taken, value);
    return { taken, value };
  });
  return async ({ port }, room, ear) => {
    const connection = await HttpConnection.open(port);
    const socket = connection.take();
    socket.consume = (bytes) => {
      const { taken, value } = alike.read(bytes);
      if (value.length > 0) ear(value);
      return taken;
    };
    socket.write(getRequest(port, `/events/${room}`, 'Accept: text/event-stream\r\n'));
    return {
      say: () => undefined,
      close: () => {
        socket.close();
      },
    };
  };
}
