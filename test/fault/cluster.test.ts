/** Redis Cluster: slots move and a primary dies while people talk. */
import { eventually } from '../support/eventually';
import { stopOwnRedis } from '../support/redis';
import { ClusterDeployment } from '../support/redis-cluster';
import { closeStores } from '../support/stores';
import { endTrials, nobodyTold, Trial } from '../support/trial';

afterEach(async () => {
  await endTrials();
  await closeStores();
  await stopOwnRedis();
});

const ROOM = '{room:defaultRoom}';

test("slots move from primary to primary, the room's twice round: nobody notices", async () => {
  const cluster = await ClusterDeployment.start();
  const trial = await Trial.start('Redis Cluster, slots moved under load', 'nothing lost, nobody told', {
    redis: cluster.address,
  });
  for (let times = 0; times < 2; times += 1) {
    await cluster.reshard(ROOM);
    await eventually(async () => (await cluster.followedWith(ROOM)).some((name) => name.endsWith(`${ROOM}:log`)));
    await trial.goesOn();
  }
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});

test("the primary with the room's slot is killed, and its replica takes over", async () => {
  const cluster = await ClusterDeployment.start(ROOM);
  const trial = await Trial.start('Redis Cluster, a primary killed', 'nothing lost, nobody told', {
    redis: cluster.address,
  });
  await cluster.replicated.server.kill();
  await cluster.promoted();
  expect(await trial.settle()).toEqual([]);
  expect(trial.told).toEqual(nobodyTold);
});
