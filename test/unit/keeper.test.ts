/** Which link a client keeps open, over hours: the clock is moved. */
import { ChatError } from '../../src/client/errors';
import { Keeper } from '../../src/client/keeper';
import { Link, type LinkContext } from '../../src/client/link';
import type { LinkKind } from '../../src/client/types';

class FakeLink extends Link {
  constructor(readonly kind: LinkKind) {
    super({} as LinkContext);
  }

  breaks(code = 'unreachable'): void {
    this.end(new ChatError(code));
  }

  get isOver(): boolean {
    return this.signal.aborted;
  }
}

/** What is between a client and its server. */
class Way {
  /** What does not work, and the code that tells of it. */
  readonly broken = new Map<LinkKind, string>();
  /** Seconds at which each kind was tried. */
  readonly tried: Record<LinkKind, number[]> = { websocket: [], sse: [], poll: [] };
  readonly opened: FakeLink[] = [];
  readonly closed: string[] = [];
  readonly keeper: Keeper;

  constructor() {
    const began = performance.now();
    const opener = (kind: LinkKind) => (): Promise<Link> => {
      this.tried[kind].push(Math.round((performance.now() - began) / 1000));
      const code = this.broken.get(kind);
      return code === undefined ? Promise.resolve(new FakeLink(kind)) : Promise.reject(new ChatError(code));
    };
    this.keeper = new Keeper({
      openers: (['websocket', 'sse', 'poll'] as const).map((kind) => [kind, opener(kind)]),
      backoff: { base: 0, most: 0 },
      opened: (link) => {
        if (link instanceof FakeLink) this.opened.push(link);
      },
      closed: ({ code }) => this.closed.push(code),
      forgotten: () => undefined,
    });
  }

  get kinds(): LinkKind[] {
    return this.opened.map(({ kind }) => kind);
  }
}

const pass = (seconds: number): Promise<void> => jest.advanceTimersByTimeAsync(seconds * 1000);

let way: Way;

beforeEach(() => {
  jest.useFakeTimers();
  way = new Way();
});

afterEach(() => {
  way.keeper.stop();
  jest.useRealTimers();
});

test('the best that works, and a better one as soon as it is tried again and opens', async () => {
  way.broken.set('websocket', 'unreachable').set('sse', 'unusable');
  void way.keeper.run();
  await pass(1);
  expect(way.kinds).toEqual(['poll']);
  way.broken.delete('sse');
  await pass(60);
  expect(way.kinds).toEqual(['poll', 'sse']);
  expect(way.opened.map(({ isOver }) => isOver)).toEqual([true, false]);
  way.broken.delete('websocket');
  await pass(120);
  expect(way.kinds).toEqual(['poll', 'sse', 'websocket']);
  expect(way.keeper.link).toBe(way.opened[2]);
  expect(way.closed).toEqual([]);
});

test('what does not work is tried less and less often: after a minute, then twice as long, half an hour at most', async () => {
  way.broken.set('websocket', 'unreachable').set('sse', 'unusable');
  void way.keeper.run();
  await pass(3 * 3600);
  const minutes = [0, 1, 3, 7, 15, 31, 61, 91, 121, 151];
  expect(way.tried.sse.map((second) => second / 60)).toEqual(minutes);
  expect(way.tried.websocket.map((second) => second / 60)).toEqual(minutes);
  expect(way.kinds).toEqual(['poll']);
});

test('a stream for which other tabs leave no room is looked for every five seconds', async () => {
  way.broken.set('websocket', 'unusable').set('sse', 'busy');
  void way.keeper.run();
  await pass(21);
  expect(way.tried.sse).toEqual([0, 5, 10, 15, 20]);
  way.broken.delete('sse');
  await pass(5);
  expect(way.kinds).toEqual(['poll', 'sse']);
});

test('a link that breaks twice as soon as it is there is left alone for a minute; one that lasted is not', async () => {
  void way.keeper.run();
  await pass(1);
  way.opened.at(-1)!.breaks();
  await pass(1);
  expect(way.kinds).toEqual(['websocket', 'websocket']);
  way.opened.at(-1)!.breaks();
  await pass(1);
  expect(way.kinds).toEqual(['websocket', 'websocket', 'sse']);
  await pass(60);
  expect(way.kinds.at(-1)).toBe('websocket');
  for (let times = 0; times < 3; times += 1) {
    await pass(11);
    way.opened.at(-1)!.breaks();
    await pass(1);
    expect(way.kinds.at(-1)).toBe('websocket');
  }
});

test('the server’s own going, and a server that is away, say nothing against a link', async () => {
  void way.keeper.run();
  await pass(1);
  for (let times = 0; times < 3; times += 1) {
    way.opened.at(-1)!.breaks('shutting_down');
    await pass(1);
  }
  expect(new Set(way.kinds)).toEqual(new Set(['websocket']));

  for (const kind of ['websocket', 'sse', 'poll'] as const) way.broken.set(kind, 'unreachable');
  way.opened.at(-1)!.breaks('shutting_down');
  await pass(1);
  expect(way.keeper.link).toBeUndefined();
  expect(way.tried.poll).toEqual([]);
  way.broken.clear();
  await pass(1);
  expect(way.kinds.at(-1)).toBe('websocket');
});
