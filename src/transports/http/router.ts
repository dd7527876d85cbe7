/** The HTTP door: checks who may ask, finds out who asks, runs the action and answers. */
import cookieParser from 'cookie-parser';
import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import { ChatError } from '../../protocol/errors';
import type { Actions } from '../../core/action';
import type { Logger } from '../../core/logger';
import { Reading } from '../../core/reading';
import type { Guard } from '../guard';
import { setCookie } from './cookies';
import { ROOM_COOKIE, roomCookie, type Identified, type Identity } from './identity';
import { answerMessages, type MessagesOptions } from './messages';
import { bodyParams, queryParams, type Params } from './params';
import { sendError, sendJson } from './reply';

export interface RouterOptions<Api> extends MessagesOptions {
  readonly actions: Actions<Api>;
  readonly api: Api;
  readonly guard: Guard;
  readonly identity: Identity;
  readonly logger: Logger;
  /** Bytes; 0 for no limit. */
  readonly bodyBytes: number;
}

/** What an action may put into its answer besides the body: the room that the client is in now, for its cookie. */
interface WithRoomCookie {
  readonly room: string;
}

export interface ChatRouters {
  /** `/chat`: the chat action, by its `method`. */
  readonly chat: Router;
  /** `/api`: any action, named by the path or by `action`. */
  readonly api: Router;
}

export function createRouters<Api>(options: RouterOptions<Api>): ChatRouters {
  const { bodyBytes } = options;
  // One parser for every content type: what the bytes mean is decided once, by bodyParams. Nothing is inflated.
  const body = express.raw({ type: () => true, inflate: false, limit: bodyBytes === 0 ? Infinity : bodyBytes });
  const cookies = cookieParser();
  const routerFor = (action: (request: Request, params: Params) => unknown): Router => {
    const router = express.Router();
    router.use(cookies, body);
    router.all(/.*/, (request: Request, response: Response) => answer(request, response, options, action));
    router.use((error: unknown, request: Request, response: Response, next: NextFunction) => {
      if (response.headersSent) next(error);
      else sendError(response, fromBodyParser(error), options.returnErrorCodes, options.guard.cors(request));
    });
    return router;
  };
  return {
    chat: routerFor((request) => {
      if (request.path !== '/') throw new ChatError('not_found', request.path);
      return 'chat';
    }),
    api: routerFor((request, params) => {
      const named = /^\/([^/]+)\/?$/.exec(request.path)?.[1];
      if (named === undefined && request.path !== '/') throw new ChatError('unknown_action');
      return named ?? params['action'];
    }),
  };
}

async function answer<Api>(
  request: Request,
  response: Response,
  options: RouterOptions<Api>,
  actionOf: (request: Request, params: Params) => unknown,
): Promise<void> {
  const { guard, identity, actions, api, returnErrorCodes, logger } = options;
  let headers: Readonly<Record<string, string>> = {};
  let who: Identified | undefined;
  try {
    guard.checkHost(request);
    headers = guard.cors(request) ?? {};
    if (request.method === 'OPTIONS') {
      preflight(response, headers);
      return;
    }
    guard.checkSite(request, identity.isLookalike(request));
    if (request.method !== 'GET' && request.method !== 'POST') {
      throw new ChatError('method_not_allowed', 'only GET and POST are answered');
    }
    // What comes over a connection that a proxy kept is answered still; the next request goes to another node.
    if (options.draining()) response.shouldKeepAlive = false;
    const query = queryParams(request);
    const posted = request.method === 'POST' ? bodyParams(request, request.body as unknown) : {};
    const params: Params = { ...query, ...posted };
    const action = actions.find(actionOf(request, params), 'web');
    const connecting = action.name === 'chat' && params['method'] === 'connect';
    if (connecting && request.method !== 'POST') throw new ChatError('method_not_allowed', 'connect must be a POST');

    who = connecting ? await identity.connect(request, params) : await identity.identify(request, params);
    const { client } = who;
    await client.chat.touch(client.session, client.connection);
    const asked = withHeaders(params, request);
    const result = await action.perform(asked, {
      client,
      connection: client.connection,
      api,
      httpMethod: request.method,
    });
    await client.flush();
    if (result instanceof Reading) {
      await answerMessages(request, response, who, result, headers, options);
      return;
    }
    const setCookies = [...who.cookies, ...roomCookies(who, params, result)];
    const answerHeaders = { ...headers, ...(setCookies.length > 0 ? { 'Set-Cookie': setCookies } : {}) };
    const token = who.token === undefined ? {} : { session: who.token };
    sendJson(response, 200, JSON.stringify({ ...token, ...(result as object | undefined) }), answerHeaders);
  } catch (error) {
    if (!(error instanceof ChatError)) logger.error({ err: error, path: request.path }, 'a request failed');
    const setCookies = who && who.cookies.length > 0 ? { 'Set-Cookie': who.cookies } : {};
    sendError(response, error, returnErrorCodes, { ...headers, ...setCookies });
  }
}

/** What an EventSource says by headers, because it cannot choose its parameters. */
function withHeaders(params: Params, request: Request): Params {
  const { accept = '' } = request.headers;
  const lastEventId = request.headers['last-event-id'];
  const stream =
    params['stream'] ??
    (accept.includes('text/event-stream') ? 'sse' : accept.includes('application/x-ndjson') ? 'ndjson' : undefined);
  return {
    ...params,
    ...(stream === undefined ? {} : { stream }),
    // An EventSource repeats its URL when it comes back, with the cursor it began with.
    ...(typeof lastEventId === 'string' && lastEventId !== '' ? { after: lastEventId } : {}),
  };
}

function roomCookies(who: Identified, params: Params, result: unknown): string[] {
  if (params['method'] !== 'roomChange') return [];
  const { room } = result as WithRoomCookie;
  return [setCookie(ROOM_COOKIE, roomCookie(who.client.chat, who.client.id, room), { secure: who.secure })];
}

function preflight(response: Response, cors: Readonly<Record<string, string>>): void {
  const allowed = cors['Access-Control-Allow-Origin'] !== undefined;
  const methods = {
    'Access-Control-Allow-Methods': 'GET, POST',
    'Access-Control-Allow-Headers': 'Content-Type, Authorization, Last-Event-ID, X-Chat',
    'Access-Control-Max-Age': '600',
  };
  response.writeHead(204, { Allow: 'GET, POST, OPTIONS', Vary: 'Origin', ...(allowed ? { ...cors, ...methods } : {}) });
  response.end();
}

/** body-parser's own errors, in our words. */
function fromBodyParser(error: unknown): unknown {
  const { status, type } = error as { status?: unknown; type?: unknown };
  if (type === 'entity.too.large') return new ChatError('too_large', 'the body is too large');
  if (type === 'encoding.unsupported') return new ChatError('bad_request', 'a compressed body is not accepted');
  if (typeof status === 'number' && status >= 400 && status < 500)
    return new ChatError('bad_request', 'the body could not be read');
  return error;
}
