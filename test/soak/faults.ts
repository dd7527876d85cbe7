/** What is broken while a soak runs: each fault heals, and none of them may lose, double or disorder a message. */
import type { OwnRedis } from '../support/redis';
import { SoakNode } from './node';

export interface Deployment {
  readonly redis: OwnRedis;
  /** Changed in place; the first one lives through it all. */
  readonly nodes: SoakNode[];
  readonly random: () => number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const anyNode = ({ nodes, random }: Deployment): SoakNode => nodes[Math.floor(random() * nodes.length)]!;

/** Another node comes before one goes, unless it dies. */
async function replace(deployment: Deployment, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const { nodes, random, redis } = deployment;
  const at = 1 + Math.floor(random() * (nodes.length - 1));
  const gone = nodes[at]!;
  if (signal === 'SIGKILL') await gone.end(signal);
  nodes[at] = await SoakNode.start(redis.socket);
  if (signal === 'SIGTERM') await gone.end(signal);
}

export const faults: Readonly<Record<string, (deployment: Deployment) => Promise<void>>> = {
  'link cut': async (deployment) => anyNode(deployment).proxy.cut(),

  'answers swallowed': async (deployment) => {
    const { proxy } = anyNode(deployment);
    proxy.deafen();
    await pause(50 + deployment.random() * 1500);
    proxy.heal();
    proxy.cut();
  },

  'link half open': async (deployment) => {
    const { proxy } = anyNode(deployment);
    proxy.halfOpen();
    await pause(500 + deployment.random() * 6000);
    proxy.heal();
  },

  'announcements swallowed': async (deployment) => {
    const { proxy } = anyNode(deployment);
    proxy.mute();
    await pause(500 + deployment.random() * 3000);
    proxy.heal();
  },

  'Redis stopped': async ({ redis, random }) => {
    redis.pause();
    await pause(100 + random() * 2500);
    redis.resume();
  },

  'Redis killed': async ({ redis, random }) => {
    await redis.kill();
    await pause(random() * 1500);
    await redis.start();
  },

  'scripts flushed': async ({ redis }) => {
    await redis.admin.script('FLUSH');
  },

  'node replaced': (deployment) => replace(deployment, 'SIGTERM'),
  'node killed': (deployment) => replace(deployment, 'SIGKILL'),
};
