/** A whole server's settings for each store: for tests of anything on top, with `describe.each(storeSettings)`. */
import type { SettingsInput } from '../../src/config';
import { freshPrefix, sharedRedis } from './redis';

type RedisSettings = NonNullable<SettingsInput['redis']>;

/** Several servers with the same of these are nodes of one deployment. */
export function redisSettings(): RedisSettings & { readonly prefix: string } {
  return { url: `unix://${sharedRedis()}`, prefix: freshPrefix() };
}

export const storeSettings: readonly (readonly [name: string, settings: () => Pick<SettingsInput, 'redis'>])[] = [
  ['memory', () => ({})],
  ['Redis', () => ({ redis: redisSettings() })],
];
