/** Where settings come from: each source read into one flat layer, with all that is wrong with it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fromText, sections, settings } from './settings';

export type Source = 'default' | 'file' | 'env' | 'flag';

export interface Given {
  readonly value: unknown;
  readonly source: Source;
  /** For whoever has to mend it: `env PORT`. */
  readonly from: string;
}

/** What one source gives, by setting. */
export type Layer = ReadonlyMap<string, Given>;

export interface Reading {
  readonly layer: Layer;
  readonly problems: readonly string[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Platforms and `docker run -e` set these for whatever program it is. Empty, they are as good as unset. */
const plainVariables = new Map([
  ['PORT', 'servers.web.port'],
  ['REDIS_URL', 'redis.url'],
]);

/** Reads a tree of settings: a file's, or one that a program gives. */
export function layerOfTree(tree: unknown, source: Source, from: string): Reading {
  const layer = new Map<string, Given>();
  const problems: string[] = [];

  const read = (section: string, value: unknown): void => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      problems.push(`${section || 'the settings'} must be an object (${from})`);
      return;
    }
    for (const [key, inner] of Object.entries(value)) {
      const name = section ? `${section}.${key}` : key;
      // A program may well write `{ port: undefined }` for "not given".
      if (inner === undefined) continue;
      if (settings.has(name)) layer.set(name, { value: inner, source, from });
      else if (sections.has(name)) read(name, inner);
      else problems.push(`${name} is not a setting (${from})`);
    }
  };

  read('', tree);
  return { layer, problems };
}

/** Reads the file that is named, or `earshot.config.json` when there is one. */
export function layerOfFile(cwd: string, named: string | undefined): Reading {
  const name = named ?? 'earshot.config.json';
  const nothing = (problem?: string): Reading => ({ layer: new Map(), problems: problem ? [problem] : [] });

  let text: string;
  try {
    text = readFileSync(path.resolve(cwd, name), 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (missing && named === undefined) return nothing();
    return nothing(
      missing ? `there is no file ${name} (flag --config)` : `${name} cannot be read: ${(error as Error).message}`,
    );
  }

  try {
    return layerOfTree(JSON.parse(text), 'file', `file ${name}`);
  } catch (error) {
    return nothing(`${name} is not JSON: ${(error as Error).message}`);
  }
}

/** Reads `EARSHOT_…`, `PORT` and `REDIS_URL`. One that names no setting is a typing error that would else go unseen. */
export function layerOfEnvironment(env: Environment): Reading {
  const layer = new Map<string, Given>();
  const problems: string[] = [];
  const byName = new Map([...settings.values()].map((setting) => [setting.env, setting]));

  for (const [name, setting] of plainVariables) {
    if (env[name]) give(layer, setting, env[name], 'env', `env ${name}`);
  }
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('EARSHOT_') || text === undefined) continue;
    const setting = byName.get(name);
    if (setting) give(layer, setting.path, text, 'env', `env ${name}`);
    else problems.push(`${name} is not a setting's name in the environment (earshot config lists them)`);
  }
  return { layer, problems };
}

/** Adds what a text, from outside the program, says about a setting. */
export function give(layer: Map<string, Given>, name: string, text: string, source: Source, from: string): void {
  const setting = settings.get(name);
  if (!setting) throw new Error(`${name} is not a setting`);
  layer.set(name, { value: fromText(setting.form, text), source, from });
}
