/**
 * The settings of a server: flags over environment over file over defaults, checked as one, then frozen.
 *
 * Whatever is wrong is told at once, a line each, with the setting and where it was set: nobody should have to start a
 * server five times to find five typing errors.
 */
import { inspect } from 'node:util';
import { contradictions, hasRedis, messageTTL } from './config/contradictions';
import { readFlags } from './config/flags';
import type { Command } from './config/flags';
import { layerOfEnvironment, layerOfFile, layerOfTree } from './config/layers';
import type { Environment, Given, Layer, Source } from './config/layers';
import { commandDefaults, schema } from './config/schema';
import type { Settings, SettingsInput } from './config/schema';
import { settings } from './config/settings';
import type { Setting } from './config/settings';
import { masked, tableOf } from './config/show';

export { helpText } from './config/flags';
export { commandDefaults } from './config/schema';
export { settings } from './config/settings';
export type { Command } from './config/flags';
export type { Environment, Source } from './config/layers';
export type { SettingsInput } from './config/schema';
export type { Setting } from './config/settings';

/** All settings, those that follow others resolved. */
export type Config = DeepReadonly<
  Omit<Settings, 'chat' | 'servers'> & {
    chat: Settings['chat'] & { messageTTL: number };
    servers: Settings['servers'] & { socket: { host: string } };
  }
>;

export interface LoadedConfig {
  readonly command: Command;
  readonly config: Config;
  /** Where each setting comes from, by path. */
  readonly sources: ReadonlyMap<string, Source>;
  /** Processes to run. */
  readonly workers: number;
}

/** The settings cannot be used; `problems` says why, a line for each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly problems: readonly string[]) {
    super(['the settings cannot be used:', ...problems].join('\n  '));
  }
}

export interface LoadOptions {
  /** The arguments after the program's name. */
  readonly argv: readonly string[];
  readonly env: Environment;
  /** Where a relative `--config` starts. */
  readonly cwd: string;
}

/**
 * The settings of the `earshot` command.
 * @throws ConfigError
 */
export function loadConfig({ argv, env, cwd }: LoadOptions): LoadedConfig {
  const flags = readFlags(argv);
  const defaults = layerOfTree(commandDefaults, 'default', 'the default of earshot');
  const { command, workers } = flags;

  // Whoever asks for help may do so because of the problems.
  if (command === 'help' || command === 'version') return { command, workers, ...combine([defaults.layer]) };

  const file = layerOfFile(cwd, flags.configFile);
  const environment = layerOfEnvironment(env);
  const layers = [defaults.layer, file.layer, environment.layer, flags.layer];
  const combined = combine(layers);

  const problems = [...flags.problems, ...file.problems, ...environment.problems, ...combined.problems];
  if (workers > 1 && !hasRedis(combined.config)) {
    problems.push('--workers needs a Redis (redis.url, redis.nodes or redis.sentinels): processes share no memory');
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return { command, workers, config: combined.config, sources: combined.sources };
}

/**
 * The settings of a server inside an application: what it gives, and the library's defaults.
 * @throws ConfigError
 */
export function createConfig(input: SettingsInput = {}): Config {
  const given = layerOfTree(input, 'default', 'createConfig');
  const { config, problems } = combine([given.layer]);
  const all = [...given.problems, ...problems];
  if (all.length > 0) throw new ConfigError(all);
  return config;
}

/** The same settings with every secret and password replaced, for a log or an admin's page. */
export function maskConfig(config: Config): Config {
  const copy = structuredClone(config) as object;
  for (const { path, mask } of settings.values()) if (mask) put(copy, path, masked(at(config, path), mask));
  return freeze(copy as Config);
}

/** What `earshot config` prints: a line per setting with its value, its source and its name in the environment. */
export function printConfig({ config, sources }: Pick<LoadedConfig, 'config' | 'sources'>): string {
  return tableOf(
    ({ path }) => at(config, path),
    ({ path }) => sources.get(path) ?? 'default',
  );
}

interface Combined {
  readonly config: Config;
  readonly sources: ReadonlyMap<string, Source>;
  readonly problems: readonly string[];
}

/** Later layers win. What a setting has wrong is told, and its default then stands in for it in the other checks. */
function combine(layers: readonly Layer[]): Combined {
  const given = new Map<string, Given>(layers.flatMap((layer) => [...layer]));
  const problems: string[] = [];
  const wrong = new Set<string>();
  const tree = {};

  for (const setting of settings.values()) {
    const { path, fallback } = setting;
    const own = given.get(path);
    const problem = own && problemOf(setting, own);
    put(tree, path, own && !problem ? own.value : fallback);
    if (!problem) continue;
    wrong.add(path);
    problems.push(problem);
  }

  const chosen = schema.parse(tree);
  for (const { about, holds, text } of contradictions) {
    if (about.some((path) => wrong.has(path)) || !holds(chosen)) continue;
    const from = about.flatMap((path) => (given.has(path) ? [`${path}: ${given.get(path)?.from ?? ''}`] : []));
    problems.push(`${text} (${from.join(', ')})`);
  }

  const sources = new Map([...settings.keys()].map((path) => [path, given.get(path)?.source ?? 'default']));
  return { config: freeze(resolved(chosen)), sources, problems };
}

function problemOf({ path, form, mask }: Setting, { value, from }: Given): string | undefined {
  const { error } = form.safeParse(value);
  const issue = error?.issues[0];
  if (!issue) return undefined;
  // In a list it is one item that is wrong.
  const [index] = issue.path;
  const inList = typeof index === 'number' && Array.isArray(value);
  const place = inList ? `${path}[${index}]` : path;
  const shown = mask ? '' : `, not ${abbreviated(inList ? value[index] : value)}`;
  return `${place} ${issue.message}${shown} (${from})`;
}

/** Puts in place what follows other settings. */
function resolved(chosen: Settings): Config {
  const { chat, servers } = chosen;
  const host = servers.socket.host ?? servers.web.host;
  return {
    ...chosen,
    chat: { ...chat, messageTTL: messageTTL(chosen) },
    servers: { ...servers, socket: { ...servers.socket, host } },
  };
}

/** One line, however long the value is, and whatever a program gave. */
function abbreviated(value: unknown): string {
  return inspect(value, { breakLength: Infinity, depth: 0, maxStringLength: 80, maxArrayLength: 5 });
}

function at(tree: object, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], tree);
}

/** Only ever called with the path of a setting: no `__proto__` comes here. */
function put(tree: object, path: string, value: unknown): void {
  const keys = path.split('.');
  const last = keys.pop() ?? '';
  const section = keys.reduce(
    (inner, key) => (inner[key] ??= {}) as Record<string, unknown>,
    tree as Record<string, unknown>,
  );
  section[last] = value;
}

function freeze<T extends object>(tree: T): T {
  for (const value of Object.values(tree)) if (typeof value === 'object' && value !== null) freeze(value as object);
  return Object.freeze(tree);
}

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;
