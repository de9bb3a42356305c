import { randomUUID } from 'node:crypto'
import {
  assetObserved,
  assetRegistered,
  mutated,
  mutationIntended,
  stateExample,
} from '../../src/contracts/asset.js'
import type { EventContract } from '../../src/contracts/event.js'
import { evidenceCaptured } from '../../src/contracts/evidence.js'
import { bundlePublished, policyEnforced, policySimulated } from '../../src/contracts/policy.js'
import {
  proposalApproved,
  proposalCompleted,
  proposalEnqueued,
  proposalRouted,
  proposalStarted,
  proposalSubmitted,
} from '../../src/contracts/proposal.js'
import {
  workflowCompleted,
  workflowStarted,
  workflowStepFinished,
} from '../../src/contracts/workflow.js'
import type { EventStore } from '../../src/ledger/event-store.js'
import { encodeFact, fact } from '../../src/ledger/facts.js'

const stateOf = (revision: number) => ({
  state_revision: String(revision),
  state: stateExample,
  state_sha256: String(revision % 10).repeat(64),
})
const bindingOf = (assetId: string, revision: number) => ({
  asset_id: assetId,
  state_revision: String(revision),
  state_sha256: String(revision % 10).repeat(64),
})

/** Appends what a whole product would have appended; every writer's events, without what makes them. */
export function storyOf(ledger: EventStore, project = 'default') {
  const say = async <Data>(
    contract: EventContract<Data>,
    stream: string,
    actor: string,
    data: NoInfer<Data>,
    id: string = randomUUID(),
  ) => {
    const events = [encodeFact(fact(contract, id, data), actor)]
    await ledger.append({ project, stream, expected: 'any', events })
    return id
  }

  /** From proposal to authorised execution. */
  async function authorised(
    kind: 'asset-registration' | 'asset-operation',
    assetId: string,
    at: number | null,
  ) {
    const id = randomUUID()
    const stream = `proposal-${id}`
    const states = at === null ? [] : [bindingOf(assetId, at)]
    await say(
      proposalSubmitted,
      stream,
      'ada',
      {
        kind,
        asset_id: assetId,
        asset_ids: [assetId],
        operation: kind === 'asset-registration' ? 'register' : 'scale',
        spec: {},
        reason: 'secret reason',
        expires_at: '2099-01-01T00:00:00.000Z',
        ...(at === null ? {} : { expected_state_revision: String(at) }),
      },
      id,
    )
    const decision = await say(policySimulated, stream, 'ledger', {
      ...policySimulated.example,
      states,
    })
    await say(proposalRouted, stream, 'ledger', {
      route: 'approval',
      approvals_required: 1,
      decision_id: decision,
    })
    const { proposal_digest, policy_digest } = proposalApproved.example
    const approval = await say(proposalApproved, stream, 'bob', {
      proposal_digest,
      policy_digest,
      states,
    })
    await say(proposalEnqueued, stream, 'ledger', { workflow_id: id })
    const runId = randomUUID()
    const run = { workflow_id: id, run_id: runId }
    await say(workflowStarted, `workflow-${id}`, 'worker', {
      ...run,
      workflow_type: 'executeProposal',
      task_queue: 'ledger',
      proposal_id: id,
    })
    await say(proposalStarted, stream, 'worker', run)
    await say(policyEnforced, stream, 'worker', { ...policyEnforced.example, states })
    return { id, stream, run, decision, approval }
  }

  async function completed(
    { id, stream, run }: Awaited<ReturnType<typeof authorised>>,
    event: string,
  ) {
    await say(workflowStepFinished, `workflow-${id}`, 'worker', {
      ...workflowStepFinished.example,
      ...run,
      step: 'mutate/web-01',
      event_ids: [event],
    })
    await say(proposalCompleted, stream, 'worker', { workflow_id: id, contents: [] })
    await say(workflowCompleted, `workflow-${id}`, 'worker', run)
  }

  const evidenceOf = (proposalId: string, assetId: string, phase: 'before' | 'after') =>
    say(evidenceCaptured, `evidence-${proposalId}`, 'worker', {
      ...evidenceCaptured.example,
      proposal_id: proposalId,
      asset_id: assetId,
      phase,
    })

  return {
    say,
    publishBundle: () =>
      say(bundlePublished, 'policy-bootstrap', 'policy-admin', bundlePublished.example),
    /** A proposal that was decided on a state, and nothing came of it. */
    propose: async (assetId: string, at: number) =>
      (await authorised('asset-operation', assetId, at)).id,
    async register(assetId: string) {
      const change = await authorised('asset-registration', assetId, null)
      const { spec, spec_sha256 } = assetRegistered.example
      const event = await say(assetRegistered, `asset-${assetId}`, 'worker', {
        asset_id: assetId,
        proposal_id: change.id,
        spec,
        spec_sha256,
        ...stateOf(0),
      })
      await completed(change, event)
      return { ...change, event }
    },
    /** A mutation from one state revision to the next. */
    async mutate(assetId: string, from: number) {
      const change = await authorised('asset-operation', assetId, from)
      const mutation = randomUUID()
      const common = {
        asset_id: assetId,
        mutation_id: mutation,
        proposal_id: change.id,
        operation: 'scale',
      }
      const before = await evidenceOf(change.id, assetId, 'before')
      await say(
        mutationIntended,
        `asset-${assetId}`,
        'worker',
        {
          ...common,
          state_revision: String(from),
          parameters_sha256: 'b'.repeat(64),
          evidence_before: before,
        },
        mutation,
      )
      const after = await evidenceOf(change.id, assetId, 'after')
      const event = await say(mutated, `asset-${assetId}`, 'worker', {
        ...common,
        ...stateOf(from + 1),
        changes: [],
        evidence_after: after,
      })
      await completed(change, event)
      return { ...change, event, mutation }
    },
    observe: (assetId: string, revision: number) =>
      say(assetObserved, `asset-${assetId}`, 'worker', {
        asset_id: assetId,
        cause: 'exit',
        ...stateOf(revision),
        changes: [],
      }),
  }
}
