#!/usr/bin/env node
/** The `earshot` command: settings in, a running server out; signals, exit codes and what a person is told. */
import cluster from 'node:cluster';
import { isTerminalCommand, runTerminal, type Terminal } from './terminal/commands';
import { version } from './version';

async function main(): Promise<void> {
  const [name = ''] = process.argv.slice(2);
  if (isTerminalCommand(name)) {
    process.exitCode = await runTerminal(name, process.argv.slice(3), terminal());
    return;
  }
  // A script that says a word shall not wait for a server to be loaded.
  const { helpText, loadConfig, printConfig } = await import('./config.js');
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
    case 'serve': {
      const { serve } = await import('./serve.js');
      await serve(loaded);
    }
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
  const { code, address, port, message } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (code === 'EADDRINUSE')
    return `${address ?? ''}:${String(port)} is in use already; choose another port (--port, --socket-port, --admin-port)`;
  if (code === 'EACCES') return `no permission to listen on ${address ?? ''}:${String(port)}`;
  return message;
}
