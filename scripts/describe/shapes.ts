/** What goes over the wire, as schemas: the answers that the descriptions in docs/ show and a test holds the server to. */
import { z } from 'zod';
import { errorCatalogue, type ErrorCode } from '../../src/protocol/errors';

const id = z.string().describe('a public id');
const room = z.string().describe('a room: 1-100 letters, digits or any of _ . : @ / # + ~ = -');
const entryId = z
  .string()
  .regex(/^\d+-\d+$/)
  .describe('<ms>-<seq>; seq grows by exactly 1 per message in a room');
const time = z.int().describe('ms since 1970');
const cursor = z.string().describe('a place in every room that the client hears; any node and transport takes it');
const ok = z.literal('OK');

export const message = z.object({
  message: z.unknown().describe('what was said: text, or any JSON value'),
  room: room.optional().describe('absent in a direct message'),
  from: id,
  context: z.literal('user'),
  sentAt: time,
  id: entryId,
});

export const gap = z.object({
  room: room.optional().describe("absent for the client's own direct messages"),
  reason: z.enum(['trimmed', 'expired', 'reset', 'fork']),
  lost: z.int().nullable().describe('messages; null where it cannot be known'),
});

export const presence = z.object({
  context: z.literal('presence'),
  event: z.enum(['join', 'leave']),
  room,
  id,
  at: time,
});

export const said = z.object({ room, id: entryId, sentAt: time });

export const roomStatus = z.object({
  room,
  members: z.array(id),
  membersCount: z.int(),
  cursor: cursor.describe('the place at which this is true'),
  next: z.string().optional().describe('of the next page, when there is one'),
});

const common = {
  id,
  fingerprint: z.string(),
  remoteIP: z.string(),
  remotePort: z.int(),
  params: z.record(z.string(), z.unknown()),
  connectedAt: time,
  room: room.nullable().describe('the current one'),
  rooms: z.array(room),
  listening: z.array(room).describe('heard, and not a member of'),
  attributes: z.record(z.string(), z.unknown()),
  cursor,
};
export const details = z.object(common);
export const socketDetails = z.object({ ...common, totalActions: z.int(), pendingActions: z.int() });

export const heard = z.object({
  messages: z.array(z.union([message, presence])).describe('oldest first'),
  cursor,
  gaps: z.array(gap).optional().describe('what cannot be given any more'),
  superseded: z.literal(true).optional().describe('a newer poll of this client took the place of this one'),
});

const inRoom = z.object({ status: ok, room, cursor: cursor.optional() });

/** The chat action's methods: what each does, which parameters it takes (`!` behind those that it needs), and its answer. */
export const methods = {
  say: {
    about: 'Says something in a room',
    takes: ['message!', 'room', 'key', 'roomMatchKey', 'roomMatchValue'],
    answer: z.object({ status: ok, ...said.shape }),
  },
  messages: {
    about: 'What the client has not heard yet; with wait, once there is something; with stream, for ever',
    takes: ['wait', 'after', 'limit', 'echo', 'presence', 'stream'],
    answer: heard,
  },
  roomView: {
    about: 'Who is in a room',
    takes: ['room', 'limit', 'cursor'],
    answer: z.object({ roomStatus }),
  },
  roomChange: {
    about: 'Into another room, and out of the current one',
    takes: ['room!'],
    answer: z.object({ room, cursor: cursor.optional() }),
  },
  roomAdd: { about: 'Into one more room', takes: ['room!'], answer: inRoom },
  roomLeave: { about: 'Out of a room', takes: ['room!'], answer: inRoom },
  listenToRoom: { about: 'Hears a room without being a member', takes: ['room!'], answer: inRoom },
  silenceRoom: { about: 'Hears it no more', takes: ['room!'], answer: inRoom },
  detailsView: { about: 'Who the client is, and where', takes: [], answer: z.object({ details }) },
  history: {
    about: 'What was said before, where chat.history allows it',
    takes: ['room!', 'limit', 'before'],
    answer: z.object({ messages: z.array(message) }),
  },
  connect: {
    about: 'A session for a client without cookies (POST only)',
    takes: [],
    answer: z.object({
      session: z.string().describe('the bearer token'),
      id,
      room: room.nullable(),
      cursor,
    }),
  },
} as const satisfies Record<string, { about: string; takes: readonly string[]; answer: z.ZodObject }>;

export const welcome = z.object({
  welcome: z.string(),
  context: z.literal('api'),
  id,
  room: room.nullable(),
  session: z.string().describe('for resume; tell nobody'),
});

const empty = z.object({});
const named = z.object({ room });
const param = z.object({ key: z.string() });

/** What sockets may ask for, and the `data` of the answer. */
export const events = {
  say: {
    takes: z.object({
      message: z.unknown(),
      room: room.optional(),
      key: z.string().optional(),
      roomMatchKey: z.string().optional(),
      roomMatchValue: z.string().optional(),
    }),
    data: said,
  },
  roomAdd: { takes: named, data: z.literal(true) },
  roomLeave: { takes: named, data: z.literal(true) },
  listenToRoom: { takes: named, data: z.literal(true) },
  silenceRoom: { takes: named, data: z.literal(true) },
  roomChange: { takes: named, data: z.object({ room }) },
  roomView: {
    takes: z.object({ room: room.optional(), limit: z.int().optional(), cursor: z.string().optional() }),
    data: z.object({
      ...roomStatus.shape,
      members: z.record(z.string(), z.object({ id, joinedAt: time })),
    }),
  },
  detailsView: { takes: empty, data: socketDetails },
  history: {
    takes: z.object({ room, limit: z.int().optional(), before: z.string().optional() }),
    data: z.object({ messages: z.array(message) }),
  },
  documentation: { takes: empty, data: z.record(z.string(), z.unknown()) },
  paramAdd: { takes: z.object({ key: z.string(), value: z.unknown() }), data: z.null() },
  paramDelete: { takes: param, data: z.null() },
  paramView: { takes: param, data: z.unknown() },
  paramsView: { takes: empty, data: z.record(z.string(), z.unknown()) },
  paramsDelete: { takes: empty, data: z.null() },
  resume: {
    takes: z.object({
      session: z.string().optional(),
      after: z.union([z.string(), z.record(z.string(), z.string())]).optional(),
      echo: z.boolean().optional(),
      presence: z.boolean().optional(),
    }),
    data: z.object({ id, rooms: z.array(room), recovered: z.boolean(), cursor }),
  },
} as const satisfies Record<string, { takes: z.ZodObject; data: z.ZodType }>;

const codes = Object.keys(errorCatalogue) as [ErrorCode, ...ErrorCode[]];

export const error = z.object({
  error: z.string(),
  code: z.enum(codes),
  retryAfter: z.number().optional().describe('seconds'),
});

export const response = z.object({
  status: ok,
  data: z.unknown(),
  context: z.literal('response'),
  messageCount: z.int().describe('the number of this request on its connection'),
  messageId: z.unknown().describe("the request's own, or a fresh one"),
});

export const socketError = z.object({
  ...error.shape,
  status: z.string().optional(),
  context: z.literal('response'),
  data: z.unknown().optional(),
  messageCount: z.int(),
  messageId: z.unknown(),
});

const counts = z.record(z.string(), z.int());

/** What the admin port answers. */
export const adminAnswers = {
  '/api/status': z.object({
    node: z.string().describe('which of them answers'),
    at: time,
    ready: z.boolean(),
    reason: z.string(),
    nodes: z.array(z.object({ id: z.string(), at: time, connections: counts, refused: counts, gaps: counts })),
  }),
  '/api/config': z.object({ config: z.record(z.string(), z.unknown()) }),
  '/api/rooms': z.object({
    rooms: z.array(z.object({ room, members: z.int() })),
    count: z.int().describe('of all that match'),
    next: z.string().optional(),
  }),
  '/api/members': z.object({
    room,
    members: z.array(z.object({ id, joinedAt: time })),
    membersCount: z.int(),
    next: z.string().optional(),
  }),
  '/api/client': z.object({
    id,
    connectedAt: time,
    room: room.nullable(),
    rooms: z.array(z.object({ room, listening: z.boolean() })),
    attributes: z.record(z.string(), z.unknown()),
  }),
  '/api/remove': z.object({ status: ok, room, id }),
  '/api/publish': z.object({ status: ok, ...said.shape }),
} as const satisfies Record<string, z.ZodObject>;
