/** The log's lines: what is in them, and what never is. */
import { createLogger } from '../../src/logger';

function logged(level: Parameters<typeof createLogger>[0]['level'], data: object, text = 'text'): string[] {
  const lines: string[] = [];
  createLogger({ level, destination: { write: (line) => lines.push(line) } }).info(data, text);
  return lines;
}

it('one event is one line of JSON, whatever it says', () => {
  const [line, ...others] = logged('info', { room: 'a\n{"level":"error"}\u001b[31m' }, 'said\nsomething');
  expect(others).toEqual([]);
  expect(line?.indexOf('\n')).toBe(line!.length - 1);
  expect(line).not.toContain('\u001b');
  expect(JSON.parse(line!)).toMatchObject({
    level: 'info',
    room: 'a\n{"level":"error"}\u001b[31m',
    msg: 'said\nsomething',
  });
});

it('below the level nothing is written', () => {
  expect(logged('warn', {})).toEqual([]);
  expect(logged('silent', {})).toEqual([]);
});

it.each([
  [{ req: { headers: { cookie: 'sessionID=hush', authorization: 'Bearer hush' } } }],
  [{ res: { headers: { 'set-cookie': ['sessionID=hush'] } } }],
  [{ session: 'hush', token: 'hush', secret: 'hush', password: 'hush' }],
  [{ client: { session: 'hush' }, redis: { password: 'hush' } }],
  [{ cookies: { sessionID: 'hush' } }],
  [{ err: Object.assign(new Error('text'), { token: 'hush' }) }],
])('%j is written without its secrets', (data) => {
  const [line] = logged('info', data);
  expect(line).toContain('[Redacted]');
  expect(line).not.toContain('hush');
});
