import t from 'tap'
import * as rules from './support/house-rules.js'
import { readTree, type Tree } from './support/source-tree.js'

const src = readTree(['src'], /\.tsx?$/)
const code = readTree(['src', 'test', 'scripts'], /\.(tsx?|mjs)$/)
const reachable = readTree(['src', 'scripts'], /\.(tsx?|mjs|html)$/)

/** A rule holds in this repository, and is seen to find what it is there to find. */
function rule(
  name: string,
  find: (tree: Tree) => readonly string[],
  tree: Tree,
  planted: Record<string, string>,
) {
  t.test(name, async (t) => {
    t.strictSame(find(tree), [], 'the repository keeps it')
    for (const [file, text] of Object.entries(planted)) {
      const neighbours = {
        'src/ledger/merkle.ts': 'export const one = 1',
        'src/ledger/secret.ts': 'export const two = 2',
      }
      const found = find(new Map(Object.entries({ ...neighbours, [file]: text })))
      t.ok(
        found.some((line) => line.includes(file)),
        `a violation in ${file} is found`,
      )
    }
  })
}

rule('every source file belongs to one layer', rules.filesWithoutLayer, src, {
  'src/ledger/deep/down/file.ts': '',
  'src/extra.ts': '',
})

rule('imports point inwards', rules.outwardImports, src, {
  'src/contracts/a.ts': "import { one } from '../ledger/merkle.js'",
  'src/projections/a.ts': "import { readFileSync } from 'node:fs'",
  'src/ledger/a.ts': "import { x } from './adapters/file.js'",
  'src/runtime/a.ts': "import { x } from '../assets/adapters/process.js'",
  'src/ledger/adapters/a.ts': "import { proxyActivities } from '@temporalio/workflow'",
  'src/api/a.ts': "import type { X } from '../ledger/adapters/journal.js'",
})

rule('no subject reaches back against the flow of data', rules.unknownSubjects, src, {
  'src/ledger/a.ts': "import { x } from '../projections/tables.js'",
  'src/ledger/adapters/a.ts': "import { x } from '../../proposals/proposal.js'",
  'src/assets/a.ts': "export { x } from '../proposals/proposal.js'",
  'src/projections/a.ts': "import type { X } from '../ontology/terms.js'",
})

rule('a subject uses of another what that one offers', rules.privateImports, src, {
  'src/proposals/a.ts': "import { two } from '../ledger/secret.js'",
  'src/api/a.ts': "const late = await import('../ledger/secret.js')",
})

rule('imports form no cycle', rules.importCycles, src, {
  'src/ledger/a.ts': "import './a.js'",
})

rule('no file is an index', rules.barrels, code, {
  'src/ledger/index.ts': "export * from './merkle.js'",
})

rule('files have at most 400 lines', rules.longFiles, code, {
  'src/ledger/a.ts': 'x()\n'.repeat(401),
})

rule('functions have at most 70 lines of their own, components 120', rules.longFunctions, src, {
  'src/ledger/a.ts': `export function long() {\n${'x()\n'.repeat(69)}}`,
  'src/api/a.ts': `export const long = () => {\n${'x()\n'.repeat(69)}}`,
  'src/portal/a.tsx': `export function Page() {\n${'x()\n'.repeat(119)}}`,
})

rule('names say what a thing is', rules.badNames, code, {
  'src/ledger/string-utils.ts': '',
  'src/ledger/a.ts': 'export class LedgerManager {}',
  'src/runtime/a.ts': 'export const leafHelper = 1',
  'src/assets/a.ts': 'export interface AssetService { x: 1 }',
})

rule('what hides a mistake is not written', rules.bannedExpressions, code, {
  'src/ledger/a.ts': 'export const x = y as any',
  'src/ledger/b.ts': 'export const x = y as unknown as string',
  'src/proposals/a.ts': 'export const now = Date.now()',
  'src/api/a.ts': 'if (process.env.NODE_ENV) x()',
  'src/ledger/adapters/a.ts': 'process.exit(1)',
})

rule('nothing is left for later in the code', rules.leftoverMarks, code, {
  'src/ledger/a.ts': ['// TO', 'DO later'].join(''),
  'src/ledger/b.ts': ['// @ts', 'ignore'].join('-'),
})

rule(
  'the environment is read in main files and the configuration only',
  rules.environmentReaders,
  src,
  {
    'src/ledger/adapters/a.ts': "const home = process.env['HOME']",
    'src/cli/a.ts': 'const { FRACTALOPS_TOKEN } = process.env',
  },
)

rule(
  'only activities and their composition hold the side-effect capability',
  rules.capabilityHolders,
  src,
  {
    'src/api/a.ts': "import type { SideEffectWriter } from '../ledger/writers.js'",
    'src/runtime/followers.ts': "import { mintSideEffectWriter } from '../ledger/writers.js'",
  },
)

rule('every source file is reached from an entry point', rules.unreachedFiles, reachable, {
  'src/ledger/a.ts': 'export const lonely = 1',
})

rule('code that the browser shares needs no Node', rules.nodeInBrowser, src, {
  'src/portal/a.ts': "import { readFile } from 'node:fs/promises'",
  'src/portal/b.ts': "export const bytes = Buffer.from('x')",
})

rule('workflows import nothing that is not deterministic', rules.unfitForWorkflows, src, {
  'src/runtime/workflows.ts': "import { randomUUID } from 'node:crypto'",
  'src/runtime/execute-workflow.ts': "import { Client } from '@temporalio/client'",
})

rule('the runtime starts no browser', rules.browserStarters, src, {
  'src/runtime/a.ts': "import { chromium } from 'playwright-core'",
  'src/assets/adapters/a.ts': "const puppeteer = await import('puppeteer')",
})

t.test('types may name each other, what is there at run time may not', async (t) => {
  const pair = (second: string) =>
    new Map([
      ['src/runtime/workflows.ts', "import type { Steps } from './steps.js'\nexport const run = 1"],
      ['src/runtime/steps.ts', second],
    ])
  t.strictSame(rules.importCycles(pair("import { run } from './workflows.js'")), [])
  const both = new Map([
    ['src/runtime/workflows.ts', "import { steps } from './steps.js'"],
    ['src/runtime/steps.ts', "import { type Run } from './workflows.js'"],
  ])
  t.equal(rules.importCycles(both).length, 1)
})

t.test('code that the browser shares is followed through what it imports', async (t) => {
  const tree = new Map([
    ['src/portal/page.tsx', "import { leaf } from '../ledger/leaf.js'"],
    [
      'src/ledger/leaf.ts',
      "import { createHash } from 'node:crypto'\nexport const leaf = createHash",
    ],
  ])
  t.strictSame(rules.nodeInBrowser(tree), ['src/ledger/leaf.ts -> node:crypto'])
})

t.test('a file reached by name is not a lonely one', async (t) => {
  const tree = new Map([
    ['src/projections/main.ts', "spawn(new URL('./adapters/child.js', import.meta.url))"],
    ['src/projections/adapters/child.ts', "import './pages.js'"],
    ['src/projections/adapters/pages.ts', ''],
    ['scripts/bundle.mjs', "bundle('dist/runtime/workflows.js')"],
    ['src/runtime/workflows.ts', ''],
  ])
  t.strictSame(rules.unreachedFiles(tree), [])
})

t.test('words in comments and texts are no code', async (t) => {
  const tree = new Map([
    [
      'src/proposals/a.ts',
      "// never Date.now() here, as any reader knows\n/** @see SideEffectWriter */\nexport const x = 'process.env'",
    ],
  ])
  t.strictSame(
    [rules.bannedExpressions, rules.environmentReaders, rules.capabilityHolders].flatMap((find) =>
      find(tree),
    ),
    [],
  )
})
