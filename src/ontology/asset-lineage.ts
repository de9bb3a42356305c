import {
  assetObserved,
  assetRegistered,
  mutated,
  mutationFailed,
  mutationIndeterminate,
  mutationIntended,
  mutationResolved,
} from '../contracts/asset.js'
import { evidenceCaptured, evidenceRecorded } from '../contracts/evidence.js'
import {
  workflowCompleted,
  workflowFailed,
  workflowStarted,
  workflowStepFinished,
} from '../contracts/workflow.js'
import type { Names } from './names.js'
import { about, type Told, thing, type Triple } from './rdf.js'
import { type Mapping, on, tale } from './told.js'

interface Stated {
  readonly asset_id: string
  readonly state_revision: string
  readonly state_sha256: string
}

/** A state that came to be, and the one whose place it took: state revisions are dense. */
function stated(names: Names, by: string, data: Stated, told: Told = {}): Triple[] {
  const { asset_id: assetId, state_revision: stateRevision, state_sha256: sha256 } = data
  const state = names.state(assetId, stateRevision)
  const before =
    stateRevision === '0' ? undefined : names.state(assetId, String(Number(stateRevision) - 1))
  const { wasDerivedFrom, ...rest } = told
  const from = [before, wasDerivedFrom].flat().filter((one) => one !== undefined)
  return [
    ...thing(state, 'AssetState', {
      specializationOf: names.asset(assetId),
      wasGeneratedBy: by,
      wasDerivedFrom: from,
      stateRevision,
      sha256,
      ...rest,
    }),
    ...thing(names.asset(assetId), 'Asset', { assetId }),
    ...(before === undefined ? [] : about(before, { wasInvalidatedBy: by })),
  ]
}

const stateOf = (names: Names, { asset_id: assetId, state_revision: revision }: Stated) =>
  names.state(assetId, revision)

export const assetLineage: readonly Mapping[] = [
  on(assetRegistered, (data, { names, actor }) => {
    const registration = names.registration(data.asset_id)
    return tale(
      stateOf(names, data),
      thing(registration, 'Registration', {
        used: [names.proposal(data.proposal_id), names.ofProposal('clearance', data.proposal_id)],
        wasInformedBy: names.run(data.proposal_id),
        wasAssociatedWith: actor,
      }),
      about(names.asset(data.asset_id), {
        wasGeneratedBy: registration,
        specSha256: data.spec_sha256,
        kind: data.spec.kind,
        role: data.spec.role,
      }),
      stated(names, registration, data),
    )
  }),
  on(mutationIntended, (data, { names, actor }) => {
    const mutation = names.mutation(data.asset_id, data.mutation_id)
    return tale(
      mutation,
      thing(mutation, 'Mutation', {
        used: [
          names.state(data.asset_id, data.state_revision),
          names.evidence(data.evidence_before),
          names.proposal(data.proposal_id),
          names.ofProposal('clearance', data.proposal_id),
        ],
        wasInformedBy: names.run(data.proposal_id),
        wasAssociatedWith: actor,
        operation: data.operation,
        parametersSha256: data.parameters_sha256,
      }),
    )
  }),
  on(mutated, (data, { names, actor }) => {
    const mutation = names.mutation(data.asset_id, data.mutation_id)
    const after = { wasDerivedFrom: names.evidence(data.evidence_after) }
    return tale(
      stateOf(names, data),
      thing(mutation, 'Mutation', { wasAssociatedWith: actor, outcome: 'mutated' }),
      stated(names, mutation, data, after),
    )
  }),
  on(mutationFailed, (data, { names, actor }) => {
    const mutation = names.mutation(data.asset_id, data.mutation_id)
    const after = { wasDerivedFrom: names.evidence(data.evidence_after) }
    return tale(
      stateOf(names, data),
      thing(mutation, 'Mutation', { wasAssociatedWith: actor, outcome: 'failed' }),
      stated(names, mutation, data, after),
    )
  }),
  on(mutationIndeterminate, (data, { names, actor }) => {
    const mutation = names.mutation(data.asset_id, data.mutation_id)
    const told = { wasAssociatedWith: actor, outcome: 'indeterminate' }
    return tale(mutation, thing(mutation, 'Mutation', told))
  }),
  on(mutationResolved, (data, { names, event, actor }) => {
    const resolution = names.ofEvent('resolution', event.leaf.id)
    return tale(
      stateOf(names, data),
      thing(resolution, 'Resolution', {
        wasInformedBy: names.mutation(data.asset_id, data.mutation_id),
        wasAssociatedWith: actor,
        outcome: data.outcome,
      }),
      stated(names, resolution, data),
    )
  }),
  on(assetObserved, (data, { names, event, actor }) => {
    const observation = names.ofEvent('observation', event.leaf.id)
    return tale(
      stateOf(names, data),
      thing(observation, 'Observation', { wasAssociatedWith: actor, cause: data.cause }),
      stated(names, observation, data),
    )
  }),
]

export const evidenceLineage: readonly Mapping[] = [
  on(evidenceRecorded, (data, { names, event, actor }) => {
    const evidence = names.evidence(event.leaf.id)
    return tale(
      evidence,
      thing(evidence, 'Evidence', {
        wasAttributedTo: actor,
        sha256: data.sha256,
        mediaType: data.media_type,
        size: data.size,
      }),
    )
  }),
  on(evidenceCaptured, (data, { names, event, actor }) => {
    const evidence = names.evidence(event.leaf.id)
    return tale(
      evidence,
      thing(evidence, 'Evidence', {
        wasAttributedTo: actor,
        wasGeneratedBy: names.run(data.proposal_id),
        hadPrimarySource: names.asset(data.asset_id),
        phase: data.phase,
        sha256: data.sha256,
        mediaType: data.media_type,
        size: data.size,
      }),
    )
  }),
]

export const workflowLineage: readonly Mapping[] = [
  on(workflowStarted, (data, { names, event, actor }) => {
    const run = names.run(data.workflow_id)
    return tale(
      run,
      thing(run, 'WorkflowRun', {
        used: data.proposal_id === undefined ? undefined : names.proposal(data.proposal_id),
        wasAssociatedWith: actor,
        workflowType: data.workflow_type,
        runId: data.run_id,
        startedAtTime: event.leaf.time,
      }),
    )
  }),
  on(workflowStepFinished, (data, { names, actor }) => {
    const step = names.step(data.workflow_id, data.step)
    return tale(
      step,
      thing(step, 'WorkflowStep', {
        wasInformedBy: names.run(data.workflow_id),
        wasAssociatedWith: actor,
        activityType: data.activity_type,
        attempt: data.attempt,
        outcome: data.outcome,
        reasonCode: data.reason?.code,
        startedAtTime: data.started_at,
        endedAtTime: data.finished_at,
      }),
      data.event_ids.flatMap((id) => about(names.event(id), { wasGeneratedBy: step })),
    )
  }),
  on(workflowCompleted, (data, { names, event }) => {
    const run = names.run(data.workflow_id)
    const told = { outcome: 'completed', endedAtTime: event.leaf.time }
    return tale(run, thing(run, 'WorkflowRun', told))
  }),
  on(workflowFailed, (data, { names, event }) => {
    const run = names.run(data.workflow_id)
    const told = {
      outcome: 'failed',
      reasonCode: data.reason.code,
      endedAtTime: event.leaf.time,
    }
    return tale(run, thing(run, 'WorkflowRun', told))
  }),
]
