import { Tokens } from '../../src/core/tokens';
import { heapInUse } from '../support/collected';

const tokens = new Tokens('a secret of the deployment, 32 characters');
const now = 1_700_000_000_000;

describe('a token', () => {
  test('is read by every node with the same secret, with its time and its id', () => {
    const token = tokens.issue(now);
    const other = new Tokens(tokens.secret);
    expect(token).toMatch(/^[A-Za-z0-9_-]{60}$/);
    expect(other.read(token)).toEqual({ outcome: 'ours', id: tokens.id(token), issuedAt: now });
    expect(other.read(token)).toEqual({ outcome: 'ours', id: tokens.id(token), issuedAt: now });
  });

  test('is never the same twice', () => {
    expect(new Set(Array.from({ length: 1000 }, () => tokens.issue(now))).size).toBe(1000);
  });

  test('of another deployment, or changed in any character, is forged', () => {
    const token = tokens.issue(now);
    expect(new Tokens('another secret').read(token).outcome).toBe('forged');
    for (let index = 0; index < token.length; index += 1) {
      const changed = token.slice(0, index) + (token[index] === 'A' ? 'B' : 'A') + token.slice(index + 1);
      expect(tokens.read(changed).outcome).toBe('forged');
    }
  });

  test.each(['', 'abc', 'a'.repeat(59), 'a'.repeat(61), `${'a'.repeat(59)}=`, `${'a'.repeat(59)}\n`])(
    '%j has not its form, and is somebody else’s',
    (text) => {
      expect(tokens.read(text).outcome).toBe('foreign');
    },
  );

  test('more than are remembered are still read', () => {
    const small = new Tokens('small');
    const first = small.issue(now);
    for (let index = 0; index < 10_001; index += 1) small.read(small.issue(now));
    expect(small.read(first).outcome).toBe('ours');
  });
});

test('what is remembered of a token is not the header that it came in', () => {
  const before = heapInUse();
  for (let index = 0; index < 500; index += 1) {
    const header = Buffer.from(`Bearer ${tokens.issue(now)} ${'x'.repeat(16_000)}`).toString('latin1');
    expect(tokens.read(header.split(' ', 2)[1]!).outcome).toBe('ours');
  }
  expect(heapInUse() - before).toBeLessThan(2_000_000);
});

describe('what others may know', () => {
  test('an id has 22 characters, depends on the secret and does not hold the token', () => {
    const token = tokens.issue(now);
    const id = tokens.id(token);
    expect(id).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(new Tokens('another secret').id(token)).not.toBe(id);
    expect(tokens.read(id).outcome).toBe('foreign');
  });

  test('a fingerprint is the same for the same elements, and its parts do not run together', () => {
    expect(tokens.fingerprintId(['10.0.0.1', 'curl'])).toBe(tokens.fingerprintId(['10.0.0.1', 'curl']));
    expect(tokens.fingerprintId(['ab', 'c'])).not.toBe(tokens.fingerprintId(['a', 'bc']));
  });

  test('marks and signatures are keyed by their purpose', () => {
    expect(tokens.mark('room:x')).toHaveLength(8);
    expect(tokens.mark('room:x')).toBe(new Tokens(tokens.secret).mark('room:x'));
    expect(tokens.mark('room:x')).not.toBe(tokens.mark('presence:x'));
    expect(tokens.sign('room', 'x')).not.toBe(tokens.sign('id', 'x'));
    expect(tokens.sign('room', 'x')).not.toBe(tokens.id('x'));
  });
});
