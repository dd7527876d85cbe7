/** The command line: `earshot [config] [flags]`. */
import { parseArgs } from 'node:util';
import { give } from './layers';
import type { Given, Reading } from './layers';

export type Command = 'serve' | 'config' | 'help' | 'version';

export interface CommandLine extends Reading {
  readonly command: Command;
  readonly configFile: string | undefined;
  /** Processes to run; they share the port. */
  readonly workers: number;
}

export const helpText = `earshot: a chat server for curl, browsers and plain sockets

  earshot [flags]          serve
  earshot config [flags]   show every setting, where it comes from and its name in the environment

  --config FILE            settings in JSON (default: ./earshot.config.json when it is there)
  --host HOST              address to listen on (127.0.0.1)
  --port PORT              HTTP port (8080; 0: any free one)
  --socket-port PORT       TCP port (5000; 0: any free one; off: none)
  --admin-port PORT        metrics and the operator's page, on loopback (none; 0: any free one; off: none)
  --redis-url URL          the Redis that nodes share (none: memory)
  --workers N              processes that share the ports (1)
  --help, --version

  earshot chat, earshot say, earshot tail: clients for a terminal (earshot chat --help)

Flags win over the environment (EARSHOT_…, PORT, REDIS_URL), that over the file, that over the defaults.
`;

const options = {
  config: { type: 'string' },
  host: { type: 'string' },
  port: { type: 'string' },
  'socket-port': { type: 'string' },
  'admin-port': { type: 'string' },
  'redis-url': { type: 'string' },
  workers: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const;

const settingOfFlag = new Map([
  ['host', 'servers.web.host'],
  ['port', 'servers.web.port'],
  ['socket-port', 'servers.socket.port'],
  ['admin-port', 'admin.port'],
  ['redis-url', 'redis.url'],
]);

export function readFlags(argv: readonly string[]): CommandLine {
  const layer = new Map<string, Given>();
  const problems: string[] = [];
  let command: Command = 'serve';
  let configFile: string | undefined;
  let workers = 1;

  // Not strict: parseArgs would throw at the first thing it does not know, and we tell them all.
  const { tokens } = parseArgs({ args: [...argv], options, strict: false, allowPositionals: true, tokens: true });
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue;
    if (token.kind === 'positional') {
      if (token.value === 'config') command = command === 'serve' ? 'config' : command;
      else problems.push(`${token.value} is not a command of earshot (earshot --help)`);
      continue;
    }

    const { name, rawName, value } = token;
    const from = `flag ${rawName}`;
    if (!Object.hasOwn(options, name)) problems.push(`${rawName} is not a flag of earshot (earshot --help)`);
    else if (name === 'help' || name === 'version') command = name;
    else if (value === undefined) problems.push(`${rawName} needs a value (earshot --help)`);
    else if (name === 'config') configFile = value;
    else if (name === 'workers') {
      if (/^[1-9]\d{0,3}$/.test(value)) workers = Number(value);
      else problems.push(`${rawName} must be a whole number of at least 1, not '${value}'`);
    } else {
      const off = name === 'socket-port' && value === 'off';
      const given = name === 'admin-port' && value === 'off' ? 'null' : value;
      if (name === 'socket-port') give(layer, 'servers.socket.enable', String(!off), 'flag', from);
      const setting = settingOfFlag.get(name);
      if (setting && !off) give(layer, setting, given, 'flag', from);
    }
  }
  return { command, configFile, workers, layer, problems };
}
