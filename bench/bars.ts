/** What we promise ourselves: how each figure is to stand to the peers', and whether it does. */
import { short, valueOf, type Measured } from './report';
import type { Kind } from './servers';

export interface Bar {
  readonly what: string;
  readonly bar: string;
  readonly figure: string;
  /** How the least that does the same in Node stands to the same peers; empty where nothing of the kind is measured. */
  readonly floor: string;
  readonly met: boolean;
}

type Against = readonly [scenario: string, kind: Kind];

interface Wanted {
  readonly what: string;
  readonly scenario: string;
  /** Against others' figures: times at least, or at most where less is better. */
  readonly times?: readonly (readonly [against: Against, factor: number, name: string])[];
  /** The bare package that does no more than this. */
  readonly floor?: Kind;
  /** At most this, as measured. */
  readonly most?: number;
  readonly less?: boolean;
}

const nchan = (scenario: string, factor: number): readonly [Against, number, string] => [
  [scenario, 'nchan'],
  factor,
  'Nchan',
];
const socketIo = (scenario: string, factor: number): readonly [Against, number, string] => [
  [scenario, 'socketio'],
  factor,
  'Socket.IO',
];
const own = (scenario: string, factor: number, name: string): readonly [Against, number, string] => [
  [scenario, 'earshot'],
  factor,
  name,
];

const wanted: readonly Wanted[] = [
  {
    what: 'WebSocket, 100 members, one message at a time',
    scenario: 'ws-one100',
    times: [socketIo('ws-one100', 1.2), nchan('ws-one100', 0.9)],
    floor: 'ws-framed',
  },
  {
    what: 'WebSocket, 1,000 members, one message at a time',
    scenario: 'ws-one1000',
    times: [socketIo('ws-one1000', 1.2), nchan('ws-one1000', 0.9)],
    floor: 'ws-framed',
  },
  {
    what: 'WebSocket, 16 messages in flight, in memory',
    scenario: 'ws-sat100',
    times: [nchan('ws-sat100', 6), socketIo('ws-sat100', 8), [['ws-sat100', 'actionhero'], 12, 'ActionHero']],
    floor: 'ws-joined',
  },
  {
    what: 'the same with Redis and two nodes',
    scenario: 'ws-sat100-redis2',
    times: [nchan('ws-sat100-redis2', 3)],
    floor: 'ws-joined',
  },
  { what: 'TCP, 16 in flight', scenario: 'tcp-sat100', times: [own('ws-sat100', 0.75, 'our WebSocket')] },
  {
    what: 'event streams, 16 in flight',
    scenario: 'sse-sat100',
    times: [own('ws-sat100', 0.75, 'our WebSocket')],
  },
  { what: 'long-poll, 16 in flight', scenario: 'poll-sat100', times: [nchan('poll-sat100', 1.5)], floor: 'http' },
  {
    what: 'long-poll, one message at a time',
    scenario: 'poll-one100',
    times: [nchan('poll-one100', 0.4), socketIo('poll-one100', 1)],
    floor: 'http',
  },
  { what: 'saying over HTTP, with Redis', scenario: 'say-redis', times: [nchan('say-redis', 1)], floor: 'http' },
  {
    what: 'p99 at 100 messages a second',
    scenario: 'ws-lat100',
    less: true,
    times: [socketIo('ws-lat100', 1.2)],
    floor: 'ws-framed',
  },
  {
    what: 'memory per idle WebSocket',
    scenario: 'idle-ws',
    less: true,
    times: [socketIo('idle-ws', 0.6)],
    floor: 'ws',
  },
  {
    what: 'memory per parked poll',
    scenario: 'idle-poll',
    less: true,
    times: [nchan('idle-poll', 1.1)],
    floor: 'http',
  },
  {
    what: 'what a say costs Redis in a room of many waiting HTTP clients',
    scenario: 'say-many',
    less: true,
    times: [own('say-few', 1.2, 'a room of ten')],
  },
  { what: 'reads of Redis per message, with many parked polls', scenario: 'poll-reads', most: 1 },
  { what: "another client's `roomView` while many polls wake, p99 in ms", scenario: 'poll-probe', most: 100 },
  { what: 'a node with 2,000 clients dies: the last one is back after s', scenario: 'storm', most: 15 },
];

/** Those of which everything was measured. */
export function bars(measured: readonly Measured[]): Bar[] {
  return wanted.flatMap(({ what, scenario, times = [], floor, most, less = false }) => {
    const value = valueOf(measured, scenario, 'earshot');
    if (value === undefined) return [];
    const least = floor && valueOf(measured, scenario, floor);
    const sign = less ? '≤' : '≥';
    const found = times.flatMap(([[other, kind], factor, name]) => {
      const against = valueOf(measured, other, kind);
      return against === undefined ? [] : [{ against, ratio: value / against, factor, name }];
    });
    const limits = found.map(({ factor, name }) => `${sign} ${String(factor)}x ${name}`);
    const ratios = found.map(({ ratio, name }) => `${ratio.toFixed(2)}x ${name}`);
    const floors =
      least === undefined ? [] : found.map(({ against, name }) => `${(least / against).toFixed(2)}x ${name}`);
    const met = found.every(({ ratio, factor }) => (less ? ratio <= factor : ratio >= factor));
    if (most !== undefined)
      return [{ what, bar: `≤ ${String(most)}`, figure: short(value), floor: '', met: value <= most }];
    const texts = { bar: limits.join(', '), figure: ratios.join(', '), floor: floors.join(', ') };
    return found.length === 0 ? [] : [{ what, ...texts, met }];
  });
}
