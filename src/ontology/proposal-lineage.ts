import {
  type Decision,
  bundleActivated,
  bundlePublished,
  policyEnforced,
  policySimulated,
} from '../contracts/policy.js'
import {
  type ContentsEntry,
  proposalApproved,
  proposalCancelled,
  proposalCommented,
  proposalCompleted,
  proposalEnqueued,
  proposalExpired,
  proposalFailed,
  proposalRejected,
  proposalRouted,
  proposalStarted,
  proposalSubmitted,
  proposalWithdrawn,
  type StateBinding,
} from '../contracts/proposal.js'
import type { Names } from './names.js'
import { about, thing } from './rdf.js'
import { type Mapping, on, tale, type Telling } from './told.js'

const statesOf = (names: Names, bindings: readonly StateBinding[]): string[] =>
  bindings.flatMap(({ asset_id: assetId, state_revision: revision }) =>
    revision === null ? [] : [names.state(assetId, revision)],
  )

const streamsOf = (contents: readonly ContentsEntry[]) => ({
  touchedStream: contents.map(({ stream }) => stream),
})

/** A decision: the activity of asking, what it looked at, and what came out. */
function decided(
  data: Decision,
  { names, event, subject, actor }: Telling,
  asked: 'Simulation' | 'Enforcement',
) {
  const evaluation = names.ofEvent('evaluation', event.leaf.id)
  const decision = names.ofEvent('decision', event.leaf.id)
  const gathered =
    asked === 'Simulation'
      ? thing(names.ofProposal('authorisation', subject), 'Authorisation', {
          wasDerivedFrom: [decision, names.proposal(subject)],
        })
      : thing(names.ofProposal('clearance', subject), 'Clearance', { wasDerivedFrom: decision })
  return tale(
    decision,
    thing(evaluation, asked, {
      used: [
        names.proposal(subject),
        names.bundle(data.bundle_digest),
        ...statesOf(names, data.states),
      ],
      wasInformedBy: asked === 'Enforcement' ? names.run(subject) : undefined,
      wasAssociatedWith: actor,
      engine: data.engine,
      inputSha256: data.input_digest,
      approvalsCounted: data.approvals_counted,
    }),
    thing(decision, 'Decision', {
      wasGeneratedBy: evaluation,
      wasDerivedFrom: names.proposal(subject),
      proposalDigest: data.proposal_digest,
      outcome: data.outcome,
      approvalsRequired: data.approvals_required,
      reasonCode: data.reasons.map(({ code }) => code),
    }),
    gathered,
  )
}

/** Ends of a proposal that are done to it. */
const ended = (
  kind: 'withdrawal' | 'cancellation' | 'expiry',
  name: 'Withdrawal' | 'Cancellation' | 'Expiry',
  { names, subject, actor }: Telling,
  told: Parameters<typeof thing>[2] = {},
) => {
  const end = names.ofProposal(kind, subject)
  const proposal = names.proposal(subject)
  return tale(
    end,
    thing(end, name, { used: proposal, wasAssociatedWith: actor, ...told }),
    about(proposal, { wasInvalidatedBy: end }),
  )
}

const outcome = (
  { names, subject }: Telling,
  workflowId: string,
  told: Parameters<typeof thing>[2],
) => {
  const end = names.ofProposal('outcome', subject)
  const made = {
    wasGeneratedBy: names.run(workflowId),
    wasDerivedFrom: names.proposal(subject),
    ...told,
  }
  return tale(end, thing(end, 'ChangeOutcome', made))
}

export const proposalLineage: readonly Mapping[] = [
  on(proposalSubmitted, (data, { names, event, subject, actor }) => {
    const proposal = names.proposal(subject)
    const { expected_state_revision: expected, asset_ids: assetIds } = data
    return tale(
      proposal,
      thing(proposal, 'Proposal', {
        wasAttributedTo: actor,
        sha256: event.leaf.data_sha256,
        kind: data.kind,
        operation: data.operation,
        role: data.role,
        concerns: assetIds.map((assetId) => names.asset(assetId)),
        // The proposer looked at it; with a role there may be several assets, whose revisions are not said.
        wasDerivedFrom:
          expected === undefined || data.asset_id === undefined
            ? undefined
            : names.state(data.asset_id, expected),
        expiresAt: data.expires_at,
      }),
      assetIds.flatMap((assetId) => thing(names.asset(assetId), 'Asset', { assetId })),
    )
  }),
  on(proposalRouted, (data, { names, event, subject, actor }) => {
    const routing = names.ofEvent('routing', event.leaf.id)
    return tale(
      routing,
      thing(routing, 'Routing', {
        used: [names.proposal(subject), names.ofEvent('decision', data.decision_id)],
        wasAssociatedWith: actor,
        route: data.route,
        approvalsRequired: data.approvals_required,
      }),
    )
  }),
  on(proposalApproved, (data, { names, event, subject, actor }) => {
    const approval = names.ofEvent('approval', event.leaf.id)
    const record = names.ofEvent('approval-record', event.leaf.id)
    return tale(
      approval,
      thing(approval, 'Approval', {
        used: [
          names.proposal(subject),
          names.bundle(data.policy_digest),
          ...statesOf(names, data.states),
        ],
        wasAssociatedWith: actor,
      }),
      thing(record, 'ApprovalRecord', {
        wasGeneratedBy: approval,
        wasAttributedTo: actor,
        proposalDigest: data.proposal_digest,
      }),
      thing(names.ofProposal('authorisation', subject), 'Authorisation', {
        wasDerivedFrom: [record, names.proposal(subject)],
      }),
    )
  }),
  on(proposalRejected, (data, { names, event, subject, actor }) => {
    const rejection = names.ofEvent('rejection', event.leaf.id)
    const { proposal_digest: proposalDigest } = data
    const told = { used: names.proposal(subject), wasAssociatedWith: actor, proposalDigest }
    return tale(rejection, thing(rejection, 'Rejection', told))
  }),
  on(proposalCommented, (_data, { names, event, subject, actor }) => {
    const comment = names.ofEvent('comment', event.leaf.id)
    const told = { used: names.proposal(subject), wasAssociatedWith: actor }
    return tale(comment, thing(comment, 'Comment', told))
  }),
  on(proposalWithdrawn, (_data, telling) => ended('withdrawal', 'Withdrawal', telling)),
  on(proposalCancelled, (_data, telling) => ended('cancellation', 'Cancellation', telling)),
  on(proposalExpired, (data, telling) =>
    ended('expiry', 'Expiry', telling, streamsOf(data.contents)),
  ),
  on(proposalEnqueued, (_data, { names, subject, actor }) => {
    const enqueueing = names.ofProposal('enqueueing', subject)
    return tale(
      enqueueing,
      thing(enqueueing, 'Enqueueing', {
        used: [names.proposal(subject), names.ofProposal('authorisation', subject)],
        wasAssociatedWith: actor,
      }),
    )
  }),
  on(proposalStarted, (data, { names, subject, actor }) => {
    const run = names.run(data.workflow_id)
    return tale(
      run,
      thing(run, 'WorkflowRun', {
        used: [names.proposal(subject), names.ofProposal('authorisation', subject)],
        wasInformedBy: names.ofProposal('enqueueing', subject),
        wasAssociatedWith: actor,
        runId: data.run_id,
      }),
    )
  }),
  on(proposalCompleted, (data, telling) =>
    outcome(telling, data.workflow_id, { outcome: 'completed', ...streamsOf(data.contents) }),
  ),
  on(proposalFailed, (data, telling) =>
    outcome(telling, data.workflow_id, {
      outcome: 'failed',
      reasonCode: data.reason.code,
      ...streamsOf(data.contents),
    }),
  ),
  on(policySimulated, (data, telling) => decided(data, telling, 'Simulation')),
  on(policyEnforced, (data, telling) => decided(data, telling, 'Enforcement')),
  on(bundlePublished, (data, { names, actor }) => {
    const bundle = names.bundle(data.bundle_digest)
    return tale(
      bundle,
      thing(bundle, 'PolicyBundle', {
        wasAttributedTo: actor,
        name: data.bundle.name,
        sha256: data.bundle_digest,
      }),
    )
  }),
  on(bundleActivated, (data, { names, event, actor }) => {
    const activation = names.ofEvent('activation', event.leaf.id)
    return tale(
      activation,
      thing(activation, 'BundleActivation', {
        used: names.bundle(data.bundle_digest),
        wasInformedBy: names.run(data.proposal_id),
        wasAssociatedWith: actor,
      }),
    )
  }),
]
