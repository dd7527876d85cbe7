/** Addresses: whom a limit counts as one, an IPv4 address or the /64 of IPv6 that one subscriber has to itself; what is local. */

const WITH_PORT = /^(?:(\d+(?:\.\d+){3})|\[([^\]]*)\])(?::\d+)?$/;
const DOTTED = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/;
/**
 * What stands before an IPv4 address in IPv6: mapped (RFC 4291, 2.5.5.2) and translated (RFC 6052, 2.1). Such addresses
 * are in one /64 all of them, and are as many subscribers as the IPv4 addresses in them.
 */
const V4_IN_V6 = new Set(['0:0:0:0:0:ffff', '64:ff9b:0:0:0:0']);

/** @param address as Node writes a peer's, or as a proxy writes a client's; what is neither is its own name */
export function networkOf(address: string): string {
  const [, v4, bracketed] = WITH_PORT.exec(address) ?? [];
  if (v4 !== undefined) return v4;
  const [plain = ''] = (bracketed ?? address).split('%');
  if (!plain.includes(':')) return address;
  const groups = groupsOf(plain.toLowerCase());
  if (V4_IN_V6.has(groups.slice(0, 6).join(':'))) return groups.slice(6).flatMap(bytesOfGroup).join('.');
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** The eight groups of an IPv6 address, without leading zeros. */
function groupsOf(v6: string): string[] {
  const [, start, ...bytes] = DOTTED.exec(v6) ?? [];
  const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number);
  const written = start === undefined ? v6 : `${start}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  const [head = '', tail] = written.split('::', 2);
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array<string>(zeros).fill('0'), ...after].map((group) => group.replace(/^0+(?=.)/, ''));
}

function bytesOfGroup(group: string): number[] {
  const number = parseInt(group, 16);
  return [number >>> 8, number & 255];
}

/** Only this machine comes in by it. @param host as a server is told to listen on */
export function isLoopback(host: string): boolean {
  return /^(127\.[\d.]+|::1|localhost)$/.test(host);
}
