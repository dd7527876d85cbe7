import { ReadTurns } from '../../src/core/read-turns';

/** A read that ends when it is told to. */
function reads(): { started: string[]; finish: (name: string) => void; read: (name: string) => () => Promise<string> } {
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  return {
    started,
    finish: (name) => ends.get(name)!(),
    read: (name) => () => {
      started.push(name);
      return new Promise((resolve) => ends.set(name, () => resolve(name)));
    },
  };
}

const settled = (): Promise<void> => new Promise(setImmediate);

test('so many at a time, then the addresses by turns, each in its own order', async () => {
  const turns = new ReadTurns({ atOnce: 2, waiting: 10 });
  const { started, finish, read } = reads();
  for (const name of ['a1', 'a2', 'a3', 'a4']) void turns.run('10.0.0.1', read(name));
  for (const name of ['b1', 'b2']) void turns.run('10.0.0.2', read(name));
  await settled();
  expect(started).toEqual(['a1', 'a2']);
  for (const name of ['a2', 'a1', 'a3', 'b1']) {
    finish(name);
    await settled();
  }
  expect(started).toEqual(['a1', 'a2', 'a3', 'b1', 'a4', 'b2']);
});

test('who has too many waiting is refused, others are not', async () => {
  const turns = new ReadTurns({ atOnce: 1, waiting: 2 });
  const { started, finish, read } = reads();
  const all = ['1', '2', '3'].map((name) => turns.run('2001:db8::1', read(name)));
  await expect(turns.run('2001:db8::2', read('4'))).rejects.toMatchObject({ code: 'too_many_requests' });
  const other = turns.run('2001:db8:1::1', read('5'));
  for (const name of ['1', '2', '5', '3']) {
    await settled();
    finish(name);
  }
  expect(await Promise.all([...all, other])).toEqual(['1', '2', '3', '5']);
  expect(started).toEqual(['1', '2', '5', '3']);
});

test('a read that fails gives its turn on, and a free turn is taken at once', async () => {
  const turns = new ReadTurns({ atOnce: 1, waiting: 1 });
  const failing = turns.run('here', () => Promise.reject(new Error('no')));
  const next = turns.run('here', () => Promise.resolve('yes'));
  await expect(failing).rejects.toThrow('no');
  expect(await next).toBe('yes');
  expect(await turns.run('here', () => Promise.resolve('again'))).toBe('again');
});
