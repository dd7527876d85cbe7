/** Limits that hold by whichever way somebody comes. */
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';
import type { ChatMiddleware } from '../../src/kit';
import { Admission } from '../../src/transports/admission';
import { TcpClient, WsClient } from '../support/clients';
import { eventually } from '../support/eventually';
import { connected } from '../support/http-client';
import { twoNodes } from '../support/nodes';
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

test('one bucket for the rooms that an address makes, whatever it comes by; rooms that are there are open', async () => {
  const general = { startingChatRooms: ['kitchen'] };
  const server = await startServer({ config: { general, limits: { newRoomsPerSecondPerAddress: 0.003 } } });
  const http = await connected(server);
  const primus = await WsClient.connect(server.url, '/primus');
  const [ws, tcp] = [await WsClient.connect(server.url), await TcpClient.connect(server.tcpPort)];
  await http.ok('roomAdd', { room: 'by-HTTP' });
  await ws.data('roomChange', { room: 'by-WebSocket' });
  await tcp.data('listenToRoom', { room: 'by-TCP' });

  const refused = await http.get('roomAdd', { room: 'one-more' });
  expect(refused).toMatchObject({ status: 429, body: { code: 'too_many_requests' } });
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(250);
  expect((await http.post('roomChange', { room: 'one-more' })).body['code']).toBe('too_many_requests');
  for (const socket of [ws, primus, tcp]) {
    for (const event of ['roomAdd', 'listenToRoom', 'roomChange']) {
      const answer = await socket.ask(event, { room: 'one-more' });
      expect(answer).toMatchObject({ code: 'too_many_requests', retryAfter: expect.any(Number) });
    }
    for (const room of ['kitchen', 'by-HTTP']) await socket.data('roomAdd', { room });
  }
  await http.ok('roomAdd', { room: 'kitchen' });
  expect(await server.api.chatRoom.list()).not.toContain('one-more');
});

test('a cookie that leads back into a room that has gone makes it anew at the same price', async () => {
  const server = await startServer({ config: { limits: { newRoomsPerSecondPerAddress: 0.001 } } });
  const change = await fetch(`${server.url}/chat/?method=roomChange&room=den`);
  const cookie = change.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ');
  expect(cookie).toContain('__room=den');
  const [id] = Object.keys((await server.api.chatRoom.roomStatus('den')).members);
  await server.api.chatRoom.destroy('den');
  await server.api.options.chat.store.removeClient(id!);
  const back = await fetch(`${server.url}/chat/?method=detailsView`, { headers: { cookie } });
  expect(await back.json()).toMatchObject({ details: { id, rooms: ['defaultRoom'] } });
  expect(await server.api.chatRoom.list()).toEqual(['defaultRoom']);
});

test('rooms of one client are counted, also those that it asks for at the same time on two nodes', async () => {
  const { here, there } = await twoNodes({ config: { limits: { roomsPerClient: 4 } } });
  const http = await connected(here);
  const asked = [1, 2, 3, 4, 5, 6, 7, 8].map((nth) => {
    http.url = nth % 2 ? here.url : there.url;
    return http.post('roomAdd', { room: `r${String(nth)}` });
  });
  const codes = (await Promise.all(asked)).map(({ body }) => body['code'] ?? body['status']);
  expect(codes.filter((code) => code === 'OK')).toHaveLength(3);
  expect(new Set(codes)).toEqual(new Set(['OK', 'too_many_rooms']));
  const details = (await http.ok('detailsView'))['details'] as {
    readonly id: string;
    readonly rooms: readonly string[];
  };
  const { id, rooms } = details;
  expect(rooms).toHaveLength(4);
  // Nobody is left standing in a room whose join was refused.
  for (let nth = 1; nth <= 8; nth += 1) {
    const room = `r${String(nth)}`;
    const members = (await here.api.chatRoom.roomStatus(room).catch(() => ({ members: {} }))).members;
    expect([room, id in members]).toEqual([room, rooms.includes(room)]);
  }
});

test('who changes its room several times at once, on two nodes, is in one at last', async () => {
  const { here, there } = await twoNodes();
  const http = await connected(here);
  const asked = ['p', 'q', 's', 't'].map((room, nth) => {
    http.url = nth % 2 ? here.url : there.url;
    return http.post('roomChange', { room });
  });
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  const { id, room, rooms } = (await http.ok('detailsView'))['details'] as {
    readonly id: string;
    readonly room: string;
    readonly rooms: readonly string[];
  };
  expect(rooms).toEqual([room]);
  for (const each of ['defaultRoom', 'p', 'q', 's', 't']) {
    const members = (await here.api.chatRoom.roomStatus(each).catch(() => ({ members: {} }))).members;
    expect([each, id in members]).toEqual([each, each === room]);
  }
});

test('requests of one connection are done one after the other, and a great many end it', async () => {
  let under = 0;
  let most = 0;
  const slow: ChatMiddleware = {
    name: 'slow',
    onSayReceive: async () => {
      most = Math.max(most, (under += 1));
      await new Promise((resolve) => setTimeout(resolve, 5));
      under -= 1;
    },
  };
  const server = await startServer({ middleware: [slow] });
  const { session } = await connected(server);
  const requests = (count: number): string =>
    Array.from({ length: count }, (_, nth) => {
      const close = nth === count - 1 ? 'Connection: close\r\n' : '';
      return `GET /chat/?method=say&message=${nth} HTTP/1.1\r\nHost: localhost\r\n${close}Authorization: Bearer ${session}\r\n\r\n`;
    }).join('');
  const answers = async (count: number): Promise<number> => {
    const socket = createConnection(server.port, '127.0.0.1');
    socket.on('error', () => undefined).write(requests(count));
    let text = '';
    socket.setEncoding('utf8').on('data', (more: string) => (text += more));
    await once(socket, 'close');
    return text.match(/"status":"OK"/g)?.length ?? 0;
  };
  const listener = await WsClient.connect(server.url);
  expect(await answers(20)).toBe(20);
  expect((await listener.heard.take(20)).map(({ message }) => Number(message))).toEqual([...Array(20).keys()]);
  expect(most).toBe(1);
  expect(await answers(200)).toBeLessThan(40);
});

test('a /64 of IPv6 is one address, and an IPv4 address is the same in either form', async () => {
  const addresses = [
    '2001:db8::1',
    '2001:db8::ffff:2',
    '2001:db8:0:0:7::3',
    '2001:db8:0:1::1',
    '192.0.2.1',
    '::ffff:192.0.2.1',
    '192.0.2.1',
  ];
  const admission = new Admission({ connections: 0, unsentPerAddress: 0 });
  const door = createServer((socket) => socket.end('come in'));
  admission.guard(door, 2, ({ code }) => code);
  const waiting = [...addresses];
  // A machine has one loopback address of IPv6: the peers' are made up, the sockets are real.
  const front = createServer((socket) => {
    Object.defineProperty(socket, 'remoteAddress', { value: waiting.shift() });
    door.emit('connection', socket);
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const { port } = front.address() as AddressInfo;
  const told: string[] = [];
  const sockets: Socket[] = [];
  for (let nth = 0; nth < addresses.length; nth += 1) {
    const socket = createConnection({ port, host: '127.0.0.1', allowHalfOpen: true });
    sockets.push(socket);
    let text = '';
    socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    await once(socket, 'end');
    told.push(text);
  }
  for (const socket of sockets) socket.destroy();
  front.close();
  const [yes, no] = ['come in', 'too_many_requests'];
  expect(told).toEqual([yes, yes, no, yes, yes, yes, no]);
});

test('peers of one address that all read slowly are cut off, those with the most first', async () => {
  const admission = new Admission({ connections: 0, unsentPerAddress: 3_000_000 });
  const served: Socket[] = [];
  const server = createServer((socket) => {
    served.push(socket);
    // More than kernels take, and then less than may be left unread.
    socket.write(Buffer.alloc(served.length <= 4 ? 40_000_000 : 1_000_000));
  });
  admission.guard(server, 1000, () => '');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sockets = Array.from({ length: 4 }, () =>
    createConnection(port, '127.0.0.1')
      .on('error', () => undefined)
      .pause(),
  );
  try {
    await eventually(() => served.length === 4 && served.every((socket) => socket.destroyed));
    const small = createConnection(port, '127.0.0.1').resume();
    await eventually(() => small.bytesRead === 1_000_000);
    expect(served[4]!.destroyed).toBe(false);
    sockets.push(small);
  } finally {
    for (const socket of [...sockets, ...served]) socket.destroy();
    server.close();
  }
});

describe('behind a proxy an address is what the proxy says of it, and', () => {
  const from = (address: string): { headers: Record<string, string> } => ({ headers: { 'X-Forwarded-For': address } });

  test('may have so many requests under way and WebSockets, whatever connections they share', async () => {
    const server = await startServer({
      config: { commonWeb: { trustProxy: 1 }, limits: { connectionsPerAddress: 2 } },
    });
    const status = async (address: string): Promise<number> => {
      const response = await fetch(`${server.url}/livez`, from(address));
      await response.arrayBuffer();
      return response.status;
    };
    const socket = await WsClient.connect(server.url, '/chat/', from('203.0.113.1'));
    const stop = new AbortController();
    const stream = await fetch(`${server.url}/chat/?method=messages&stream=ndjson`, {
      ...from('203.0.113.1'),
      signal: stop.signal,
    });
    expect(stream.status).toBe(200);

    const refused = await fetch(`${server.url}/chat/?method=roomView`, from('203.0.113.1'));
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5']);
    expect(await refused.json()).toMatchObject({ code: 'too_many_requests' });
    await expect(WsClient.connect(server.url, '/chat/', from('203.0.113.1'))).rejects.toThrow('429');
    // What the client writes itself stands before what the proxy adds.
    expect(await status('198.51.100.9, 203.0.113.1')).toBe(429);
    for (let nth = 2; nth < 10; nth += 1) expect(await status(`203.0.113.${String(nth)}`)).toBe(200);
    const other = await WsClient.connect(server.url, '/chat/', from('203.0.113.2'));

    stop.abort();
    await eventually(async () => (await status('203.0.113.1')) === 200);
    for (let nth = 0; nth < 5; nth += 1) expect(await status('203.0.113.1')).toBe(200);
    const again = await WsClient.connect(server.url, '/chat/', from('203.0.113.1'));
    expect(await status('203.0.113.1')).toBe(429);
    socket.abandon();
    await eventually(async () => (await status('203.0.113.1')) === 200);
    for (const client of [other, again]) client.abandon();
  });

  test('may leave so many bytes unread', async () => {
    const admission = new Admission({ connections: 0, unsentPerAddress: 3_000_000 });
    const served = new Map<string, ServerResponse>();
    const server = http.createServer((request, response) => {
      served.set(request.url ?? '', response);
      response.on('error', () => undefined).write(Buffer.alloc(request.url === '/small' ? 1_000_000 : 40_000_000));
    });
    admission.guardForwarded(server, {
      perAddress: 1000,
      addressOf: ({ headers }) => String(headers['x-forwarded-for']),
      refuse: (response) => response.destroy(),
      farewell: () => '',
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const asking: http.ClientRequest[] = [];
    const ask = async (path: string, address: string): Promise<IncomingMessage> => {
      const asked = http.get({ port, host: '127.0.0.1', path, agent: false, ...from(address) });
      const [response] = (await once(asked, 'response')) as [IncomingMessage];
      asking.push(asked);
      return response.on('error', () => undefined);
    };
    try {
      const slow = await Promise.all(['/1', '/2'].map((path) => ask(path, '203.0.113.1')));
      const small = await ask('/small', '203.0.113.2');
      await eventually(() => slow.every((_, index) => served.get(`/${String(index + 1)}`)!.destroyed));
      expect(served.get('/small')!.destroyed).toBe(false);
      let read = 0;
      small.on('data', (chunk: Buffer) => (read += chunk.length));
      await eventually(() => read === 1_000_000);
    } finally {
      // Who does not read does not see that the server has gone.
      for (const asked of asking) asked.destroy();
      server.closeAllConnections();
      server.close();
    }
  });
});

test('compression is not agreed to, however it is offered', async () => {
  const server = await startServer();
  for (const perMessageDeflate of [true, { serverNoContextTakeover: true, clientMaxWindowBits: 15 }]) {
    const client = await WsClient.connect(server.url, '/chat/', { perMessageDeflate });
    expect(client.socket.extensions).toBe('');
  }
});
