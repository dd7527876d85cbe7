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
