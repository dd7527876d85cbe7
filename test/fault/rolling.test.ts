/** All nodes are replaced, one after the other, under load and behind a proxy that deals its requests out in turn. */
import { Command } from '../support/command';
import { newSession, request } from '../support/crowd';
import { eventually } from '../support/eventually';
import { noteFault } from '../support/figures';
import { Front, type FrontKind } from '../support/front';
import { longTest } from '../support/long';
import { freePorts } from '../support/redis-process';
import { redisSettings } from '../support/store-settings';
import { endTrials, nobodyTold, Trial } from '../support/trial';

afterEach(endTrials);

/**
 * Each request to the next node. A node that is back is used again soon, as no test has time for a proxy's caution, and
 * one that is slow to say that it is ready, because the machine is busy, is not for that thought to be gone.
 */
const inTurn = (text: string): string =>
  text
    .replace('least_conn;', '')
    .replaceAll('fail_timeout=5s', 'fail_timeout=1s')
    .replace('balance leastconn', 'balance roundrobin')
    .replaceAll('check inter 2s', 'check inter 300ms')
    .replace('timeout connect 3s', 'timeout connect 3s\n    timeout check 10s');

/** Polls that wait, one after the other; whatever is no 200 has failed, and so has a line that was cut. */
class Pollers {
  polls = 0;
  readonly failed: string[] = [];
  #polling = true;
  readonly #running: Promise<void>[] = [];

  constructor(readonly url: string) {}

  async add(count: number): Promise<void> {
    const sessions = await Promise.all(Array.from({ length: count }, () => newSession(() => this.url)));
    for (const { session, cursor } of sessions) this.#running.push(this.#poll(session, cursor));
  }

  async end(): Promise<void> {
    this.#polling = false;
    await Promise.all(this.#running);
  }

  async #poll(session: string, first: string): Promise<void> {
    let cursor = first;
    while (this.#polling) {
      const path = `/chat/?method=messages&wait=1&after=${cursor}`;
      const answer = await request(this.url, 'GET', path, session).catch((error: unknown) => String(error));
      this.polls += 1;
      if (typeof answer === 'string') this.failed.push(answer);
      else if (answer.status !== 200) this.failed.push(`${String(answer.status)} ${JSON.stringify(answer.body)}`);
      else cursor = String(answer.body['cursor']);
    }
  }
}

async function roll(name: FrontKind): Promise<void> {
  const redis = redisSettings();
  const [one = 0, two = 0, tcpOne = 0, tcpTwo = 0] = await freePorts(4);
  const places = [
    { port: one, tcpPort: tcpOne },
    { port: two, tcpPort: tcpTwo },
  ] as const;
  const start = ({ port, tcpPort }: (typeof places)[number]): Command =>
    new Command(['--port', String(port), '--socket-port', String(tcpPort), '--redis-url', redis.url ?? ''], {
      EARSHOT_REDIS_PREFIX: redis.prefix,
      EARSHOT_COMMON_WEB_TRUST_PROXY: '1',
      EARSHOT_LIMITS_DRAIN: '8000',
      EARSHOT_LIMITS_SAYS_PER_SECOND: '0',
      EARSHOT_LIMITS_NEW_CLIENTS_PER_SECOND_PER_ADDRESS: '0',
    });
  const nodes = places.map(start);
  await Promise.all(nodes.map((node) => node.listening()));
  const front = await Front.start(name, places, inTurn);
  /** Which nodes answer through the proxy. */
  const answering = async (): Promise<Set<unknown>> => {
    const ids = Array.from({ length: 6 }, async () => {
      const answer = await fetch(`${front.url}/api?action=status`);
      return answer.ok ? ((await answer.json()) as { id: unknown }).id : undefined;
    });
    return new Set(await Promise.all(ids));
  };
  await eventually(async () => (await answering()).size === 2, 20_000);

  const trial = await Trial.on(
    `all nodes replaced, behind ${name} in turn`,
    'no poll fails; nothing lost, nobody told',
    [front.url],
  );
  const pollers = new Pollers(front.url);
  await pollers.add(20);
  for (const [index, place] of places.entries()) {
    const before = await answering();
    nodes[index]!.signal('SIGTERM');
    expect(await nodes[index]!.ended).toBe(0);
    nodes[index] = start(place);
    await nodes[index].listening();
    // The next one goes only when the new one is in use.
    await eventually(async () => {
      const now = await answering();
      return now.size === 2 && [...now].some((id) => !before.has(id));
    }, 20_000);
  }
  await pollers.end();
  expect(pollers.failed).toEqual([]);
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
  noteFault({
    fault: `all nodes replaced, polls behind ${name} in turn`,
    expected: 'no poll fails',
    more: `${String(pollers.polls)} polls, none failed`,
  });
}

longTest('behind HAProxy no poll fails', () => roll('haproxy'), 180_000);
longTest('behind nginx no poll fails', () => roll('nginx'), 180_000);
