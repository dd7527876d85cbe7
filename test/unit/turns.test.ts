import { setTimeout as sleep } from 'node:timers/promises';
import { Turns } from '../../src/transports/turns';

test('requests that need nothing but the processor leave room for everybody else, and keep their order', async () => {
  const sockets = Array.from({ length: 20 }, () => new Turns({ pause: () => undefined }));
  const done: number[][] = sockets.map(() => []);
  const busy = (): void => {
    const until = performance.now() + 2;
    while (performance.now() < until) continue;
  };
  for (const [socket, turns] of sockets.entries()) {
    for (let nth = 0; nth < 20; nth += 1) {
      turns.add(() => {
        busy();
        done[socket]!.push(nth);
        return Promise.resolve();
      });
    }
  }
  // 800 ms of work: whoever waits for a timer has its turn long before all of it is done.
  await sleep(1);
  expect(done.flat().length).toBeLessThan(200);
  await Promise.all(sockets.map((turns) => turns.done));
  const inOrder = [...Array(20).keys()];
  expect(done).toEqual(sockets.map(() => inOrder));
});

describe('a turn that is extended', () => {
  test('holds up its reader as so many turns do, until it is done', async () => {
    const pauses: boolean[] = [];
    const turns = new Turns({ pause: (paused) => pauses.push(paused) });
    const turn = turns.add(() => Promise.resolve());
    for (let nth = 1; nth < 256; nth += 1) expect(turns.extend(turn, 1)).toBe(true);
    expect([pauses, turns.idle]).toEqual([[true], false]);
    await turns.done;
    expect([pauses, turns.idle]).toEqual([[true, false], true]);
  });

  test('counts the bytes of all of it', async () => {
    const pauses: boolean[] = [];
    const turns = new Turns({ pause: (paused) => pauses.push(paused) });
    const turn = turns.add(() => Promise.resolve(), 1_000_000);
    turns.extend(turn, 50_000);
    expect(pauses).toEqual([true]);
    await turns.done;
    expect(pauses).toEqual([true, false]);
  });

  test('is the last one, and has not begun', async () => {
    const turns = new Turns({ pause: () => undefined });
    const [first, second] = [turns.add(() => Promise.resolve()), turns.add(() => Promise.resolve())];
    expect([turns.extend(first, 0), turns.extend(second, 0)]).toEqual([false, true]);
    await turns.done;
    expect(turns.extend(second, 0)).toBe(false);
    const held = turns.add(() => new Promise((resolve) => setImmediate(resolve)));
    await Promise.resolve();
    await Promise.resolve();
    expect(turns.extend(held, 0)).toBe(false);
    await turns.done;
  });
});
