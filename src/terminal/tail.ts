/** `earshot tail`: everything that is heard, one JSON object a line, until it is stopped. */
import { once } from 'node:events';
import type { Terminal } from './commands';
import { jsonLine } from './printable';
import { participate, told, type Where } from './participant';

export interface TailOptions {
  readonly presence: boolean;
  /** Messages after which it ends; 0: never. */
  readonly count: number;
}

export async function tail(where: Where, { presence, count }: TailOptions, terminal: Terminal): Promise<void> {
  const { stdout, stderr, signal } = terminal;
  const chat = await participate({ ...where, rooms: [] }, { presence });
  const stop = new AbortController();
  const over = once(AbortSignal.any([signal, stop.signal]), 'abort');

  const wanted = (room: string | undefined): boolean => where.rooms.length === 0 || where.rooms.includes(room ?? '');
  let heard = 0;
  chat.on('say', (message) => {
    if ((message.room !== undefined && !wanted(message.room)) || stop.signal.aborted) return;
    stdout.write(jsonLine(message));
    heard += 1;
    if (heard === count) stop.abort();
  });
  chat.on('gap', (gap) => {
    if (gap.room === undefined || wanted(gap.room)) stdout.write(jsonLine({ context: 'gap', ...gap }));
  });
  chat.on('presence', (event) => {
    if (wanted(event.room)) stdout.write(jsonLine(event));
  });
  // A quiet room and a server that is gone shall not look alike.
  let away = false;
  chat.on('close', ({ error, retryIn }) => {
    if (retryIn !== null && !away) stderr.write(`earshot tail: ${error?.message ?? 'disconnected'}; trying again\n`);
    away = retryIn !== null;
  });
  chat.on('open', () => {
    if (away) stderr.write('earshot tail: connected again\n');
    away = false;
  });
  try {
    for (const room of where.rooms) await chat.roomAdd(room);
    if (!signal.aborted && !stop.signal.aborted) await over;
  } catch (error) {
    throw told(error);
  } finally {
    chat.close();
  }
}
