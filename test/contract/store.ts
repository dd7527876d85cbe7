/**
 * What every Store does. A fact about stores is a test here or it is no fact.
 *
 * A suite, not a test: the files that run it say which store, and add what only that one does.
 */
import { closeStores, usualLimits, type CreateStore, type StoreUnderTest } from '../support/stores';
import type { StoreLimits } from '../../src/core/store';
import { nextMillisecond } from './store/given';
import { clientFacts } from './store/clients';
import { followFacts } from './store/follow';
import { holderFacts } from './store/holders';
import { logFacts } from './store/logs';
import { nodeFacts } from './store/nodes';
import { presenceFacts } from './store/presence';
import { roomFacts } from './store/rooms';

/** A store with limits of one's own; what is not given is as usual. */
export type Make = (limits?: Partial<StoreLimits>) => Promise<StoreUnderTest>;

export function storeContract(name: string, create: CreateStore): void {
  describe(`${name}, as every store`, () => {
    afterEach(closeStores);

    const make: Make = (limits = {}) => create({ ...usualLimits, ...limits });

    describe('logs', () => logFacts(make));
    describe('followers', () => followFacts(make));
    describe('rooms', () => roomFacts(make));
    describe('holders', () => holderFacts(make));
    describe('presence', () => presenceFacts(make));
    describe('clients', () => clientFacts(make));
    describe('nodes', () => nodeFacts(make));

    test('keeps the first secret that was proposed, and since when, and tells the time', async () => {
      const { store, second } = await make();
      const first = await store.secret('one secret');
      expect(first.secret).toBe('one secret');
      expect(Math.abs(first.since - Date.now())).toBeLessThan(60_000);
      expect(first.now).toBe(first.since);
      await nextMillisecond();
      const again = await (await second()).secret('another');
      expect(again).toEqual({ ...first, now: expect.any(Number) });
      // By the clock that says since when, so that the two can be compared.
      expect(again.now).toBeGreaterThan(first.since);
      expect(Math.abs(again.now - Date.now())).toBeLessThan(60_000);
    });

    test('is healthy while nothing is wrong', async () => {
      const { store } = await make();
      expect(await store.health()).toEqual({ ready: true, reason: '' });
    });
  });
}
