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

interface Route {
  readonly method: 'GET' | 'POST';
  readonly right: Right;
  readonly run: (params: Params, options: AdminRoutesOptions) => Promise<object> | object;
}

/** Rooms or members of one answer. */
const PAGE = 50;

const text = z.string();
const paging = { limit: z.coerce.number().int().min(1).max(1000).default(PAGE), after: text.optional() };
const roomsInput = z.object({ ...paging, match: text.default('') });
const membersInput = z.object({ ...paging, room: text });
const clientInput = z.object({ id: text.min(1) });
const memberInput = z.object({ room: text, id: text.min(1) });
const publishInput = z.object({
  room: text.optional(),
  message: z.unknown().optional(),
  from: text.min(1).max(100).optional(),
  key: text.min(1).max(64).optional(),
  roomMatchKey: text.optional(),
  roomMatchValue: z.coerce.string().optional(),
});

const routes: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['/api/status', { method: 'GET', right: 'admin', run: (_params, options) => status(options) }],
  ['/api/config', { method: 'GET', right: 'admin', run: (_params, { config }) => ({ config: maskConfig(config) }) }],
  ['/api/rooms', { method: 'GET', right: 'admin', run: (params, { chat }) => rooms(parsed(roomsInput, params), chat) }],
  [
    '/api/members',
    { method: 'GET', right: 'admin', run: (params, { chat }) => members(parsed(membersInput, params), chat) },
  ],
  [
    '/api/client',
    { method: 'GET', right: 'admin', run: (params, { chat }) => client(parsed(clientInput, params), chat) },
  ],
  [
    '/api/remove',
    { method: 'POST', right: 'admin', run: (params, { chat }) => remove(parsed(memberInput, params), chat) },
  ],
  [
    '/api/publish',
    { method: 'POST', right: 'publish', run: (params, { chat }) => publish(parsed(publishInput, params), chat) },
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
    const route = routes.get(`/api${request.path}`);
    // Who has no token is not told either what there is.
    allow(request, route?.right ?? 'admin');
    if (!route) throw new ChatError('not_found', request.path);
    if (request.method === route.method) {
      next();
      return;
    }
    response.setHeader('Allow', route.method);
    throw new ChatError('method_not_allowed', `this is a ${route.method}`);
  });
  router.use('/api', async (request, response) => {
    const route = routes.get(`/api${request.path}`);
    if (!route) throw new ChatError('not_found', request.path);
    const params =
      request.method === 'POST' ? bodyParams(request, await readBody(request, bodyBytes)) : queryParams(request);
    sendJson(response, 200, JSON.stringify(await route.run(params, options)));
  });
  router.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    if (!(error instanceof ChatError)) chat.logger.error({ err: error, path: request.path }, 'an admin request failed');
    const challenge = error instanceof ChatError && error.status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {};
    sendError(response, error, true, challenge);
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

async function rooms({ limit, after, match }: z.output<typeof roomsInput>, chat: Chat): Promise<object> {
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

async function members({ room, limit, after }: z.output<typeof membersInput>, chat: Chat): Promise<object> {
  const name = parseRoomName(room);
  const { members: listed, membersCount, next } = await chat.rooms.view(name, { limit, after });
  return { room: name, members: listed, membersCount, ...(next === undefined ? {} : { next }) };
}

async function client({ id }: z.output<typeof clientInput>, chat: Chat): Promise<object> {
  const record = await chat.store.client(id);
  if (!record) throw new ChatError('not_found', 'this client');
  const { connectedAt, room, attributes } = record;
  const all = [...record.rooms].map(([name, { listening }]) => ({ room: name, listening }));
  return { id, connectedAt, room, rooms: all, attributes: Object.fromEntries(attributes) };
}

async function remove({ room, id }: z.output<typeof memberInput>, chat: Chat): Promise<object> {
  const name = parseRoomName(room);
  await chat.rooms.removeMember(id, name);
  return { status: 'OK', room: name, id };
}

async function publish(given: z.output<typeof publishInput>, chat: Chat): Promise<object> {
  const { room, message, from, key, roomMatchKey, roomMatchValue } = given;
  if (room === undefined || room === '' || message === undefined || message === null || message === '') {
    throw new ChatError('room_and_message_required');
  }
  const match = matchOf(roomMatchKey, roomMatchValue);
  const said = await chat.broadcast(parseRoomName(room), message, {
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
