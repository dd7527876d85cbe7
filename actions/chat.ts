/** Chat by plain HTTP: `method` chooses what to do, as ActionHero's chat action did. */
import { z } from 'zod';
import { ChatError, defineAction, type Client } from '../src/kit';

/** Only what is written as a number is one: text that JavaScript makes 0 of, such as an empty one, is not. */
const numeral = (form: RegExp, must: string): z.ZodType<number> =>
  z
    .union([z.string(), z.number()], must)
    .refine((value) => form.test(String(value)), must)
    .transform(Number);
const count = numeral(/^\d{1,15}$/, 'must be a whole number');
/** `true` and `1` are yes; an EventSource can send no booleans. */
const flag = z
  .union([z.boolean(), z.enum(['true', 'false', '1', '0'])])
  .transform((value) => value === true || value === 'true' || value === '1');

const inputs = z.object({
  method: z
    .string()
    .optional()
    .describe(
      'say, messages, roomView, roomChange, roomAdd, roomLeave, listenToRoom, silenceRoom, detailsView, history or connect',
    ),
  room: z.string().optional().describe('a room; the current one when left out'),
  message: z.unknown().optional().describe('what to say: text, or any JSON value in a JSON body'),
  key: z.string().optional().describe('says it once, however often it is sent'),
  roomMatchKey: z.string().optional().describe('only who has this attribute hears it'),
  roomMatchValue: z
    .union([z.string(), z.number(), z.boolean()])
    .transform(String)
    .optional()
    .describe('and has it with this value'),
  wait: numeral(/^\d{1,15}(\.\d+)?$/, 'must be a number of seconds')
    .optional()
    .describe('seconds to wait for messages, 60 at most'),
  after: z
    .union([z.string(), z.record(z.string(), z.string())])
    .optional()
    .describe('a cursor: what follows it'),
  limit: count
    .refine((value) => value >= 1, 'must be at least 1')
    .optional()
    .describe('messages or members of one answer'),
  echo: flag.optional().describe('hear yourself'),
  presence: flag.optional().describe('hear who comes and goes'),
  stream: z.enum(['sse', 'ndjson'], 'must be sse or ndjson').optional().describe('go on for ever, as events or lines'),
  before: z.string().optional().describe('history: messages before this id'),
  cursor: z.string().optional().describe('roomView: the next page of members'),
});

type Params = z.output<typeof inputs>;
type Method = (client: Client, params: Params) => unknown;

/** A Map, because the client names the method: `constructor` is none. */
const methods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['say', async (client, params) => ({ status: 'OK', ...(await client.say(params)) })],
  ['messages', (client, params) => client.messages(params)],
  ['roomView', async (client, params) => roomView(client, params)],
  ['roomChange', async (client, { room }) => ({ room: await client.roomChange(room) })],
  ['roomAdd', async (client, { room }) => ({ status: 'OK', room: await client.roomAdd(room) })],
  ['roomLeave', async (client, { room }) => ({ status: 'OK', room: await client.roomLeave(room) })],
  ['listenToRoom', async (client, { room }) => ({ status: 'OK', room: await client.listenToRoom(room) })],
  ['silenceRoom', async (client, { room }) => ({ status: 'OK', room: await client.silenceRoom(room) })],
  [
    'detailsView',
    async (client) => ({ details: Object.assign(client.details(), { cursor: await client.cursorNow() }) }),
  ],
  ['history', async (client, params) => ({ messages: (await client.history(params)).map(parse) })],
  ['connect', connect],
]);

export const chat = defineAction({
  name: 'chat',
  description: 'Say, hear and move between rooms over HTTP',
  inputs,
  outputExample: { status: 'OK', room: 'defaultRoom', id: '1399437579346-57', sentAt: 1399437579346 },
  onlySays: ({ method, room }) => method === 'say' && typeof room === 'string',
  run: ({ params, client }) => {
    if (params.method === undefined || params.method === '') throw new ChatError('method_required');
    const method = methods.get(params.method);
    if (!method) throw new ChatError('unknown_method', params.method);
    if (params.room === '')
      throw new ChatError(params.method === 'roomChange' ? 'room_change_needs_room' : 'room_required');
    return method(client, params);
  },
});

async function connect(client: Client): Promise<object> {
  // Its answer is a session, which a socket has by its welcome.
  if (client.connection.type !== 'web') throw new ChatError('method_not_allowed', 'connect must be a POST');
  return { id: client.id, room: client.session.room, cursor: await client.cursorNow() };
}

async function roomView(client: Client, params: Params): Promise<object> {
  const { room, members, ...rest } = await client.roomView(params);
  return { roomStatus: { room, members: Object.keys(members), ...rest } };
}

function parse(json: string): unknown {
  return JSON.parse(json);
}
