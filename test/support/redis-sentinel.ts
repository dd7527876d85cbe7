/** A primary, its replica and three sentinels that watch them, as a deployment has them, but quicker to judge. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { eventually } from './eventually';
import { OwnRedis } from './redis';
import { freePorts, RedisProcess } from './redis-process';

const NAME = 'chat';

const settings = (port: number, watched: number): string => `
port ${port}
bind 127.0.0.1
sentinel monitor ${NAME} 127.0.0.1 ${watched} 2
sentinel down-after-milliseconds ${NAME} 500
sentinel failover-timeout ${NAME} 1000
`;

/** ms. How often they look and talk, which is once in seconds otherwise. */
const PERIODS = ['info-period', 300, 'ping-period', 100, 'ask-period', 200, 'publish-period', 200];

const watching = new Set<SentinelDeployment>();

/** To be called in `afterEach`, before `stopOwnRedis`. */
export async function stopSentinels(): Promise<void> {
  await Promise.all([...watching].map((deployment) => deployment.stop()));
}

export class SentinelDeployment {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'earshot-sentinels-'));
  readonly #sentinels: RedisProcess[] = [];
  readonly #admins: Redis[] = [];

  private constructor(
    readonly primary: OwnRedis,
    readonly replica: OwnRedis,
    readonly replicaPort: number,
    readonly ports: readonly number[],
  ) {
    watching.add(this);
  }

  /** @param options of the primary and the replica */
  static async start(...options: readonly string[]): Promise<SentinelDeployment> {
    const [primaryPort = 0, replicaPort = 0, ...ports] = await freePorts(5);
    const primary = await OwnRedis.start('--port', `${primaryPort}`, '--repl-diskless-sync-delay', '0', ...options);
    const replica = await OwnRedis.start(
      ...['--port', `${replicaPort}`, '--replicaof', `127.0.0.1 ${primaryPort}`, ...options],
    );
    const deployment = new SentinelDeployment(primary, replica, replicaPort, ports);
    // Only then: a replica that has its copy is sent nothing more before it has acknowledged it, a second later.
    await eventually(async () => (await primary.admin.info('replication')).includes('state=online'));
    for (const port of ports) await deployment.#watch(port, primaryPort);
    await eventually(() => deployment.#agreed());
    return deployment;
  }

  get address(): { readonly sentinels: readonly string[]; readonly name: string } {
    return { sentinels: this.ports.map((port) => `127.0.0.1:${port}`), name: NAME };
  }

  /**
   * From now on the replica gets nothing: its link is cut, and it is no longer let in. Stopping its process would not do:
   * what the kernel keeps for it would be there when it goes on. What was written before, it has.
   */
  async holdBackReplica(): Promise<void> {
    await this.replicaInStep();
    await this.replica.admin.config('SET', 'masterauth', 'no longer right');
    await this.primary.admin.call('CLIENT', 'KILL', 'TYPE', 'replica');
    await eventually(async () => (await this.primary.admin.info('replication')).includes('connected_slaves:0'));
  }

  /** The replica has all that was written until now. */
  async replicaInStep(): Promise<void> {
    await this.primary.admin.set('in step', '');
    expect(await this.primary.admin.wait(1, 10_000)).toBe(1);
  }

  /** The replica has become the primary, and every sentinel says so. */
  async promoted(): Promise<void> {
    await eventually(async () => {
      if (!(await this.replica.admin.info('replication')).includes('role:master')) return false;
      const told = await Promise.all(
        this.#admins.map((sentinel) => sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)),
      );
      return (told as string[][]).every(([, port]) => port === String(this.replicaPort));
    }, 30_000);
  }

  /**
   * The old primary comes back, and follows the new one; the sentinels would tell it to as well, in their time. As it has
   * nothing on its disk, it would be an empty primary until then, to whoever still takes it for one.
   */
  async primaryIsReplica(): Promise<void> {
    await this.primary.start('--replicaof', `127.0.0.1 ${this.replicaPort}`, '--replica-serve-stale-data', 'no');
    await eventually(async () => (await this.replica.admin.info('replication')).includes('state=online'));
  }

  async stop(): Promise<void> {
    watching.delete(this);
    for (const admin of this.#admins) admin.disconnect();
    await Promise.all(this.#sentinels.map((sentinel) => sentinel.kill()));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #watch(port: number, watched: number): Promise<void> {
    const file = path.join(this.#folder, `${port}.conf`);
    writeFileSync(file, settings(port, watched));
    this.#sentinels.push(await RedisProcess.start([file, '--sentinel'], 'sentinel id is'));
    const admin = new Redis({ port, disconnectTimeout: 10 }).on('error', () => undefined);
    this.#admins.push(admin);
    await admin.call('SENTINEL', 'DEBUG', ...PERIODS);
  }

  /** Each sentinel knows the two others and the replica: until then they cannot fail over. */
  async #agreed(): Promise<boolean> {
    const known = await Promise.all(
      this.#admins.map(async (sentinel) => {
        const facts = (await sentinel.call('SENTINEL', 'MASTER', NAME)) as string[];
        const fact = (name: string): string | undefined => facts[facts.indexOf(name) + 1];
        return fact('num-other-sentinels') === '2' && fact('num-slaves') === '1';
      }),
    );
    return known.every(Boolean);
  }
}
