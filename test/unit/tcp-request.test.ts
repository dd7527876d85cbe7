/** One line of the TCP protocol, taken apart. */
import fc from 'fast-check';
import { parseTcpLine } from '../../src/protocol/tcp-request';

const verb = (name: string, params: object = {}): object => ({ kind: 'verb', verb: name, params });
const say = (first: string, rest: string, whole: string): object => ({ kind: 'say', first, rest, whole });

test.each([
  ['say hello', say('hello', '', 'hello')],
  ['say room two  words ', say('room', 'two  words ', 'room two  words ')],
  ['say  x', say('', 'x', ' x')],
  ['say', say('', '', '')],
  ['say ', say('', '', '')],
  ['roomAdd x', verb('roomAdd', { room: 'x' })],
  ['roomAdd  x ', verb('roomAdd', { room: 'x' })],
  ['roomAdd x y', verb('roomAdd', { room: 'x y' })],
  ['roomAdd', verb('roomAdd')],
  ['roomLeave x', verb('roomLeave', { room: 'x' })],
  ['roomView', verb('roomView')],
  ['roomView x', verb('roomView', { room: 'x' })],
  ['roomChange x', verb('roomChange', { room: 'x' })],
  ['listenToRoom x', verb('listenToRoom', { room: 'x' })],
  ['silenceRoom x', verb('silenceRoom', { room: 'x' })],
  ['detailsView', verb('detailsView')],
  ['detailsView and more', verb('detailsView')],
  ['documentation', verb('documentation')],
  ['quit', verb('quit')],
  ['exit', verb('exit')],
  ['paramAdd k=v', verb('paramAdd', { key: 'k', value: 'v' })],
  ['paramAdd k v', verb('paramAdd', { key: 'k', value: 'v' })],
  ['paramAdd k=v=w', verb('paramAdd', { key: 'k', value: 'v=w' })],
  ['paramAdd k=two  words', verb('paramAdd', { key: 'k', value: 'two  words' })],
  ['paramAdd k two  words', verb('paramAdd', { key: 'k', value: 'two  words' })],
  ['paramAdd k=', verb('paramAdd', { key: 'k', value: '' })],
  ['paramAdd', verb('paramAdd', { key: '', value: '' })],
  ['paramDelete k', verb('paramDelete', { key: 'k' })],
  ['paramView k', verb('paramView', { key: 'k' })],
  ['paramsView', verb('paramsView')],
  ['paramsDelete', verb('paramsDelete')],
  ['history x', verb('history', { room: 'x' })],
  ['history x 5', verb('history', { room: 'x', limit: '5' })],
  ['resume token', verb('resume', { session: 'token', after: '' })],
  ['resume token cursor', verb('resume', { session: 'token', after: 'cursor' })],
  ['status', { kind: 'action', name: 'status' }],
  ['status now', { kind: 'action', name: 'status' }],
  ['SAY x', { kind: 'action', name: 'SAY' }],
  ['constructor', { kind: 'action', name: 'constructor' }],
  ['{"event":"say"}', { kind: 'json', text: '{"event":"say"}' }],
  ['{', { kind: 'json', text: '{' }],
])('%j', (line, request) => {
  expect(parseTcpLine(line)).toEqual(request);
});

test('whatever is said, is said as it was typed', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (words) => {
      expect(parseTcpLine(`say ${words}`)).toMatchObject({ kind: 'say', whole: words });
      expect(parseTcpLine(`say room ${words}`)).toMatchObject({ first: 'room', rest: words });
    }),
  );
});

test('no line makes it throw', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (line) => void parseTcpLine(line)));
});
