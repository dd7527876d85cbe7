import { LoopDelay } from '../../src/admin/loop-delay';
import { eventually } from '../support/eventually';

const WINDOW = 60_000;

test('is told to whoever asks, for its window and the next, and is forgotten then', async () => {
  jest.useFakeTimers({
    doNotFake: ['setTimeout', 'setImmediate', 'nextTick', 'queueMicrotask', 'performance', 'Date'],
  });
  const delay = new LoopDelay();
  try {
    await eventually(() => {
      const until = performance.now() + 200;
      while (performance.now() < until);
      return delay.late['1'] > 0.1;
    });
    const most = delay.late['1'];
    expect(delay.late['1']).toBeGreaterThanOrEqual(most);
    jest.advanceTimersByTime(WINDOW);
    expect(delay.late['1']).toBeGreaterThanOrEqual(most);
    jest.advanceTimersByTime(WINDOW);
    expect(delay.late['1']).toBeLessThan(most);
  } finally {
    delay.close();
    jest.useRealTimers();
  }
});
