/** `earshot chat`, `earshot say` and `earshot tail`: their arguments, their help, and how they end. */
import type { ReadStream, WriteStream } from 'node:tty';
import { parseArgs } from 'node:util';
import { chat } from './chat';
import { CommandError, type Where } from './participant';
import { say } from './say';
import { tail } from './tail';

/** What a command talks to. */
export interface Terminal {
  readonly stdin: NodeJS.ReadableStream & Partial<Pick<ReadStream, 'isTTY'>>;
  readonly stdout: NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY'>>;
  readonly stderr: NodeJS.WritableStream;
  /** Aborted when the process is asked to end. */
  readonly signal: AbortSignal;
}

export const terminalHelp = `  earshot chat [ROOM]              chat on this terminal; /help there
  earshot say [-r ROOM] [WORDS]    say it, or each line of the input; answers where it went, as JSON
  earshot tail [ROOM...]           what is heard, one JSON object a line, until it is stopped

  --url URL                the server (http://127.0.0.1:8080)
  --timeout SECONDS        how long it may take to answer (10)
  -r, --room ROOM          say: where; the server's default room
  --json                   say: what is said is JSON, not text
  --presence               tail: who comes and goes as well
  -n, --count N            tail: end after N messages

They end with 0 when all was done, with 1 when the server refused or could not be reached (one line on the standard error
tells why), with 2 when the arguments are wrong.
`;

const common = {
  url: { type: 'string', default: 'http://127.0.0.1:8080' },
  timeout: { type: 'string', default: '10' },
  help: { type: 'boolean', short: 'h' },
} as const;

class UsageError extends Error {}

type Command = (argv: string[], terminal: Terminal) => Promise<void>;

const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  [
    'chat',
    async (args, terminal) => {
      const { values, positionals } = parseArgs({ args, options: common, allowPositionals: true });
      if (values.help) {
        terminal.stdout.write(terminalHelp);
        return;
      }
      if (positionals.length > 1) throw new UsageError('one room; /join takes you into others');
      await chat(whereOf(values, positionals), terminal);
    },
  ],
  [
    'say',
    async (args, terminal) => {
      const options = { ...common, room: { type: 'string', short: 'r' }, json: { type: 'boolean' } } as const;
      const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
      if (values.help) {
        terminal.stdout.write(terminalHelp);
        return;
      }
      if (positionals.length > 0 && positionals.join('') === '') throw new UsageError('there is nothing to say');
      const where = whereOf(values, values.room === undefined ? [] : [values.room]);
      await say(where, positionals, values.json ?? false, terminal);
    },
  ],
  [
    'tail',
    async (args, terminal) => {
      const options = {
        ...common,
        presence: { type: 'boolean', default: false },
        count: { type: 'string', short: 'n', default: '0' },
      } as const;
      const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
      if (values.help) {
        terminal.stdout.write(terminalHelp);
        return;
      }
      const { presence } = values;
      await tail(whereOf(values, positionals), { presence, count: numberOf('--count', values.count) }, terminal);
    },
  ],
]);

export function isTerminalCommand(name: string): boolean {
  return commands.has(name);
}

/** Answers the exit code. */
export async function runTerminal(name: string, args: string[], terminal: Terminal): Promise<number> {
  const complain = (text: string): void => void terminal.stderr.write(`earshot ${name}: ${text}\n`);
  // The reader of a pipe may have enough, as in `earshot tail | head -1`: that is an end like any other.
  const enough = new AbortController();
  terminal.stdout.on('error', () => enough.abort());
  const signal = AbortSignal.any([terminal.signal, enough.signal]);
  try {
    await commands.get(name)?.(args, { ...terminal, signal });
    return 0;
  } catch (error) {
    if (error instanceof CommandError) {
      complain(error.message);
      return 1;
    }
    if (!(error instanceof UsageError) && !isOfParseArgs(error)) throw error;
    complain(`${error.message.split('. ')[0] ?? ''} (earshot ${name} --help)`);
    return 2;
  }
}

function whereOf(values: { readonly url: string; readonly timeout: string }, rooms: readonly string[]): Where {
  if (!URL.canParse(values.url) || !/^https?:/.test(values.url))
    throw new UsageError(`--url ${values.url} is no address`);
  return {
    url: values.url,
    rooms: rooms.map((room) => room.normalize('NFC')),
    timeout: numberOf('--timeout', values.timeout),
  };
}

function numberOf(flag: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`${flag} must be a whole number, not '${text}'`);
  return Number(text);
}

function isOfParseArgs(error: unknown): error is Error {
  return String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS');
}
