/** The schema as a flat list: each setting by its path, with its name in the environment. */
import { z } from 'zod';
import { schema } from './schema';
import type { Mask } from './schema';

export interface Setting {
  /** As in the file: `servers.web.port`. */
  readonly path: string;
  /** `EARSHOT_SERVERS_WEB_PORT`. */
  readonly env: string;
  readonly form: z.ZodType;
  readonly fallback: unknown;
  readonly description: string;
  readonly mask: Mask | undefined;
}

/** By path, in the order of the schema. A Map, so that a file's `constructor` names no setting. */
export const settings: ReadonlyMap<string, Setting> = new Map(
  settingsIn(schema, []).map((setting) => [setting.path, setting]),
);

/** The parts of the tree that hold settings: `servers`, `servers.web`. */
export const sections: ReadonlySet<string> = new Set([...settings.keys()].flatMap(sectionsAbove));

function settingsIn(form: z.ZodType, path: readonly string[]): Setting[] {
  if (form instanceof z.ZodObject) {
    const shape = form.shape as Readonly<Record<string, z.ZodType>>;
    return Object.entries(shape).flatMap(([key, inner]) => settingsIn(inner, [...path, key]));
  }
  if (!(form instanceof z.ZodDefault)) throw new Error(`the setting ${path.join('.')} has no default`);
  return [
    {
      path: path.join('.'),
      env: `EARSHOT_${path.map(inCapitals).join('_')}`,
      form: form.unwrap() as z.ZodType,
      fallback: form.def.defaultValue,
      description: form.description ?? '',
      mask: form.meta()?.['mask'] as Mask | undefined,
    },
  ];
}

function inCapitals(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase();
}

function sectionsAbove(path: string): string[] {
  const names = path.split('.').slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('.'));
}

/**
 * What a text, from the environment or a flag, means for a setting of this form. A text that means nothing stays a
 * text, so that the schema refuses it in its own words.
 */
export function fromText(form: z.ZodType, text: string): unknown {
  if (form instanceof z.ZodNullable) {
    return ['', 'null', 'none'].includes(text) ? null : fromText(form.unwrap() as z.ZodType, text);
  }
  if (form instanceof z.ZodNumber) return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  if (form instanceof z.ZodBoolean) return text === 'true' ? true : text === 'false' ? false : text;
  if (form instanceof z.ZodArray) return listFrom(text);
  if (form instanceof z.ZodUnion) {
    const options = form.options as readonly z.ZodType[];
    const meanings = options.map((option) => ({ option, value: fromText(option, text) }));
    return meanings.find(({ option, value }) => option.safeParse(value).success)?.value ?? text;
  }
  return text;
}

/** JSON, as `earshot config` prints it, or items with commas between them; `[::1],localhost` is the second. */
function listFrom(text: string): readonly unknown[] {
  try {
    const list = JSON.parse(text) as unknown;
    if (Array.isArray(list)) return list;
  } catch {
    // Not JSON.
  }
  const items = text.split(',').map((item) => item.trim());
  return items.filter((item) => item !== '');
}
