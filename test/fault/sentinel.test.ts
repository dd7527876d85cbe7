/** A primary dies and its replica takes over: nothing is lost that the replica had, and what it had not is told. */
import { eventually } from '../support/eventually';
import { longTest } from '../support/long';
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

longTest('the primary is killed, its replica has everything: nothing lost, nobody told', async () => {
  const deployment = await SentinelDeployment.start();
  const trial = await Trial.start('Sentinel failover, replica in step', 'nothing lost, nobody told', {
    redis: deployment.address,
  });
  await deployment.replicaInStep();
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
  await trial.heardByAll(50);
  await deployment.primary.kill();
  await deployment.promoted();
  await trial.goesOn();
  const gone = await trial.gone();
  expect(gone).toBeGreaterThanOrEqual(50);
  expect(await trial.settle(`${gone} gone from the log, which its readers had heard`)).toEqual([]);
  expect(trial.told).toEqual(eachTold('fork'));
});

longTest('with waitReplicas nothing that was answered OK is lost with the primary', async () => {
  const deployment = await SentinelDeployment.start();
  const trial = await Trial.start('Sentinel failover, replica lagging, waitReplicas 1', 'nothing accepted is lost', {
    redis: deployment.address,
    waitReplicas: 1,
  });
  await deployment.holdBackReplica();
  await eventually(() => trial.crowd.refusals.has('outcome_unknown'));
  await deployment.primary.kill();
  await deployment.promoted();
  await deployment.primaryIsReplica();
  await trial.goesOn();
  expect(await trial.gone()).toBe(0);
  expect(await trial.settle()).toEqual([]);
});
