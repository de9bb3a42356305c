import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { EvidenceError } from '../../src/contracts/errors.js'
import type { PolicyBundle } from '../../src/contracts/policy.js'
import { createCedarEngine } from '../../src/proposals/adapters/cedar.js'
import { readPolicyFolder } from '../../src/proposals/adapters/policy-folder.js'
import { bundleDigest, checkBundle, schemaDigest } from '../../src/proposals/bundle.js'
import type { PolicyQuestion } from '../../src/proposals/policy-engine.js'
import { temporaryFolder } from '../support/ledger.js'
import { bootstrapFolder } from '../support/proposals.js'

const bootstrap = readPolicyFolder(bootstrapFolder)
const ready = createCedarEngine().prepare(bootstrap)

const web = {
  kind: 'process',
  role: 'web',
  lifetime: 'supervisor',
  criticality: 'low',
  run_state: 'running',
  replicas: 1,
}

const about = (
  action: string,
  attributes: Record<string, unknown> = {},
  context: Record<string, unknown> = {},
): PolicyQuestion => ({
  principal: { id: 'ada', access: ['proposer'] },
  action,
  resource: { type: 'Asset', id: 'web-01', attributes: { ...web, ...attributes } },
  context: { operation: action, approvals: 0, assets: 1, ...context },
})

const problemOf = (work: () => unknown): EvidenceError => {
  try {
    work()
  } catch (error) {
    if (error instanceof EvidenceError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

t.test('the bootstrap policies decide as they say', async (t) => {
  const table: readonly [PolicyQuestion, string, readonly string[]][] = [
    [about('start'), 'allow', ['start-and-restart-low']],
    [about('restart', { criticality: 'medium' }), 'deny', []],
    [
      about('restart', { criticality: 'medium' }, { approvals: 1 }),
      'allow',
      ['start-and-restart-approved'],
    ],
    [about('scale', {}, { replicas_after: 3 }), 'allow', ['scale-small-low']],
    [about('scale', {}, { replicas_after: 4 }), 'deny', []],
    [about('scale', {}, { replicas_after: 4, approvals: 1 }), 'allow', ['scale-approved']],
    [about('scale', { criticality: 'high' }, { replicas_after: 2 }), 'deny', []],
    [about('scale', {}, { replicas_after: 9, approvals: 3 }), 'deny', ['scale-limit']],
    [about('configure'), 'deny', []],
    [about('configure', {}, { approvals: 1, ticket: 'OPS-1' }), 'allow', ['configure-approved']],
    [about('stop', {}, { approvals: 1 }), 'allow', ['stop-approved']],
    [about('stop', { criticality: 'high' }, { approvals: 3 }), 'deny', ['stop-never-high']],
    [
      { ...about('start'), principal: { id: 'eve', access: ['auditor'] } },
      'deny',
      ['proposers-only'],
    ],
  ]
  for (const [question, outcome, policies] of table) {
    const answer = ready.ask(question)
    t.equal(answer.outcome, outcome, `${question.action} ${JSON.stringify(question.context)}`)
    t.strictSame(answer.determiningPolicies, policies)
    t.strictSame(answer.errors, [])
    t.equal(answer.reasons.length > 0, outcome === 'deny', 'a deny has its reasons')
  }
  const registration = ready.ask({
    ...about('register'),
    resource: {
      type: 'ProposedAsset',
      id: 'web-01',
      attributes: { kind: 'process', role: 'web', lifetime: 'supervisor', replicas: 1 },
    },
  })
  t.equal(registration.outcome, 'allow', 'a process without criticality may be registered')
  t.match(ready.ask(about('scale', {}, { replicas_after: 9 })).reasons, [
    { code: 'policy-forbids', message: /scale-limit.*above 8/ },
  ])
})

t.test(
  'whatever is not a clear answer is indeterminate, with a reason and who resolves it',
  async (t) => {
    const overflow = createCedarEngine().prepare({
      ...bootstrap,
      name: 'overflow',
      policies: {
        ...bootstrap.policies,
        overflow:
          'forbid (principal, action, resource) when { context.approvals + 9223372036854775807 > 1 };',
      },
    })
    const slow = (() => {
      let now = 0
      return createCedarEngine(() => (now += 30 + (now % 2) + 21)).prepare(bootstrap)
    })()
    const asked = about('scale', {}, { replicas_after: 2 })
    const table: readonly [string, ReturnType<typeof ready.ask>, string, RegExp][] = [
      [
        'a missing attribute',
        ready.ask(about('start', { criticality: undefined })),
        'attribute-missing',
        /criticality/,
      ],
      [
        'a missing part of the context',
        ready.ask(about('scale')),
        'attribute-missing',
        /replicas_after/,
      ],
      [
        'an attribute of another type',
        ready.ask(about('start', { criticality: 3 })),
        'schema-mismatch',
        /criticality/,
      ],
      [
        'a number that is none',
        ready.ask(about('start', { replicas: 1.5 })),
        'schema-mismatch',
        /./,
      ],
      [
        'an attribute unknown to the schema',
        ready.ask(about('start', { vmid: 7 })),
        'schema-mismatch',
        /vmid/,
      ],
      ['an unknown action', ready.ask(about('destroy')), 'schema-mismatch', /destroy/],
      [
        'an action of another type of resource',
        ready.ask(about('register')),
        'schema-mismatch',
        /./,
      ],
      [
        'a policy that errors beside one that allows',
        overflow.ask({ ...asked, context: { ...asked.context, approvals: 1 } }),
        'policy-error',
        /overflow/,
      ],
      ['an engine that throws', ready.ask(about('start', { replicas: 1n })), 'engine-error', /./],
      ['an evaluation that takes too long', slow.ask(asked), 'engine-timeout', /ms/],
    ]
    for (const [cause, answer, code, message] of table) {
      t.equal(answer.outcome, 'indeterminate', cause)
      t.equal(answer.reasons[0]?.code, code, cause)
      t.match(answer.reasons[0]?.message, message, cause)
      t.ok(answer.reasons[0]?.resolvable_by, `${cause}: it says who resolves it`)
      t.ok(answer.errors.length > 0, `${cause}: the engine's own words are kept`)
    }
  },
)

t.test('one slow evaluation on a busy machine is asked for again', async (t) => {
  const readings = [0, 80, 100, 101]
  const engine = createCedarEngine(() => readings.shift() ?? 0)
  t.equal(engine.prepare(bootstrap).ask(about('start')).outcome, 'allow')
})

t.test('a bundle that is not valid is refused with policy, line and problem', async (t) => {
  const engine = createCedarEngine()
  const withPolicy = (text: string): PolicyBundle => ({
    ...bootstrap,
    policies: { ...bootstrap.policies, broken: text },
  })
  const table: readonly [PolicyBundle, RegExp][] = [
    [
      withPolicy('permit (principal, action,\nresource when { true };'),
      /policy broken line 2 column 10: .*when/,
    ],
    [
      withPolicy('permit (principal, action, resource)\nwhen { resource.owner == "x" };'),
      /policy broken line 2 column 8: .*owner/,
    ],
    [
      withPolicy('permit (principal, action == Action::"explode", resource);'),
      /policy broken line 1 .*explode/,
    ],
    [
      withPolicy('permit (principal == ?principal, action, resource);'),
      /policy broken line 1 .*template/,
    ],
    [withPolicy(''), /policy broken/],
    [
      withPolicy('// ä ö ü\npermit (principal, action, resource) when { 1 };'),
      /policy broken line 2 column 45/,
    ],
    [{ ...bootstrap, schema: 'entity Person {\n' }, /schema line 1 column 16: /],
    [{ ...bootstrap, policies: {} }, /0 policies/],
  ]
  for (const [bundle, message] of table) {
    const problem = problemOf(() => engine.prepare(bundle))
    t.equal(problem.code, 'POLICY_INVALID')
    t.match(problem.message, message)
  }
  t.match(
    problemOf(() =>
      checkBundle({ name: 'Not A Name', policies: { 'Bad Id': '' }, schema: 1, extra: true }),
    ).fields,
    [
      { pointer: '/name' },
      { pointer: '/policies/Bad Id' },
      { pointer: '/schema' },
      { pointer: '/extra' },
    ],
  )
})

async function folderOf(t: Test, files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = join(await temporaryFolder(t), 'own')
  mkdirSync(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

t.test('a policy folder is a bundle, or refused by the name of what is wrong', async (t) => {
  const allowAll = 'permit (principal, action, resource);'
  const good = await folderOf(t, {
    'schema.cedarschema': bootstrap.schema,
    'all.cedar': allowAll,
    '.swp': '',
  })
  t.strictSame(readPolicyFolder(good), {
    name: 'own',
    policies: { all: allowAll },
    schema: bootstrap.schema,
  })
  t.equal(bootstrap.name, 'bootstrap')

  const refusals: readonly [string, RegExp][] = [
    ['/nowhere/at/all', /nowhere.*cannot be read/],
    [await folderOf(t, { 'all.cedar': allowAll }), /has no schema\.cedarschema/],
    [await folderOf(t, { 'schema.cedarschema': bootstrap.schema }), /0 policies/],
    [await folderOf(t, { 'schema.cedarschema': bootstrap.schema, 'notes.txt': 'x' }), /notes\.txt/],
    [
      await folderOf(t, {
        'schema.cedarschema': bootstrap.schema,
        'all.cedar': Uint8Array.of(0xff, 0xfe),
      }),
      /all\.cedar is not UTF-8/,
    ],
    [
      await folderOf(t, {
        'schema.cedarschema': bootstrap.schema,
        'all.cedar': 'x'.repeat(300_000),
      }),
      /all\.cedar has 300000 bytes/,
    ],
  ]
  for (const [folder, message] of refusals) {
    const problem = problemOf(() => readPolicyFolder(folder))
    t.equal(problem.code, 'POLICY_INVALID')
    t.match(problem.message, message)
  }
})

t.test('digests are SHA-256 of RFC 8785 JSON', async (t) => {
  // printf '%s' '{"name":"b","policies":{"a":"permit (principal, action, resource);"},"schema":"entity Person;"}' | sha256sum
  const bundle: PolicyBundle = {
    schema: 'entity Person;',
    name: 'b',
    policies: { a: 'permit (principal, action, resource);' },
  }
  t.equal(bundleDigest(bundle), '32e4ab7fb3e17f486841f5c45596cd3df3c1ba6fdd2202445f94b966f5f918ca')
  t.equal(schemaDigest(bundle), 'c2001bcdaeb4fa0e615eb6cc7fa83cfa301668422a981944cbf5934960f1acab')
  t.equal(bundleDigest({ ...bundle, policies: { ...bundle.policies } }), bundleDigest(bundle))
  t.equal(ready.bundleDigest, bundleDigest(bootstrap))
})
