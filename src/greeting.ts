/** What the command prints when it listens: where, and lines to try, which work as they are printed. */
import type { ChatServer } from './server';

export type Greeted = Pick<ChatServer, 'url' | 'tcp' | 'admin' | 'config'>;

/** @param operator whether to tell of the operator's page */
export function greeting({ url, tcp, admin, config }: Greeted, operator: boolean): string {
  const listening = `earshot listening on ${url}${tcp ? ` (tcp ${tcp.host}:${String(tcp.port)})` : ''}\n`;
  const { httpClientMessageTTL, allowedHosts } = config.commonWeb;
  if (httpClientMessageTTL === null) return listening;
  const chat = `${reachedBy(url, allowedHosts)}chat/?method=`;
  const lines = [
    `curl -c jar -b jar "${chat}roomView"`,
    `curl -c jar -b jar "${chat}say&message=hello%20world"`,
    `curl -c jar -b jar "${chat}messages&wait=25"`,
    `curl -N "${chat}messages&stream=ndjson"`,
    ...(tcp ? [`nc ${ANY.has(tcp.host) ? 'localhost' : tcp.host} ${String(tcp.port)}`] : []),
  ];
  const page = admin && operator ? `\nOperator's page: ${admin.url}\n` : '';
  return `${listening}\nTry:\n${lines.map((line) => `  ${line}\n`).join('')}${page}`;
}

/** All addresses of a machine: to listen on, and none to go to. */
const ANY: ReadonlySet<string> = new Set(['0.0.0.0', '::', '[::]']);
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** A server on all addresses is asked by a name that it answers to: one of this machine, where there is one. */
function reachedBy(url: string, allowedHosts: readonly string[] | null): string {
  const address = new URL(url);
  if (!ANY.has(address.hostname)) return url;
  const name = LOOPBACK.find((host) => allowedHosts?.includes(host) ?? true) ?? allowedHosts?.find(isBare);
  if (name === undefined) return url;
  address.hostname = name;
  return address.href;
}

/** Without a port, which would be a proxy's. */
const isBare = (host: string): boolean => !/:\d+$/.test(host);
