/** Looks at a Redis before it is used: refuses one that cannot work, warns of one that will lose messages. */
import type { Logger } from '../../core/logger';
import type { Calls } from './calls';
import type { Keys } from './keys';

/** What the keys mean; a store with another layout is not ours to touch. */
const LAYOUT = '3';
const OLDEST = [7, 0] as const;
const CLOCKS_APART_MS = 5000;

export async function examine(calls: Calls, keys: Keys, logger: Logger): Promise<void> {
  const info = await calls.read((client) => client.info());
  const facts = new Map(info.split('\r\n').map((line) => splitAt(line, ':')));

  const version = facts.get('redis_version') ?? '0.0';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw new Error(`Redis ${version} is too old: ${OLDEST.join('.')} or later is needed`);
  }
  const policy = facts.get('maxmemory_policy') ?? 'noeviction';
  if (policy !== 'noeviction') {
    logger.warn({ policy }, 'Redis may evict rooms and clients when it is full: set maxmemory-policy to noeviction');
  }

  const [seconds = '0'] = (await calls.read((client) => client.time())).map(String);
  const apart = Date.now() - Number(seconds) * 1000;
  if (Math.abs(apart) > CLOCKS_APART_MS + 1000) {
    logger.warn({ apart }, "this node's clock and Redis' clock differ; only Redis' clock is used, logs may mislead");
  }

  const layout = (await calls.write((client) => client.call('SET', keys.layout, LAYOUT, 'NX', 'GET'))) as string | null;
  if (layout !== null && layout !== LAYOUT) {
    throw new Error(
      `Redis holds layout ${layout} under ${keys.prefix}, this version uses ${LAYOUT}: take another prefix`,
    );
  }
}

function splitAt(text: string, sign: string): [string, string] {
  const at = text.indexOf(sign);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}
