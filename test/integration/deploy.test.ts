/** What deploy/ holds, as far as it can be tried without a container: it is well-formed, and names what there is. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig, settings, type Config } from '../../src/config';
import { Command, commandFolder } from '../support/command';
import { root } from '../support/documents';
import { isInstalled } from '../support/front';
import { HttpClient } from '../support/http-client';
import { freshPrefix, sharedRedis } from '../support/redis';
import type { Parsed } from '../support/clients';

const read = (file: string): string => readFileSync(path.join(root, 'deploy', file), 'utf8');
const dockerfile = instructionsOf(read('Dockerfile'));
const compose = parse(read('compose.yaml'), { merge: true });
const manifests = parseAllDocuments(read('kubernetes.yaml')).map((document) => {
  expect(document.errors).toEqual([]);
  return document.toJS();
});
const named = (kind: string, name: string): Parsed =>
  manifests.find((one) => one.kind === kind && one.metadata.name === name);
const deployment = named('Deployment', 'earshot');
const container = deployment.spec.template.spec.containers[0];
/** Longer than a node takes to let everybody go. */
const DRAIN = 30;

test('every variable of the environment is a setting', () => {
  const known = new Set([...settings.values()].map(({ env }) => env));
  const files = readdirSync(path.join(root, 'deploy')).filter((file) => !file.endsWith('.json'));
  const written = files.flatMap((file) =>
    [...read(file).matchAll(/\bEARSHOT_[A-Z_]+\b/g)].map(([variable]) => `${file}: ${variable}`),
  );
  expect(written.length).toBeGreaterThan(10);
  expect(written.filter((one) => !known.has(one.split(': ')[1] ?? ''))).toEqual([]);
});

describe('Dockerfile', () => {
  test('copies what is there and what .dockerignore lets through, and builds as anybody does', () => {
    const sources = dockerfile.flatMap(({ name, rest }) =>
      name === 'COPY' && !rest.startsWith('--from') ? rest.split(/\s+/).slice(0, -1) : [],
    );
    expect(sources.length).toBeGreaterThan(8);
    expect(sources.filter((source) => !existsSync(path.join(root, source)))).toEqual([]);
    const ignored = readFileSync(path.join(root, '.dockerignore'), 'utf8').split('\n');
    expect(ignored).toContain('*');
    expect(sources.filter((source) => !ignored.includes(`!${source.replace('./', '')}`))).toEqual([]);
    const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    const runs = dockerfile.filter(({ name }) => name === 'RUN').map(({ rest }) => rest);
    expect(runs).toEqual(['npm ci --ignore-scripts --no-audit --no-fund', 'npm run build', 'npm prune --omit=dev']);
    expect(scripts).toHaveProperty('build');
  });

  test('its command is the one of the package, and needs no shell', () => {
    const { bin } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    const command = dockerfile.find(({ name }) => name === 'CMD');
    expect(JSON.parse(command?.rest ?? '')).toEqual(['node', bin.earshot]);
    expect(dockerfile.find(({ name }) => name === 'USER')?.rest).toBe('node');
  });

  test('with its environment the server answers, and the health check says so', async () => {
    const { rest = '' } = dockerfile.find(({ name }) => name === 'ENV') ?? {};
    const env = Object.fromEntries(rest.split(/\s+/).map((pair) => pair.split('=') as [string, string]));
    const { web, socket } = settingsOf(env).servers;
    expect([web.host, web.port, socket.host, socket.port]).toEqual(['0.0.0.0', 8080, '0.0.0.0', 5000]);
    const command = start(env);
    const { port } = await command.listening();
    const health = dockerfile.find(({ name }) => name === 'HEALTHCHECK')?.rest ?? '';
    const [program = '', ...args] = JSON.parse(health.slice(health.indexOf('CMD') + 3)) as string[];
    expect(program).toBe('node');
    // The port as the settings choose it: a setting's own name goes before PORT, and an empty one is none.
    const ask = (more: Record<string, string>): unknown =>
      execFileSync(process.execPath, args, { env: { PATH: process.env['PATH'] ?? '', ...more }, stdio: 'ignore' });
    ask({ PORT: String(port) });
    ask({ PORT: '1', EARSHOT_SERVERS_WEB_PORT: String(port) });
    ask({ PORT: String(port), EARSHOT_SERVERS_WEB_PORT: '' });
    command.signal('SIGTERM');
    expect(await command.ended).toBe(0);
    expect(() => ask({ PORT: String(port) })).toThrow();
  });
});

describe('compose', () => {
  test('what one service needs of another is there', () => {
    expect(Object.keys(compose.services as object).sort()).toEqual(['nginx', 'node1', 'node2', 'redis']);
    for (const service of Object.values(compose.services as Record<string, Parsed>)) {
      const needs = Array.isArray(service.depends_on) ? service.depends_on : Object.keys(service.depends_on ?? {});
      for (const one of needs) expect(compose.services).toHaveProperty(one);
      for (const volume of service.volumes ?? []) {
        const [from = ''] = (volume as string).split(':');
        if (from.startsWith('.')) expect(existsSync(path.join(root, 'deploy', from))).toBe(true);
        else expect(compose.volumes).toHaveProperty(from);
      }
      if (service.build) {
        expect(existsSync(path.join(root, 'deploy', service.build.context, service.build.dockerfile))).toBe(true);
      }
    }
    expect(compose.services.redis.healthcheck.test).toEqual(['CMD', 'redis-cli', 'ping']);
    expect(compose.services.redis.command).toContain('--maxmemory-policy noeviction');
  });

  test('nginx names its nodes, and they are given the time to go', () => {
    const upstream = [...read('nginx.conf').matchAll(/server (\w+):8080/g)].map(([, node]) => node);
    expect(upstream).toEqual(['node1', 'node2']);
    for (const node of upstream) {
      expect(parseInt(compose.services[node!].stop_grace_period as string)).toBeGreaterThan(DRAIN);
    }
  });

  test('a node starts with its environment, and answers by the names of the site alone', async () => {
    const env = compose.services.node1.environment as Record<string, string>;
    expect(new URL(env['EARSHOT_REDIS_URL'] ?? '').hostname).toBe('redis');
    const { url } = await start(env).listening();
    expect(await asHost(url, 'localhost:8080')).toBe(200);
    expect(await asHost(url, 'evil.test')).toBe(421);
  });
});

describe('kubernetes', () => {
  test('every manifest has what it needs, and selects what is there', () => {
    for (const { apiVersion, kind, metadata } of manifests) {
      expect([typeof apiVersion, typeof kind, typeof metadata.name]).toEqual(['string', 'string', 'string']);
    }
    const pods = manifests.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
    for (const { spec } of pods) expect(spec.template.metadata.labels).toMatchObject(spec.selector.matchLabels);
    for (const { kind, spec } of manifests) {
      if (kind === 'PodDisruptionBudget')
        expect(pods.some((pod) => selects(spec.selector.matchLabels, pod))).toBe(true);
      if (kind !== 'Service') continue;
      const behind = pods.find((pod) => selects(spec.selector, pod));
      const ports = behind?.spec.template.spec.containers[0].ports.map((port: { name: string }) => port.name);
      for (const { targetPort } of spec.ports) expect(ports).toContain(targetPort);
    }
    const { service } = named('Ingress', 'earshot').spec.rules[0].http.paths[0].backend;
    const ports = named('Service', service.name as string).spec.ports.map((port: { name: string }) => port.name);
    expect(ports).toContain(service.port.name);
  });

  test('the ports, the host and the time to go are the ones that the server has', () => {
    const env = new Map<string, Parsed>(container.env.map((one: { name: string }) => [one.name, one]));
    const port = (name: string): number =>
      container.ports.find((one: { name: string }) => one.name === name).containerPort as number;
    expect([port('http'), port('tcp')]).toEqual([8080, 5000]);
    expect(String(port('admin'))).toBe(env.get('EARSHOT_ADMIN_PORT').value);
    expect(named('Ingress', 'earshot').spec.rules[0].host).toBe(env.get('EARSHOT_COMMON_WEB_ALLOWED_HOSTS').value);
    const redis = new URL(env.get('EARSHOT_REDIS_URL').value as string);
    expect(named('Service', redis.hostname).spec.ports[0].port).toBe(Number(redis.port));
    const pause = Number(container.lifecycle.preStop.exec.command[1]);
    expect(deployment.spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(DRAIN + pause);
    const paths = [container.readinessProbe.httpGet.path, container.livenessProbe.httpGet.path];
    expect(paths).toEqual(['/readyz', '/livez']);
  });

  test('a node starts with its environment', async () => {
    const given = container.env.map(({ name, value }: { name: string; value?: string }) => [
      name,
      value ?? 'a secret of the cluster',
    ]);
    const env = Object.fromEntries(given) as Record<string, string>;
    expect(settingsOf(env).admin.host).toBe('0.0.0.0');
    const { url } = await start(env).listening();
    expect(await asHost(url, 'chat.example.com')).toBe(200);
    expect(await asHost(url, 'evil.test')).toBe(421);
  });
});

test('systemd takes the unit, which gives a node the time to go', () => {
  const unit = read('earshot.service');
  expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThan(DRAIN);
  expect(unit).toContain('\nExecStart=/usr/bin/env earshot\n');
  if (!isInstalled('systemd-analyze')) return;
  const file = path.join(commandFolder(), 'earshot.service');
  writeFileSync(file, unit);
  execFileSync('systemd-analyze', ['verify', '--recursive-errors=no', file], { stdio: 'pipe' });
});

type Environment = Readonly<Record<string, string>>;

/** As the server reads it. @throws ConfigError when it would not start with that */
function settingsOf(env: Environment): Config {
  return loadConfig({ argv: [], env, cwd: commandFolder() }).config;
}

/** With this environment, but on loopback, on free ports and with the tests' Redis. */
function start(env: Environment): Command {
  const ours = {
    EARSHOT_SERVERS_SOCKET_HOST: '127.0.0.1',
    EARSHOT_LOG_LEVEL: 'silent',
    EARSHOT_REDIS_PREFIX: freshPrefix(),
    ...('EARSHOT_REDIS_URL' in env ? { EARSHOT_REDIS_URL: sharedRedis() } : {}),
    ...('EARSHOT_ADMIN_HOST' in env ? { EARSHOT_ADMIN_HOST: '127.0.0.1', EARSHOT_ADMIN_PORT: '0' } : {}),
  };
  return new Command(['--host', '127.0.0.1', '--port', '0', '--socket-port', '0'], { ...env, ...ours });
}

/** The status of an answer under this name. */
async function asHost(url: string, host: string): Promise<number> {
  const client = new HttpClient(url);
  client.headers = { Host: host };
  return (await client.get('roomView')).status;
}

interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** A line that ends in a backslash goes on in the next. */
function instructionsOf(text: string): readonly Instruction[] {
  const lines = text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => {
    const [, name = '', rest = ''] = /^([A-Z]+) +(.*)$/.exec(line) ?? [];
    expect([line, name]).not.toContain('');
    return { name, rest };
  });
}

function selects(labels: Readonly<Record<string, string>>, { spec }: Parsed): boolean {
  const has = spec.template.metadata.labels as Record<string, string>;
  return Object.entries(labels).every(([name, value]) => has[name] === value);
}
