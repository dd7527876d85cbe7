/** The client's parts that need no server, and what a page has to load of it. */
import { refusal } from '../../src/client/http';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { backoff } from '../../src/client/backoff';
import { connect } from '../../src/client/node';
import { Kept } from '../../src/client/kept';
import { Keeper } from '../../src/client/keeper';
import { ChatError } from '../../src/client/errors';

test('a page loads one module of less than 6 kB, and nothing else', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'earshot-client-'));
  try {
    const file = path.join(folder, 'client.mjs');
    execFileSync(process.execPath, [path.join(__dirname, '../../scripts/bundle-client.mjs'), file]);
    const module = readFileSync(file);
    expect(gzipSync(module, { level: 9 }).length).toBeLessThan(6000);
    expect(module.toString()).not.toMatch(/\bimport\b/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('waiting', () => {
  const options = { base: 500, most: 30_000 };

  test('is random all over, twice as long each time, up to a limit', () => {
    expect([0, 1, 2, 3, 10].map((failures) => backoff(options, failures, undefined, () => 1))).toEqual([
      500, 1000, 2000, 4000, 30_000,
    ]);
    expect(backoff(options, 10, undefined, () => 0)).toBe(0);
  });

  test('is at least what the server asks for', () => {
    expect(backoff(options, 0, 7, () => 0)).toBe(7000);
    expect(backoff(options, 0, 7, () => 1)).toBe(7500);
  });

  test('is cut short by a page that is looked at again, unless the server asked for it', async () => {
    const closed: number[] = [];
    const answers = [new ChatError('unreachable'), new ChatError('capacity', 'full', 60), new ChatError('unreachable')];
    const keeper = new Keeper({
      openers: [['poll', () => Promise.reject(answers.shift()!)]],
      backoff: { base: 600_000, most: 600_000 },
      opened: () => {},
      closed: (_error, retryIn) => closed.push(retryIn),
      forgotten: () => {},
    });
    const running = keeper.run();
    const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
    await settle();
    expect(closed).toHaveLength(1);
    keeper.hurry();
    await settle();
    expect(closed).toHaveLength(2);
    expect(closed[1]).toBeGreaterThanOrEqual(60_000);
    keeper.hurry();
    await settle();
    expect(closed).toHaveLength(2);
    keeper.stop();
    await running;
  });
});

test('says are repeated for as long as was asked for, each from when it was called', async () => {
  const timeout = 1500;
  const nobody = (): Promise<never> => Promise.reject(new Error('nobody there'));
  const client = connect('http://127.0.0.1:1/', { links: ['poll'], timeout, fetch: nobody });
  const called = performance.now();
  const ends = await Promise.all(
    ['a', 'b', 'c', 'd'].map(async (message) => {
      await expect(client.say(message)).rejects.toMatchObject({ code: 'unreachable' });
      return performance.now() - called;
    }),
  );
  client.close();
  expect(Math.min(...ends)).toBeGreaterThanOrEqual(timeout - 5);
  // One after the other, they would take three times as long again.
  expect(Math.max(...ends)).toBeLessThan(3 * timeout);
});

describe('what was heard before', () => {
  const said = (id: string, room?: string): Readonly<Record<string, unknown>> => {
    return { context: 'user', message: 'x', id, sentAt: Number(id.split('-')[0]), ...(room && { room }) };
  };

  test('is known by its place in its log', () => {
    const kept = new Kept(null, '', false);
    expect(['10-1', '10-2', '12-3'].map((id) => kept.isNew(said(id, 'a')))).toEqual([true, true, true]);
    expect(['10-1', '10-2', '12-3'].map((id) => kept.isNew(said(id, 'a')))).toEqual([false, false, false]);
    expect(kept.isNew(said('12-3', 'b'))).toBe(true);
    expect(kept.isNew(said('12-3'))).toBe(true);
    // A log that began anew counts from 1; its times go on.
    expect(kept.isNew(said('13-1', 'a'))).toBe(true);
    expect(kept.isNew(said('9-9', 'a'))).toBe(false);
    kept.forget('a');
    expect(kept.isNew(said('9-9', 'a'))).toBe(true);
  });

  test('an object with an id of its own, sent to one client alone, is always new', () => {
    const kept = new Kept(null, '', false);
    const own = { context: 'user', id: '7-7', text: 'mine' };
    expect([kept.isNew(own), kept.isNew(own)]).toEqual([true, true]);
  });

  test('presence is known by its time, and several within a millisecond by what they say', () => {
    const kept = new Kept(null, '', false);
    const came = (id: string, at: number, event = 'join'): boolean => {
      return kept.isNew({ context: 'presence', event, room: 'a', id, at });
    };
    const all = (): boolean[] => [came('ann', 10), came('ann2', 10), came('bob', 10), came('ann', 11, 'leave')];
    expect(all()).toEqual([true, true, true, true]);
    expect(all()).toEqual([false, false, false, false]);
    expect(came('ann', 12)).toBe(true);
  });

  test('is kept for the page that comes after', () => {
    const items = new Map<string, string>();
    const storage = {
      getItem: (key: string) => items.get(key) ?? null,
      setItem: (key: string, value: string) => void items.set(key, value),
      removeItem: (key: string) => void items.delete(key),
    };
    const before = new Kept(storage, 'key', false);
    Object.assign(before, { id: 'ann', session: 'token', cursor: 'place', rooms: new Set(['a']) });
    before.isNew(said('10-1', 'a'));
    before.save();
    const after = new Kept(storage, 'key', false);
    expect([after.id, after.session, after.cursor, [...after.rooms]]).toEqual(['ann', 'token', 'place', ['a']]);
    expect(after.isNew(said('10-1', 'a'))).toBe(false);
    items.set('key', 'rubbish');
    expect(new Kept(storage, 'key', false).id).toBeUndefined();
  });
});

describe('Retry-After', () => {
  const refusedWith = (retryAfter: string): number | undefined =>
    refusal(new Response('', { status: 503, headers: { 'Retry-After': retryAfter } }), '').retryAfter;

  test('is seconds, or a date', () => {
    expect(refusedWith('7')).toBe(7);
    const inAMinute = refusedWith(new Date(Date.now() + 60_000).toUTCString());
    expect(inAMinute).toBeGreaterThan(50);
    expect(inAMinute).toBeLessThanOrEqual(60);
  });

  test('that has passed, or is nothing, is none; a day is the most, whatever this clock says', () => {
    for (const nothing of ['0', '-5', 'soon', '', new Date(0).toUTCString()]) {
      expect([nothing, refusedWith(nothing)]).toEqual([nothing, undefined]);
    }
    expect(refusedWith('99999999')).toBe(86_400);
    expect(refusedWith('Fri, 31 Dec 9999 23:59:59 GMT')).toBe(86_400);
  });
});
