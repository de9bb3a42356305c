import js from '@eslint/js'
import reactHooks from 'eslint-plugin-react-hooks'
import { defineConfig } from 'eslint/config'
import tseslint from 'typescript-eslint'

// What the compiler cannot see. Form is Prettier's, layers and sizes are test/architecture.test.ts's.
export default defineConfig(
  { ignores: ['dist/', 'node_modules/', 'data/', '.tap/', 'coverage/', 'src/portal/generated/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      'no-undef': 'off',
      eqeqeq: 'error',
      'no-console': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      // The checker forgets that a flag or a signal may change while something is awaited.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_' },
      ],
      '@typescript-eslint/no-invalid-void-type': ['error', { allowInGenericTypeArguments: true }],
      // `!` stands only beside the line that proves it; reviews see to that.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // `() => void (done = true)` says that nothing is answered.
      '@typescript-eslint/no-meaningless-void-operator': 'off',
      // A port answers promises even where one adapter has nothing to wait for.
      '@typescript-eslint/require-await': 'off',
      // A parameter that only names the answer's type is how a caller says what it expects.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      // Rejecting with the error that was caught keeps it as it is.
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingUnknown: true, allowThrowingAny: true },
      ],
    },
  },
  {
    files: [
      'src/cli/**',
      'src/*/main.ts',
      'src/projections/adapters/*-main.ts',
      'scripts/**',
      'examples/**',
      'bench/**',
    ],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['src/portal/**/*.{ts,tsx}'],
    extends: [reactHooks.configs.flat.recommended],
    rules: {
      '@typescript-eslint/no-misused-promises': [
        'error',
        { checksVoidReturn: { attributes: false } },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      'no-console': 'off',
      // Promises of nested tests and of the assertions on promises belong to tap, which waits for them.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              package: '@tapjs/core',
              name: ['test', 'skip', 'todo', 'rejects', 'resolves', 'resolveMatch'],
            },
            { from: 'package', package: '@tapjs/test', name: ['test', 'skip', 'todo'] },
            {
              from: 'package',
              package: '@tapjs/asserts',
              name: ['rejects', 'resolves', 'resolveMatch'],
            },
          ],
        },
      ],
      '@typescript-eslint/no-misused-promises': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: {
      globals: Object.fromEntries(
        [
          'process',
          'console',
          'Buffer',
          'URL',
          'AbortController',
          'AbortSignal',
          'fetch',
          'setTimeout',
          'clearTimeout',
          'setInterval',
          'clearInterval',
          'TextDecoder',
          'TextEncoder',
          'performance',
          'queueMicrotask',
          'structuredClone',
          'setImmediate',
        ].map((name) => [name, 'readonly']),
      ),
    },
    rules: { 'no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }] },
  },
)
