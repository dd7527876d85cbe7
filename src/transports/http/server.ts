/** Our own HTTP server: Express without what makes it slow, and with the time limits that the internet asks for. */
import http, { maxHeaderSize } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import express, { type Express } from 'express';
import { ChatError } from '../../protocol/errors';
import type { Counters } from '../../core/counters';
import type { Admission } from '../admission';
import { takeTurns } from '../intake';
import { errorBody, sendError } from './reply';
import { SocketTimeouts } from './socket-timeouts';
import { endWith, KEPT_ALIVE, SEND_WHOLE } from './whole';

export interface HttpLimits {
  readonly admission: Admission;
  readonly connectionsPerAddress: number;
  /** ms that a new connection may take to say what it wants. */
  readonly handshake: number;
  /** Where clients of the chat are refused. */
  readonly counters?: Counters;
}

export type Direct = (request: http.IncomingMessage, response: http.ServerResponse) => boolean;

const nobody: Direct = () => false;

/**
 * Express calls `Object.setPrototypeOf` on every request and response, which V8 punishes with a fivefold cost. Handing
 * it objects that have its prototypes from birth makes that call do nothing: the server makes them of classes whose
 * prototypes are the app's.
 * @param direct asked first: true when it answers by itself
 */
export function createExpressServer(app: Express, limits: HttpLimits, direct: Direct = nobody): http.Server {
  class Request extends http.IncomingMessage {}
  class Response<R extends http.IncomingMessage = http.IncomingMessage> extends http.ServerResponse<R> {
    [SEND_WHOLE](text: string): void {
      endWith(this, text);
    }
  }
  Object.setPrototypeOf(Request.prototype, app.request);
  Object.setPrototypeOf(Response.prototype, app.response);
  const shared = app as { request: object; response: object };
  shared.request = Request.prototype;
  shared.response = Response.prototype;

  // Node looks for those who are over their time every 30 s only, unless it is told.
  const options = {
    IncomingMessage: Request,
    ServerResponse: Response,
    connectionsCheckingInterval: 1000,
    // We say so ourselves: Node would at once, however many are behind one another.
    requireHostHeader: false,
  };
  const answer = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    const refused = refusedAtOnce(request);
    // Nobody reads a body that is none: what follows it is not looked for.
    if (refused || (request.method === 'GET' && hasBody(request))) response.shouldKeepAlive = false;
    if (refused) {
      limits.counters?.refuse(refused.code);
      sendError(response, refused, { errorCodes: true });
    } else if (!direct(request, response)) {
      app(request, response);
    }
  };
  const server: http.Server = http.createServer(options, inTurn(answer));
  for (const event of ['checkContinue', 'checkExpectation']) {
    server.on(event, (request: Expecting, response: http.ServerResponse) => {
      request[EXPECTS] = event;
      server.emit('request', request, response);
    });
  }
  return limited(server, limits);
}

/** On a request that expects something: what Node asks us about that. */
const EXPECTS = Symbol('expects');

interface Expecting extends http.IncomingMessage {
  [EXPECTS]?: string;
}

/** RFC 9112 section 3.2, RFC 9110 section 10.1.1. */
function refusedAtOnce(request: Expecting): ChatError | undefined {
  if (request.headers.host === undefined && request.httpVersion === '1.1') {
    return new ChatError('bad_request', 'there must be one Host');
  }
  if (request[EXPECTS] === 'checkExpectation') {
    return new ChatError('bad_request', 'nothing but 100-continue can be expected');
  }
  return undefined;
}

function hasBody({ headers }: http.IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/** On a socket: who waits behind the one that is answered; undefined when nobody is. */
const LINE = Symbol('line');

interface Lined extends Socket {
  [LINE]?: http.ServerResponse[] | undefined;
}

/** Behind most there is nobody. */
const NOBODY: http.ServerResponse[] = [];

/** A request of this connection is being answered. */
export function isAnswering(socket: Socket): boolean {
  return (socket as Lined)[LINE] !== undefined;
}

/**
 * ms in which a peer must take something of its answer, or twice that where something was taken first; longer than the
 * longest poll. Whoever does not fetch it goes, as Node's server ends what its socket's timeout finds.
 */
const TAKEN_WITHIN = 75_000;

/** ms between looks at connections on which nothing goes on. */
const LOOK = 1000;

/** ms for an answer to arrive at who asked in a way that cannot be read. */
const COURTESY = 1000;

/** Requests that one connection may have waiting behind the one that is answered. */
const PIPELINED = 32;

/**
 * One request of a connection at a time. Node hands over all that have come, and keeps the answers of the later ones
 * until their turn: a few kilobytes of small questions would be as many megabytes of answers.
 */
function inTurn(answer: Answer): Answer {
  const begin: Answer = (request, response) => {
    // From the first request on, and not the server's for all: with a WebSocket it would stay.
    request.socket.setTimeout(TAKEN_WITHIN);
    response.on('close', closed);
    if ((request as Expecting)[EXPECTS] === 'checkContinue') response.writeContinue();
    answer(request, response);
  };
  // One function for all responses, which are told by `this`.
  function closed(this: http.ServerResponse): void {
    const socket = this.req.socket as Lined;
    const next = socket.destroyed ? undefined : socket[LINE]?.shift();
    if (next) begin(next.req, next);
    else socket[LINE] = undefined;
  }
  return (request, response) => {
    const socket = request.socket as Lined;
    const line = socket[LINE];
    if (!line) {
      socket[LINE] = NOBODY;
      begin(request, response);
    } else if (line.length < PIPELINED) {
      if (line === NOBODY) socket[LINE] = [response];
      else line.push(response);
    } else {
      socket.destroy();
    }
  };
}

export function createApp(): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  // Ours tells of repeated parameters and of bytes that are no UTF-8.
  app.set('query parser', false);
  return app;
}

function limited(server: http.Server, limits: HttpLimits): http.Server {
  server.keepAliveTimeout = KEPT_ALIVE * 1000;
  server.headersTimeout = limits.handshake;
  server.requestTimeout = 3 * limits.handshake;
  server.maxHeadersCount = 100;
  const timeouts = new SocketTimeouts(Math.min(limits.handshake || LOOK, LOOK));
  server.on('connection', (socket) => {
    // headersTimeout starts with the first byte: a peer that sends none would stay for ever.
    timeouts.take(socket, limits.handshake);
    takeTurns(socket, 'http');
  });
  limits.admission.guard(server, limits.connectionsPerAddress, refusal);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy();
      return;
    }
    const refused = unreadable(error.code);
    limits.counters?.refuse(refused.error.code);
    socket.end(wholeAnswer(refused.status, refused.error));
    // A peer that reads nothing, or never closes, is not waited for.
    setTimeout(() => socket.destroy(), COURTESY).unref();
  });
  return server;
}

const TOO_LONG = `the address and the headers have ${String(maxHeaderSize)} bytes at most; longer messages go by POST`;

/** The answer to what is no request. */
function unreadable(code: string | undefined): { readonly status: string; readonly error: ChatError } {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return { status: '431 Request Header Fields Too Large', error: new ChatError('too_large', TOO_LONG) };
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { status: '408 Request Timeout', error: new ChatError('bad_request', 'the request took too long') };
  }
  return { status: '400 Bad Request', error: new ChatError('bad_request', 'the request is not valid HTTP') };
}

/** The answer to who is one too many, before anything was read. */
export function refusal(error: ChatError): string {
  return wholeAnswer(`${String(error.status)} ${http.STATUS_CODES[error.status] ?? ''}`, error);
}

/** Where there is no response to write to, in the words of every other error. */
function wholeAnswer(status: string, error: ChatError): string {
  const body = errorBody(error);
  const headers = [
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${String(Buffer.byteLength(body))}`,
    ...(error.retryAfter === undefined ? [] : [`Retry-After: ${String(error.retryAfter)}`]),
  ];
  return `HTTP/1.1 ${status}\r\n${headers.join('\r\n')}\r\n\r\n${body}`;
}
