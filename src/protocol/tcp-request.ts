/** One line of the TCP protocol, taken apart: a verb with its words, a JSON request, or an action's name. */
import { ownText } from './own-text';

/** A line that is no verb names an action. Which words name a room, only the core knows: `say` keeps them whole. */
export type TcpRequest =
  | { readonly kind: 'json'; readonly text: string }
  | { readonly kind: 'say'; readonly first: string; readonly rest: string; readonly whole: string }
  | { readonly kind: 'verb'; readonly verb: string; readonly params: Readonly<Record<string, unknown>> }
  | { readonly kind: 'action'; readonly name: string };

const WITH_ROOM = new Set(['roomAdd', 'roomLeave', 'roomView', 'roomChange', 'listenToRoom', 'silenceRoom']);
const WITH_KEY = new Set(['paramDelete', 'paramView']);
const ALONE = new Set(['detailsView', 'paramsView', 'paramsDelete', 'documentation', 'quit', 'exit']);

export function parseTcpLine(line: string): TcpRequest {
  if (line.startsWith('{')) return { kind: 'json', text: line };
  const [verb, rest] = split(line);
  if (verb === 'say') {
    const [first, after] = split(rest);
    return { kind: 'say', first, rest: after, whole: rest };
  }
  if (WITH_ROOM.has(verb)) {
    const room = ownText(rest.trim(), line.length);
    return { kind: 'verb', verb, params: room === '' ? {} : { room } };
  }
  if (verb === 'paramAdd') {
    const { key, value } = assignment(rest);
    return { kind: 'verb', verb, params: { key: ownText(key, line.length), value: ownText(value, line.length) } };
  }
  if (WITH_KEY.has(verb)) return { kind: 'verb', verb, params: { key: rest.trim() } };
  if (verb === 'history') {
    const [room, limit] = split(rest);
    return { kind: 'verb', verb, params: limit === '' ? { room } : { room, limit: limit.trim() } };
  }
  if (verb === 'resume') {
    const [session, after] = split(rest);
    return { kind: 'verb', verb, params: { session, after: after.trim() } };
  }
  if (ALONE.has(verb)) return { kind: 'verb', verb, params: {} };
  return { kind: 'action', name: verb };
}

/** `k=v`, split at the first `=`, or `k v`. */
function assignment(text: string): { key: string; value: string } {
  const equals = text.indexOf('=');
  if (equals >= 0) return { key: text.slice(0, equals).trim(), value: text.slice(equals + 1) };
  const [key, value] = split(text);
  return { key, value };
}

/** The first word, and everything after the one space behind it: runs of spaces belong to what is said. */
function split(text: string): [string, string] {
  const space = text.indexOf(' ');
  return space < 0 ? [text, ''] : [text.slice(0, space), text.slice(space + 1)];
}
