/** Who follows what on a node with Redis: channels that are wanted and given up faster than Redis confirms them. */
import { EventEmitter } from 'node:events';
import type { Client } from '../../src/store/redis/connect';
import { Subscriptions } from '../../src/store/redis/subscriptions';
import { Ear } from '../contract/store/given';

/** A client of a cluster that confirms when it is told to. */
class SlowToConfirm extends EventEmitter {
  readonly asked: string[] = [];
  readonly #unconfirmed: (() => void)[] = [];

  ssubscribe(...names: string[]): Promise<void> {
    this.asked.push(`+${names.join()}`);
    return new Promise((resolve) => this.#unconfirmed.push(resolve));
  }
  sunsubscribe(...names: string[]): Promise<void> {
    this.asked.push(`-${names.join()}`);
    return Promise.resolve();
  }

  async confirm(): Promise<void> {
    for (const resolve of this.#unconfirmed.splice(0)) resolve();
    await turn();
  }
}

const turn = (): Promise<void> => new Promise(setImmediate);

let client: SlowToConfirm;
let subscriptions: Subscriptions;

beforeEach(() => {
  client = new SlowToConfirm();
  const asClient = client as unknown as Client;
  subscriptions = new Subscriptions({ client: asClient, entries: 'believed', waitMs: 60_000, pingMs: 60_000 });
  client.emit('ready');
});

afterEach(() => subscriptions.close());

test('what is given up in the turn in which it was wanted is not asked for, and nobody waits for it', async () => {
  const ear = new Ear();
  const following = subscriptions.follow('x', ear);
  subscriptions.unfollow('x', ear);
  await expect(following).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(client.asked).toEqual([]);
});

test('what is wanted again is heard by who wants it, be it in the same turn or in the next', async () => {
  const [first, second] = [new Ear(), new Ear()];
  const following = subscriptions.follow('x', first);
  await turn();
  await client.confirm();
  await following;
  subscriptions.unfollow('x', first);
  await subscriptions.follow('x', second);
  await turn();
  expect(client.asked).toEqual(['+x']);

  subscriptions.unfollow('x', second);
  await turn();
  const again = subscriptions.follow('x', first);
  await turn();
  await client.confirm();
  await again;
  expect(client.asked).toEqual(['+x', '-x', '+x']);
  // The link was lost, and is back: who follows now reads again.
  client.emit('close');
  client.emit('ready');
  await client.confirm();
  expect([first.stales, second.stales]).toEqual([1, 0]);
});
