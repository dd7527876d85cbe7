/** Limits that hold by whichever way somebody comes. */
import { TcpClient, WsClient } from '../support/clients';
import { connected } from '../support/http-client';
import { startServer } from '../support/server';

test('one bucket for one client, whatever it comes by', async () => {
  const server = await startServer({ config: { limits: { saysPerSecond: 0.01 } } });
  const http = await connected(server);
  const [ws, tcp] = [await WsClient.connect(server.url), await TcpClient.connect(server.tcpPort)];
  for (const socket of [ws, tcp]) await socket.data('resume', { session: http.session });
  const outcomes: unknown[] = [];
  for (let nth = 0; nth < 3; nth += 1) {
    outcomes.push((await http.post('say', { message: 'x' })).status);
    outcomes.push((await ws.ask('say', { message: 'x' })).code);
    outcomes.push((await tcp.ask('say', { message: 'x' })).code);
  }
  expect(outcomes.filter((one) => one === 200 || one === undefined)).toEqual([200]);
  const refused = await http.post('say', { message: 'x' });
  expect(refused).toMatchObject({ status: 429, body: { code: 'too_many_requests' } });
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  expect(await ws.ask('say', { message: 'x' })).toMatchObject({
    code: 'too_many_requests',
    retryAfter: expect.any(Number),
  });
});

test('compression is not agreed to, however it is offered', async () => {
  const server = await startServer();
  for (const perMessageDeflate of [true, { serverNoContextTakeover: true, clientMaxWindowBits: 15 }]) {
    const client = await WsClient.connect(server.url, '/chat/', { perMessageDeflate });
    expect(client.socket.extensions).toBe('');
  }
});
