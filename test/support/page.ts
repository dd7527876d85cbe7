/** Plays a page: runs its blocks in their order, as a reader would, and compares what comes with what it says. */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inspect } from 'node:util';
import ts from 'typescript';
import { WebSocket } from 'ws';
import { actions } from '../../actions';
import { commandDefaults, createConfig, type SettingsInput } from '../../src/config';
import * as client from '../../src/client/node';
import * as earshot from '../../src/index';
import type { Block } from './documents';
import { eventually } from './eventually';
import { Inbox } from './inbox';
import { KeptLog } from './logger';
import { tcpPeer, webSocketPeer, type Peer } from './peers';
import { programFile } from './program';
import { freshPrefix, sharedRedis } from './redis';
import { run, Terminal } from './shell';
import { StandIns } from './stand-ins';
import { commandsIn, joined, stepsIn } from './steps';

/** Ports that the pages speak of. In a run each is some free one. */
const PORTS = ['8080', '8081', '5000', '5001', '3000', '9100'] as const;
const REDIS = 'redis://localhost:6379';

type Serving = { close(): Promise<void> };
type AsyncFunction = (...given: readonly unknown[]) => Promise<void>;
const AsyncFunction = (async () => {}).constructor as new (...text: readonly string[]) => AsyncFunction;

export class Page {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'earshot-page-'));
  readonly #values = new StandIns();
  readonly #ports = new Map<string, string>();
  readonly #terminals = new Map<string, Terminal>();
  readonly #peers = new Map<string, Peer>();
  readonly #links = new Set<WebSocket>();
  readonly #listening = new Set<net.Server>();
  readonly #serving: Serving[] = [];
  readonly #prefix = freshPrefix();
  /** What the page's own server is to have: settings, actions and middleware that its blocks brought. */
  #config: SettingsInput = {};
  #actions: earshot.Action<earshot.Api>[] = [];
  #middleware: earshot.ChatMiddleware[] = [];
  #server: earshot.ChatServer | undefined;
  /** The page starts servers by itself: by `npm start`, or by a program. */
  #isServed = false;

  async open(): Promise<void> {
    const free = await Promise.all(PORTS.map(freePort));
    for (const [index, port] of PORTS.entries()) this.#ports.set(port, String(free[index]));
  }

  async close(): Promise<void> {
    for (const peer of this.#peers.values()) peer.close();
    for (const link of this.#links) link.terminate();
    await Promise.all([...this.#terminals.values()].map((terminal) => terminal.close()));
    await this.#server?.close();
    await Promise.all(this.#serving.map((each) => each.close()));
    for (const server of this.#listening) {
      if (server instanceof http.Server) server.closeAllConnections();
      server.close();
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async play(block: Block): Promise<void> {
    switch (block.language) {
      case 'bash':
        return this.#bash(block);
      case 'console':
        return this.#console(block);
      case 'tcp':
      case 'websocket':
      case 'primus':
        return this.#transcript(block);
      case 'ts':
      case 'js':
        return this.#program(block);
      case 'json':
        return this.#settings(block);
      default:
        throw new Error(`nothing here can run ${block.language || 'a block without a language'}`);
    }
  }

  // --- commands ---

  async #bash(block: Block): Promise<void> {
    await this.#makeRoom(block);
    const output = block.output?.lines;
    for (const command of commandsIn(block.lines)) {
      if (isServer(command)) await this.#expect((await this.#start(`bash ${block.line}`, command)).inbox, output ?? []);
      else {
        const printed = await this.#run(command);
        if (output) this.#compareAll(output, printed);
      }
    }
  }

  /**
   * `$ command` and what it prints; or several terminals at once: `1$ command` leaves it running, `1> text` types, and
   * `1: text` is what it prints next.
   */
  async #console(block: Block): Promise<void> {
    await this.#makeRoom(block);
    const steps = stepsIn(block.lines);
    for (const { terminal, sign, text, output } of steps) {
      if (terminal === '') this.#compareAll(output, await this.#run(text));
      else if (sign === '$') await this.#start(terminal, text);
      else if (sign === '>') this.#terminal(terminal).type(this.#values.real(text));
      else await this.#expect(this.#terminal(terminal).inbox, [text]);
    }
  }

  /** Whoever starts servers anew has stopped those of before. */
  async #makeRoom(block: Block): Promise<void> {
    if (!block.lines.some(isServer)) return;
    await Promise.all([...this.#terminals.values()].map((terminal) => terminal.close()));
    this.#terminals.clear();
  }

  async #run(command: string): Promise<readonly string[]> {
    await this.#ready();
    return run(this.#real(command), this.#shell);
  }

  async #start(name: string, command: string): Promise<Terminal> {
    if (isServer(command)) this.#isServed = true;
    else await this.#ready();
    await this.#terminals.get(name)?.close();
    const head = path.join(this.#folder, `head-${randomUUID()}`);
    writeFileSync(path.join(this.#folder, '.curlrc'), `dump-header = "${head}"\n`);
    const terminal = new Terminal(this.#real(command), {
      ...this.#shell,
      env: { ...this.#shell.env, CURL_HOME: this.#folder },
    });
    this.#terminals.set(name, terminal);
    if (command.startsWith('curl')) await this.#answered(head, command);
    return terminal;
  }

  /** Whoever types in the next terminal does so after this one's stream has begun; a poll that waits tells nothing yet. */
  async #answered(head: string, command: string): Promise<void> {
    const patience = command.includes('stream') ? 15_000 : 250;
    await eventually(() => existsSync(head) && statSync(head).size > 0, patience).catch((error: unknown) => {
      if (patience > 250) throw error;
    });
  }

  #terminal(name: string): Terminal {
    const terminal = this.#terminals.get(name);
    if (!terminal) throw new Error(`nothing runs in terminal ${name}`);
    return terminal;
  }

  get #shell(): { cwd: string; env: Record<string, string | undefined> } {
    const env = {
      EARSHOT_SERVERS_WEB_PORT: this.#ports.get('8080'),
      EARSHOT_SERVERS_SOCKET_PORT: this.#ports.get('5000'),
      EARSHOT_REDIS_PREFIX: this.#prefix,
      EARSHOT_LOG_LEVEL: 'error',
    };
    return { cwd: this.#folder, env };
  }

  // --- transcripts ---

  /** `> text` is sent, `< text` comes next, `x 1000` is the close. A name behind the language keeps the link open. */
  async #transcript(block: Block): Promise<void> {
    await this.#ready();
    const [name] = block.words;
    const known = name === undefined ? undefined : this.#peers.get(name);
    const peer = known ?? (await this.#connect(block.language));
    if (name !== undefined) this.#peers.set(name, peer);
    for (const line of joined(block.lines)) {
      const text = line.slice(2);
      if (line.startsWith('> ')) peer.send(this.#values.real(text));
      else if (line.startsWith('< ')) await this.#expect(peer.inbox, [text]);
      else if (line.startsWith('x ')) this.#compare(text, await peer.ended);
      else throw new Error(`a line of a transcript begins with "> ", "< " or "x ": ${line}`);
    }
    if (name === undefined) peer.close();
  }

  async #connect(language: string): Promise<Peer> {
    if (language === 'tcp') return tcpPeer(Number(this.#ports.get('5000')));
    const path = language === 'primus' ? '/primus' : '/chat/';
    return webSocketPeer(`ws://127.0.0.1:${this.#ports.get('8080') ?? ''}${path}`);
  }

  // --- programs and settings ---

  async #program(block: Block): Promise<void> {
    const written = block.lines.join('\n');
    if (/\bcreateServer\(/.test(written) && written.includes('8080')) this.#isServed = true;
    else if (written.includes('8080')) await this.#ready();
    const printed = new Inbox<string>('line of the program');
    const print = (...values: readonly unknown[]): void => {
      const texts = values.map((value) => (typeof value === 'string' ? value : inspect(value, { breakLength: 120 })));
      for (const line of texts.join(' ').split('\n')) printed.put(line);
    };
    const exported: Record<string, unknown> = {};
    const given = {
      exports: exported,
      module: { exports: exported },
      require: this.#require(),
      console: { log: print, error: print },
      WebSocket: this.#webSockets(),
      // A program that listens for signals must not do so here.
      process: { env: process.env, on: () => undefined, once: () => undefined },
    };
    // The program's servers are ours to close, whatever it does with them.
    const listen = net.Server.prototype.listen;
    const listening = this.#listening;
    net.Server.prototype.listen = function (this: net.Server, ...options: never[]) {
      listening.add(this);
      return Reflect.apply(listen, this, options) as net.Server;
    } as typeof listen;
    try {
      const text = javascriptOf(this.#ported(this.#values.real(written)));
      await new AsyncFunction(...Object.keys(given), text)(...Object.values(given));
    } finally {
      net.Server.prototype.listen = listen;
    }
    if (block.words.includes('serve')) await this.#serve(Object.values(exported));
    await this.#expect(printed, block.output?.lines ?? []);
  }

  /** What a program gets for `earshot`: the sources, quiet, and remembered so that they are closed. */
  #require(): (name: string) => unknown {
    const require = createRequire(__filename);
    const kept = async <T extends Serving>(making: Promise<T>): Promise<T> => {
      const made = await making;
      this.#serving.push(made);
      return made;
    };
    const library = {
      ...earshot,
      createServer: (options: earshot.ChatServerOptions) =>
        kept(earshot.createServer({ logger: new KeptLog(), ...options })),
      createChat: (options: earshot.ChatServerOptions) =>
        kept(earshot.createChat({ logger: new KeptLog(), ...options })),
    };
    const libraries = new Map<string, unknown>([
      ['earshot', library],
      ['earshot/client', client],
    ]);
    return (name) => libraries.get(name) ?? (require(name) as unknown);
  }

  /** A browser's WebSocket, remembered so that it is closed. */
  #webSockets(): new (url: string) => WebSocket {
    const links = this.#links;
    return class extends WebSocket {
      constructor(url: string) {
        super(url);
        links.add(this);
        this.on('error', () => undefined);
      }
    };
  }

  async #settings(block: Block): Promise<void> {
    const settings = JSON.parse(block.lines.join('\n')) as SettingsInput;
    createConfig(settings);
    const file = block.words.find((word) => word.startsWith('file='))?.slice(5);
    if (file !== undefined) writeFileSync(path.join(this.#folder, file), this.#ported(block.lines.join('\n')));
    if (!block.words.includes('serve')) return;
    this.#config = settings;
    await this.#restart();
  }

  // --- the page's own server ---

  async #serve(values: readonly unknown[]): Promise<void> {
    for (const value of values.flat()) {
      if (isAction(value)) this.#actions = [...this.#actions, value];
      else if (isMiddleware(value)) this.#middleware = [...this.#middleware, value];
    }
    await this.#restart();
  }

  async #restart(): Promise<void> {
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
    await this.#server?.close();
    this.#server = undefined;
  }

  async #ready(): Promise<void> {
    if (this.#server || this.#isServed) return;
    const config = this.#config;
    this.#server = await earshot.createServer({
      actions: [...actions, ...this.#actions],
      middleware: this.#middleware,
      logger: new KeptLog(),
      config: {
        ...config,
        commonWeb: { ...commandDefaults.commonWeb, ...config.commonWeb },
        servers: {
          ...config.servers,
          web: { port: Number(this.#ports.get('8080')) },
          socket: { ...commandDefaults.servers.socket, port: Number(this.#ports.get('5000')) },
        },
      },
    });
  }

  // --- comparing ---

  #compareAll(documented: readonly string[], printed: readonly string[]): void {
    try {
      this.#compareLines(documented, printed);
    } catch (error) {
      const all = printed.map((line) => this.#values.documented(this.#told(line))).join('\n');
      throw new Error(`${(error as Error).message}\n\nall that came:\n${all}`, { cause: error });
    }
  }

  #compareLines(documented: readonly string[], printed: readonly string[]): void {
    const rest = [...printed];
    const wanted = joined(documented);
    for (const [index, line] of wanted.entries()) {
      // A line that is nothing but `…` stands for any number of them.
      if (line !== '…') {
        this.#compare(line, rest.shift() ?? '(nothing more)');
        continue;
      }
      const next = wanted[index + 1];
      while (rest.length > 0 && (next === undefined || this.#trial(next, rest[0] ?? ''))) rest.shift();
    }
    if (rest.length > 0) throw new Error(`more came than is documented:\n${rest.join('\n')}`);
  }

  async #expect(inbox: Inbox<string>, documented: readonly string[]): Promise<void> {
    for (const line of joined(documented)) this.#compare(line, await inbox.next());
  }

  #compare(documented: string, came: string): void {
    // Columns are as wide as what stands in them.
    const [wanted, told] = [documented, this.#told(came)].map((line) => line.replace(/ {2,}/g, '  '));
    const problem = this.#values.compare(wanted!, told!);
    if (problem) throw new Error(problem);
  }

  /** Whether a line differs, without binding what it holds. */
  #trial(documented: string, came: string): boolean {
    const [wanted, told] = [documented, this.#told(came)].map((line) => line.replace(/ {2,}/g, '  '));
    return new StandIns().compare(wanted!, told!) !== undefined;
  }

  // --- the run's addresses for the page's, and back ---

  #real(command: string): string {
    const started = `"${process.execPath}" "${programFile()}"`;
    const program = command.replace(/\bnpm ci && /, '').replace(/\bnpm start\b( --)?|\bnpx earshot\b/, () => started);
    return this.#values.real(program.replace(REDIS, sharedRedis())).replace(portsPattern, (port) => this.#port(port));
  }

  #ported(text: string): string {
    return text.replace(REDIS, sharedRedis()).replace(portsPattern, (port) => this.#port(port));
  }

  #port(documented: string): string {
    return this.#ports.get(documented) ?? documented;
  }

  #told(came: string): string {
    let text = came;
    for (const [documented, real] of this.#ports) text = text.replace(new RegExp(`\\b${real}\\b`, 'g'), documented);
    return text;
  }
}

const portsPattern = new RegExp(`\\b(${PORTS.join('|')})\\b`, 'g');

function isServer(command: string): boolean {
  return /\bnpm start\b(?! -- (config|--port eighty))/.test(command);
}

function javascriptOf(text: string): string {
  const { outputText } = ts.transpileModule(text, {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
  });
  return outputText;
}

function isAction(value: unknown): value is earshot.Action<earshot.Api> {
  return typeof value === 'object' && value !== null && 'perform' in value;
}

function isMiddleware(value: unknown): value is earshot.ChatMiddleware {
  return typeof value === 'object' && value !== null && 'name' in value && !('perform' in value);
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
