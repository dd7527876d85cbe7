/** Whom a limit per address counts as one: an IPv4 address, or the /64 of IPv6 that one subscriber has to itself. */

const WITH_PORT = /^(?:(\d+(?:\.\d+){3})|\[([^\]]*)\])(?::\d+)?$/;
const MAPPED = /^::ffff:(\d+(?:\.\d+){3})$/i;

/** @param address as Node writes a peer's, or as a proxy writes a client's; what is neither is its own name */
export function networkOf(address: string): string {
  const [, v4, bracketed] = WITH_PORT.exec(address) ?? [];
  if (v4 !== undefined) return v4;
  const [plain = ''] = (bracketed ?? address).split('%');
  const mapped = MAPPED.exec(plain)?.[1];
  if (mapped !== undefined) return mapped;
  return plain.includes(':') ? `${firstHalf(plain.toLowerCase())}::/64` : address;
}

function firstHalf(v6: string): string {
  const [head = '', tail] = v6.split('::', 2);
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const groups = [...before, ...Array<string>(zeros).fill('0'), ...after];
  return groups
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':');
}
