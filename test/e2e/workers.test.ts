import t from 'tap'
import { approve, holding, people, propose, proposalOf, reached } from '../support/change.js'
import { startProduct } from '../support/product.js'
import { requireTemporal } from '../support/temporal.js'

const key = 'b'.repeat(64)

t.test(
  'a worker is enrolled and revoked by proposals, recorded by activities',
  { skip: requireTemporal() },
  async (t) => {
    const product = await startProduct(t)
    const { proposer, approver } = await people(product)
    const body = (operation: string, spec: Record<string, unknown>) => ({
      kind: 'worker-enrolment',
      operation,
      spec,
      reason: 'a machine of its own',
    })

    const submitted = await propose(
      product,
      proposer,
      body('enrol', {
        name: 'berlin-1',
        public_key_sha256: key,
        components: ['worker'],
        expires_at: '2099-01-01T00:00:00.000Z',
      }),
    )
    t.equal(submitted.status, 'awaiting-approval')
    t.equal(submitted.subject, 'berlin-1')
    await approve(product, approver, submitted)
    const done = await reached(product, submitted.id)

    t.equal(done.status, 'completed', done.waiting_for ?? '')
    const enrolled = done.timeline.find(({ type }) => type === 'identity.worker-enrolled')
    t.match(enrolled, { stream: 'identity-berlin-1', writer: 'activity', actor: 'worker' })
    const completed = await holding(product, submitted.id, 'proposal.completed')
    t.match(completed.timeline.find(({ type }) => type === 'proposal.completed')?.data, {
      contents: [{}, {}, { stream: 'identity-berlin-1', last_revision: '0' }],
    })

    const revoked = await propose(product, product.adminToken, body('revoke', { name: 'berlin-1' }))
    const ended = await reached(product, revoked.id)

    t.equal(ended.status, 'completed', ended.waiting_for ?? '')
    const late = await propose(
      product,
      proposer,
      body('enrol', {
        name: 'berlin-1',
        public_key_sha256: 'c'.repeat(64),
        components: ['worker'],
        expires_at: '2099-01-01T00:00:00.000Z',
      }),
    )
    t.equal(
      (await proposalOf(product, late.id)).status,
      'awaiting-approval',
      'with another key it may come back',
    )
  },
)
