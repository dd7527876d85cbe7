/** The ways to have a Redis besides one of one's own: over TLS, with another one for announcements, shared with others. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { SettingsInput } from '../../src/config';
import { makeCertificate } from '../support/certificate';
import { WsClient } from '../support/clients';
import { eventually } from '../support/eventually';
import { arrived, texts } from '../support/http-client';
import { freshPrefix, OwnRedis, stopOwnRedis } from '../support/redis';
import { freePorts } from '../support/redis-process';
import { startServer, type ServerUnderTest } from '../support/server';
import { closeStores, newRedisStore } from '../support/stores';
import { endTrials, nobodyTold, Trial } from '../support/trial';

const folder = mkdtempSync(path.join(tmpdir(), 'earshot-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  await endTrials();
  await closeStores();
  await stopOwnRedis();
});

const startOn = (redis: SettingsInput['redis']): Promise<ServerUnderTest> => startServer({ config: { redis } });

test('over TLS, with a certificate of ours: killed and back with its data', async () => {
  const { cert, key } = makeCertificate(folder);
  const [port = 0] = await freePorts(1);
  const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert];
  const redis = await OwnRedis.start(
    ...files,
    '--tls-port',
    `${port}`,
    '--appendonly',
    'yes',
    '--appendfsync',
    'always',
  );
  const url = `rediss://localhost:${port}`;
  const settings = { url, prefix: freshPrefix(), tls: { ca: cert, cert, key } };
  const nodes = await Promise.all([startOn(settings), startOn(settings)]);
  const trial = await Trial.on(
    'Redis over TLS killed, back with its data',
    'nothing lost, nobody told',
    nodes.map((node) => node.url),
  );
  await redis.kill();
  await redis.start();
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
  const stranger = newRedisStore({ redis: { url }, timing: { open: 1000 } });
  await expect(stranger.open()).rejects.toThrow(/^cannot reach Redis at rediss:.*certificate/);
});

test('another Redis for announcements: killed, what is said is late, and readyz tells', async () => {
  const [redis, other] = await Promise.all([OwnRedis.start(), OwnRedis.start()]);
  const trial = await Trial.start('the Redis of announcements killed, and back', 'at most 5 s late; readyz red', {
    redis: { url: redis.socket },
    pubsub: { url: other.socket },
  });
  await other.kill();
  for (const node of trial.nodes) await eventually(async () => !(await node.ready()).ready);
  await trial.heardByAll();
  await other.start();
  for (const node of trial.nodes) await eventually(async () => (await node.ready()).ready);
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test('two deployments share a Redis, each with its prefix: neither hears or sees the other', async () => {
  const redis = await OwnRedis.start();
  const prefixes = ['ours:', 'theirs:'];
  const [ours, theirs] = await Promise.all(prefixes.map((prefix) => startOn({ url: redis.socket, prefix })));
  const [ann, bob] = [await arrived(ours!), await arrived(theirs!)];
  const [eve, cid] = [await WsClient.connect(ours!.url), await WsClient.connect(theirs!.url)];
  await ann.say('among us');
  await bob.say('among them');
  expect([(await eve.heard.next()).message, (await cid.heard.next()).message]).toEqual(['among us', 'among them']);
  expect((await ann.ok('roomView')).roomStatus.members.sort()).toEqual([ann.is, eve.id].sort());
  expect((await bob.ok('roomView')).roomStatus.members.sort()).toEqual([bob.is, cid.id].sort());

  // A session of one is nobody to the other, and its cursor no place there.
  const { session } = eve;
  expect(await cid.ask('resume', { session })).toMatchObject({ code: expect.any(String) });
  expect(texts(await bob.ok('messages', { after: ann.cursor }))).not.toContain('among us');

  const keys = await redis.admin.keys('*');
  expect(keys.filter((key) => !prefixes.some((prefix) => key.startsWith(prefix)))).toEqual([]);
  const channels = (await redis.admin.pubsub('CHANNELS')) as string[];
  expect(channels.filter((name) => !prefixes.some((prefix) => name.startsWith(prefix)))).toEqual([]);
});
