/** What ioredis is told of an address; that it then does so is its own affair, or the integration tests'. */
import { Cluster, Redis } from 'ioredis';
import { connect } from '../../src/store/redis/connect';
import { defaultTiming, type RedisAddress } from '../../src/store/redis/options';

const one = (address: RedisAddress): Redis['options'] => {
  const client = connect(address, defaultTiming, 'commands');
  if (!(client instanceof Redis)) throw new Error('a cluster');
  return client.options;
};
const cluster = (address: RedisAddress): object => {
  const client = connect(address, defaultTiming, 'commands');
  if (!(client instanceof Cluster)) throw new Error('no cluster');
  return client.options.redisOptions ?? {};
};

describe('TLS', () => {
  test('rediss:// is enough, wherever it stands, and its details are used', () => {
    const tls = { enable: false, ca: 'CA', cert: null, servername: 'redis.example' };
    const told = { ca: 'CA', servername: 'redis.example' };
    expect(one({ url: 'rediss://a', tls }).tls).toEqual(told);
    expect(one({ sentinels: ['a:1', 'rediss://b:1'], tls })).toMatchObject({ tls: told, sentinelTLS: told });
    expect(cluster({ nodes: ['rediss://a:1'], tls })).toMatchObject({ tls: told });
  });

  test('without it, only where it is enabled', () => {
    expect(one({ url: 'redis://a', tls: { enable: false } }).tls).toBeUndefined();
    expect(cluster({ nodes: ['a:1'], tls: { enable: true } })).toMatchObject({ tls: {} });
  });
});

describe('a password in an address', () => {
  test("of a cluster's node is every node's, unless another one is set", () => {
    expect(cluster({ nodes: ['a:1', 'redis://me:p%40ss@b:1'] })).toMatchObject({ username: 'me', password: 'p@ss' });
    expect(cluster({ nodes: ['redis://:old@a:1'], password: 'new' })).toMatchObject({ password: 'new' });
  });

  test("of a sentinel is the sentinels', not the primary's", () => {
    const options = one({ sentinels: ['redis://:watch@a:1', 'b:1'], password: 'hush' });
    expect(options).toMatchObject({ sentinelPassword: 'watch', password: 'hush' });
  });
});
