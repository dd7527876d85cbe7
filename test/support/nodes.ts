/** One node on memory, or two on the same Redis: for what must be so wherever a client is. */
import { startServer, type ServerOptions, type ServerUnderTest } from './server';
import { freshPrefix, sharedRedis } from './redis';

/** The node where something is said, and where it is to be heard as well. */
export interface Nodes {
  readonly here: ServerUnderTest;
  readonly there: ServerUnderTest;
}

export const deployments = [
  { where: 'one node on memory', start: oneNode },
  { where: 'two nodes on Redis', start: twoNodes },
] as const;

export async function oneNode(options: ServerOptions = {}): Promise<Nodes> {
  const here = await startServer(options);
  return { here, there: here };
}

export async function twoNodes(options: ServerOptions = {}): Promise<Nodes> {
  const redis = { url: sharedRedis(), prefix: freshPrefix() };
  const node = (): Promise<ServerUnderTest> => startServer({ ...options, config: { ...options.config, redis } });
  return { here: await node(), there: await node() };
}
