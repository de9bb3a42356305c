import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { jsonSha256 } from '../../src/assets/state.js'
import { specExample } from '../../src/contracts/asset.js'
import { proposalCompleted, ProposalBody, proposalStarted } from '../../src/contracts/proposal.js'
import { fact } from '../../src/ledger/facts.js'
import {
  approval,
  body,
  codeOf,
  exampleFolder,
  openTestDesk,
  problemOf,
  registration,
  typesOf,
} from '../support/proposals.js'

const example = (file: string): ProposalBody =>
  ProposalBody.parse(JSON.parse(readFileSync(join(exampleFolder, `${file}.json`), 'utf8')))

t.test('the example proposals are decided as their list says', async (t) => {
  const test = await openTestDesk(t)
  const ada = test.person('ada', 'proposer')
  const submit = (file: string) => test.desk.submit(ada, { id: randomUUID(), body: example(file) })
  t.equal((await submit('register-web')).status, 'enqueued')
  t.equal((await submit('register-blank')).status, 'enqueued')
  await test.register('web-01')
  await test.register('blank-01', { criticality: undefined })
  const table = [
    ['start-web', 'enqueued', 0],
    ['scale-web', 'enqueued', 0],
    ['configure-web', 'awaiting-approval', 1],
    ['restart-web', 'enqueued', 0],
    ['denied', 'denied', 0],
    ['undecidable', 'indeterminate', 0],
    ['failing', 'awaiting-approval', 1],
  ] as const

  for (const [file, status, approvals] of table) {
    const proposal = await submit(file)
    t.equal(proposal.status, status, file)
    t.equal(proposal.approvalsRequired, approvals, file)
    t.match(proposal.simulated?.decision.bundle, 'bootstrap')
    t.equal(proposal.simulated?.decision.proposal_digest, proposal.digest)
    t.equal(
      proposal.simulated?.decision.input_digest,
      jsonSha256(proposal.simulated?.decision.input),
    )
  }

  const [denied] = await test.desk.list('default', { statuses: ['denied'] })
  t.match(denied?.ended, { code: 'policy-forbids', message: /above 8 replicas/ })
  t.strictSame(denied?.simulated?.decision.determining_policies, ['scale-limit'])
  const [undecided] = await test.desk.list('default', {
    assetId: 'blank-01',
    statuses: ['indeterminate'],
  })
  t.match(undecided?.ended, {
    code: 'attribute-missing',
    message: /criticality/,
    resolvable_by: /operator/,
  })
  t.strictSame(undecided && (await typesOf(test, undecided)), [
    'proposal.submitted',
    'policy.simulated',
    'proposal.routed',
  ])
})

t.test('what cannot be proposed is refused with its place, and nothing is recorded', async (t) => {
  const test = await openTestDesk(t)
  const ada = test.person('ada', 'proposer')
  await test.register('web-01')
  await test.register('web-02')
  await test.register('db-01', { role: 'db' })
  const before = test.ledger.size()
  const table: readonly [string, ProposalBody, string, string?][] = [
    ['an unknown asset', body({ asset_id: 'nope' }), 'ASSET_UNKNOWN', '/asset_id'],
    ['a role of nobody', body({ role: 'nobody' }), 'ROLE_UNRESOLVED', '/role'],
    [
      'a role of several',
      body({ role: 'web', operation: 'scale', spec: { replicas: 2 } }),
      'ROLE_UNRESOLVED',
      '/role',
    ],
    ['an unknown operation', body({ operation: 'explode' }), 'REQUEST_INVALID', '/operation'],
    [
      'a registration as an operation',
      body({ operation: 'register' }),
      'REQUEST_INVALID',
      '/operation',
    ],
    [
      'a raw name',
      body({ operation: 'scale', spec: { replicas: 2, vmid: 101 } }),
      'REQUEST_INVALID',
      '/spec/vmid',
    ],
    [
      'a wrong type',
      body({ operation: 'scale', spec: { replicas: 'many' } }),
      'REQUEST_INVALID',
      '/spec/replicas',
    ],
    [
      'parameters for an operation without any',
      body({ spec: { namespace: 'x' } }),
      'REQUEST_INVALID',
      '/spec/namespace',
    ],
    ['a stale revision', body({ expected_state_revision: '7' }), 'STATE_REVISION_STALE'],
    ['an id that is taken', registration('web-01'), 'ASSET_EXISTS', '/asset_id'],
    [
      'a bad specification',
      registration('web-03', { ...specExample, folder: undefined }),
      'REQUEST_INVALID',
      '/spec/folder',
    ],
    [
      'a health URL elsewhere',
      registration('web-03', { ...specExample, health_url: 'http://10.0.0.1:{port}/' }),
      'REQUEST_INVALID',
      '/spec/health_url',
    ],
    [
      'another operation on registration',
      { ...registration('web-03'), operation: 'start' },
      'REQUEST_INVALID',
      '/operation',
    ],
    ['too large a spec', body({ spec: { text: 'x'.repeat(140_000) } }), 'REQUEST_INVALID', '/spec'],
  ]
  for (const [cause, request, code, pointer] of table) {
    for (const work of [
      test.desk.submit(ada, { id: randomUUID(), body: request }),
      test.desk.simulate(ada, request),
    ]) {
      const problem = await problemOf(work)
      t.equal(problem.code, code, cause)
      if (pointer !== undefined) t.equal(problem.fields[0]?.pointer, pointer, cause)
    }
  }
  t.equal(
    await codeOf(
      test.desk.submit(test.person('eve', 'auditor'), { id: randomUUID(), body: body({}) }),
    ),
    'ACCESS_DENIED',
  )
  t.equal(test.ledger.size(), before)

  const several = await test.desk.submit(ada, {
    id: randomUUID(),
    body: body({ role: 'web', operation: 'restart' }),
  })
  t.strictSame(
    several.assetIds,
    ['web-01', 'web-02'],
    'an operation that allows several takes all of a role',
  )
  t.equal(several.status, 'enqueued')
})

t.test(
  'a repeated submission answers the same proposal, another body under its id is an error',
  async (t) => {
    const test = await openTestDesk(t)
    const ada = test.person('ada', 'proposer')
    const id = randomUUID()
    const { criticality: _, ...spec } = specExample
    const request = { id, body: registration('web-01', spec) }

    const [first, second] = await Promise.all([
      test.desk.submit(ada, request),
      test.desk.submit(ada, request),
    ])
    test.clock.nowMs += 60_000
    await test.register('web-01')
    const size = test.ledger.size()
    const third = await test.desk.submit(ada, request)

    t.equal(first.id, id)
    t.strictSame(second, first)
    t.strictSame(third, first, 'also when the asset exists by now')
    t.equal(test.ledger.size(), size)
    t.strictSame(await typesOf(test, first), [
      'proposal.submitted',
      'policy.simulated',
      'proposal.routed',
      'proposal.enqueued',
    ])
    const event = await test.ledger.find(id)
    t.equal(event?.leaf.data_sha256, first.digest)
    t.equal(first.workflowId, id)
    for (const other of [
      { ...request.body, reason: 'another reason' },
      registration('web-01', specExample),
      body({ asset_id: 'web-01' }),
    ]) {
      t.equal(await codeOf(test.desk.submit(ada, { id, body: other })), 'EVENT_ID_REUSED')
    }
    t.equal(
      await codeOf(test.desk.submit(test.person('eve', 'proposer'), request)),
      'EVENT_ID_REUSED',
    )
  },
)

t.test(
  'four eyes: another person with the role approver approves exactly what was shown',
  async (t) => {
    const test = await openTestDesk(t)
    const ada = test.person('ada', 'proposer', 'approver')
    const grace = test.person('grace', 'approver')
    const root = test.person('administrator', 'administrator', 'proposer', 'operator')
    await test.register('web-01')
    const propose = () =>
      test.desk.submit(ada, {
        id: randomUUID(),
        body: body({ operation: 'configure', spec: { configuration: '{}' } }),
      })
    const own = await propose()
    const { desk } = test

    t.equal(await codeOf(desk.approve(ada, own.id, approval(own))), 'SELF_APPROVAL')
    t.equal(
      await codeOf(desk.reject(ada, own.id, { ...approval(own), reason: 'no' })),
      'SELF_APPROVAL',
    )
    t.equal(await codeOf(desk.approve(root, own.id, approval(own))), 'ACCESS_DENIED')
    t.equal(
      await codeOf(
        desk.approve(grace, own.id, { eventId: randomUUID(), proposalDigest: 'f'.repeat(64) }),
      ),
      'PROPOSAL_DIGEST_MISMATCH',
    )
    t.equal(await codeOf(desk.approve(grace, randomUUID(), approval(own))), 'PROPOSAL_NOT_FOUND')
    t.equal(
      await codeOf(desk.approve({ ...grace, project: 'other' }, own.id, approval(own))),
      'PROPOSAL_NOT_FOUND',
    )

    const eventId = randomUUID()
    const approved = await desk.approve(grace, own.id, { ...approval(own, eventId), comment: 'go' })
    t.equal(approved.status, 'enqueued')
    t.match(approved.approvals, [
      {
        actor: 'grace',
        comment: 'go',
        proposalDigest: own.digest,
        policyDigest: own.simulated?.decision.bundle_digest,
        states: [{ asset_id: 'web-01', state_revision: '0' }],
      },
    ])
    t.strictSame(
      await desk.approve(grace, own.id, { ...approval(own, eventId), comment: 'go' }),
      approved,
      'repeated',
    )
    t.equal(
      await codeOf(desk.approve(grace, own.id, { ...approval(own, eventId), comment: 'no' })),
      'EVENT_ID_REUSED',
    )
    t.equal(await codeOf(desk.comment(grace, own.id, { eventId, text: 'x' })), 'EVENT_ID_REUSED')
    t.equal(await codeOf(desk.approve(grace, own.id, approval(own))), 'PROPOSAL_STATE')

    const stale = await propose()
    await test.observe('web-01', { run_state: 'degraded' })
    t.equal(await codeOf(desk.approve(grace, stale.id, approval(stale))), 'STATE_REVISION_STALE')
    const late = await propose()
    test.clock.nowMs += 8 * 24 * 3_600_000
    t.equal(await codeOf(desk.approve(grace, late.id, approval(late))), 'PROPOSAL_STATE')
  },
)

t.test(
  'approvals that arrive at once are counted once each, and the proposal is enqueued once',
  async (t) => {
    const test = await openTestDesk(t)
    const ada = test.person('ada', 'proposer')
    await test.register('web-01')
    const proposal = await test.desk.submit(ada, {
      id: randomUUID(),
      body: body({ operation: 'stop' }),
    })
    const people = ['b', 'c', 'd', 'e', 'f'].map((name) => test.person(name, 'approver'))

    const codes = await Promise.all(
      people.flatMap((person) => {
        const request = approval(proposal)
        return [
          codeOf(test.desk.approve(person, proposal.id, request)),
          codeOf(test.desk.approve(person, proposal.id, request)),
        ]
      }),
    )

    t.ok(codes.includes('none'))
    t.strictSame(
      codes.filter((code) => code !== 'none' && code !== 'PROPOSAL_STATE'),
      [],
    )
    const types = await typesOf(test, proposal)
    t.equal(types.filter((type) => type === 'proposal.enqueued').length, 1)
    const after = await test.desk.get('default', proposal.id)
    t.equal(new Set(after?.approvals.map(({ actor }) => actor)).size, after?.approvals.length)
    t.equal(types.filter((type) => type === 'proposal.approved').length, after?.approvals.length)
  },
)

t.test('a proposal ends once: rejected, withdrawn, cancelled or executed', async (t) => {
  const test = await openTestDesk(t)
  const { desk } = test
  const ada = test.person('ada', 'proposer')
  const grace = test.person('grace', 'approver')
  const olga = test.person('olga', 'operator')
  await test.register('web-01')
  const propose = () => desk.submit(ada, { id: randomUUID(), body: body({ operation: 'stop' }) })
  const step = (reason: string) => ({ eventId: randomUUID(), reason })

  const one = await propose()
  t.equal(await codeOf(desk.withdraw(olga, one.id, step('mine?'))), 'ACCESS_DENIED')
  t.equal(await codeOf(desk.cancel(ada, one.id, step('?'))), 'ACCESS_DENIED')
  const rejected = await desk.reject(grace, one.id, { ...approval(one), reason: 'not now' })
  t.match(rejected, {
    status: 'rejected',
    ended: { code: 'rejected', message: 'grace rejected it: not now' },
  })
  t.equal(await codeOf(desk.approve(grace, one.id, approval(one))), 'PROPOSAL_STATE')
  t.equal(
    (await desk.comment(ada, one.id, { eventId: randomUUID(), text: 'a pity' })).status,
    'rejected',
  )
  t.match((await desk.get('default', one.id))?.comments, [{ actor: 'ada', text: 'a pity' }])

  const two = await propose()
  const withdrawal = step('wrong asset')
  t.equal((await desk.withdraw(ada, two.id, withdrawal)).status, 'withdrawn')
  t.equal((await desk.withdraw(ada, two.id, withdrawal)).status, 'withdrawn', 'repeated')
  t.equal(await codeOf(desk.withdraw(ada, two.id, step('again'))), 'PROPOSAL_STATE')

  const three = await propose()
  await desk.approve(grace, three.id, approval(three))
  t.equal(await codeOf(desk.withdraw(ada, three.id, step('too late'))), 'PROPOSAL_STATE')
  t.equal((await desk.cancel(olga, three.id, step('freeze'))).status, 'cancelled')

  const four = await propose()
  await desk.approve(grace, four.id, approval(four))
  t.equal(
    (
      await desk.reject(test.person('hal', 'approver'), four.id, {
        ...approval(four),
        reason: 'no',
      })
    ).status,
    'rejected',
    'a rejection wins',
  )

  const five = await propose()
  await desk.approve(grace, five.id, approval(five))
  const workflow = { workflow_id: five.id }
  await test.act(
    `proposal-${five.id}`,
    'exists',
    fact(proposalStarted, randomUUID(), { ...workflow, run_id: 'r' }),
  )
  t.equal((await desk.get('default', five.id))?.status, 'executing')
  t.equal(await codeOf(desk.cancel(olga, five.id, step('stop it'))), 'PROPOSAL_STATE')
  await test.act(
    `proposal-${five.id}`,
    'exists',
    fact(proposalCompleted, randomUUID(), { ...workflow, contents: [] }),
  )
  await test.act(
    `proposal-${five.id}`,
    'exists',
    fact(proposalStarted, randomUUID(), { ...workflow, run_id: 'r2' }),
  )
  const done = await desk.advance('default', five.id)
  t.equal(done.status, 'completed', 'what is recorded after its end leaves the end as it is')
  t.equal(done.revision, (await typesOf(test, five)).length - 1)
  t.strictSame(
    (await desk.list('default', { statuses: ['completed'] })).map(({ id }) => id),
    [five.id],
  )
  t.strictSame(await desk.list('other'), [])
})
