/**
 * Strips the types of what Jest runs. By esbuild: loading TypeScript's compiler costs each of Jest's workers longer than
 * esbuild takes for all of our files.
 */
'use strict';
const { createHash } = require('node:crypto');
const { transformSync, version } = require('esbuild');

const options = { loader: 'ts', format: 'cjs', platform: 'node', target: 'node20', sourcemap: 'inline' };

module.exports = {
  getCacheKey: (source, file, { instrument }) =>
    createHash('sha256')
      .update(JSON.stringify([version, options, file, instrument, source]))
      .digest('hex'),
  process: (source, file) => transformSync(source, { ...options, sourcefile: file }),
};
