/** Settings as text, with nothing in it that a log or a screen should not hold. */
import type { Mask } from './schema';
import { settings } from './settings';
import type { Setting } from './settings';

/** One line per setting: path, value, where it comes from, its name in the environment. */
export function tableOf(valueOf: (setting: Setting) => unknown, sourceOf: (setting: Setting) => string): string {
  const rows = [...settings.values()].map((setting) => [
    setting.path,
    JSON.stringify(masked(valueOf(setting), setting.mask)),
    sourceOf(setting),
    setting.env,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}\n`).join('');
}

export function masked(value: unknown, mask: Mask | undefined): unknown {
  if (value === null || mask === undefined) return value;
  if (mask === 'all') return '***';
  return typeof value === 'string' ? withoutPassword(value) : (value as readonly string[]).map(withoutPassword);
}

/** An address's user stays, to tell addresses apart; what stands alone before the `@` may as well be the password. */
function withoutPassword(address: string): string {
  const hidden = address.replace(/^([a-z]+:\/\/)?(?:([^:/@]*):)?.*@/, (_, scheme?: string, user?: string) =>
    [scheme ?? '', user === undefined ? '' : `${user}:`, '***@'].join(''),
  );
  return hidden.replace(/([?&](?:\w*password|auth)=)[^&]*/gi, '$1***');
}
