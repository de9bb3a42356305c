import type { AssetDirectory } from '../assets/directory.js'
import { resolveTarget } from '../assets/directory.js'
import { parametersOf, predict, registrationDiff, registrationOf } from '../assets/operations.js'
import type { AssetRecord } from '../assets/state.js'
import type { Difference } from '../contracts/asset.js'
import { EvidenceError, type ErrorCode } from '../contracts/errors.js'
import type { Decision } from '../contracts/policy.js'
import type { Reason } from '../contracts/proposal.js'
import type { PolicyQuestion } from './policy-engine.js'
import type { Proposal } from './proposal.js'

/** What is decided on: the part of a proposal that its submission fixes. */
export type ProposedChange = Pick<
  Proposal,
  | 'project'
  | 'proposer'
  | 'digest'
  | 'kind'
  | 'assetId'
  | 'role'
  | 'assetIds'
  | 'operation'
  | 'spec'
  | 'ticket'
  | 'expectedStateRevision'
>

/** One asset of a change: the question to put to policy, or why none can be put. */
export interface AssetQuestion {
  readonly binding: Decision['states'][number]
  readonly changes: readonly Difference[]
  readonly blocked: readonly Reason[]
  /** Without the number of approvals, which the decision varies. */
  readonly question?: PolicyQuestion
}

/** The questions of a change on the assets as they were last observed, or why there are none at all. */
export interface ChangeQuestions {
  readonly blocked: readonly Reason[]
  readonly assets: readonly AssetQuestion[]
}

const reasonCodes: Partial<Record<ErrorCode, string>> = {
  ASSET_UNKNOWN: 'asset-unknown',
  ROLE_UNRESOLVED: 'role-unresolved',
}

/** What a submission would refuse is, at any later decision, a reason that blocks. */
function reasonOf(error: unknown): Reason {
  if (!(error instanceof EvidenceError)) throw error
  const code = reasonCodes[error.code] ?? 'change-unfit'
  return { code, message: error.message.slice(0, 2048), resolvable_by: 'proposer' }
}

export async function questionsOf(
  assets: AssetDirectory,
  change: ProposedChange,
  access: readonly string[],
): Promise<ChangeQuestions> {
  const records = new Map<string, AssetRecord>()
  for (const assetId of change.assetIds) {
    const record = await assets.get(change.project, assetId)
    if (record !== undefined) records.set(assetId, record)
  }
  return {
    blocked: change.role === undefined ? [] : await roleProblems(assets, change, change.role),
    assets: change.assetIds.map((assetId) =>
      change.kind === 'asset-registration'
        ? registration(change, assetId, access, records.get(assetId))
        : operation(change, assetId, access, records.get(assetId)),
    ),
  }
}

/** A role must still name the assets it named when the proposal was submitted. */
async function roleProblems(
  assets: AssetDirectory,
  { project, assetIds, operation }: ProposedChange,
  role: string,
): Promise<readonly Reason[]> {
  try {
    const present = await resolveTarget(assets, project, { role }, operation)
    const names = present.map(({ assetId }) => assetId)
    if (names.length === assetIds.length && names.every((id) => assetIds.includes(id))) return []
    const message = `the role ${role} now names ${names.slice(0, 8).join(', ')} and named ${assetIds.slice(0, 8).join(', ')} at submission`
    return [{ code: 'role-moved', message, resolvable_by: 'proposer' }]
  } catch (error) {
    return [reasonOf(error)]
  }
}

const commonContext = ({ operation, assetIds, ticket }: ProposedChange) => ({
  operation,
  assets: assetIds.length,
  ...(ticket === undefined ? {} : { ticket }),
})

function registration(
  change: ProposedChange,
  assetId: string,
  access: readonly string[],
  record: AssetRecord | undefined,
): AssetQuestion {
  if (record !== undefined) {
    const message = `${assetId} is registered already`
    const reason = { code: 'asset-exists', message, resolvable_by: 'proposer' }
    return { binding: bindingOf(assetId, record), changes: [], blocked: [reason] }
  }
  const binding = bindingOf(assetId, undefined)
  try {
    const spec = registrationOf(change.spec)
    const { kind, role, lifetime, replicas, criticality } = spec
    return {
      binding,
      changes: registrationDiff(spec),
      blocked: [],
      question: {
        principal: { id: change.proposer, access },
        action: change.operation,
        resource: {
          type: 'ProposedAsset',
          id: assetId,
          attributes: {
            kind,
            role,
            lifetime,
            replicas,
            ...(criticality === undefined ? {} : { criticality }),
          },
        },
        context: commonContext(change),
      },
    }
  } catch (error) {
    return { binding, changes: [], blocked: [reasonOf(error)] }
  }
}

function operation(
  change: ProposedChange,
  assetId: string,
  access: readonly string[],
  record: AssetRecord | undefined,
): AssetQuestion {
  const binding = bindingOf(assetId, record)
  if (record === undefined) {
    const message = `no asset ${assetId} is registered`
    const reason = { code: 'asset-unknown', message, resolvable_by: 'operator' }
    return { binding, changes: [], blocked: [reason] }
  }
  const { kind, role, lifetime, criticality } = record.spec
  try {
    const parameters = parametersOf(kind, change.operation, change.spec)
    return {
      binding,
      changes: predict(record.state, change.operation, parameters),
      blocked: standingProblems(change, record),
      question: {
        principal: { id: change.proposer, access },
        action: change.operation,
        resource: {
          type: 'Asset',
          id: assetId,
          attributes: {
            kind,
            role,
            lifetime,
            ...(criticality === undefined ? {} : { criticality }),
            run_state: record.state.run_state,
            replicas: record.state.desired.replicas,
          },
        },
        context: {
          ...commonContext(change),
          ...(change.operation === 'scale' ? { replicas_after: parameters['replicas'] } : {}),
        },
      },
    }
  } catch (error) {
    return { binding, changes: [], blocked: [reasonOf(error)] }
  }
}

/** What makes the last observed state of an asset one that nothing may be decided on. */
function standingProblems(
  { expectedStateRevision }: ProposedChange,
  { assetId, stateRevision, mutation }: AssetRecord,
): readonly Reason[] {
  const problems: Reason[] = []
  if (mutation?.status === 'indeterminate') {
    problems.push({
      code: 'mutation-indeterminate',
      message: `whether ${mutation.operation} took effect on ${assetId} is not known yet`,
      resolvable_by: 'operator: have the mutation resolved by an observation',
    })
  }
  if (expectedStateRevision !== undefined && expectedStateRevision !== stateRevision) {
    problems.push({
      code: 'state-moved',
      message: `${assetId} stands at state revision ${stateRevision}; the proposal expects ${expectedStateRevision}`,
      resolvable_by: 'proposer',
    })
  }
  return problems
}

export const bindingOf = (
  assetId: string,
  record: AssetRecord | undefined,
): Decision['states'][number] => ({
  asset_id: assetId,
  state_revision: record?.stateRevision ?? null,
  state_sha256: record?.stateSha256 ?? null,
})
