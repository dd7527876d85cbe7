/** A primary dies and its replica takes over: nothing is lost that the replica had, and what it had not is told. */
import { stopOwnRedis } from '../support/redis';
import { SentinelDeployment, stopSentinels } from '../support/redis-sentinel';
import { closeStores } from '../support/stores';
import { eachTold, endTrials, nobodyTold, Trial } from '../support/trial';

afterEach(async () => {
  await endTrials();
  await closeStores();
  await stopSentinels();
  await stopOwnRedis();
});

test('the primary is killed, its replica has everything: nothing lost, nobody told', async () => {
  const deployment = await SentinelDeployment.start();
  const trial = await Trial.start('Sentinel failover, replica in step', 'nothing lost, nobody told', {
    redis: deployment.address,
  });
  await deployment.primary.kill();
  await deployment.promoted();
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test('the primary is killed, its replica lags: the lost tail is told as `fork`, once each', async () => {
  const deployment = await SentinelDeployment.start();
  const trial = await Trial.start('Sentinel failover, replica lagging', '`fork`, once each', {
    redis: deployment.address,
  });
  await deployment.holdBackReplica();
  await trial.goesOn(50);
  await deployment.primary.kill();
  await deployment.promoted();
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(eachTold('fork'));
});
