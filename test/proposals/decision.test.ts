import { randomUUID } from 'node:crypto'
import t from 'tap'
import { EvidenceError } from '../../src/contracts/errors.js'
import type { PolicyEngine } from '../../src/proposals/policy-engine.js'
import type { Proposal } from '../../src/proposals/proposal.js'
import {
  approval,
  body,
  codeOf,
  openTestDesk,
  registration,
  type TestDesk,
  typesOf,
} from '../support/proposals.js'

t.test('a decision shows the difference that the change would make', async (t) => {
  const test = await openTestDesk(t)
  const ada = test.person('ada', 'proposer')
  await test.register('web-01')
  const before = test.ledger.size()

  const decision = await test.desk.simulate(
    ada,
    body({ operation: 'scale', spec: { replicas: 3 } }),
  )

  t.equal(test.ledger.size(), before, 'simulation records nothing')
  t.equal(decision.outcome, 'allow')
  t.strictSame(decision.diff, [
    { asset_id: 'web-01', changes: [{ pointer: '/desired/replicas', before: 1, after: 3 }] },
  ])
  t.match(decision.states, [{ asset_id: 'web-01', state_revision: '0' }])
  const registered = await test.desk.simulate(ada, registration('web-02'))
  t.match(registered.diff[0]?.changes, [{ pointer: '/spec' }, { pointer: '/state' }])
  t.match(registered.states, [{ asset_id: 'web-02', state_revision: null, state_sha256: null }])
})

t.test(
  'whatever is uncertain at submission ends as indeterminate, with its reason and who resolves it',
  async (t) => {
    const broken: PolicyEngine = {
      prepare() {
        throw new EvidenceError('POLICY_INVALID', 'policy a line 1: broken')
      },
    }
    const open = async (options: Parameters<typeof openTestDesk>[1] = {}) => {
      const test = await openTestDesk(t, options)
      await test.register('web-01')
      return test
    }
    const lost = await open()
    await lost.loseMutation('web-01')
    const unknown = await open()
    const table: readonly [string, TestDesk, string][] = [
      ['a mutation whose outcome is unknown', lost, 'mutation-indeterminate'],
      ['policies that the engine refuses', await open({ engine: broken }), 'policy-unavailable'],
      ['a bundle of another digest', await open({ digest: 'a'.repeat(64) }), 'policy-unavailable'],
      ['a proposer without a valid token', unknown, 'principal-unknown'],
    ]
    for (const [cause, test, code] of table) {
      const ada = test.person('ada', 'proposer')
      if (test === unknown) test.tokens.delete('ada')
      const proposal = await test.desk.submit(ada, { id: randomUUID(), body: body({}) })
      t.equal(proposal.status, 'indeterminate', cause)
      t.equal(proposal.route, 'blocked', cause)
      t.equal(proposal.ended?.code, code, cause)
      t.ok(proposal.ended?.resolvable_by, cause)
      t.notOk((await typesOf(test, proposal)).includes('proposal.enqueued'), cause)
    }
  },
)

t.test('at execution policy is asked again, with the approvals that still hold', async (t) => {
  const test = await openTestDesk(t)
  const { desk, decider } = test
  const ada = test.person('ada', 'proposer')
  const grace = test.person('grace', 'approver')
  await test.register('web-01')
  await test.register('web-02', { role: 'other' })
  const approved = async (fields: Parameters<typeof body>[0]) => {
    const proposal = await desk.submit(ada, { id: randomUUID(), body: body(fields) })
    return proposal.status === 'awaiting-approval'
      ? desk.approve(grace, proposal.id, approval(proposal))
      : proposal
  }
  const enforced = ({ id }: Proposal) => decider.enforce('default', id)
  const stop = await approved({ operation: 'stop' })
  const start = await approved({ role: 'web' })
  const pinned = await approved({ expected_state_revision: '0' })
  const register = await approved(registration('web-03'))

  t.match(await enforced(stop), { outcome: 'allow', approvals_required: 1, approvals_counted: 1 })
  t.match(await enforced(start), { outcome: 'allow', approvals_required: 0, approvals_counted: 0 })
  t.match(await enforced(register), { outcome: 'allow', proposal_digest: register.digest })

  test.tokens.set('grace', ['auditor'])
  t.match(await enforced(stop), {
    outcome: 'deny',
    approvals_counted: 0,
    reasons: [
      { code: 'approval-void', message: /grace is not an approver/ },
      { code: 'approval-missing' },
    ],
  })
  test.tokens.set('grace', ['approver'])
  test.tokens.set('ada', ['auditor'])
  t.match(await enforced(start), { outcome: 'deny', determining_policies: ['proposers-only'] })
  test.tokens.delete('ada')
  t.match(await enforced(start), {
    outcome: 'indeterminate',
    reasons: [{ code: 'principal-unknown' }],
  })
  test.tokens.set('ada', ['proposer'])

  await test.observe('web-01', { run_state: 'degraded' })
  t.match(await enforced(stop), {
    outcome: 'deny',
    approvals_counted: 0,
    reasons: [
      { code: 'approval-void', message: /web-01 moved from state revision 0 to 1/ },
      { code: 'approval-missing' },
    ],
  })
  t.match(await enforced(pinned), { outcome: 'indeterminate', reasons: [{ code: 'state-moved' }] })
  t.match(
    await enforced(start),
    { outcome: 'allow', states: [{ state_revision: '1' }] },
    'without approvals the present state is decided on',
  )

  await test.register('web-03')
  t.match(await enforced(register), {
    outcome: 'indeterminate',
    reasons: [{ code: 'asset-exists' }],
  })
  await test.loseMutation('web-01')
  t.match(await enforced(stop), {
    outcome: 'indeterminate',
    reasons: [{ code: 'mutation-indeterminate' }],
  })
  t.match((await enforced(start)).reasons.map(({ code }) => code).sort(), [
    'mutation-indeterminate',
    'role-moved',
  ])
  t.equal(await codeOf(decider.enforce('default', randomUUID())), 'PROPOSAL_NOT_FOUND')
})

t.test('a bundle that asks for two approvals waits for two people', async (t) => {
  const { bundle } = await openTestDesk(t)
  const test = await openTestDesk(t, {
    bundle: {
      ...bundle,
      policies: {
        'two-approvals': 'permit (principal, action, resource) when { context.approvals >= 2 };',
      },
    },
  })
  await test.register('web-01')
  const ada = test.person('ada', 'proposer')
  const [grace, hal] = [test.person('grace', 'approver'), test.person('hal', 'approver')]
  const proposal = await test.desk.submit(ada, { id: randomUUID(), body: body({}) })
  t.equal(proposal.approvalsRequired, 2)

  t.equal(
    (await test.desk.approve(grace, proposal.id, approval(proposal))).status,
    'awaiting-approval',
  )
  t.equal(
    await codeOf(test.desk.approve(grace, proposal.id, approval(proposal))),
    'PROPOSAL_STATE',
    'one approval per person',
  )
  t.equal((await test.desk.approve(hal, proposal.id, approval(proposal))).status, 'enqueued')
  t.match(await test.decider.enforce('default', proposal.id), {
    outcome: 'allow',
    approvals_required: 2,
    approvals_counted: 2,
  })
})

t.test(
  'an asset, a role or parameters that nobody knows at a later decision are uncertain',
  async (t) => {
    const test = await openTestDesk(t)
    test.person('ada', 'proposer')
    await test.register('web-01')
    const change = {
      project: 'default',
      proposer: 'ada',
      digest: 'd'.repeat(64),
      kind: 'asset-operation' as const,
      assetIds: ['web-01'],
      operation: 'start',
      spec: {},
    }
    const table: readonly [Parameters<typeof test.decider.decide>[0], string][] = [
      [{ ...change, assetId: 'gone-01', assetIds: ['gone-01'] }, 'asset-unknown'],
      [{ ...change, role: 'nobody' }, 'role-unresolved'],
      [{ ...change, role: 'web', assetIds: ['web-01', 'web-02'] }, 'role-moved'],
      [{ ...change, assetId: 'web-01', operation: 'explode' }, 'change-unfit'],
      [
        { ...change, assetId: 'web-01', operation: 'scale', spec: { replicas: 99 } },
        'change-unfit',
      ],
    ]
    for (const [uncertain, code] of table) {
      const {
        outcome,
        reasons,
        approvals_required: approvals,
      } = await test.decider.decide(uncertain)
      t.equal(outcome, 'indeterminate', code)
      t.equal(reasons[0]?.code, code)
      t.ok(reasons[0]?.resolvable_by, code)
      t.equal(approvals, 0)
    }
  },
)
