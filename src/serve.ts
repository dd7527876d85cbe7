/** `earshot` as a server: this process, or several behind one port; what ends them, and what a person is told. */
import cluster, { type Worker } from 'node:cluster';
import { actions } from '../actions';
import { middleware } from '../middleware';
import type { Config, LoadedConfig } from './config';
import type { Logger } from './core/logger';
import { greeting } from './greeting';
import { createLogger } from './logger';
import { openFilesLimit } from './open-files';
import { createServer, type ChatServer } from './server';

/** Which of its processes a worker is, from 0; a new one takes the place of the one that died. */
const SLOT = 'WORKER_SLOT';

/** Resolves once it listens, or its workers are started; rejects when it cannot. */
export async function serve({ config, workers }: LoadedConfig): Promise<void> {
  if (workers > 1 && cluster.isPrimary) runWorkers(workers);
  else await start(config);
}

async function start(loaded: Config): Promise<void> {
  const config = ofWorker(loaded);
  const logger = createLogger({ level: config.log.level });
  warnOfFewFiles(config.limits.connections, logger);
  const server = await createServer({ config, actions, middleware, logger });
  stopOnSignals(server, config.limits.drain);
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.once(event, (error: unknown) => {
      logger.error({ err: error }, 'this should not have happened; stopping');
      void server.close(config.limits.drain).finally(() => process.exit(1));
    });
  }
  if (cluster.isWorker) process.send?.(greeting(server, false));
  else process.stdout.write(greeting(server, true));
}

/** Without files to open, whoever comes next is not even refused: it waits, and so do the files that we need ourselves. */
function warnOfFewFiles(connections: number, logger: Logger): void {
  const openFiles = openFilesLimit();
  if (openFiles === undefined || openFiles >= connections) return;
  const how = 'raise it (systemd LimitNOFILE, ulimit -n, compose ulimits) or lower limits.connections';
  logger.warn({ openFiles, connections }, `fewer files may be open than limits.connections has connections: ${how}`);
}

/** Workers share the chat's ports; each has an admin port of its own, as its numbers are its own: the next, and the next. */
function ofWorker(config: Config): Config {
  const slot = Number(process.env[SLOT] ?? 0);
  const { port } = config.admin;
  if (slot === 0 || port === null || port === 0) return config;
  return Object.freeze({ ...config, admin: { ...config.admin, port: port + slot } });
}

/** The first signal lets what is under way come to its end; a second one does not wait for it. */
function stopOnSignals(server: ChatServer, graceMs: number): void {
  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(1);
    stopping = true;
    server.close(graceMs).then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGTERM', stop);
  // A terminal's Ctrl-C reaches every process at once; to a worker it comes again, as its first process's SIGTERM.
  process.on('SIGINT', cluster.isWorker ? () => undefined : stop);
}

/** Several processes behind one port. What they share is in Redis; a worker that dies while it serves is replaced. */
function runWorkers(count: number): void {
  const serving = new Set<number>();
  const slots = new Map<number, number>();
  const fork = (slot: number): void => {
    slots.set(cluster.fork({ [SLOT]: slot }).id, slot);
  };
  let stopping = false;
  const living = (): Worker[] => Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
  const stop = (): void => {
    stopping = true;
    for (const worker of living()) worker.process.kill('SIGTERM');
    if (living().length === 0) process.exit();
  };
  let greeted = false;
  cluster.on('message', ({ id }, told: string | { failure: string }) => {
    if (typeof told !== 'string') {
      if (stopping) return;
      // The others would say the same.
      process.stderr.write(told.failure);
      process.exitCode = 1;
      stop();
      return;
    }
    serving.add(id);
    if (greeted || serving.size < count) return;
    // All of them have the same addresses, and whoever starts us waits for one line: until then a port that was free
    // may still be lost with the one worker that has it.
    greeted = true;
    process.stdout.write(told);
  });
  cluster.on('exit', ({ id }) => {
    if (stopping) {
      if (living().length === 0) process.exit();
    } else if (serving.delete(id)) {
      fork(slots.get(id) ?? 0);
      slots.delete(id);
    } else {
      // It could not start, and the next one could not either.
      process.exitCode = 1;
      stop();
    }
  });
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  for (let index = 0; index < count; index += 1) fork(index);
}
