/**
 * The order of the test files: the longest first, so that the workers end at the same time. Jest knows how long a file
 * took only where it has run before, and a fresh clone is where somebody waits for it.
 */
'use strict';
const { default: Sequencer } = require('@jest/test-sequencer');

const longest = [
  'integration/queue',
  'fault/redis',
  'integration/command',
  'browser/page',
  'integration/docs',
  'fault/fuzz',
  'fault/exhaustion',
  'integration/slow-peers',
  'integration/http',
  'browser/cross-site',
  'fault/links',
  'integration/redis-store',
  'browser/operator',
  'integration/client',
  'cluster/processes',
  'cluster/hop',
  'fault/cluster',
  'integration/order',
  'browser/client',
  'unit/memory-store',
  'integration/examples',
  'compat/page',
  'integration/proxies',
  'integration/tcp',
  'fault/slow',
  'integration/security-input',
];

/** Smaller is earlier. */
const rank = ({ path }) => {
  const index = longest.findIndex((name) => path.endsWith(`/test/${name}.test.ts`));
  return index === -1 ? longest.length : index;
};

module.exports = class LongestFirst extends Sequencer {
  sort(tests) {
    return [...super.sort(tests)].sort((a, b) => rank(a) - rank(b));
  }
};
