/** The HTTP door: checks who may ask, finds out who asks, runs the action and answers. */
import cookieParser from 'cookie-parser';
import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import { ChatError } from '../../protocol/errors';
import type { Actions } from '../../core/action';
import type { Logger } from '../../core/logger';
import { Reading } from '../../core/reading';
import type { Guard } from '../guard';
import { fromBodyParser } from './body';
import { cookieHeaders, type Cookies } from './cookies';
import { ROOM_COOKIE, type Identified, type Identity } from './identity';
import { answerMessages, type MessagesOptions } from './messages';
import { bodyParams, queryParams, type Params } from './params';
import { PlaceKeeper } from './places';
import { sendError, sendJson } from './reply';

export interface RouterOptions<Api> extends Omit<MessagesOptions, 'places'> {
  readonly actions: Actions<Api>;
  readonly api: Api;
  readonly guard: Guard;
  readonly identity: Identity;
  readonly logger: Logger;
  /** Bytes; 0 for no limit. */
  readonly bodyBytes: number;
}

export interface ChatRouters {
  /** `/chat`: the chat action, by its `method`. */
  readonly chat: Router;
  /** `/api`: any action, named by the path or by `action`. */
  readonly api: Router;
}

/** Methods that say and change nothing for anybody else. */
const READS: ReadonlySet<unknown> = new Set(['messages', 'roomView', 'detailsView', 'history']);

/** Which action a request means. */
type NameOf = (request: Request, params: Params) => unknown;

export function createRouters<Api>(options: RouterOptions<Api>): ChatRouters {
  const { bodyBytes } = options;
  const door = new Door({ ...options, places: new PlaceKeeper() });
  // One parser for every content type: what the bytes mean is decided once, by bodyParams. Nothing is inflated.
  const body = express.raw({ type: () => true, inflate: false, limit: bodyBytes === 0 ? Infinity : bodyBytes });
  const cookies = cookieParser();
  const routerFor = (nameOf: NameOf): Router => {
    const router = express.Router();
    router.use(cookies, body);
    router.all(/.*/, (request: Request, response: Response) => door.answer(request, response, nameOf));
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

class Door<Api> {
  constructor(readonly options: RouterOptions<Api> & MessagesOptions) {}

  async answer(request: Request, response: Response, nameOf: NameOf): Promise<void> {
    const { guard, actions, returnErrorCodes, logger } = this.options;
    let headers: Readonly<Record<string, string>> = {};
    let cookies: Cookies = new Map();
    try {
      guard.checkHost(request);
      headers = guard.cors(request) ?? {};
      if (request.method === 'OPTIONS') {
        preflight(response, headers);
        return;
      }
      guard.checkSite(request, this.options.identity.isLookalike(request));
      if (request.method !== 'GET' && request.method !== 'POST') {
        headers = { ...headers, Allow: 'GET, POST, OPTIONS' };
        throw new ChatError('method_not_allowed', 'only GET and POST are answered');
      }
      // What comes over a connection that a proxy kept is answered still; the next request goes to another node.
      if (this.options.draining()) response.shouldKeepAlive = false;
      const params = paramsOf(request);
      const action = actions.find(nameOf(request, params), 'web');
      const chatting = action.name === 'chat';
      // Before anybody is made a client, and a member of the default room.
      if (chatting && !this.#chatEnabled) throw new ChatError('chat_disabled');
      const connecting = chatting && params['method'] === 'connect';
      if (connecting && request.method !== 'POST') {
        headers = { ...headers, Allow: 'POST' };
        throw new ChatError('method_not_allowed', 'connect must be a POST');
      }

      const acts = chatting && !READS.has(params['method']);
      if (acts && this.options.identity.isStranger(request)) guard.checkStranger(request);

      const who = await this.#whoAsks(request, params, connecting);
      cookies = who.cookies;
      const { client } = who;
      await client.chat.renewal.touch(client.session, client.connection);
      const context = { client, connection: client.connection, api: this.options.api, httpMethod: request.method };
      const result = await action.perform(params, context);
      await client.flush();
      if (result instanceof Reading) {
        await answerMessages(request, response, who, result, headers, this.options);
        return;
      }
      if (chatting && params['method'] === 'roomChange') cookies = this.#withRoom(who, result as { room: string });
      const token = who.token === undefined ? {} : { session: who.token };
      const answer = JSON.stringify({ ...token, ...(result as object | undefined) });
      sendJson(response, 200, answer, { ...headers, ...cookieHeaders(cookies) });
    } catch (error) {
      if (!(error instanceof ChatError)) logger.error({ err: error, path: request.path }, 'a request failed');
      sendError(response, error, returnErrorCodes, { ...headers, ...cookieHeaders(cookies) });
    }
  }

  get #chatEnabled(): boolean {
    return this.options.identity.options.chat.settings.httpClientMessageTTL !== null;
  }

  #whoAsks(request: Request, params: Params, connecting: boolean): Promise<Identified> {
    const { identity, guard } = this.options;
    if (connecting) return identity.connect(request, params);
    return identity.identify(request, params, guard.isAnonymous(request));
  }

  #withRoom({ cookies, client, secure }: Identified, { room }: { readonly room: string }): Cookies {
    return new Map([...cookies, [ROOM_COOKIE, this.options.identity.roomCookie(client.id, room, secure)]]);
  }
}

/** What the request asks for: its body before its query, and what an EventSource, which has neither, says by headers. */
function paramsOf(request: Request): Params {
  const query = queryParams(request);
  const posted = request.method === 'POST' ? bodyParams(request, request.body as unknown) : {};
  const params: Params = { ...query, ...posted };
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
