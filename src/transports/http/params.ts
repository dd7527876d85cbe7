/** A request's parameters, from its query and its body: every one at most once in each, the body winning. */
import { isAscii, isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { ChatError } from '../../protocol/errors';
import { ownText } from '../../protocol/own-text';
import { hasTooMany, MOST_PARAMETERS, tooManyParameters } from '../request';

const FORM = 'application/x-www-form-urlencoded';

export type Params = Readonly<Record<string, unknown>>;

/**
 * Parameters by name, without a prototype, as one may be called `__proto__`. Not `Object.create(null)`: V8 would make a
 * hash table of each, at a multiple of the cost.
 */
const Bag = function () {} as unknown as new () => Record<string, unknown>;
Bag.prototype = Object.freeze(Object.create(null) as object);

/** Express's parsers let invalid UTF-8 pass as U+FFFD and make lists of what is given twice; hence our own. */
export function queryParams(request: IncomingMessage): Record<string, unknown> {
  const url = request.url ?? '';
  const mark = url.indexOf('?');
  return mark < 0 ? new Bag() : formParams(url.slice(mark + 1));
}

/** @throws ChatError invalid_encoding, repeated_parameter, bad_request (too many) */
export function formParams(text: string): Record<string, unknown> {
  const params = new Bag();
  const pairs = text.split('&', MOST_PARAMETERS + 1);
  if (pairs.length > MOST_PARAMETERS) throw tooManyParameters();
  for (const pair of pairs) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    if (name in params) throw new ChatError('repeated_parameter', name);
    params[name] = equals < 0 ? '' : ownText(decode(pair.slice(equals + 1)), text.length);
  }
  return params;
}

/**
 * @param body the bytes, or what an application around us has parsed already
 * @throws ChatError invalid_encoding, invalid_json, repeated_parameter, bad_request (of another type, too many)
 */
export function bodyParams(request: IncomingMessage, body: unknown): Params {
  if (body === undefined || body === null || (Buffer.isBuffer(body) && body.length === 0)) return {};
  const type = mediaType(request.headers['content-type']);
  if (!Buffer.isBuffer(body)) {
    const params = objectParams(shallow(body));
    const repeated = Object.keys(params).find((name) => typeof params[name] !== 'string');
    if (type !== FORM) return params;
    if (repeated !== undefined) throw new ChatError('repeated_parameter', repeated);
    const length = Number(request.headers['content-length'] ?? Infinity);
    for (const name of Object.keys(params)) params[name] = ownText(String(params[name]), length);
    return params;
  }
  const text = utf8(body);
  // curl's -d says form; text/plain is what a page of another site may send without asking, and is told apart by nobody.
  if (type === FORM || type === '') return formParams(text.trim());
  if (type !== 'application/json') throw new ChatError('bad_request', 'the body must be JSON or a form');
  const params = objectParams(parseJson(text));
  if (membersIn(text) > Object.keys(params).length) throw new ChatError('repeated_parameter', 'a parameter');
  return params;
}

/** Without its parameters; most send what we know in just these words. */
function mediaType(header: string | undefined): string {
  if (header === FORM) return FORM;
  return header?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** Members of the outermost object of a JSON text, equal names counted each: JSON.parse keeps the last without a word. */
function membersIn(text: string): number {
  let count = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') {
      do {
        at = text.indexOf('"', at + 1);
      } while (isEscaped(text, at));
    } else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
    else if (character === ':' && depth === 1) count += 1;
  }
  return count;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - backslashes - 1] === '\\') backslashes += 1;
  return backslashes % 2 === 1;
}

/** @throws ChatError invalid_json, invalid_encoding (a lone surrogate is no character) */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ChatError('invalid_json');
  }
  shallow(value);
  // The text is valid UTF-8, so only an escape can write a half of a pair.
  if (/\\u[dD][89a-fA-F]/.test(text)) refuseLoneSurrogates(value);
  return value;
}

/**
 * JSON.parse takes any depth, JSON.stringify and whoever walks a value do not: they would fail wherever it went, here, at
 * another node or in a client.
 */
const MOST_LEVELS = 100;

/** @throws ChatError invalid_json */
function shallow(value: unknown): unknown {
  if (nestsDeeper(value, MOST_LEVELS)) throw new ChatError('invalid_json');
  return value;
}

function nestsDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((inner) => nestsDeeper(inner, levels - 1));
}

/** Not as a reviver of JSON.parse, which takes twenty times as long. */
function refuseLoneSurrogates(value: unknown): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new ChatError('invalid_encoding');
  } else if (Array.isArray(value)) {
    for (const inner of value) refuseLoneSurrogates(inner);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      if (!key.isWellFormed()) throw new ChatError('invalid_encoding');
      refuseLoneSurrogates(inner);
    }
  }
}

function objectParams(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new ChatError('invalid_json');
  if (hasTooMany(value)) throw tooManyParameters();
  return Object.assign(new Bag(), value);
}

const BOM = '\ufeff';

function utf8(bytes: Buffer): string {
  // Of one byte a character it is read without being looked through for more.
  if (isAscii(bytes)) return bytes.toString('latin1');
  if (!isUtf8(bytes)) throw new ChatError('invalid_encoding');
  const text = bytes.toString();
  return text.startsWith(BOM) ? text.slice(BOM.length) : text;
}

const ENCODED = /[%+]/;

function decode(text: string): string {
  if (!ENCODED.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw new ChatError('invalid_encoding');
  }
}
