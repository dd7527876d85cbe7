/** A Socket.IO client that stays with polling; no run is long enough for its pings. */
import { readAnswer } from './http-answers';
import { getRequest, HttpConnection } from './http';
import { scanMarks, type Mark } from './marks';
import { Alike, type Wire } from './wire';

const PATH = '/socket.io/?EIO=4&transport=polling';

export function socketIoPollWire(): Wire {
  const alike = new Alike<Mark[] | undefined>((bytes) => {
    const answer = readAnswer(bytes);
    if (!answer) return { taken: 0, value: undefined };
    if (answer.status !== 200) throw new Error(bytes.toString());
    const marks: Mark[] = [];
    scanMarks(bytes, answer.from, answer.to, marks);
    return { taken: answer.to, value: marks };
  });
  return async ({ port }, room, ear) => {
    const connection = await HttpConnection.open(port);
    const opened = await connection.get(PATH);
    const { sid } = JSON.parse(opened.slice(1)) as { sid: string };
    const path = `${PATH}&sid=${sid}`;
    const send = (packet: string): Promise<string> =>
      connection.post(path, packet, 'Content-Type: text/plain;charset=UTF-8\r\n');
    await send('40');
    await connection.get(path);
    await send(`421${JSON.stringify(['join', room])}`);
    const joined = await connection.get(path);
    if (!joined.includes('431')) throw new Error(joined);
    const socket = connection.take();
    const poll = getRequest(port, path);
    socket.consume = (bytes) => {
      const { taken, value } = alike.read(bytes);
      if (!value) return 0;
      socket.write(poll);
      if (value.length > 0) ear(value);
      return taken;
    };
    socket.write(poll);
    return {
      say: () => undefined,
      close: () => {
        socket.close();
      },
    };
  };
}
