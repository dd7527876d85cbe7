/**
 * The order of the test files: the longest first, so that the workers end at the same time. Jest knows how long a file
 * took only where it has run before, and a fresh clone is where somebody waits for it.
 */
'use strict';
const { default: Sequencer } = require('@jest/test-sequencer');

const longest = [
  'integration/command',
  'integration/http',
  'browser/page',
  'integration/docs',
  'browser/cross-site',
  'integration/queue',
  'integration/order',
  'fault/redis',
  'fault/exhaustion',
  'fault/fuzz',
  'cluster/processes',
  'compat/page',
  'cluster/hop',
  'browser/operator',
  'browser/client',
  'fault/cluster',
  'fault/deployments',
  'integration/client',
  'integration/deploy',
  'integration/terminal',
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
