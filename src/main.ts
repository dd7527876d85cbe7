#!/usr/bin/env node
/** The `earshot` command: settings in, a running server out; signals, exit codes and what a person is told. */
import cluster, { type Worker } from 'node:cluster';
import { actions } from '../actions';
import { middleware } from '../middleware';
import { ConfigError, helpText, loadConfig, printConfig, type Config, type LoadedConfig } from './config';
import { greeting } from './greeting';
import type { Logger } from './core/logger';
import { createLogger } from './logger';
import { openFilesLimit } from './open-files';
import { createServer, type ChatServer } from './server';
import { isTerminalCommand, runTerminal, type Terminal } from './terminal/commands';
import { version } from './version';

/** Which of its processes a worker is, from 0; a new one takes the place of the one that died. */
const SLOT = 'WORKER_SLOT';

async function main(): Promise<void> {
  const [name = ''] = process.argv.slice(2);
  if (isTerminalCommand(name)) {
    process.exitCode = await runTerminal(name, process.argv.slice(3), terminal());
    return;
  }
  const loaded = loadConfig({ argv: process.argv.slice(2), env: process.env, cwd: process.cwd() });
  switch (loaded.command) {
    case 'help':
      process.stdout.write(helpText);
      return;
    case 'version':
      process.stdout.write(`${version()}\n`);
      return;
    case 'config':
      process.stdout.write(printConfig(loaded));
      return;
    case 'serve':
      if (loaded.workers > 1 && cluster.isPrimary) runWorkers(loaded.workers);
      else await start(loaded);
  }
}

/** This process's own, for the commands that are a client. */
function terminal(): Terminal {
  const stop = new AbortController();
  // The first signal ends it in good order, a second one at once.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stop.abort();
    });
  }
  const { stdin, stdout, stderr } = process;
  return { stdin, stdout, stderr, signal: stop.signal };
}

async function start({ config: loaded }: LoadedConfig): Promise<void> {
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

main().catch((error: unknown) => {
  const text = `earshot: ${explain(error)}\n`;
  // A store that was opened on the way is closed by then; whatever else is open keeps nobody waiting.
  if (cluster.isWorker && process.send) {
    process.send({ failure: text }, undefined, undefined, () => process.exit(1));
  } else {
    process.stderr.write(text);
    process.exit(1);
  }
});

/** One clear line; a list of problems where the settings have several. */
function explain(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  const { code, address, port, message } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (code === 'EADDRINUSE')
    return `${address ?? ''}:${String(port)} is in use already; choose another port (--port, --socket-port, --admin-port)`;
  if (code === 'EACCES') return `no permission to listen on ${address ?? ''}:${String(port)}`;
  return message;
}
