/** A connection that has asked and gone leaves nothing behind: thousands a second of them come with one question each. */
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { Admission } from '../../src/transports/admission';
import { createApp, createExpressServer } from '../../src/transports/http/server';
import { collect } from '../support/collected';
import { eventually } from '../support/eventually';

afterEach(() => jest.restoreAllMocks());

test('it is not waited for, nor counted', async () => {
  const admission = new Admission({ connections: 100, unsentPerAddress: 1_000_000 });
  const app = createApp();
  app.get('/', (_request, response) => {
    response.end('here');
  });
  // Nobody looks once a second for who says nothing: it is let go of without that.
  jest.spyOn(globalThis, 'setInterval').mockReturnValue({ unref: () => undefined } as unknown as NodeJS.Timeout);
  const server = createExpressServer(app, { admission, connectionsPerAddress: 10, handshake: 60_000 });
  let alive = 0;
  const gone = new FinalizationRegistry<string>(() => (alive -= 1));
  server.on('connection', (socket: Socket) => {
    alive += 1;
    gone.register(socket, '');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  // More than may be there at once.
  for (let times = 0; times < 30; times += 1) {
    const socket = net.connect(port, '127.0.0.1');
    socket.end('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n').resume();
    await once(socket, 'close');
  }
  await eventually(() => {
    collect();
    return alive <= 1;
  });
  server.close();
  await once(server, 'close');
});
