/** `earshot say`: for scripts. Each line that went into the room's log is answered with its place there. */
import { createInterface } from 'node:readline';
import type { Terminal } from './commands';
import { jsonLine } from './printable';
import { CommandError, participate, told, type Where } from './participant';

export async function say(where: Where, words: readonly string[], json: boolean, terminal: Terminal): Promise<void> {
  const chat = await participate(where);
  const [room] = where.rooms;
  const lines = words.length > 0 ? [words.join(' ')] : createInterface({ input: terminal.stdin, crlfDelay: Infinity });
  try {
    for await (const line of lines) {
      if (terminal.signal.aborted) break;
      if (line === '') continue;
      const message = json ? parsed(line) : line;
      const said = await chat.say(message, room === undefined ? {} : { room });
      terminal.stdout.write(jsonLine({ room: said.room, id: said.id, sentAt: said.sentAt }));
    }
  } catch (error) {
    throw told(error);
  } finally {
    chat.close();
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new CommandError(`this is not JSON: ${line}`);
  }
}
