/** One address asks for more than its share, in every way there is: it is refused, and whoever behaves goes on chatting. */
import { once } from 'node:events';
import http from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { Command, type Listening } from '../support/command';
import { eventually } from '../support/eventually';
import { GoodClient } from '../support/good-client';
import { note } from '../support/measured';
import { keysUnder, OwnRedis, stopOwnRedis } from '../support/redis';

/** Where all attacks come from; the good client has an address of its own. */
const ATTACKER = '127.0.0.2';
const PER_ADDRESS = 150;
const HANDSHAKE = 1000;
const TTL = 3000;

const env = {
  EARSHOT_COMMON_WEB_HTTP_CLIENT_MESSAGE_TTL: String(TTL),
  EARSHOT_CHAT_LOG_KEEP: String(TTL),
  EARSHOT_LIMITS_HANDSHAKE: String(HANDSHAKE),
  EARSHOT_LIMITS_CONNECTIONS_PER_ADDRESS: String(PER_ADDRESS),
  EARSHOT_LIMITS_NEW_CLIENTS_PER_SECOND_PER_ADDRESS: '25',
  EARSHOT_LIMITS_ROOMS: '30',
};

afterEach(stopOwnRedis);

interface Told {
  readonly status: number;
  readonly code: string | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly cookie: string;
}

/** A request of its own connection or of a kept one; 0 where the connection was cut. */
async function ask(
  at: Listening,
  query: string,
  { cookie = '', agent }: { cookie?: string; agent?: http.Agent } = {},
): Promise<Told> {
  return new Promise((resolve) => {
    const headers = cookie === '' ? {} : { Cookie: cookie };
    const asked = http.get(
      `${at.url}/chat/?${query}`,
      { localAddress: ATTACKER, agent: agent ?? false, headers },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (more: string) => (text += more));
        response.on('close', () => {
          const set = (response.headers['set-cookie'] ?? []).map((line) => line.split(';')[0]).join('; ');
          const { code } = (text.startsWith('{') ? JSON.parse(text.split('\n')[0]!) : {}) as { code?: string };
          resolve({ status: response.statusCode ?? 0, code, headers: response.headers, cookie: set });
        });
      },
    );
    asked.on('error', () => resolve({ status: 0, code: undefined, headers: {}, cookie: '' }));
  });
}

async function askTimes(times: number, at: Listening, query: string, cookie = ''): Promise<Told[]> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
  const told = await Promise.all(
    Array.from({ length: times }, (_, nth) => ask(at, query.replace('NTH', String(nth)), { cookie, agent })),
  );
  agent.destroy();
  return told;
}

/** How many were answered so, by code or by status. */
function tally(told: readonly Told[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status, code } of told) counts[code ?? status] = (counts[code ?? status] ?? 0) + 1;
  return counts;
}

class Sockets {
  readonly all: Socket[];
  readonly received: string[];

  constructor(count: number, port: number, greet: (socket: Socket) => void = () => undefined) {
    this.received = Array<string>(count).fill('');
    this.all = Array.from({ length: count }, (_, nth) => {
      const socket = createConnection({ port, host: '127.0.0.1', localAddress: ATTACKER });
      socket.on('error', () => undefined).on('connect', () => greet(socket));
      socket
        .setEncoding('latin1')
        .on('data', (text: string) => (this.received[nth] = `${this.received[nth] ?? ''}${text}`));
      return socket;
    });
  }

  get open(): number {
    return this.all.filter((socket) => !socket.closed).length;
  }

  /** All are gone, each by the server's doing. */
  async gone(): Promise<void> {
    await eventually(() => this.open === 0, 20_000);
  }

  async abandoned(): Promise<void> {
    const closed = this.all.filter((socket) => !socket.closed).map((socket) => once(socket, 'close'));
    for (const socket of this.all) socket.destroy();
    await Promise.all(closed);
  }
}

/** A byte now and then, as slowly as a timeout that counts silence would let it. */
async function drip(sockets: Sockets, first: string): Promise<void> {
  const bytes = `${first}${'x'.repeat(10_000)}`;
  let at = 0;
  const dripping = setInterval(() => {
    for (const socket of sockets.all) if (socket.writable) socket.write(bytes[at] ?? 'x');
    at += 1;
  }, 50);
  await sockets.gone();
  clearInterval(dripping);
}

/** @param usual files that the server has open when there is nobody but the good client */
type Attack = (at: Listening, command: Command, good: GoodClient, usual: number) => Promise<void>;

const attacks: readonly (readonly [string, Attack])[] = [
  [
    '100 sockets without a byte',
    async (at) => {
      await new Sockets(100, at.port).gone();
    },
  ],
  [
    '100 requests whose headers drip',
    async (at) => {
      const sockets = new Sockets(100, at.port);
      await drip(sockets, 'GET /chat/?method=roomView HTTP/1.1\r\nHost: localhost\r\nX: ');
      expect(sockets.received.filter((text) => text.startsWith('HTTP/1.1 408 '))).toHaveLength(100);
    },
  ],
  [
    '100 requests whose bodies drip',
    async (at) => {
      const head = 'POST /chat/?method=say HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n';
      const sockets = new Sockets(100, at.port, (socket) => socket.write(head));
      await drip(sockets, 'message=');
      expect(sockets.received.filter((text) => text.startsWith('HTTP/1.1 200 '))).toEqual([]);
    },
  ],
  [
    '400 connections, 150 allowed',
    async (at) => {
      const sockets = new Sockets(400, at.port, (socket) => {
        socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
      });
      await eventually(() => sockets.received.every((text) => text !== ''));
      expect(sockets.received.filter((text) => text.startsWith('HTTP/1.1 200 '))).toHaveLength(PER_ADDRESS);
      const refused = sockets.received.filter((text) => text.includes('too_many_requests'));
      expect(refused).toHaveLength(400 - PER_ADDRESS);
      expect(refused[0]).toMatch(/^HTTP\/1\.1 429 .*\r\nRetry-After: 5\r\n/s);
      await sockets.abandoned();
      const lines = new Sockets(200, at.tcpPort);
      await eventually(() => lines.received.every((text) => text !== ''));
      expect(lines.received.filter((text) => text.includes('"welcome"')).length).toBeLessThanOrEqual(PER_ADDRESS);
      await lines.abandoned();
    },
  ],
  [
    '10 lines of 5 MB without an end',
    async (at, command) => {
      // Its share of new clients is used up by what was before.
      await eventually(async () => (await ask(at, 'method=detailsView')).status === 200);
      const before = command.residentBytes;
      const sockets = new Sockets(10, at.tcpPort, (socket) => {
        const piece = Buffer.alloc(50_000, 'x');
        for (let nth = 0; nth < 100; nth += 1) socket.write(piece);
      });
      await sockets.gone();
      expect((command.residentBytes - before) / 1e6).toBeLessThan(60);
    },
  ],
  [
    '300 new clients, without cookies',
    async (at) => {
      const told = await askTimes(300, at, 'method=detailsView');
      const { 200: welcome = 0, too_many_requests: refused = 0 } = tally(told);
      expect(welcome + refused).toBe(300);
      // A burst at most, and what flowed back meanwhile; those that came before may have left nothing of it.
      expect(welcome).toBeLessThan(250);
      for (const { status, headers } of told)
        if (status === 429) expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    },
  ],
  [
    '120 polls that wait, without cookies, and 20 of one client',
    async (at) => {
      const polls = Array.from({ length: 120 }, () => ask(at, 'method=messages&wait=2'));
      const [known] = (await Promise.all(polls)).filter(({ status }) => status === 200);
      if (!known) return;
      const own = await Promise.all(
        Array.from({ length: 20 }, () => ask(at, 'method=messages&wait=2', { cookie: known.cookie })),
      );
      expect(tally(own)).toEqual({ 200: 20 });
    },
  ],
  [
    '300 says and 300 joins of one client',
    async (at) => {
      const { cookie } = await eventually(async () => {
        const told = await ask(at, 'method=detailsView');
        return told.status === 200 ? told : undefined;
      });
      const says = tally(await askTimes(300, at, 'method=say&message=NTH', cookie));
      expect(Object.keys(says).sort()).toEqual(['200', 'too_many_requests']);
      const joins = tally(await askTimes(300, at, 'method=roomAdd&room=flood-NTH', cookie));
      expect(
        Object.keys(joins).filter((code) => !['200', 'capacity', 'too_many_rooms', 'too_many_requests'].includes(code)),
      ).toEqual([]);
      // A burst, and what flowed back meanwhile; the bound on rooms is about: a node looks once a second.
      expect(joins['200'] ?? 0).toBeLessThan(150);
      expect(joins['too_many_requests']).toBeGreaterThan(100);
    },
  ],
  [
    '150 connections, with files left for 20',
    async (at, command, _good, usual) => {
      // What is open still of the attacks before would be free for this one when it is closed.
      await eventually(() => command.openFiles <= usual + 2);
      command.leaveFiles(20);
      const sockets = new Sockets(PER_ADDRESS, at.port, (socket) => {
        socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
      });
      // About: one of its files may have a number above that, and stays.
      await eventually(() => sockets.open < 30);
      expect(sockets.received.filter((text) => text.startsWith('HTTP/1.1 200')).length).toBeLessThan(30);
      await sockets.abandoned();
      command.leaveFiles(1000);
      await eventually(async () => (await ask(at, 'method=roomView')).status > 0);
    },
  ],
  [
    'pages of 0.6 MB asked for 800 times, and not read',
    async (at, command, good) => {
      const { cookie } = await eventually(async () => {
        const told = await ask(at, 'method=roomAdd&room=old');
        return told.status === 200 ? told : undefined;
      });
      await askTimes(40, at, `method=say&room=old&message=${'x'.repeat(15_000)}`, cookie);
      const before = command.residentBytes;
      const page = `GET /chat/?method=messages&echo=true HTTP/1.1\r\nHost: localhost\r\nCookie: ${cookie}\r\n\r\n`;
      const greedy = new Sockets(100, at.port, (socket) => socket.pause().write(page.repeat(8)));
      // By the server's own pace: while it answers others, it has its time for these as well.
      const answered = good.latencies.length + 30;
      await eventually(() => good.latencies.length > answered);
      expect((command.residentBytes - before) / 1e6).toBeLessThan(200);
      await greedy.abandoned();
    },
  ],
  [
    '100 connections, each with 3,600 of the smallest requests at once',
    async (at, command) => {
      const before = command.residentBytes;
      let most = 0;
      const sockets = new Sockets(100, at.port, (socket) => {
        socket.write('GET / HTTP/1.1\r\n\r\n'.repeat(3600));
        most = Math.max(most, command.residentBytes - before);
      });
      await sockets.gone();
      most = Math.max(most, command.residentBytes - before);
      // Each is refused once, and nothing is made of the rest.
      expect(sockets.received.every((text) => (text.match(/HTTP\/1/g)?.length ?? 0) <= 1)).toBe(true);
      expect(most / 1e6).toBeLessThan(80);
    },
  ],
  [
    '30,000 sticky parameters set, each beside a hundred large ones',
    async (at) => {
      await eventually(async () => (await ask(at, 'method=detailsView')).status === 200);
      const large = Array.from({ length: 99 }, (_, nth) => `paramAdd p${nth} ${'x'.repeat(600)}\n`).join('');
      const lines = new Sockets(10, at.tcpPort, (socket) => socket.write(large + 'paramAdd p0 y\n'.repeat(3000)));
      // Too many new clients of one address are told so instead, and closed.
      await eventually(() =>
        lines.all.every((socket, nth) => socket.closed || (lines.received[nth]?.split('\n').length ?? 0) > 3000),
      );
      expect(lines.open).toBeGreaterThan(0);
      await lines.abandoned();
    },
  ],
  [
    'rooms made by one client after the other, 30 allowed',
    async (at) => {
      let clients = 0;
      const capacity = await eventually(async () => {
        const { status, cookie } = await ask(at, 'method=detailsView');
        if (status !== 200) return undefined;
        clients += 1;
        const told = await askTimes(20, at, `method=roomAdd&room=more-${clients}-NTH`, cookie);
        // The node looks about once a second.
        return told.find(({ code }) => code === 'capacity');
      });
      expect(capacity).toMatchObject({ status: 503, code: 'capacity' });
      expect(Number(capacity.headers['retry-after'])).toBeGreaterThan(0);
    },
  ],
];

test('a greedy address is refused while others chat, and Redis is as before when its time is over', async () => {
  const redis = await OwnRedis.start();
  const command = new Command(['--port', '0', '--socket-port', '0', '--redis-url', `unix://${redis.socket}`], env);
  const at = await command.listening();
  const good = await GoodClient.meet(at);
  good.start();
  await eventually(() => good.latencies.length > 20);
  const usual = command.openFiles;
  // A say's key is remembered a little while, whoever said it; rates are, until they have flowed back.
  const lasting = async (): Promise<string[]> =>
    (await keysUnder(redis.admin, 'earshot:')).filter((key) => !/:once:|^earshot:(probe|rates):/.test(key));
  const before = await lasting();

  for (const [what, attack] of attacks) {
    good.latencies.length = 0;
    const memory = command.residentBytes;
    await attack(at, command, good, usual);
    const sorted = [...good.latencies].sort((a, b) => a - b);
    const p99 = sorted[Math.floor((sorted.length - 1) * 0.99)] ?? NaN;
    const grown = Math.round((command.residentBytes - memory) / 1e6);
    note(
      `${what}: the good client's ${sorted.length} messages, p99 ${p99.toFixed(1)} ms; the server grew by ${grown} MB`,
    );
  }

  await good.stop();
  for (const key of await keysUnder(redis.admin, 'earshot:')) {
    const lasts = (await redis.admin.pttl(key)) === -1;
    // The deployment's own, and the room that is there from the start.
    if (lasts) expect(key).toMatch(/^earshot:(layout|secret|rooms|\{room:defaultRoom\}:\w+)$/);
  }
  // Less than before is fine: what was said at the start has had its time as well.
  const more = async (): Promise<string[]> => (await lasting()).filter((key) => !before.includes(key));
  await eventually(async () => (await more()).length === 0, 30_000).catch(async () => {
    expect(await more()).toEqual([]);
  });
  expect(command.stderr.split('\n').filter((line) => line.includes('"level":"error"'))).toEqual([]);
  command.signal('SIGTERM');
  expect(await command.ended).toBe(0);
}, 180_000);
