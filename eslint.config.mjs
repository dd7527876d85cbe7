/**
 * What the formatter and the compiler cannot see: promises nobody awaits, `any`, and HTML made from text.
 */
import js from '@eslint/js';
import globals from 'globals';
import tseslint from 'typescript-eslint';

const htmlFromText = ['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'createContextualFragment', 'srcdoc'];

// DOM types are in scope for the client library, so a server file that misspells a local would read a browser global.
const browserOnly = ['window', 'document', 'location', 'self', 'name', 'event', 'status', 'origin', 'parent', 'close'];

export default tseslint.config(
  { ignores: ['dist/', 'coverage/', 'public/client/', 'public/vendor/', 'bench/peers/node_modules/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // `() => socket.destroy()` as a listener says what it does; a body with braces says it no better.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // A `_` in front names a parameter that is there only for the ones after it.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
    },
  },
  {
    rules: {
      eqeqeq: 'error',
      'no-restricted-properties': [
        'error',
        ...htmlFromText.map((property) => ({ property, message: 'Text from clients goes into textContent only.' })),
        { object: 'document', property: 'write', message: 'Text from clients goes into textContent only.' },
      ],
    },
  },
  {
    files: ['src/**/*.ts', 'actions/**/*.ts', 'middleware/**/*.ts'],
    ignores: ['src/client/**'],
    rules: {
      'no-restricted-globals': ['error', ...browserOnly],
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true, named: true, defaultFrom: true } }],
    },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      // A test that knows the table has a second row should say `rows[1]!`; when it is wrong, the test fails, as it should.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Answers parsed from JSON are `any` here, and expect() is their check.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      // Fakes are async because the interface is, and handlers may be given that only count.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      // `expect(object.method)` is not a call that lost its `this`.
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  { files: ['**/*.js'], languageOptions: { sourceType: 'commonjs', globals: globals.node } },
  { files: ['**/*.cjs'], languageOptions: { globals: globals.node } },
  { files: ['**/*.mjs'], languageOptions: { globals: globals.node } },
  {
    files: ['public/**/*.js', 'test/browser/**/*.js'],
    languageOptions: { sourceType: 'module', globals: globals.browser },
  },
);
