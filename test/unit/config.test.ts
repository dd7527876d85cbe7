/** Settings: where they come from, what is refused and in which words. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import {
  ConfigError,
  commandDefaults,
  createConfig,
  helpText,
  loadConfig,
  maskConfig,
  printConfig,
  settings,
} from '../../src/config';
import type { Environment, SettingsInput } from '../../src/config';
import { readFlags } from '../../src/config/flags';

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(path.join(tmpdir(), 'earshot-config-'));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const file = (content: unknown, name = 'earshot.config.json'): void =>
  writeFileSync(path.join(cwd, name), typeof content === 'string' ? content : JSON.stringify(content));

const load = (argv: readonly string[] = [], env: Environment = {}) => loadConfig({ argv, env, cwd });

function problemsOf(act: () => unknown): readonly string[] {
  try {
    act();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

/** The value at a path such as `servers.web.port`. */
const at = (tree: unknown, where: string): unknown =>
  where.split('.').reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], tree);

/** `tree('servers.web.port', 1)` is `{ servers: { web: { port: 1 } } }`. */
const tree = (where: string, value: unknown): SettingsInput =>
  where.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as SettingsInput;

describe('defaults', () => {
  it('are those of the library in an application', () => {
    const config = createConfig();
    expect(config).toMatchObject({
      general: {
        serverName: 'earshot',
        defaultChatRoom: 'defaultRoom',
        startingChatRooms: [],
        createRoomsOnJoin: true,
      },
      commonWeb: { httpClientMessageTTL: null, fingerprintOptions: { cookieKey: 'sessionID' }, trustProxy: 0 },
      chat: { history: 0, maxLogLength: 10_000, messageTTL: 300_000, logKeep: 86_400_000 },
      redis: { url: null, nodes: null, sentinels: null, prefix: 'earshot:', waitReplicas: 0 },
      servers: {
        web: { host: '127.0.0.1', port: 8080 },
        websocket: { enable: true },
        socket: { enable: false, port: 5000, host: '127.0.0.1' },
      },
      log: { level: 'info' },
      admin: { host: '127.0.0.1', port: null, token: null },
    });
  });

  it('turn HTTP chat and TCP on in the command', () => {
    expect(load().config.commonWeb.httpClientMessageTTL).toBe(300_000);
    expect(load().config.servers.socket.enable).toBe(true);
    expect(createConfig(commandDefaults)).toEqual(load().config);
  });

  it.each([...settings.values()].map((setting) => [setting.path, setting] as const))('explain %s', (_, setting) => {
    expect(setting.description).toMatch(/^[A-Z].*\.$/);
    expect(setting.env).toMatch(/^EARSHOT_[A-Z]+(_[A-Z]+)+$/);
    expect(setting.form.safeParse(setting.fallback).success).toBe(true);
  });

  it('have one name each in the environment', () => {
    const names = [...settings.values()].map(({ env }) => env);
    expect(new Set(names).size).toBe(names.length);
    expect(settings.get('commonWeb.httpClientMessageTTL')?.env).toBe('EARSHOT_COMMON_WEB_HTTP_CLIENT_MESSAGE_TTL');
    expect(settings.get('servers.web.port')?.env).toBe('EARSHOT_SERVERS_WEB_PORT');
    expect(settings.get('limits.newClientsPerSecondPerAddress')?.env).toBe(
      'EARSHOT_LIMITS_NEW_CLIENTS_PER_SECOND_PER_ADDRESS',
    );
  });

  it('cannot be changed, at any depth', () => {
    const input = { general: { startingChatRooms: ['lobby'] } };
    const config = createConfig(input);
    expect(() => Object.assign(config.limits, { stuck: 1 })).toThrow(TypeError);
    expect(() => (config.general.startingChatRooms as string[]).push('x')).toThrow(TypeError);
    expect(() => Object.assign(config.commonWeb.fingerprintOptions, { cookieKey: 'x' })).toThrow(TypeError);
    // What the caller gave stays the caller's.
    input.general.startingChatRooms.push('x');
    expect(config.general.startingChatRooms).toEqual(['lobby']);
  });
});

describe('settings that follow others', () => {
  it.each([
    [null, undefined, 300_000],
    [5000, undefined, 5000],
    [5000, 7000, 7000],
    [null, 7000, 7000],
  ])(
    'httpClientMessageTTL %p and messageTTL %p make messages live %p',
    (httpClientMessageTTL, messageTTL, expected) => {
      const config = createConfig({ commonWeb: { httpClientMessageTTL }, chat: { messageTTL } });
      expect(config.chat.messageTTL).toBe(expected);
    },
  );

  it('puts the TCP server on the host of the web server, unless it has its own', () => {
    expect(load(['--host', '0.0.0.0']).config.servers.socket.host).toBe('0.0.0.0');
    const own = load(['--host', '0.0.0.0'], { EARSHOT_SERVERS_SOCKET_HOST: '127.0.0.1' });
    expect(own.config.servers.socket.host).toBe('127.0.0.1');
  });
});

describe('sources', () => {
  it('win in the order flags, environment, file, defaults', () => {
    const where = 'servers.web.port';
    const steps: [string, () => ReturnType<typeof load>, number][] = [
      ['default', () => load(), 8080],
      ['file', () => (file(tree(where, 1001)), load()), 1001],
      ['env', () => load([], { EARSHOT_SERVERS_WEB_PORT: '1002' }), 1002],
      ['flag', () => load(['--port', '1003'], { EARSHOT_SERVERS_WEB_PORT: '1002' }), 1003],
    ];
    for (const [source, act, port] of steps) {
      const { config, sources } = act();
      expect([source, config.servers.web.port]).toEqual([sources.get(where), port]);
    }
    expect(load().sources.size).toBe(settings.size);
  });

  it('reads the file that is named, relative to the directory, and then no other', () => {
    file(tree('servers.web.port', 1));
    file(tree('servers.web.host', 'example.com'), 'other.json');
    const { config } = load(['--config', 'other.json']);
    expect(config.servers.web).toMatchObject({ host: 'example.com', port: 8080 });
  });

  it('takes nulls of the file for what they are, and over the defaults of the command', () => {
    file({ commonWeb: { httpClientMessageTTL: null }, general: { defaultChatRoom: null } });
    expect(load().config.commonWeb.httpClientMessageTTL).toBeNull();
    expect(load().config.general.defaultChatRoom).toBeNull();
  });

  it('takes plain PORT and REDIS_URL, below their EARSHOT_ names', () => {
    const { config, sources } = load([], { PORT: '0', REDIS_URL: 'redis://r:1/2' });
    expect([config.servers.web.port, config.redis.url]).toEqual([0, 'redis://r:1/2']);
    expect(sources.get('redis.url')).toBe('env');
    expect(load([], { PORT: '1', EARSHOT_SERVERS_WEB_PORT: '2' }).config.servers.web.port).toBe(2);
    expect(load([], { PORT: '', REDIS_URL: '' }).config.servers.web.port).toBe(8080);
  });

  it('ignores variables of others', () => {
    expect(load([], { PATH: '/bin', EARSHOTS: '1', EARSHOT_LOG_LEVEL: undefined }).config.log.level).toBe('info');
  });
});

describe('text from the environment', () => {
  it.each([
    ['EARSHOT_COMMON_WEB_HTTP_CLIENT_MESSAGE_TTL', 'null', 'commonWeb.httpClientMessageTTL', null],
    ['EARSHOT_COMMON_WEB_HTTP_CLIENT_MESSAGE_TTL', 'none', 'commonWeb.httpClientMessageTTL', null],
    ['EARSHOT_COMMON_WEB_HTTP_CLIENT_MESSAGE_TTL', '', 'commonWeb.httpClientMessageTTL', null],
    ['EARSHOT_COMMON_WEB_HTTP_CLIENT_MESSAGE_TTL', '60000', 'commonWeb.httpClientMessageTTL', 60_000],
    ['EARSHOT_GENERAL_STARTING_CHAT_ROOMS', 'a, b ,c,', 'general.startingChatRooms', ['a', 'b', 'c']],
    ['EARSHOT_GENERAL_STARTING_CHAT_ROOMS', '', 'general.startingChatRooms', []],
    ['EARSHOT_GENERAL_STARTING_CHAT_ROOMS', '["a","b"]', 'general.startingChatRooms', ['a', 'b']],
    ['EARSHOT_COMMON_WEB_ALLOWED_HOSTS', '[::1],localhost', 'commonWeb.allowedHosts', ['[::1]', 'localhost']],
    ['EARSHOT_GENERAL_DEFAULT_CHAT_ROOM', 'none', 'general.defaultChatRoom', null],
    ['EARSHOT_GENERAL_DEFAULT_CHAT_ROOM', 'Cafe\u0301', 'general.defaultChatRoom', 'Caf\u00e9'],
    ['EARSHOT_GENERAL_ECHO', 'true', 'general.echo', true],
    ['EARSHOT_GENERAL_WELCOME_MESSAGE', '', 'general.welcomeMessage', ''],
    ['EARSHOT_LIMITS_JOINS_PER_SECOND', '0.5', 'limits.joinsPerSecond', 0.5],
    ['EARSHOT_LIMITS_SAYS_PER_SECOND', '0', 'limits.saysPerSecond', 0],
    ['EARSHOT_COMMON_WEB_TRUST_PROXY', '2', 'commonWeb.trustProxy', 2],
    [
      'EARSHOT_COMMON_WEB_TRUST_PROXY',
      'loopback,10.0.0.0/8,::1',
      'commonWeb.trustProxy',
      ['loopback', '10.0.0.0/8', '::1'],
    ],
    [
      'EARSHOT_COMMON_WEB_ALLOWED_HOSTS',
      'a.example:8080,B.example,c:80',
      'commonWeb.allowedHosts',
      ['a.example:8080', 'B.example', 'c:80'],
    ],
    [
      'EARSHOT_COMMON_WEB_ALLOWED_ORIGINS',
      'https://a.example,https://*.b.example:81',
      'commonWeb.allowedOrigins',
      ['https://a.example', 'https://*.b.example:81'],
    ],
    ['EARSHOT_REDIS_NODES', 'a:7000,redis://b:7001', 'redis.nodes', ['a:7000', 'redis://b:7001']],
    ['EARSHOT_REDIS_URL', '/run/redis.sock', 'redis.url', '/run/redis.sock'],
    ['EARSHOT_ADMIN_PORT', '0', 'admin.port', 0],
    ['EARSHOT_LOG_LEVEL', 'debug', 'log.level', 'debug'],
  ])('%s=%s', (name, text, where, expected) => {
    expect(at(load([], { [name]: text }).config, where)).toEqual(expected);
  });
});

describe('flags', () => {
  it.each<[string[], string, unknown]>([
    [['--host', '0.0.0.0'], 'servers.web.host', '0.0.0.0'],
    [['--port=0'], 'servers.web.port', 0],
    [['--port', '1', '--port', '2'], 'servers.web.port', 2],
    [['--redis-url', 'rediss://r:1'], 'redis.url', 'rediss://r:1'],
    [['--redis-url', 'none'], 'redis.url', null],
    [['--socket-port', '0'], 'servers.socket.port', 0],
    [['--socket-port', 'off'], 'servers.socket.enable', false],
  ])('%p', (argv, where, expected) => {
    expect(at(load(argv).config, where)).toEqual(expected);
  });

  it('turn the TCP server on again where the file turned it off', () => {
    file(tree('servers.socket.enable', false));
    expect(load().config.servers.socket.enable).toBe(false);
    expect(load(['--socket-port', '5001']).config.servers.socket).toMatchObject({ enable: true, port: 5001 });
  });

  it.each([
    [[], 'serve'],
    [['config'], 'config'],
    [['config', '--port', '1'], 'config'],
    [['--help'], 'help'],
    [['-h', '--port', 'rubbish'], 'help'],
    [['config', '--help'], 'help'],
    [['--version'], 'version'],
  ])('%p is the command %s', (argv, command) => {
    expect(load(argv).command).toBe(command);
  });

  it('--workers is 1 unless said, and needs a Redis', () => {
    expect(load().workers).toBe(1);
    expect(load(['--workers', '4', '--redis-url', 'redis://r']).workers).toBe(4);
    expect(problemsOf(() => load(['--workers', '4']))).toEqual([expect.stringMatching(/^--workers needs a Redis/)]);
  });

  it('are all in the help', () => {
    for (const flag of ['config', 'host', 'port', 'socket-port', 'redis-url', 'workers', 'help', 'version']) {
      expect(helpText).toContain(`--${flag}`);
      expect(readFlags([`--${flag}`, '1']).problems.filter((problem) => problem.includes('is not a flag'))).toEqual([]);
    }
  });

  it.each([
    [
      ['--prot', '1'],
      ['--prot is not a flag of earshot (earshot --help)', '1 is not a command of earshot (earshot --help)'],
    ],
    [['serv'], ['serv is not a command of earshot (earshot --help)']],
    [['--port'], ['--port needs a value (earshot --help)']],
    [['--workers', '0'], ["--workers must be a whole number of at least 1, not '0'"]],
    [
      ['--socket-port', 'x'],
      ["servers.socket.port must be a whole number from 0 to 65535, not 'x' (flag --socket-port)"],
    ],
    [
      ['--__proto__', '--constructor'],
      [
        '--__proto__ is not a flag of earshot (earshot --help)',
        '--constructor is not a flag of earshot (earshot --help)',
      ],
    ],
  ])('%p is refused', (argv, problems) => {
    expect(problemsOf(() => load(argv))).toEqual(problems);
  });
});

describe('one setting by itself', () => {
  const goodItems: Record<string, string> = {
    'general.startingChatRooms': 'lobby',
    'commonWeb.allowedOrigins': 'http://h',
    'commonWeb.allowedHosts': 'h',
    'commonWeb.trustProxy': '::1',
  };

  it.each<[string, unknown, string]>([
    ['general.serverName', '', "must not be empty, not ''"],
    ['general.serverName', 5, 'must be text, not 5'],
    ['general.serverName', null, 'must be text, not null'],
    ['general.defaultChatRoom', 'a b', "must be a room's name"],
    ['general.defaultChatRoom', '__proto__', "must be a room's name"],
    ['general.simultaneousActions', 0, 'must be a whole number of at least 1, not 0'],
    ['general.echo', 'true', "must be true or false, not 'true'"],
    ['commonWeb.httpClientMessageTTL', 1.5, 'must be a whole number of at least 1, not 1.5'],
    ['commonWeb.httpClientMessageTTL', -1, 'must be a whole number of at least 1, not -1'],
    ['commonWeb.fingerprintOptions.cookieKey', 'a b', "must be a cookie's name"],
    ['commonWeb.fingerprintOptions.cookieKey', '__room', "must be a cookie's name"],
    ['commonWeb.allowedHosts', [], 'must not be an empty list'],
    ['commonWeb.trustProxy', true, 'must not be true: whoever connects could then claim any address'],
    ['commonWeb.trustProxy', 'loopback', 'must be the number of proxies in front, or a list'],
    ['commonWeb.trustProxy', -1, 'must be a whole number of at least 0, not -1'],
    ['servers.web.port', 65_536, 'must be a whole number from 0 to 65535, not 65536'],
    ['servers.web.port', '8080', "must be a whole number from 0 to 65535, not '8080'"],
    ['servers.web.host', 'http://x', "must be a host's name or address"],
    ['limits.saysPerSecond', -1, 'must be a number of at least 0, not -1'],
    ['limits.stuck', 0.5, 'must be a whole number of at least 0, not 0.5'],
    ['redis.prefix', 'a{b}', 'must be up to 64 characters, without spaces, braces'],
    ['redis.nodes', [], 'must not be an empty list'],
    ['log.level', 'loud', "must be fatal, error, warn, info, debug, trace or silent, not 'loud'"],
  ])('%s: %p is refused', (where, value, text) => {
    const [problem, ...others] = problemsOf(() => createConfig(tree(where, value)));
    expect(problem?.startsWith(`${where} ${text}`) || problem).toBe(true);
    expect(problem).toMatch(/ \(createConfig\)$/);
    expect(others).toEqual([]);
  });

  it.each([
    ['commonWeb.allowedOrigins', 'null'],
    ['commonWeb.allowedOrigins', 'https://example.com/'],
    ['commonWeb.allowedOrigins', 'example.com'],
    ['commonWeb.allowedOrigins', 'https://EXAMPLE.com'],
    ['commonWeb.allowedOrigins', 'https://user@example.com'],
    ['commonWeb.allowedOrigins', 'https://a.*.com'],
    ['commonWeb.allowedOrigins', 'https://*'],
    ['commonWeb.allowedOrigins', 'ftp://example.com'],
    ['commonWeb.trustProxy', 'true'],
    ['commonWeb.trustProxy', '10.0.0.0/99'],
    ['commonWeb.trustProxy', 'proxy.example.com'],
    ['commonWeb.allowedHosts', 'http://example.com'],
    ['commonWeb.allowedHosts', 'example.com/chat'],
    ['commonWeb.allowedHosts', 'a b'],
    ['general.startingChatRooms', 'a b'],
    ['general.startingChatRooms', 7],
  ])('%s: an item %p is refused by its place', (where, item) => {
    const good = goodItems[where];
    const problems = problemsOf(() => createConfig(tree(where, [good, item])));
    expect(problems).toEqual([expect.stringContaining(`, not ${inspect(item)} (createConfig)`)]);
    expect(problems[0]).toContain(`${where}[1] must be`);
  });

  it.each([
    ['redis.url', 'http://r'],
    ['redis.url', 'r:6379'],
    ['redis.url', 'redis://:6379'],
    ['redis.pubsub', 'mysql://r'],
    ['general.secret', 'too short'],
    ['admin.token', 'short'],
  ])('%s: %p is refused without showing it', (where, value) => {
    const [problem] = problemsOf(() => createConfig(tree(where, value)));
    expect(problem?.startsWith(`${where} must `)).toBe(true);
    expect(problem).not.toContain(value);
  });
});

describe('contradictions', () => {
  const redis = { url: 'redis://r' };
  const key = '-----BEGIN PRIVATE KEY-----';
  it.each<[SettingsInput, string]>([
    [{ redis: { ...redis, nodes: ['a:1'] } }, 'more than one of redis.url, redis.nodes and redis.sentinels'],
    [{ redis: { nodes: ['a:1'], sentinels: ['b:1'], name: 'm' } }, 'more than one of redis.url'],
    [{ redis: { sentinels: ['b:1'] } }, 'redis.sentinels needs redis.name'],
    [{ redis: { ...redis, name: 'm' } }, 'redis.name is a name among sentinels'],
    [{ redis: { waitReplicas: 1 } }, 'redis.waitReplicas needs a Redis'],
    [{ redis: { pubsub: 'redis://p' } }, 'redis.pubsub needs a Redis'],
    [{ redis: { wakeOnly: true } }, 'redis.wakeOnly needs a Redis'],
    [{ redis: { password: 'p' } }, 'redis.password needs a Redis'],
    [{ redis: { username: 'u' } }, 'redis.username needs a Redis'],
    [{ redis: { tls: { enable: true } } }, 'redis.tls.enable needs a Redis'],
    [{ redis: { url: 'redis://:a@r', password: 'b' } }, 'redis.url names a user or a password'],
    [{ redis: { ...redis, tls: { ca: 'ca.pem' } } }, 'redis.tls is described but not in use'],
    [{ redis: { url: 'rediss://r', tls: { cert: 'c.pem' } } }, 'redis.tls.cert and redis.tls.key need each other'],
    [{ servers: { socket: { tls: { key } } } }, 'servers.socket.tls.cert and servers.socket.tls.key need each other'],
    [{ commonWeb: { allowedOrigins: ['*', 'https://a.example'] } }, 'commonWeb.allowedOrigins is * and names origins'],
    [{ limits: { bufferSoft: 10, bufferHard: 9 } }, 'limits.bufferHard is below limits.bufferSoft'],
    [
      { limits: { messageBytes: 65_537, frameBytes: 0, lineBytes: 0 } },
      'limits.messageBytes is above limits.bodyBytes',
    ],
    [{ limits: { frameBytes: 100 } }, 'limits.messageBytes is above limits.frameBytes'],
    [{ limits: { lineBytes: 100 } }, 'limits.messageBytes is above limits.lineBytes'],
    [{ chat: { history: 11, maxLogLength: 10 } }, 'chat.history is above chat.maxLogLength'],
    [{ chat: { logKeep: 299_999 } }, 'chat.logKeep is below the time that messages are kept'],
    [{ servers: { socket: { enable: true, port: 8080 } } }, 'servers.web and servers.socket have the same port'],
    [{ servers: { socket: { enable: true, port: 8080, host: '::' } } }, 'servers.web and servers.socket have the same'],
    [{ admin: { port: 8080 } }, 'servers.web and admin have the same port'],
    [{ admin: { port: 5000 }, servers: { socket: { enable: true } } }, 'servers.socket and admin have the same port'],
    [{ admin: { port: 9000, host: '0.0.0.0' } }, 'admin.host is not loopback and admin.token is not set'],
  ])('%j is refused', (input, text) => {
    const problems = problemsOf(() => createConfig(input));
    expect(problems).toEqual([expect.stringContaining(text)]);
    expect(problems[0]).toMatch(/ \(.*createConfig\)$/);
  });

  it.each<[SettingsInput]>([
    [{ redis: { ...redis, pubsub: 'redis://p', waitReplicas: 1, username: 'u', password: 'p' } }],
    [{ redis: { nodes: ['a:1', 'b:1'], tls: { enable: true, ca: 'ca.pem', cert: 'c.pem', key } } }],
    [{ redis: { sentinels: ['b:1'], name: 'm', password: 'p' } }],
    [{ redis: { url: 'rediss://:p@r', tls: { ca: 'ca.pem' } } }],
    [{ commonWeb: { allowedOrigins: ['*'] } }],
    [{ limits: { bufferHard: 0, messageBytes: 0 } }],
    [{ limits: { bodyBytes: 0, frameBytes: 0, lineBytes: 0, messageBytes: 1_000_000 } }],
    [{ servers: { socket: { enable: false, port: 8080 } } }],
    [{ servers: { web: { port: 0 }, socket: { enable: true, port: 0 } }, admin: { port: 0 } }],
    [{ servers: { socket: { enable: true, port: 8080, host: '127.0.0.2' } } }],
    [{ admin: { port: 9000, host: '0.0.0.0', token: 'a token that is long enough' } }],
    [{ admin: { port: 9000, host: 'localhost' } }],
    // The default room is made whatever startingChatRooms says.
    [{ general: { createRoomsOnJoin: false, startingChatRooms: ['a'], defaultChatRoom: 'b' } }],
  ])('%j is none', (input) => {
    expect(problemsOf(() => createConfig(input))).toEqual([]);
  });

  it('name each setting with its source', () => {
    file(tree('redis.nodes', ['a:1']));
    expect(problemsOf(() => load([], { REDIS_URL: 'redis://r' }))).toEqual([
      'more than one of redis.url, redis.nodes and redis.sentinels is set, and there is one store ' +
        '(redis.url: env REDIS_URL, redis.nodes: file earshot.config.json)',
    ]);
  });

  it('are not claimed of settings that are wrong by themselves', () => {
    const problems = problemsOf(() => createConfig({ redis: { url: 'http://r', waitReplicas: 1 } }));
    expect(problems).toEqual([expect.stringMatching(/^redis\.url must be/)]);
  });
});

describe('problems', () => {
  it('are told all at once, each in one line', () => {
    file({ general: { echo: 1, nonsense: true }, limits: { stuck: 'x' }, extra: {} });
    const act = (): unknown => load(['--what', '--port', 'x'], { EARSHOT_WEB_PORT: '1', EARSHOT_GENERAL_ECHO: 'yes' });
    expect(problemsOf(act)).toEqual([
      '--what is not a flag of earshot (earshot --help)',
      'general.nonsense is not a setting (file earshot.config.json)',
      'extra is not a setting (file earshot.config.json)',
      "EARSHOT_WEB_PORT is not a setting's name in the environment (earshot config lists them)",
      "general.echo must be true or false, not 'yes' (env EARSHOT_GENERAL_ECHO)",
      "servers.web.port must be a whole number from 0 to 65535, not 'x' (flag --port)",
      "limits.stuck must be a whole number of at least 0, not 'x' (file earshot.config.json)",
    ]);
    expect(act).toThrow('the settings cannot be used:\n  --what');
  });

  it.each<[string, unknown, string]>([
    ['no JSON', '{', 'earshot.config.json is not JSON: '],
    ['a list', [], 'the settings must be an object (file earshot.config.json)'],
    ['a section that is none', { servers: { web: 8080 } }, 'servers.web must be an object (file earshot.config.json)'],
    ['a section that is null', { servers: null }, 'servers must be an object (file earshot.config.json)'],
    ['__proto__', '{"__proto__":{"port":1}}', '__proto__ is not a setting (file earshot.config.json)'],
    ['constructor', { general: { constructor: 1 } }, 'general.constructor is not a setting (file earshot.config.json)'],
  ])('%s in the file', (_, content, text) => {
    file(content);
    expect(problemsOf(() => load())).toEqual([expect.stringContaining(text)]);
    expect(({} as Record<string, unknown>)['port']).toBeUndefined();
  });

  it('a file that is named must be there', () => {
    expect(problemsOf(() => load(['--config', 'gone.json']))).toEqual(['there is no file gone.json (flag --config)']);
    expect(problemsOf(() => load(['--config', '.']))).toEqual([expect.stringMatching(/^\. cannot be read: /)]);
  });

  it('do not stand in the way of help', () => {
    file('{');
    expect(load(['--help'], { EARSHOT_WRONG: '1' }).command).toBe('help');
  });

  it.each([[() => 1], [10n], [NaN], [{ a: { b: 1 } }], [Symbol('x')]])('a program may give anything: %p', (value) => {
    expect(problemsOf(() => createConfig(tree('limits.stuck', value)))).toEqual([
      expect.stringMatching(/^limits\.stuck must be a whole number of at least 0, not .+ \(createConfig\)$/),
    ]);
  });

  it('a long value is cut', () => {
    const [problem] = problemsOf(() => createConfig(tree('log.level', 'x'.repeat(1000))));
    expect(problem?.length).toBeLessThan(250);
  });
});

describe('secrets', () => {
  const secrets: SettingsInput = {
    general: { secret: 'hush-'.repeat(8) },
    redis: { nodes: ['redis://user:hush@h:1', 'redis://:hush@h:2', 'redis://hush@h:3', 'hush:hush@h:4', 'h:5'] },
    servers: { socket: { tls: { cert: 'cert.pem', key: 'hush.pem' } } },
    admin: { token: 'hush-hush-hush-hush' },
  };

  it('are not in what is shown', () => {
    const config = createConfig(secrets);
    const shown = maskConfig(config);
    expect(JSON.stringify(shown)).not.toMatch(/hush(?!:)/);
    expect(shown.general.secret).toBe('***');
    expect(shown.redis.nodes).toEqual([
      'redis://user:***@h:1',
      'redis://:***@h:2',
      'redis://***@h:3',
      'hush:***@h:4',
      'h:5',
    ]);
    expect(shown.servers.socket.tls).toEqual({ cert: 'cert.pem', key: '***' });
    expect(config.admin.token).toBe('hush-hush-hush-hush');
    expect(shown.redis.password).toBeNull();
  });

  it.each([
    ['redis://h:1/0', 'redis://h:1/0'],
    ['rediss://u:p@ss:w/rd@h:1/0', 'rediss://u:***@h:1/0'],
    ['redis://h:1?password=hush&db=1', 'redis://h:1?password=***&db=1'],
    ['/run/redis.sock', '/run/redis.sock'],
  ])('%s is shown as %s', (url, shown) => {
    // createConfig would refuse the one that is no URL; it is shown in no other way for that.
    const config = { ...createConfig(), redis: { ...createConfig().redis, url } };
    expect(maskConfig(config).redis.url).toBe(shown);
  });

  it('a table has a line for every setting', () => {
    const loaded = load(['--redis-url', 'redis://u:hush@h', '--port', '0']);
    const lines = printConfig(loaded).trimEnd().split('\n');
    expect(lines.map((line) => line.split(/\s{2,}/)[0])).toEqual([...settings.keys()]);
    expect(lines.find((line) => line.startsWith('redis.url '))?.split(/\s{2,}/)).toEqual([
      'redis.url',
      '"redis://u:***@h"',
      'flag',
      'EARSHOT_REDIS_URL',
    ]);
    expect(lines.find((line) => line.startsWith('servers.web.port '))?.split(/\s{2,}/)).toEqual([
      'servers.web.port',
      '0',
      'flag',
      'EARSHOT_SERVERS_WEB_PORT',
    ]);
  });
});
