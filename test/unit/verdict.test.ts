import { judge } from '../../src/core/verdict';

/** A log born at 1000 that has had `seq` 1 to 9, the last at 1900. */
const state = { last: '1900-9', born: '1000-0', trimmed: 0 };
const entry = (id: string, prev: string): { id: string; prev: string } => ({ id, prev });

describe('a reader whose place is in the log', () => {
  test.each([
    ['at the end', '1900-9', undefined],
    ['in the middle', '1500-5', entry('1600-6', '1500-5')],
    ['at the beginning of the log', '1000-0', entry('1100-1', '1000-0')],
  ])('%s has lost nothing', (_where, after, first) => {
    expect(judge(after, state, first)).toEqual({ loss: undefined, place: after });
  });

  test('that never had a place has lost nothing of a whole log', () => {
    expect(judge('0-0', state, entry('1100-1', '1000-0'))).toEqual({ loss: undefined, place: '0-0' });
  });

  test('that never had a place goes on from the end of an empty log, so that a later loss is seen', () => {
    expect(judge('0-0', { ...state, last: '1000-0' }, undefined)).toEqual({ loss: undefined, place: '1000-0' });
    expect(judge('0-0', undefined, undefined)).toEqual({ loss: undefined, place: '0-0' });
  });
});

describe('what is gone is counted by seq', () => {
  test('expired: the entries between are gone, and none was trimmed', () => {
    expect(judge('1500-5', state, entry('1800-8', '1700-7'))).toEqual({
      loss: { reason: 'expired', lost: 2 },
      place: '1500-5',
    });
  });

  test('expired to the last: the reader goes on at the end', () => {
    expect(judge('1500-5', state, undefined)).toEqual({ loss: { reason: 'expired', lost: 4 }, place: '1900-9' });
  });

  test('trimmed: some of what is missing went because the log was full', () => {
    const full = { ...state, trimmed: 6 };
    expect(judge('1500-5', full, entry('1700-7', '1600-6')).loss).toEqual({ reason: 'trimmed', lost: 1 });
    expect(judge('1600-6', full, entry('1800-8', '1700-7')).loss).toEqual({ reason: 'expired', lost: 1 });
  });

  test('also for a reader that never had a place', () => {
    expect(judge('0-0', state, entry('1400-4', '1300-3'))).toEqual({
      loss: { reason: 'expired', lost: 3 },
      place: '0-0',
    });
    expect(judge('0-0', state, undefined)).toEqual({ loss: { reason: 'expired', lost: 9 }, place: '1900-9' });
  });
});

describe('another log of the same name', () => {
  test('reset: there is none any more, and the reader begins anew when there is', () => {
    expect(judge('1500-5', undefined, undefined)).toEqual({ loss: { reason: 'reset', lost: null }, place: '0-0' });
  });

  test('reset: the log was born after the reader was there', () => {
    const young = { last: '2100-1', born: '2000-0', trimmed: 0 };
    expect(judge('1500-5', young, entry('2100-1', '2000-0'))).toEqual({
      loss: { reason: 'reset', lost: null },
      place: '2000-0',
    });
    expect(judge('1500-0', { ...young, last: '2000-0' }, undefined)).toEqual({
      loss: { reason: 'reset', lost: null },
      place: '2000-0',
    });
  });
});

describe('a log that was rewound and goes on', () => {
  test('fork: it ends before the reader', () => {
    expect(judge('1990-12', state, undefined)).toEqual({ loss: { reason: 'fork', lost: null }, place: '1900-9' });
  });

  test('fork: it gave the reader’s numbers out again', () => {
    const rewound = { ...state, last: '2200-12' };
    expect(judge('1990-12', rewound, entry('2000-10', '1900-9'))).toEqual({
      loss: { reason: 'fork', lost: null },
      place: '1990-12',
    });
  });

  test('fork: the next number is right, but it follows another entry', () => {
    expect(judge('1950-9', { ...state, last: '2000-10' }, entry('2000-10', '1900-9')).loss).toEqual({
      reason: 'fork',
      lost: null,
    });
  });
});
