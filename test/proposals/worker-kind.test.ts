import { randomUUID } from 'node:crypto'
import t from 'tap'
import { identityRevoked, tokenIssued, workerEnrolled } from '../../src/contracts/identity.js'
import { ProposalBody } from '../../src/contracts/proposal.js'
import { WorkerEnrolment } from '../../src/contracts/worker.js'
import { fact } from '../../src/ledger/facts.js'
import { createRecordWriter } from '../../src/ledger/writers.js'
import { approval, codeOf, openTestDesk, problemOf, type TestDesk } from '../support/proposals.js'

const key = 'b'.repeat(64)

const worker = (spec: Record<string, unknown> = {}) => ({
  name: 'berlin-1',
  public_key_sha256: key,
  components: ['worker', 'execution-runtime'],
  expires_at: '2027-01-01T00:00:00.000Z',
  ...spec,
})

const change = (operation: string, spec: Record<string, unknown>): ProposalBody =>
  ProposalBody.parse({
    kind: 'worker-enrolment',
    operation,
    spec,
    reason: 'a machine of its own for the assets',
  })

/** Puts an enrolment on record, as its activity would. */
const enrolled = (desk: TestDesk, spec: Record<string, unknown> = {}) =>
  desk.act(
    'identity-berlin-1',
    'any',
    fact(workerEnrolled, randomUUID(), {
      ...WorkerEnrolment.parse(worker(spec)),
      proposal_id: randomUUID(),
    }),
  )

t.test('an enrolment is decided by policy and waits for somebody else', async (t) => {
  const desk = await openTestDesk(t)
  const ada = desk.person('ada', 'proposer')
  const grace = desk.person('grace', 'approver')

  const submitted = await desk.desk.submit(ada, {
    id: randomUUID(),
    body: change('enrol', worker()),
  })
  t.equal(submitted.status, 'awaiting-approval')
  t.strictSame(submitted.assetIds, [])
  t.strictSame(submitted.simulated?.decision.determining_policies, ['enrol-workers-approved'])
  t.strictSame(submitted.simulated?.decision.states, [])

  const approved = await desk.desk.approve(grace, submitted.id, approval(submitted))

  t.equal(approved.status, 'enqueued')
  const again = await desk.decider.enforce('default', submitted.id)
  t.equal(again.outcome, 'allow')
  t.equal(again.approvals_counted, 1)
})

t.test(
  'a worker is shut out at once by who runs the service, and by others with an approval',
  async (t) => {
    const desk = await openTestDesk(t)
    await enrolled(desk)
    const revoke = change('revoke', { name: 'berlin-1' })

    const byOperator = await desk.desk.submit(desk.person('olga', 'operator', 'proposer'), {
      id: randomUUID(),
      body: revoke,
    })
    const byProposer = await desk.desk.submit(desk.person('ada', 'proposer'), {
      id: randomUUID(),
      body: revoke,
    })

    t.equal(byOperator.status, 'enqueued')
    t.equal(byProposer.status, 'awaiting-approval')
  },
)

t.test('what is malformed is refused with its place, and nothing is recorded', async (t) => {
  const desk = await openTestDesk(t)
  const ada = desk.person('ada', 'proposer')
  const before = desk.ledger.size()
  const refused = async (body: ProposalBody, pointer: string) => {
    const problem = await problemOf(desk.desk.submit(ada, { id: randomUUID(), body }))
    t.equal(problem.fields[0]?.pointer, pointer, problem.message)
  }

  await refused(change('start', worker()), '/operation')
  await refused(change('enrol', worker({ public_key_sha256: 'x' })), '/spec/public_key_sha256')
  await refused(change('enrol', worker({ components: ['ledger'] })), '/spec/components/0')
  await refused(change('enrol', worker({ host: 'berlin' })), '/spec/host')
  await refused(
    change('enrol', worker({ expires_at: '2020-01-01T00:00:00.000Z' })),
    '/spec/expires_at',
  )
  await refused(change('revoke', { name: 'berlin-1' }), '/spec/name')
  for (const about of [{ asset_id: 'web-01' }, { role: 'web' }])
    t.throws(() => ProposalBody.parse({ ...change('enrol', worker()), ...about }))

  t.equal(desk.ledger.size(), before)
})

t.test(
  'a name and a key stand for one worker: not for a token, not for two, not after a revocation',
  async (t) => {
    const desk = await openTestDesk(t)
    const ada = desk.person('ada', 'proposer')
    const code = (spec: Record<string, unknown>) =>
      codeOf(desk.desk.simulate(ada, change('enrol', worker(spec))))
    await createRecordWriter(desk.ledger).record({
      project: 'default',
      stream: 'identity-ada',
      expected: 'none',
      actor: 'administrator',
      facts: [fact(tokenIssued, randomUUID(), tokenIssued.example)],
    })
    await enrolled(desk)

    t.equal(await code({ name: 'Ada', public_key_sha256: 'c'.repeat(64) }), 'WORKER_EXISTS')
    t.equal(await code({ name: 'lisbon-1' }), 'WORKER_EXISTS')
    t.equal(await code({ public_key_sha256: 'c'.repeat(64) }), 'none', 'a new key takes its place')

    const revoked = { name: 'berlin-1', public_key_sha256: key, proposal_id: randomUUID() }
    await desk.act('identity-berlin-1', 'any', fact(identityRevoked, randomUUID(), revoked))

    t.equal(await code({}), 'WORKER_EXISTS', 'the revoked key comes back under no name')
    t.equal(await code({ public_key_sha256: 'c'.repeat(64) }), 'none')
  },
)

t.test('another project than that of the ledger enrols for itself alone', async (t) => {
  const desk = await openTestDesk(t)
  const other = { ...desk.person('ada', 'proposer'), project: 'shop' }
  await enrolled(desk)
  const code = (spec: Record<string, unknown>) =>
    codeOf(desk.desk.simulate(other, change('enrol', worker(spec))))
  const fresh = { name: 'shop-1', public_key_sha256: 'c'.repeat(64) }

  t.equal(await code(fresh), 'ACCESS_DENIED')
  t.equal(await code({ ...fresh, project: 'default' }), 'ACCESS_DENIED')
  t.equal(await code({ ...fresh, project: 'shop' }), 'none')
  t.equal(await code({ project: 'shop' }), 'ACCESS_DENIED', 'the worker of another project stays')
})
