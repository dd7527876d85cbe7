import { Histogram } from '../../src/core/histogram';

test('each time falls into the first class whose upper end it does not pass, and the longest into one without end', () => {
  const histogram = new Histogram([1, 5, 10]);
  for (const ms of [0, 1, 1.01, 5, 9.9, 10, 10.5, 1e6]) histogram.observe(ms);
  const before = histogram.read();
  expect(before.counts).toEqual([2, 2, 2, 2]);
  expect(before.sum).toBeCloseTo(1_000_037.41);
  histogram.observe(2);
  // What was read is not changed by what comes later: the difference of two looks is a histogram too.
  expect(before.counts).toEqual([2, 2, 2, 2]);
  expect(histogram.read().counts).toEqual([2, 3, 2, 2]);
});
