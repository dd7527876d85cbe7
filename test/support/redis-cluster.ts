/** A Redis Cluster: three primaries, one of them with a replica. Slots are moved as `redis-cli --cluster reshard` does it. */
import type { Redis } from 'ioredis';
import { eventually } from './eventually';
import { OwnRedis } from './redis';
import { freePorts } from './redis-process';

const SLOTS = 16_384;
const PRIMARIES = 3;

interface Node {
  readonly server: OwnRedis;
  readonly admin: Redis;
  readonly port: number;
  readonly id: string;
}

export class ClusterDeployment {
  private constructor(
    readonly nodes: readonly Node[],
    /** That has a replica. */
    readonly replicated: Node,
    readonly replica: Node,
  ) {}

  /** @param key that the primary with the replica has */
  static async start(key = ''): Promise<ClusterDeployment> {
    const ports = await freePorts((PRIMARIES + 1) * 2);
    const starting = ports.slice(PRIMARIES + 1).map(async (busPort, index): Promise<Node> => {
      const port = ports[index] ?? 0;
      const server = await OwnRedis.start(
        ...['--port', `${port}`, '--cluster-enabled', 'yes', '--cluster-port', `${busPort}`],
        ...['--cluster-announce-ip', '127.0.0.1', '--cluster-node-timeout', '1000'],
        ...['--cluster-replica-validity-factor', '0', '--repl-diskless-sync-delay', '0'],
      );
      const { admin } = server;
      await admin.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
      return { server, admin, port, id: String(await admin.call('CLUSTER', 'MYID')) };
    });
    const nodes = await Promise.all(starting);
    // Only now: a node that knows another one takes no epoch any more.
    const [bus = 0] = ports.slice(PRIMARIES + 1);
    for (const { admin } of nodes.slice(1)) await admin.call('CLUSTER', 'MEET', '127.0.0.1', ports[0] ?? 0, bus);
    const slot = Number(await nodes[0]?.admin.call('CLUSTER', 'KEYSLOT', key));
    const [replicated, replica] = [nodes[Math.floor((slot * PRIMARIES) / SLOTS)], nodes[PRIMARIES]];
    if (!replicated || !replica) throw new Error('a cluster has nodes');
    const cluster = new ClusterDeployment(nodes, replicated, replica);
    await cluster.#form();
    return cluster;
  }

  get address(): { readonly nodes: readonly string[] } {
    return { nodes: this.nodes.map(({ port }) => `127.0.0.1:${port}`) };
  }

  get primaries(): readonly Node[] {
    return this.nodes.slice(0, PRIMARIES);
  }

  /** Moves slots in use from each primary to the next, a few each and the key's among them, while people use them. */
  async reshard(key: string): Promise<void> {
    const wanted = await this.#slotOf(key);
    for (const [index, from] of this.primaries.entries()) {
      const to = this.primaries[(index + 1) % PRIMARIES];
      const used = new Set(await Promise.all((await from.admin.keys('*')).map((each) => this.#slotOf(each))));
      const some = [...used].sort((a, b) => Number(b === wanted) - Number(a === wanted)).slice(0, 3);
      for (const slot of some) if (to) await this.#move(slot, from, to);
    }
  }

  /** The slot of a key begins to move, and gets no further: whoever asks for what is not there is sent on (ASK). */
  async beginMoving(key: string): Promise<void> {
    const slot = await this.#slotOf(key);
    const from = Math.floor((slot * PRIMARIES) / SLOTS);
    const [here, there] = [this.primaries[from], this.primaries[(from + 1) % PRIMARIES]];
    if (here && there) await this.#announceMove(slot, here, there);
  }

  /** The channels that are followed at the primary which has the key: announcements are sharded, and go no further. */
  async followedWith(key: string): Promise<readonly string[]> {
    const slot = await this.#slotOf(key);
    for (const { admin } of this.primaries) {
      const here = Number(await admin.call('CLUSTER', 'COUNTKEYSINSLOT', slot)) > 0;
      if (here) return (await admin.call('PUBSUB', 'SHARDCHANNELS')) as string[];
    }
    return [];
  }

  /** The replica has taken its primary's place, and the others know. */
  async promoted(): Promise<void> {
    const { replica } = this;
    const others = this.primaries.filter((node) => node !== this.replicated);
    await eventually(async () => {
      const lists = await Promise.all(others.map(({ admin }) => admin.cluster('NODES')));
      return lists.every((list) => new RegExp(`^${replica.id} .* (myself,)?master `, 'm').test(String(list)));
    }, 30_000);
  }

  async #slotOf(key: string): Promise<number> {
    return Number(await this.nodes[0]?.admin.call('CLUSTER', 'KEYSLOT', key));
  }

  async #announceMove(slot: number, from: Node, to: Node): Promise<void> {
    await to.admin.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id);
    await from.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
  }

  async #move(slot: number, from: Node, to: Node): Promise<void> {
    await this.#announceMove(slot, from, to);
    for (;;) {
      const keys = (await from.admin.call('CLUSTER', 'GETKEYSINSLOT', slot, 10)) as string[];
      if (keys.length === 0) break;
      await from.admin.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5000, 'KEYS', ...keys);
    }
    // The one that gets it first: for a moment two have it, rather than none.
    for (const node of [to, from, ...this.primaries.filter((other) => other !== to && other !== from)]) {
      await node.admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id);
    }
  }

  async #form(): Promise<void> {
    for (const [index, { admin }] of this.primaries.entries()) {
      const [from, to] = [index, index + 1].map((part) => Math.floor((part * SLOTS) / PRIMARIES));
      await admin.call('CLUSTER', 'ADDSLOTSRANGE', from ?? 0, (to ?? 0) - 1);
    }
    const allSay = (fact: string): Promise<unknown> =>
      eventually(async () => {
        const infos = await Promise.all(this.nodes.map(({ admin }) => admin.cluster('INFO')));
        return infos.every((info) => info.includes(fact));
      });
    await allSay(`cluster_known_nodes:${this.nodes.length}`);
    await this.replica.admin.call('CLUSTER', 'REPLICATE', this.replicated.id);
    await allSay('cluster_state:ok');
    await eventually(async () => (await this.replica.admin.info('replication')).includes('master_link_status:up'));
  }
}
