/** A client of earshot's TCP server. */
import { scanMarks, type Mark } from './marks';
import { RawSocket } from './socket';
import { Alike, failing, type Wire } from './wire';

const LF = 0x0a;

interface Lines {
  readonly marks: Mark[];
  readonly texts: string[];
}

export function tcpWire(): Wire {
  const alike = new Alike<Lines>((bytes) => {
    const value: Lines = { marks: [], texts: [] };
    let at = 0;
    for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, at)) {
      const before = value.marks.length;
      scanMarks(bytes, at, end, value.marks);
      if (value.marks.length === before) value.texts.push(bytes.toString('utf8', at, end));
      at = end + 1;
    }
    return { taken: at, value };
  });
  return (target, room, ear) =>
    new Promise((resolve, reject) => {
      const socket = new RawSocket(target.tcpPort ?? 0, () => undefined);
      socket.onClose = failing(reject, 'a TCP connection');
      socket.consume = (bytes) => {
        const { taken, value } = alike.read(bytes);
        for (const text of value.texts) {
          if (text.includes('"welcome"'))
            socket.write(`${JSON.stringify({ event: 'roomAdd', room, messageId: 'join' })}\r\n`);
          if (text.includes('"join"')) {
            socket.onClose = undefined;
            resolve({
              say: (texts) => {
                socket.write(texts.map((message) => `${JSON.stringify({ event: 'say', room, message })}\r\n`).join(''));
              },
              close: () => {
                socket.close();
              },
            });
          }
        }
        if (value.marks.length > 0) ear(value.marks);
        return taken;
      };
    });
}
