import { randomUUID } from 'node:crypto'
import {
  mutated,
  mutationFailed,
  mutationIndeterminate,
  mutationIntended,
  mutationResolved,
  stateExample,
} from '../../src/contracts/asset.js'
import { type Decision, policyEnforced } from '../../src/contracts/policy.js'
import {
  proposalEnqueued,
  proposalFailed,
  proposalRouted,
  proposalSubmitted,
} from '../../src/contracts/proposal.js'
import { activityEventId } from '../../src/ledger/event-ids.js'
import type { EventStore, RecordedEvent } from '../../src/ledger/event-store.js'
import { dataOf, fact } from '../../src/ledger/facts.js'
import { createRecordWriter } from '../../src/ledger/writers.js'
import type { Proposal, ProposalStatus } from '../../src/proposals/proposal.js'
import type { AssetSteps } from '../../src/runtime/execution-activities.js'
import { currentWriter } from '../../src/runtime/side-effects.js'
import type { StepOutcome } from '../../src/runtime/steps.js'

export const project = 'default'

/** Records a proposal that is ready to run, or waits for an approval until `expiresAt`. */
export async function recordProposal(
  ledger: EventStore,
  {
    assetIds = ['web-01'],
    expiresAt = '2099-01-01T00:00:00.000Z',
    waits = false,
  }: { assetIds?: string[]; expiresAt?: string; waits?: boolean } = {},
): Promise<string> {
  const id = randomUUID()
  const facts = [
    fact(proposalSubmitted, id, {
      kind: 'asset-operation',
      role: 'web',
      asset_ids: assetIds,
      operation: 'restart',
      spec: {},
      reason: 'the test wants it',
      expires_at: expiresAt,
    }),
    waits
      ? fact(proposalRouted, randomUUID(), {
          route: 'approval',
          approvals_required: 1,
          decision_id: randomUUID(),
        })
      : fact(proposalEnqueued, randomUUID(), { workflow_id: id }),
  ]
  for (const one of facts) {
    await createRecordWriter(ledger).record({
      project,
      stream: `proposal-${id}`,
      expected: 'any',
      actor: 'ada',
      facts: [one],
    })
  }
  return id
}

const statusAfter: Readonly<Record<string, ProposalStatus>> = {
  'proposal.submitted': 'submitted',
  'proposal.routed': 'awaiting-approval',
  'proposal.enqueued': 'enqueued',
  'proposal.started': 'executing',
  'proposal.completed': 'completed',
  'proposal.failed': 'failed',
  'proposal.cancelled': 'cancelled',
  'proposal.expired': 'expired',
}

/** The part of a proposal that execution looks at, read from its stream. */
export async function proposalOf(ledger: EventStore, id: string): Promise<Proposal | undefined> {
  let proposal: Proposal | undefined
  for await (const event of ledger.readStream({ project, stream: `proposal-${id}` })) {
    const status = statusAfter[event.leaf.type] ?? proposal?.status ?? 'submitted'
    const submitted =
      event.leaf.type === proposalSubmitted.type ? dataOf(proposalSubmitted, event) : undefined
    const failed =
      event.leaf.type === proposalFailed.type ? dataOf(proposalFailed, event) : undefined
    proposal = {
      id,
      project,
      proposer: 'ada',
      operation: 'restart',
      spec: {},
      reason: 'the test wants it',
      digest: event.leaf.data_sha256,
      submittedAt: event.leaf.time,
      approvalsRequired: 0,
      approvals: [],
      comments: [],
      kind: 'asset-operation',
      assetIds: submitted?.asset_ids ?? proposal?.assetIds ?? [],
      expiresAt: submitted?.expires_at ?? proposal?.expiresAt ?? '',
      updatedAt: event.leaf.time,
      status,
      revision: Number(event.leaf.revision),
      ...(failed === undefined ? {} : { ended: failed.reason }),
    }
  }
  return proposal
}

export const allowed: Decision = {
  ...policyEnforced.example,
  approvals_required: 0,
  approvals_counted: 0,
}

/** What a test lets happen to an asset. */
export type Fate = (step: {
  assetId: string
  attempt: number
  signal: AbortSignal
}) => Promise<'done' | 'failed' | 'indeterminate' | 'nothing'>

/** Asset control that mutates nothing and records, as the real one does, intent before and outcome after. */
export function recordingControl(
  ledger: EventStore,
  fate: Fate,
): AssetSteps & { readonly calls: string[] } {
  const calls: string[] = []
  const attempts = new Map<string, number>()
  const state = { state_revision: '1', state: stateExample, state_sha256: 'e'.repeat(64) }
  const write = async (assetId: string, one: { id: string }) => {
    if ((await ledger.find(one.id)) === undefined) {
      await currentWriter().record({
        project,
        stream: `asset-${assetId}`,
        expected: 'any',
        actor: 'worker',
        facts: [one as never],
      })
    }
    return one.id
  }
  return {
    calls,
    register: () => Promise.reject(new Error('no registration is expected here')),
    async observe({ assetId, cause }) {
      calls.push(`observe ${assetId} ${cause}`)
      return { outcome: 'done', eventIds: [] }
    },
    async mutate({ proposalId, workflowId, step, assetId, signal }): Promise<StepOutcome> {
      calls.push(`mutate ${assetId}`)
      const attempt = (attempts.get(assetId) ?? 0) + 1
      attempts.set(assetId, attempt)
      const idOf = (type: string) => activityEventId(workflowId, step, type)
      const common = {
        asset_id: assetId,
        mutation_id: idOf(mutationIntended.type),
        proposal_id: proposalId,
        operation: 'restart',
      }
      await write(
        assetId,
        fact(mutationIntended, idOf(mutationIntended.type), {
          ...common,
          state_revision: '0',
          parameters_sha256: 'b'.repeat(64),
          evidence_before: randomUUID(),
        }),
      )
      const outcome = await fate({ assetId, attempt, signal })
      if (outcome === 'nothing') throw new Error('this attempt ends without an outcome')
      if (outcome === 'indeterminate') {
        const reason = 'nobody can tell'
        const id = await write(
          assetId,
          fact(mutationIndeterminate, idOf(mutationIndeterminate.type), { ...common, reason }),
        )
        return {
          outcome,
          eventIds: [id],
          reason: { code: 'mutation-indeterminate', message: reason },
        }
      }
      const contract = outcome === 'done' ? mutated : mutationFailed
      const observed = { ...common, ...state, changes: [], evidence_after: randomUUID() }
      const id =
        contract === mutated
          ? await write(assetId, fact(mutated, idOf(mutated.type), observed))
          : await write(
              assetId,
              fact(mutationFailed, idOf(mutationFailed.type), {
                ...observed,
                reason: 'secret words',
              }),
            )
      return {
        outcome,
        eventIds: [id],
        ...(outcome === 'failed'
          ? { reason: { code: 'mutation-failed', message: 'secret words' } }
          : {}),
      }
    },
    async resolve({ workflowId, step, assetId }) {
      calls.push(`resolve ${assetId}`)
      const id = await write(
        assetId,
        fact(mutationResolved, activityEventId(workflowId, step, mutationResolved.type), {
          asset_id: assetId,
          mutation_id: activityEventId(workflowId, `mutate/${assetId}`, mutationIntended.type),
          proposal_id: workflowId,
          operation: 'restart',
          ...state,
          outcome: 'mutated',
          reason: 'the observed state is the wanted one',
        }),
      )
      return { outcome: 'done', eventIds: [id] }
    },
  }
}

/** Types of the events on one stream, in order. */
export async function typesOn(ledger: EventStore, stream: string): Promise<string[]> {
  const events: RecordedEvent[] = []
  for await (const event of ledger.readStream({ project, stream })) events.push(event)
  return events.map(({ leaf }) => leaf.type)
}
