/** What the admin port answers: how the nodes are, which rooms there are and who is in them, and the operator's word. */
import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import { z } from 'zod';
import { maskConfig, type Config } from '../config';
import { matchOf } from '../core/client';
import type { Chat } from '../core/chat';
import { ChatError } from '../protocol/errors';
import { parseRoomName } from '../protocol/room';
import type { Guard } from '../transports/guard';
import { readBody } from '../transports/http/body';
import { bodyParams, queryParams, type Params } from '../transports/http/params';
import { sendError, sendJson } from '../transports/http/reply';
import type { AdminKeys, Right } from './keys';
import type { Metrics } from './metrics';

export interface AdminRoutesOptions {
  readonly chat: Chat;
  readonly config: Config;
  readonly guard: Guard;
  readonly keys: AdminKeys;
  readonly metrics: Metrics;
}

interface RouteDefinition<I extends z.ZodObject> {
  readonly method: 'GET' | 'POST';
  readonly right: Right;
  readonly description: string;
  readonly inputs: I;
  readonly run: (given: z.output<I>, options: AdminRoutesOptions) => Promise<object> | object;
}

interface Route extends Omit<RouteDefinition<z.ZodObject>, 'run'> {
  readonly run: (params: Params, options: AdminRoutesOptions) => Promise<object> | object;
}

function route<I extends z.ZodObject>({ run, ...rest }: RouteDefinition<I>): Route {
  return { ...rest, run: (params, options) => run(parsed(rest.inputs, params), options) };
}

/** Rooms or members of one answer. */
const PAGE = 50;

const room = z.string().describe('a room');
const id = z.string().min(1).describe('the public id of a client');
const limit = z.coerce.number().int().min(1).max(1000).default(PAGE).describe('of one answer');
const after = z.string().optional().describe('the last one of the page before: its `next`');
const match = z.string().default('').describe('part of a name');
const publishInputs = z.object({
  room: z.string().optional().describe('where it is said; needed'),
  message: z.unknown().optional().describe('any JSON value but null and an empty text; needed'),
  from: z.string().min(1).max(100).optional().describe('in whose name; general.serverName when left out'),
  key: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('says it once in this name, however often it is sent within five minutes'),
  roomMatchKey: z.string().optional().describe('only who has this attribute hears it'),
  roomMatchValue: z.coerce.string().optional().describe('and has it with this value'),
});
const nothing = z.object({});

export const adminRoutes: ReadonlyMap<string, Route> = new Map<string, Route>([
  [
    '/api/status',
    route({
      method: 'GET',
      right: 'admin',
      description: 'How every node of the deployment is',
      inputs: nothing,
      run: (_given, options) => status(options),
    }),
  ],
  [
    '/api/config',
    route({
      method: 'GET',
      right: 'admin',
      description: 'The settings of this node, secrets masked',
      inputs: nothing,
      run: (_given, { config }) => ({ config: maskConfig(config) }),
    }),
  ],
  [
    '/api/rooms',
    route({
      method: 'GET',
      right: 'admin',
      description: 'All rooms by name, and how many are in each',
      inputs: z.object({ limit, after, match }),
      run: (given, { chat }) => rooms(given, chat),
    }),
  ],
  [
    '/api/members',
    route({
      method: 'GET',
      right: 'admin',
      description: 'Who is in a room',
      inputs: z.object({ room, limit, after }),
      run: (given, { chat }) => members(given, chat),
    }),
  ],
  [
    '/api/client',
    route({
      method: 'GET',
      right: 'admin',
      description: 'The rooms and attributes of a client',
      inputs: z.object({ id }),
      run: (given, { chat }) => client(given, chat),
    }),
  ],
  [
    '/api/remove',
    route({
      method: 'POST',
      right: 'admin',
      description: 'Takes a member out of a room',
      inputs: z.object({ room, id }),
      run: (given, { chat }) => remove(given, chat),
    }),
  ],
  [
    '/api/publish',
    route({
      method: 'POST',
      right: 'publish',
      description: 'Says something in a room, for other services',
      inputs: publishInputs,
      run: (given, { chat }) => publish(given, chat),
    }),
  ],
]);

export function adminRouter(options: AdminRoutesOptions): Router {
  const { guard, keys, metrics, config, chat } = options;
  const { bodyBytes } = config.limits;
  const router = express.Router();
  const allow = (request: Request, right: Right): void => {
    keys.check(request, right);
    guard.checkSite(request, false);
  };

  router.use((request, _response, next) => {
    guard.checkHost(request);
    next();
  });
  router.get('/metrics', async (request, response) => {
    allow(request, 'admin');
    const text = await metrics.registry.metrics();
    response.writeHead(200, { 'Content-Type': metrics.registry.contentType, 'Cache-Control': 'no-store' }).end(text);
  });
  router.use('/api', (request, response, next) => {
    const asked = adminRoutes.get(`/api${request.path}`);
    // Who has no token is not told either what there is.
    allow(request, asked?.right ?? 'admin');
    if (!asked) throw new ChatError('not_found', request.path);
    if (request.method === asked.method) {
      next();
      return;
    }
    response.setHeader('Allow', asked.method);
    throw new ChatError('method_not_allowed', `this is a ${asked.method}`);
  });
  router.use('/api', async (request, response) => {
    const asked = adminRoutes.get(`/api${request.path}`);
    if (!asked) throw new ChatError('not_found', request.path);
    const params =
      request.method === 'POST' ? bodyParams(request, await readBody(request, bodyBytes)) : queryParams(request);
    sendJson(response, 200, JSON.stringify(await asked.run(params, options)));
  });
  router.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    if (!(error instanceof ChatError)) chat.logger.error({ err: error, path: request.path }, 'an admin request failed');
    const challenge = error instanceof ChatError && error.status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {};
    sendError(response, error, { errorCodes: true }, challenge);
  });
  return router;
}

async function status({ chat }: AdminRoutesOptions): Promise<object> {
  const records = await chat.store.nodes();
  const { ready, reason } = await chat.store.health();
  return {
    node: chat.node,
    at: Date.now(),
    ready,
    reason,
    nodes: records.map((record) => JSON.parse(record) as object),
  };
}

async function rooms(
  { limit, after, match }: { limit: number; after?: string | undefined; match: string },
  chat: Chat,
): Promise<object> {
  const named = match.normalize('NFC').toLowerCase();
  const names = (await chat.store.rooms()).filter((name) => name.toLowerCase().includes(named));
  const page = names.filter((name) => after === undefined || name > after).slice(0, limit);
  const counted = await Promise.all(
    page.map(async (room) => {
      const view = await chat.store.view(room, { limit: 0, sweep: false });
      return { room, members: view?.membersCount ?? 0 };
    }),
  );
  const last = page.at(-1);
  const more = last !== undefined && last !== names.at(-1);
  return { rooms: counted, count: names.length, ...(more ? { next: last } : {}) };
}

async function members(
  { room, limit, after }: { room: string; limit: number; after?: string | undefined },
  chat: Chat,
): Promise<object> {
  const name = parseRoomName(room);
  const { members: listed, membersCount, next } = await chat.rooms.view(name, { limit, after });
  return { room: name, members: listed, membersCount, ...(next === undefined ? {} : { next }) };
}

async function client({ id }: { id: string }, chat: Chat): Promise<object> {
  const record = await chat.store.client(id);
  if (!record) throw new ChatError('not_found', 'this client');
  const { connectedAt, room, attributes } = record;
  const all: object[] = [];
  for (const [name, recorded] of record.rooms) {
    if (recorded.floor !== undefined) all.push({ room: name, listening: recorded.listening });
  }
  return { id, connectedAt, room, rooms: all, attributes: Object.fromEntries(attributes) };
}

async function remove({ room, id }: { room: string; id: string }, chat: Chat): Promise<object> {
  const name = parseRoomName(room);
  await chat.rooms.removeMember(id, name);
  return { status: 'OK', room: name, id };
}

async function publish(given: z.output<typeof publishInputs>, chat: Chat): Promise<object> {
  const { room, message, from, key, roomMatchKey, roomMatchValue } = given;
  if (room === undefined || room === '' || message === undefined || message === null || message === '') {
    throw new ChatError('room_and_message_required');
  }
  const match = matchOf(roomMatchKey, roomMatchValue);
  const said = await chat.saying.broadcast(parseRoomName(room), message, {
    key,
    match,
    ...(from === undefined ? {} : { from }),
  });
  return { status: 'OK', ...said };
}

function parsed<T extends z.ZodObject>(schema: T, params: Params): z.output<T> {
  const result = schema.safeParse(params);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new ChatError('invalid_parameter', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`);
}
