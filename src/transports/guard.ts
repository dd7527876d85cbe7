/** Which requests may act at all: not those that another site's page makes, nor those for another host. */
import type { IncomingMessage } from 'node:http';
import { ChatError } from '../protocol/errors';
import type { Origins } from './address';

export interface GuardOptions {
  /** `https://example.com`, `https://*.example.com`, or `*` alone. */
  readonly allowedOrigins: readonly string[];
  /** Hosts answered for; null: any. */
  readonly allowedHosts: readonly string[] | null;
  readonly origins: Origins;
}

/** What the answer tells a browser of another, allowed site. */
export type CorsHeaders = Readonly<Record<string, string>>;

export class Guard {
  readonly #exact: ReadonlySet<string>;
  /** Of `https://*.example.com`: the text before and after the star. */
  readonly #wild: readonly (readonly [string, string])[];
  readonly #any: boolean;
  readonly #hosts: ReadonlySet<string> | undefined;

  constructor(readonly options: GuardOptions) {
    const lower = options.allowedOrigins.map((origin) => origin.toLowerCase());
    this.#any = lower.includes('*');
    this.#exact = new Set(lower.filter((origin) => !origin.includes('*')));
    this.#wild = lower
      .filter((origin) => origin !== '*' && origin.includes('*'))
      .map((origin) => [origin.slice(0, origin.indexOf('*')), origin.slice(origin.indexOf('*') + 1)] as const);
    this.#hosts = options.allowedHosts ? new Set(options.allowedHosts.map((host) => host.toLowerCase())) : undefined;
  }

  /** Against DNS rebinding: a page of evil.test whose name was turned to our address sends its own name. */
  checkHost(request: IncomingMessage): void {
    // RFC 9112 section 3.2: whoever is in front of us may have believed the other one.
    if (namesTwoHosts(request)) throw new ChatError('bad_request', 'there must be one Host');
    if (!this.#hosts) return;
    const host = (request.headers.host ?? '').toLowerCase();
    if (this.#hosts.has(host) || this.#hosts.has(host.replace(/:\d*$/, ''))) return;
    throw new ChatError('wrong_host');
  }

  /** The one answer for HTTP, streams and upgrades. An origin that is our own needs no permission. */
  originAllowed(origin: string, request: IncomingMessage): boolean {
    return this.#isOwn(origin, request) || this.#listed(origin);
  }

  /**
   * Three marks together, because none suffices: a GET by another site's page brings no Origin, plain HTTP brings no
   * Sec-Fetch-Site, and a Lax cookie comes along with a top-level navigation.
   * @param lookalike the client is known by what every browser of its kind sends, and no cookie protects it
   * @throws ChatError cross_site
   */
  checkSite(request: IncomingMessage, lookalike: boolean): void {
    const { origin, referer, accept = '' } = request.headers;
    const site = request.headers['sec-fetch-site'];
    if (origin !== undefined) {
      // Whatever its purpose: who may speak by a fetch may speak by one ahead, and rules for that send no Origin at all.
      if (!this.originAllowed(origin, request)) throw new ChatError('cross_site');
      return;
    }
    if (site === 'same-origin') return;
    // A page's speculation rules have its visitor's browser fetch an address as if that had been typed.
    if (isSpeculative(request)) throw new ChatError('cross_site');
    if (site === 'none') return;
    if (site !== undefined) throw new ChatError('cross_site');
    if (referer !== undefined && !this.originAllowed(originOf(referer), request)) throw new ChatError('cross_site');
    // A browser on plain HTTP that goes there by itself, or fetches a picture: nothing that a page of ours does.
    if (referer === undefined && /text\/html|image\//.test(accept)) throw new ChatError('cross_site');
    if (lookalike && isBrowser(request) && request.headers['x-chat'] === undefined) throw new ChatError('cross_site');
  }

  /**
   * What nobody's cookie came with would be a new client's word. On plain HTTP a page of another site can have its
   * visitor's browser leave out every mark; then only what all browsers send, and few programs do, tells that it is one.
   * A page of ours shows by its referrer, its cookie or `X-Chat` that it is.
   * @throws ChatError cross_site
   */
  checkStranger(request: IncomingMessage): void {
    const { origin, referer, 'sec-fetch-site': site, 'x-chat': ours, 'accept-language': language } = request.headers;
    const marked = [origin, referer, site, ours].some((mark) => mark !== undefined);
    if (!marked && language !== undefined && isBrowser(request)) throw new ChatError('cross_site');
  }

  /**
   * Let in only because any site is (`*`): then, as browsers demand of CORS, nobody's cookies count, be it that the
   * browser sends them (another port of this host is the same site to it).
   */
  isAnonymous(request: IncomingMessage): boolean {
    const { origin } = request.headers;
    return this.#any && origin !== undefined && !this.#isOwn(origin, request);
  }

  /** A WebSocket's handshake: browsers always send Origin and never Sec-Fetch-Site, other programs send neither. */
  checkUpgrade(request: IncomingMessage): void {
    const { origin } = request.headers;
    if (origin !== undefined && !this.originAllowed(origin, request)) throw new ChatError('cross_site');
  }

  cors(request: IncomingMessage): CorsHeaders | undefined {
    const { origin } = request.headers;
    if (origin === undefined || this.#isOwn(origin, request) || !this.#listed(origin)) return undefined;
    if (this.#any) return { 'Access-Control-Allow-Origin': '*', 'Cross-Origin-Resource-Policy': 'cross-origin' };
    return {
      'Access-Control-Allow-Origin': origin,
      'Access-Control-Allow-Credentials': 'true',
      'Cross-Origin-Resource-Policy': 'cross-origin',
    };
  }

  #isOwn(origin: string, request: IncomingMessage): boolean {
    const host = request.headers.host?.toLowerCase();
    if (host === undefined) return false;
    const asked = origin.toLowerCase();
    // A proxy may end TLS and not tell us. The other way round, whoever is in the way of plain HTTP would be let in.
    if (asked === `https://${host}`) return true;
    return asked === `http://${host}` && !this.options.origins.secure(request);
  }

  /** `null` (a sandboxed frame, a file) is nobody's origin, whatever the list says. */
  #listed(origin: string): boolean {
    const asked = origin.toLowerCase();
    if (asked === 'null') return false;
    if (this.#any || this.#exact.has(asked)) return true;
    return this.#wild.some(([before, after]) => {
      const name = asked.slice(before.length, asked.length - after.length);
      return asked.startsWith(before) && asked.endsWith(after) && /^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(name);
    });
  }
}

/** Fetch ahead, by whatever name browsers have had for it. */
function isSpeculative({ headers }: IncomingMessage): boolean {
  return ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'].some((name) =>
    /prefetch|prerender|preview/i.test(String(headers[name])),
  );
}

function isBrowser({ headers }: IncomingMessage): boolean {
  return (headers['user-agent'] ?? '').includes('Mozilla');
}

function namesTwoHosts({ rawHeaders }: IncomingMessage): boolean {
  let hosts = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name?.length === 4 && name.toLowerCase() === 'host') hosts += 1;
  }
  return hosts > 1;
}

function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : 'null';
}
