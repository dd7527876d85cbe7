/** `earshot chat`: a room on a terminal. What one types is said; what is heard appears above it. */
import { clearLine, createInterface, cursorTo } from 'node:readline';
import type { ChatClient, Message } from '../client/node';
import type { Terminal } from './commands';
import { printable } from './printable';
import { CommandError, participate, told, type Where } from './participant';

const HELP = `/join ROOM    into one more room, and speak there
/leave        out of the room one speaks in
/rooms        which rooms one is in
/who          who is here
/history      what was said before
/quit         the end; Ctrl-D too
//TEXT        says TEXT with one / before it
`;

/** What goes on over several lines stands apart from what begins one: nobody speaks in another's name, or in ours. */
const CONTINUED = '\n      | ';

export async function chat(where: Where, terminal: Terminal): Promise<void> {
  const client = await participate(where, { presence: true });
  await new ChatTerminal(client, where.rooms[0] ?? client.rooms[0], terminal).run();
}

class ChatTerminal {
  readonly #lines;
  readonly #commands = new Map<string, (argument: string) => Promise<void> | void>([
    ['help', () => this.#show(HELP.trimEnd())],
    ['rooms', () => this.#show(this.client.rooms.join('  '))],
    ['join', (room) => this.#join(room)],
    ['leave', () => this.#leave()],
    ['who', () => this.#who()],
    ['history', () => this.#history()],
    ['quit', () => this.#lines.close()],
  ]);

  constructor(
    readonly client: ChatClient,
    /** Where one speaks. */
    public room: string | undefined,
    readonly terminal: Terminal,
  ) {
    const { stdin: input, stdout: output } = terminal;
    this.#lines = createInterface({ input, output, terminal: this.#interactive });
  }

  get #interactive(): boolean {
    return this.terminal.stdout.isTTY === true && this.terminal.stdin.isTTY === true;
  }

  /** Until the input ends, all that was typed is said, or the signal comes. */
  async run(): Promise<void> {
    const { client, terminal } = this;
    client.on('say', (message) => this.#heard(message));
    client.on('presence', ({ event, room, id }) => {
      if (id !== client.id) this.#note(`${nameOf(id)} ${event === 'join' ? 'comes into' : 'leaves'} ${room}`);
    });
    client.on('gap', ({ room = 'what you alone were told', lost, reason }) => {
      this.#note(`${lost === null ? 'some messages' : `${String(lost)} messages`} of ${room} are gone (${reason})`);
    });
    client.on('open', ({ link }) => this.#note(`connected by ${link}`));
    client.on('close', ({ error, retryIn }) => {
      if (retryIn !== null)
        this.#note(`${error?.message ?? 'disconnected'}; again in ${(retryIn / 1000).toFixed(1)} s`);
    });
    const stop = (): void => this.#lines.close();
    this.#lines.on('SIGINT', stop);
    terminal.signal.addEventListener('abort', stop);
    this.#note(
      `you are ${nameOf(client.id ?? '')} in ${this.room ?? 'no room'}, by ${client.link ?? 'nothing'}; /help`,
    );
    this.#prompt();
    try {
      for await (const line of this.#lines) {
        await this.#typed(line);
        this.#prompt();
      }
    } finally {
      terminal.signal.removeEventListener('abort', stop);
      client.close();
    }
  }

  async #typed(line: string): Promise<void> {
    try {
      const [, command, argument = ''] = /^\/([^\s/]\S*)\s*(.*)$/.exec(line) ?? [];
      if (command !== undefined) {
        const run = this.#commands.get(command);
        if (!run) throw new CommandError(`there is no /${command}; /help`);
        await run(argument.trim());
      } else if (line.trim() !== '') {
        await this.client.say(line.replace(/^\/\//, '/'), this.room === undefined ? {} : { room: this.room });
      }
    } catch (thrown) {
      const error = told(thrown);
      if (!(error instanceof CommandError)) throw error;
      // A script that feeds us lines is to know; a person reads it, and goes on.
      if (!this.#interactive) throw error;
      this.#note(`not done: ${error.message}`);
    }
  }

  async #join(room: string): Promise<void> {
    if (room === '') throw new CommandError('which room? /join ROOM');
    await this.client.roomAdd(room);
    this.room = room.normalize('NFC');
  }

  async #leave(): Promise<void> {
    if (this.room === undefined) throw new CommandError('you are in no room');
    await this.client.roomLeave(this.room);
    this.room = this.client.rooms.at(-1);
  }

  async #who(): Promise<void> {
    const { members, membersCount } = await this.client.roomView(this.room);
    this.#show(`${String(membersCount)} here: ${members.map(nameOf).join('  ')}`);
  }

  async #history(): Promise<void> {
    if (this.room === undefined) throw new CommandError('you are in no room');
    for (const message of await this.client.history(this.room, { limit: 50 })) this.#heard(message);
  }

  #heard({ room, from, message, sentAt }: Message): void {
    const lines = (typeof message === 'string' ? message : JSON.stringify(message)).split('\n');
    const time = new Date(sentAt).toTimeString().slice(0, 5);
    this.#show(`${time} ${room === undefined ? '(to you)' : room} ${nameOf(from)}: ${lines.join(CONTINUED)}`);
  }

  /** A word of ours, told from what others say. */
  #note(text: string): void {
    this.#show(`* ${text}`);
  }

  /** Above the line that is being typed. */
  #show(text: string): void {
    const { stdout } = this.terminal;
    if (this.#interactive) {
      cursorTo(stdout, 0);
      clearLine(stdout, 0);
    }
    stdout.write(`${printable(text)}\n`);
    if (this.#interactive) this.#lines.prompt(true);
  }

  #prompt(): void {
    if (!this.#interactive) return;
    this.#lines.setPrompt(`${printable(this.room ?? '(no room)')}> `);
    this.#lines.prompt();
  }
}

/** An id is 22 characters of a hash: the first ones tell people apart. What has another form is a server's name. */
function nameOf(id: string): string {
  return id.length === 22 ? id.slice(0, 6) : id;
}
