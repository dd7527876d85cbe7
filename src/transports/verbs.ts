/** The verbs of the sockets: what each of them asks of the client, and the `data` of its answer. */
import { ChatError } from '../protocol/errors';
import { roomNameOrUndefined } from '../protocol/room';
import type { Client, SayParams } from '../core/client';
import { countOf, SaidWords, textOf, type Arguments } from './request';

/** What a verb works on. */
export interface VerbContext {
  readonly client: Client;
  /** Whether it came into the room by connecting: to ask for it once more is no mistake then, clients of ActionHero do. */
  readonly cameWith: (room: unknown) => boolean;
  /** What the socket knows of itself, for `detailsView`. */
  readonly details: () => object;
  /** Of the actions. */
  readonly documentation: () => object;
}

export type Verb = (context: VerbContext, params: Arguments) => unknown;

/** A Map, because the client names the verb: `constructor` is none. */
export const verbs: ReadonlyMap<string, Verb> = new Map<string, Verb>([
  [
    'say',
    ({ client }, params) => {
      const { words } = params;
      if (!(words instanceof SaidWords)) return client.say(sayingOf(params, params));
      return client.say(async () => sayingOf(params, await addressed(client, words)));
    },
  ],
  [
    'roomAdd',
    async ({ client, cameWith }, { room }) => {
      if (cameWith(room)) return true;
      await client.roomAdd(room);
      return true;
    },
  ],
  ['roomLeave', ({ client }, { room }) => done(client.roomLeave(room))],
  ['listenToRoom', ({ client }, { room }) => done(client.listenToRoom(room))],
  ['silenceRoom', ({ client }, { room }) => done(client.silenceRoom(room))],
  ['roomChange', async ({ client }, { room }) => ({ room: await client.roomChange(room) })],
  [
    'roomView',
    ({ client }, params) =>
      client.roomView({ room: params['room'], limit: countOf(params, 'limit'), cursor: textOf(params, 'cursor') }),
  ],
  ['detailsView', ({ client, details }) => Object.assign(client.details(), details())],
  ['documentation', ({ documentation }) => documentation()],
  [
    'history',
    async ({ client }, params) => {
      const { room } = params;
      const texts = await client.history({ room, limit: countOf(params, 'limit'), before: textOf(params, 'before') });
      return { messages: texts.map((json) => JSON.parse(json) as unknown) };
    },
  ],
]);

async function done(work: Promise<unknown>): Promise<true> {
  await work;
  return true;
}

function sayingOf(params: Arguments, { room, message }: Arguments): SayParams {
  if (message === undefined || message === '') throw new ChatError('room_and_message_required');
  if (room !== undefined && room !== null && typeof room !== 'string') throw new ChatError('invalid_room_name');
  return {
    room: room ?? undefined,
    message,
    key: textOf(params, 'key'),
    roomMatchKey: textOf(params, 'roomMatchKey'),
    roomMatchValue: textOf(params, 'roomMatchValue'),
  };
}

/** `say <room> <words>` or `say <words>`: the first word is a room when it names one; else it was meant to be said. */
async function addressed(client: Client, words: SaidWords): Promise<{ room?: string; message: string }> {
  const name = roomNameOrUndefined(words.first);
  if (name === undefined) return { message: words.whole };
  if (client.session.rooms.has(name)) return { room: name, message: words.rest };
  if (await client.chat.store.roomExists(name)) throw new ChatError('not_in_room', name);
  return { message: words.whole };
}
