/** Redis for tests: the run's shared one, each store under a prefix of its own, and own ones that a test may break. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { eventually } from './eventually';
import { RedisProcess } from './redis-process';

/** The shared Redis' unix socket, started by global-setup. */
export function sharedRedis(): string {
  const socket = process.env['TEST_REDIS'];
  if (!socket) throw new Error('TEST_REDIS is not set: this test needs the Redis that global-setup starts');
  return socket;
}

/** Never FLUSHDB, never SELECT: pub/sub ignores databases, and other files use the same Redis at the same time. */
export function freshPrefix(): string {
  return `t:${randomUUID()}:`;
}

export async function keysUnder(redis: Redis, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  let cursor = '0';
  do {
    const [next, found] = await redis.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', 1000);
    keys.push(...found);
    cursor = next;
  } while (cursor !== '0');
  return keys.sort();
}

const servers = new Set<OwnRedis>();

/** To be called in `afterEach`. */
export async function stopOwnRedis(): Promise<void> {
  await Promise.all([...servers].map((server) => server.stop()));
}

/** A Redis that a test may pause, kill, fill and start again, with its data or without. */
export class OwnRedis {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'earshot-redis-'));
  readonly socket = path.join(this.folder, 'redis.sock');
  #process: RedisProcess | undefined;
  #admin: Redis | undefined;

  private constructor(readonly options: readonly string[]) {}

  /** @param options as on the command line of redis-server: `--appendonly yes` */
  static async start(...options: readonly string[]): Promise<OwnRedis> {
    const server = new OwnRedis(options);
    servers.add(server);
    await server.start();
    return server;
  }

  /** For what a test does behind the store's back. */
  get admin(): Redis {
    // Its link may be gone already when it is ended, and ioredis then waits for that as long as it may.
    this.#admin ??= new Redis(this.socket, { maxRetriesPerRequest: null, disconnectTimeout: 10 }).on(
      'error',
      () => undefined,
    );
    return this.#admin;
  }

  /** @param options for this time */
  async start(...options: readonly string[]): Promise<void> {
    const usual = ['--port', '0', '--unixsocket', this.socket, '--save', '', '--dir', this.folder];
    const settings = [...usual, ...this.options, ...options];
    this.#process = await RedisProcess.start(settings);
  }

  /** Answers nothing, keeps its links: as a machine that swaps. */
  pause(): void {
    this.#process?.pause();
  }

  resume(): void {
    this.#process?.resume();
  }

  /** A disk that is full, as Redis sees it: it cannot write its snapshot, and takes no writes while it cannot. */
  async forbidSaving(): Promise<void> {
    mkdirSync(path.join(this.folder, 'dump.rdb'));
    await this.admin.config('SET', 'save', '3600 1');
    await this.#tryToSave('err');
  }

  async allowSaving(): Promise<void> {
    rmSync(path.join(this.folder, 'dump.rdb'), { recursive: true });
    await this.#tryToSave('ok');
  }

  async #tryToSave(outcome: 'ok' | 'err'): Promise<void> {
    await this.admin.bgsave();
    await eventually(async () => (await this.admin.info('persistence')).includes(`rdb_last_bgsave_status:${outcome}`));
  }

  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  async stop(): Promise<void> {
    servers.delete(this);
    this.#admin?.disconnect();
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
