/** The HTTP door: checks who may ask, finds out who asks, runs the action and answers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type Request, type Router } from 'express';
import { ChatError } from '../../protocol/errors';
import type { Actions } from '../../core/action';
import type { Chat } from '../../core/chat';
import type { Logger } from '../../core/logger';
import { Reading } from '../../core/reading';
import type { Guard } from '../guard';
import { readBody, type ChatRequest } from './body';
import { NO_COOKIES, withCookies } from './cookies';
import { isStranger, ROOM_COOKIE, type Identified, type Identity, type Shown } from './identity';
import { answerMessages, type MessagesOptions } from './messages';
import { bodyParams, queryParams, type Params } from './params';
import { PlaceKeeper } from './places';
import { serveClient } from './pages';
import { NO_HEADERS, sendAnswer, sendError } from './reply';
import { passedBefore, rememberPassed } from './same-headers';
import { WholeAnswer } from './whole';

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
  /**
   * What the two do at `/chat` and `/api`, for a server of our own: Express, which has nothing to decide here, would
   * cost more than the answer. False when the request is for somebody else.
   */
  readonly direct: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** Methods that say and change nothing for anybody else. */
const READS: ReadonlySet<unknown> = new Set(['messages', 'roomView', 'detailsView', 'history']);

/** Which action a request means. */
type NameOf = (params: Params) => unknown;

const chatName: NameOf = () => 'chat';
const askedName: NameOf = (params) => params['action'];
const ACTION = /^\/([^/]+)\/?$/;

export function createRouters<Api>(options: RouterOptions<Api>): ChatRouters {
  const door = new Door({ ...options, places: new PlaceKeeper() });
  const routerFor = (nameAt: (path: string) => NameOf, router = express.Router()): Router => {
    router.all(/.*/, (request: Request, response) => door.answer(request, response, nameAt(request.path)));
    return router;
  };
  const apiNameAt = (path: string): NameOf => {
    const named = ACTION.exec(path)?.[1];
    if (named !== undefined) return () => named;
    if (path === '/') return askedName;
    return () => {
      throw new ChatError('unknown_action');
    };
  };
  return {
    chat: routerFor(
      (path) => {
        if (path === '/') return chatName;
        return () => {
          throw new ChatError('not_found', path);
        };
      },
      express.Router().get('/client.js', serveClient),
    ),
    api: routerFor(apiNameAt),
    direct: (request, response) => {
      const { url = '' } = request;
      const query = url.indexOf('?');
      const path = query < 0 ? url : url.slice(0, query);
      let name: NameOf;
      if (path === '/chat/' || path === '/chat') name = chatName;
      else if (path === '/api') name = askedName;
      else if (path.startsWith('/api/')) name = apiNameAt(path.slice('/api'.length));
      else return false;
      void door.answer(request, response, name, true);
      return true;
    },
  };
}

class Door<Api> {
  constructor(readonly options: RouterOptions<Api> & MessagesOptions) {}

  /**
   * Never rejects: whatever goes wrong is answered.
   * @param own the request is as it came to a server of our own
   */
  async answer(request: ChatRequest, response: ServerResponse, nameOf: NameOf, own = false): Promise<void> {
    const { guard, actions, identity, returnErrorCodes, logger, bodyBytes } = this.options;
    let headers: Readonly<Record<string, string>> = NO_HEADERS;
    let who: Identified | undefined;
    try {
      const passed = own ? passedBefore(request) : undefined;
      if (!passed) guard.checkHost(request);
      const cors = passed ? passed.cors : guard.cors(request);
      if (cors) headers = cors;
      if (request.method === 'OPTIONS') {
        preflight(response, headers);
        return;
      }
      const shown = passed?.shown ?? identity.shown(request);
      if (!passed) {
        guard.checkSite(request, identity.isLookalike(shown));
        if (own) rememberPassed(request, { cors, shown });
      }
      if (request.method !== 'GET' && request.method !== 'POST') {
        headers = { ...headers, Allow: 'GET, POST, OPTIONS' };
        throw new ChatError('method_not_allowed', 'only GET and POST are answered');
      }
      // What comes over a connection that a proxy kept is answered still; the next request goes to another node.
      if (this.options.draining()) response.shouldKeepAlive = false;
      const body = request.method === 'POST' ? readBody(request, bodyBytes) : undefined;
      const params = paramsOf(request, body instanceof Promise ? await body : body, nameOf === chatName);
      const action = actions.find(nameOf(params), 'web');
      const chatting = action.name === 'chat';
      // Before anybody is made a client, and a member of the default room.
      if (chatting && !this.#chatEnabled) throw new ChatError('chat_disabled');
      const connecting = chatting && params['method'] === 'connect';
      if (connecting && request.method !== 'POST') {
        headers = { ...headers, Allow: 'POST' };
        throw new ChatError('method_not_allowed', 'connect must be a POST');
      }

      const acts = chatting ? !READS.has(params['method']) : action.safe !== true;
      if (acts && isStranger(shown)) guard.checkStranger(request);

      const asking = this.#whoAsks(request, params, shown, connecting, action.onlySays?.(params) === true);
      who = asking instanceof Promise ? await asking : asking;
      const { client } = who;
      const renewing = client.isRead ? client.chat.renewal.touch(client) : undefined;
      if (renewing) await renewing;
      const context = { client, api: this.options.api, httpMethod: request.method };
      const performing = action.perform(params, context);
      const result = performing instanceof Reading ? performing : await performing;
      const flushing = client.flush();
      if (flushing) await flushing;
      if (result instanceof Reading) {
        await answerMessages(request, response, who, result, headers, this.options);
        return;
      }
      if (chatting && params['method'] === 'roomChange') this.#noteRoom(who, result as { room: string });
      const given = result as object | undefined;
      const answer = who.token === undefined ? { ...given } : { session: who.token, ...given };
      sendAnswer(response, new WholeAnswer(JSON.stringify(answer)), withCookies(headers, who.cookies));
    } catch (error) {
      if (!(error instanceof ChatError)) logger.error({ err: error, path: pathOf(request) }, 'a request failed');
      const { counters } = this.#chat;
      const cookies = who?.cookies ?? NO_COOKIES;
      sendError(response, error, { errorCodes: returnErrorCodes, counters }, withCookies(headers, cookies));
    }
  }

  get #chat(): Chat {
    return this.options.identity.options.chat;
  }

  get #chatEnabled(): boolean {
    return this.#chat.settings.httpClientMessageTTL !== null;
  }

  #whoAsks(
    request: IncomingMessage,
    params: Params,
    shown: Shown,
    connecting: boolean,
    onlySays: boolean,
  ): Identified | Promise<Identified> {
    const { identity, guard } = this.options;
    if (connecting) return identity.connect(request, params);
    const anonymous = guard.isAnonymous(request);
    const speaker = onlySays ? identity.speaker(request, params, shown, anonymous) : undefined;
    return speaker ?? identity.identify(request, params, shown, anonymous);
  }

  #noteRoom(who: Identified, { room }: { readonly room: string }): void {
    const cookie = this.options.identity.roomCookie(who.client.id, room, who.secure);
    who.cookies = new Map([...who.cookies, [ROOM_COOKIE, cookie]]);
  }
}

/** Without the query, which may hold what nobody is to read in a log. */
function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '';
}

/** What the last poll asked for; frozen, so that the chat action reads it once as well. */
let asked: { readonly url: string; readonly params: Params } | undefined;

/**
 * What the request asks for: its body before its query, and what an EventSource, which has neither, says by headers.
 * @param chatting at `/chat`: an action of an application reads what it is given each time, and may make it anew
 */
function paramsOf(request: IncomingMessage, body: unknown, chatting: boolean): Params {
  const { accept } = request.headers;
  const lastEventId = request.headers['last-event-id'];
  const { url = '' } = request;
  const isPlain = chatting && request.method === 'GET' && lastEventId === undefined && (accept ?? '*/*') === '*/*';
  // Those who poll a room come back together, with the same cursor in the same words.
  if (isPlain && url === asked?.url) return asked.params;
  const params = queryParams(request);
  if (isPlain && params['method'] === 'messages') {
    asked = { url, params: Object.freeze(params) };
    return params;
  }
  if (request.method === 'POST') Object.assign(params, bodyParams(request, body));
  if (accept !== undefined && (params['stream'] ?? undefined) === undefined) {
    if (accept.includes('text/event-stream')) params['stream'] = 'sse';
    else if (accept.includes('application/x-ndjson')) params['stream'] = 'ndjson';
  }
  // An EventSource repeats its URL when it comes back, with the cursor it began with.
  if (typeof lastEventId === 'string' && lastEventId !== '') params['after'] = lastEventId;
  return params;
}

function preflight(response: ServerResponse, cors: Readonly<Record<string, string>>): void {
  const allowed = cors['Access-Control-Allow-Origin'] !== undefined;
  const methods = {
    'Access-Control-Allow-Methods': 'GET, POST',
    'Access-Control-Allow-Headers': 'Content-Type, Authorization, Last-Event-ID, X-Chat',
    'Access-Control-Max-Age': '600',
  };
  response.writeHead(204, { Allow: 'GET, POST, OPTIONS', Vary: 'Origin', ...(allowed ? { ...cors, ...methods } : {}) });
  response.end();
}
