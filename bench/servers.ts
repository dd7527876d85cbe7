/** Starts what is measured: each server as its documents set it up, on core 0, with a Redis of its own where it uses one. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import type { Target } from './load/wire';
import { family } from './processes';

export type Kind = 'earshot' | 'socketio' | 'actionhero' | 'ws' | 'ws-framed' | 'ws-joined' | 'http' | 'nchan';

export interface ServerSpec {
  /** The last is for what it loses, and not for how fast it is. */
  readonly kind: Kind | 'socketio-streams';
  readonly redis?: boolean;
  /** Processes behind one Redis; 1 by default. */
  readonly nodes?: number;
  /** Messages of a room that are kept; plenty by default. */
  readonly kept?: number;
  /** earshot only: a hook that keeps everybody off the shared bytes. */
  readonly hook?: 'say' | 'match';
}

export interface Server {
  readonly targets: readonly Target[];
  /** Of each node. */
  readonly nodes: readonly number[];
  readonly redis: { readonly pid: number; readonly client: Redis } | undefined;
  /** Kills a node, and what it has started. */
  kill(node: number): void;
  /** All of them, Redis included. */
  pids(): number[];
  stop(): Promise<void>;
}

export interface ServersOptions {
  /** Node writes a CPU profile of each earshot process there when it ends. */
  readonly profiles?: string | undefined;
}

const root = path.resolve(__dirname, '..');
const peers = path.join(__dirname, 'peers');
/** The rooms of the runs, for ActionHero, which wants to know them. */
export const ROOMS = Array.from({ length: 400 }, (_, index) => `room${String(index)}`);
const CORE = '0';
const NGINX_MODULE = '/usr/lib/nginx/modules/ngx_nchan_module.so';

/** Everything that guards a server on the internet against one address is off: all load comes from one. */
const unlimited = {
  connections: 0,
  connectionsPerAddress: 0,
  saysPerSecond: 0,
  saysPerSecondPerAddress: 0,
  bytesPerSecondPerAddress: 0,
  memoryBytes: 0,
  unsentPerAddress: 0,
  rooms: 0,
  joinsPerSecond: 0,
  joinsPerSecondPerAddress: 0,
  newClientsPerSecondPerAddress: 0,
  newRoomsPerSecondPerAddress: 0,
};

export function isPresent(kind: ServerSpec['kind']): boolean {
  if (kind === 'earshot') return true;
  if (kind === 'nchan') return existsSync(NGINX_MODULE);
  return existsSync(path.join(peers, 'node_modules'));
}

export class Servers {
  readonly #running = new Map<string, Promise<Server>>();
  readonly #scratch = mkdtempSync(path.join(tmpdir(), 'earshot-bench-'));

  constructor(readonly options: ServersOptions = {}) {}

  /** One that runs already, or a new one: between two rounds it rests. */
  get(spec: ServerSpec): Promise<Server> {
    const key = JSON.stringify(spec);
    const running = this.#running.get(key) ?? this.start(spec);
    this.#running.set(key, running);
    return running;
  }

  /** One for the caller alone, who stops it. */
  async start(spec: ServerSpec): Promise<Server> {
    const redis = spec.redis || spec.kind === 'actionhero' ? await startRedis() : undefined;
    const nodes: Started[] = [];
    for (let node = 0; node < (spec.nodes ?? 1); node += 1) nodes.push(await this.#startNode(spec, redis?.url));
    return {
      targets: nodes.map(({ target }) => target),
      nodes: nodes.map(({ child }) => child.pid!),
      redis: redis && { pid: redis.child.pid!, client: redis.client },
      kill: (node) => {
        for (const pid of family(nodes[node]!.child.pid!)) process.kill(pid, 'SIGKILL');
      },
      pids: () =>
        [...nodes, ...(redis ? [redis] : [])].flatMap(({ child }) =>
          (child.exitCode ?? child.signalCode) === null ? family(child.pid!) : [],
        ),
      stop: async () => {
        redis?.client.disconnect();
        await Promise.all([...nodes, ...(redis ? [redis] : [])].map(({ child }) => ended(child)));
      },
    };
  }

  async stop(): Promise<void> {
    const running = await Promise.allSettled(this.#running.values());
    await Promise.all(running.map(async (each) => each.status === 'fulfilled' && each.value.stop()));
    rmSync(this.#scratch, { recursive: true, force: true });
  }

  async #startNode(spec: ServerSpec, redisUrl: string | undefined): Promise<Started> {
    switch (spec.kind) {
      case 'earshot':
        return this.#earshot(spec, redisUrl);
      case 'nchan':
        return this.#nchan(redisUrl, spec.kept);
      case 'socketio':
        return script('socketio.cjs', redisUrl === undefined ? {} : { REDIS_URL: redisUrl });
      case 'socketio-streams':
        return script('socketio-streams.cjs', { REDIS_URL: redisUrl ?? '', KEPT: String(spec.kept ?? 10_000) });
      case 'ws':
        return script('ws.cjs', {});
      case 'ws-framed':
        return script('ws.cjs', { FRAMED: '1' });
      case 'ws-joined':
        return script('ws.cjs', { JOINED: '1', ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }) });
      case 'http':
        return script('http.cjs', redisUrl === undefined ? {} : { REDIS_URL: redisUrl });
      case 'actionhero':
        return script(
          'actionhero.cjs',
          { REDIS_URL: redisUrl ?? '', ROOMS: ROOMS.join(',') },
          path.join(peers, 'node_modules/actionhero'),
        );
    }
  }

  async #earshot(spec: ServerSpec, redisUrl: string | undefined): Promise<Started> {
    const config = {
      general: { defaultChatRoom: null },
      commonWeb: { httpClientMessageTTL: 300_000 },
      chat: spec.kept === undefined ? {} : { maxLogLength: spec.kept },
      redis: { url: redisUrl ?? null },
      servers: { web: { port: 0 }, socket: { enable: true, port: 0 } },
      limits: unlimited,
      log: { level: 'warn' },
    };
    const { profiles } = this.options;
    const flags = profiles === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', profiles];
    let child: ChildProcess;
    if (spec.hook === undefined) {
      const file = path.join(this.#scratch, `${String(performance.now())}.json`);
      writeFileSync(file, JSON.stringify(config));
      child = pinned('node', [...flags, path.join(root, 'dist/src/main.js'), '--config', file], {});
    } else {
      const env = { CONFIG: JSON.stringify(config), HOOK: spec.hook };
      child = pinned('node', [...flags, path.join(__dirname, 'servers/earshot-hooked.cjs')], env);
    }
    const line = await said(child, /listening on .*\n/);
    const port = Number(/http:\/\/[^:]*:(\d+)/.exec(line)?.[1]);
    const tcpPort = Number(/tcp [^:]*:(\d+)/.exec(line)?.[1]);
    return { child, target: { port, tcpPort } };
  }

  async #nchan(redisUrl: string | undefined, kept = 5000): Promise<Started> {
    const port = await freePort();
    const folder = mkdtempSync(path.join(this.#scratch, 'nchan-'));
    mkdirSync(path.join(folder, 'logs'));
    writeFileSync(path.join(folder, 'nginx.conf'), nchanConf(folder, port, redisUrl, kept));
    const child = pinned('nginx', ['-p', folder, '-c', path.join(folder, 'nginx.conf'), '-g', 'daemon off;'], {});
    // The master listens before it has a worker.
    await until(() => Promise.resolve(family(child.pid!).length > 1));
    await until(() => accepts(port));
    return { child, target: { port } };
  }
}

interface Started {
  readonly child: ChildProcess;
  readonly target: Target;
}

async function script(name: string, env: Record<string, string>, cwd = peers): Promise<Started> {
  const port = await freePort();
  const child = pinned('node', [path.join(peers, name)], { ...env, PORT: String(port) }, cwd);
  await said(child, /ready/);
  return { child, target: { port } };
}

async function startRedis(): Promise<Started & { readonly url: string; readonly client: Redis }> {
  const port = await freePort();
  const child = pinned('redis-server', ['--port', String(port), '--save', '', '--appendonly', 'no'], {});
  await said(child, /Ready to accept connections/);
  return { child, target: { port }, url: `redis://127.0.0.1:${String(port)}`, client: new Redis(port, '127.0.0.1') };
}

function pinned(command: string, args: readonly string[], env: Record<string, string>, cwd = root): ChildProcess {
  const child = spawn('taskset', ['-c', CORE, command, ...args], {
    cwd,
    env: { ...process.env, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  // nginx' workers would outlive it.
  for (const { pid, exitCode, signalCode } of running)
    if (pid !== undefined && (exitCode ?? signalCode) === null)
      for (const one of family(pid)) process.kill(one, 'SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

/** What a process says when it is ready; rejects when it ends before. */
function said(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const found = pattern.exec(text);
      if (found) resolve(found[0]);
    });
    child.once('exit', () => {
      reject(new Error(`${child.spawnargs.join(' ')} ended: ${text}`));
    });
  });
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('a server did not start');
}

/** Whether Nchan takes a message: it listens before it has found its Redis, and answers 503 until then. */
async function accepts(port: number): Promise<boolean> {
  try {
    const { ok } = await fetch(`http://127.0.0.1:${String(port)}/pub/ready`, { method: 'POST', body: 'ready' });
    return ok;
  } catch {
    return false;
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
  await gone;
  clearTimeout(timer);
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function nchanConf(folder: string, port: number, redisUrl: string | undefined, kept: number): string {
  const redis = redisUrl === undefined ? '' : 'nchan_redis_pass bench;';
  const limits = `nchan_message_buffer_length ${String(kept)}; nchan_message_timeout 60s;`;
  const subscriber = 'nchan_channel_id $1; nchan_subscriber_first_message newest; nchan_websocket_ping_interval 0;';
  return `
user root;
load_module ${NGINX_MODULE};
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
worker_rlimit_nofile 20000;
events { worker_connections 19000; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  keepalive_timeout 300s;
  keepalive_requests 100000000;
  nchan_shared_memory_size 512M;
  ${redisUrl === undefined ? '' : `upstream bench { nchan_redis_server ${redisUrl}; }`}
  server {
    listen 127.0.0.1:${String(port)} backlog=4096;
    tcp_nodelay on;
    location ~ ^/ws/(\\w+)$ { nchan_subscriber websocket; ${subscriber} ${redis} ${limits} }
    location ~ ^/events/(\\w+)$ { nchan_subscriber eventsource; ${subscriber} ${redis} ${limits} }
    location ~ ^/poll/(\\w+)$ { nchan_subscriber longpoll; ${subscriber} ${redis} ${limits} }
    location ~ ^/pub/(\\w+)$ { nchan_publisher; nchan_channel_id $1; ${redis} ${limits} }
  }
}
`;
}
