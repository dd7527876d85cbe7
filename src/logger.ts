/** The process's logger: one line of JSON per event, without the secrets that events carry. */
import pino from 'pino';
import type { Config } from './config';
import type { Logger } from './core/logger';

export interface LoggerOptions {
  readonly level: Config['log']['level'];
  /** Default: standard error, so that standard output holds only what the server prints for scripts. */
  readonly destination?: pino.DestinationStream;
}

/** Names that hold a secret wherever they stand; a header of a request stands three deep (`req.headers.cookie`). */
const secrets = ['cookie', 'set-cookie', 'authorization', 'session', 'sessionID', 'token', 'secret', 'password'];
const depths = ['', '*', '*.*'];

const redact = depths.flatMap((above) => secrets.map((name) => `${above}["${name}"]`));

export function createLogger({ level, destination = pino.destination(2) }: LoggerOptions): Logger {
  return pino(
    {
      level,
      redact,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // Whoever collects logs knows the machine; which of its processes speaks, only we do.
      base: { pid: process.pid },
    },
    destination,
  );
}
