/**
 * Which tests there are, and how long each kind may take.
 *
 * Types are checked by `npm run typecheck`; here ts-jest only strips them. Cost is a fifth of a second per test file
 * (its module graph), so few, well-named files; processes and browsers start slowly under load, hence their 60 s.
 */

/** The projects that need Redis share one, started by global-setup; unit tests run on a machine without it. */
const withRedis = {
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
};

const project = (displayName, testTimeout, more = {}) => ({
  displayName,
  testMatch: [`<rootDir>/test/${displayName}/**/*.test.ts`],
  testEnvironment: 'node',
  transform: { '^.+\\.ts$': ['ts-jest', { diagnostics: false }] },
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  testTimeout,
  ...more,
});

module.exports = {
  maxWorkers: 2,
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/**/*.ts', 'actions/**/*.ts', 'middleware/**/*.ts'],
  projects: [
    project('unit', 10_000),
    project('integration', 10_000, withRedis),
    project('compat', 10_000, withRedis),
    project('cluster', 60_000, withRedis),
    project('fault', 60_000, withRedis),
    project('browser', 60_000, withRedis),
  ],
};
