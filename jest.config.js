/**
 * Which tests there are.
 *
 * Types are checked by `npm run typecheck`; here they are only stripped. Cost is a fifth of a second per test file
 * (its module graph), so few, well-named files.
 */

const { availableParallelism } = require('node:os');

/** The projects that need Redis share one, started by global-setup; unit tests run on a machine without it. */
const withRedis = {
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
};

const project = (displayName, more = {}) => ({
  displayName,
  testMatch: [`<rootDir>/test/${displayName}/**/*.test.ts`],
  testEnvironment: 'node',
  transform: { '^.+\\.ts$': '<rootDir>/test/support/transform.cjs' },
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  ...more,
});

module.exports = {
  // More than there are cores: half of the time a test of sockets, leases and browsers waits.
  maxWorkers: availableParallelism() * 2,
  // Jest ends a worker that has not gone half a second after its last test, and says that tests leak. With its loop empty,
  // and no handle left, one gives back up to a gigabyte of what it loaded: on a busy machine that takes 0.4 to 0.6 s.
  workerGracefulExitTimeout: 10_000,
  testSequencer: '<rootDir>/test/support/longest-first.cjs',
  // Jest knows no timeout of a project's own: this is for the slowest, those that start processes and break them.
  testTimeout: 60_000,
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/**/*.ts', 'actions/**/*.ts', 'middleware/**/*.ts'],
  projects: [
    project('unit'),
    project('integration', withRedis),
    project('compat', withRedis),
    project('cluster', withRedis),
    project('fault', withRedis),
    project('browser', withRedis),
  ],
};
