import { resolveTarget } from '../assets/directory.js'
import {
  parametersOf,
  predict,
  registerOperation,
  registrationDiff,
  registrationOf,
} from '../assets/operations.js'
import { assetStream, type AssetRecord } from '../assets/state.js'
import { EvidenceError } from '../contracts/errors.js'
import type { Reason } from '../contracts/proposal.js'
import { type Ground, invalid, jsonOf, type ProposalKind, told } from './kind.js'
import {
  bindingOf,
  type ChangeQuestion,
  commonContext,
  type ProposedChange,
  reasonOf,
} from './policy-questions.js'

const streams: ProposalKind['streams'] = ({ assetIds }) => assetIds.map(assetStream)

/** Brings a new asset under control. */
export const assetRegistration: ProposalKind = {
  executor: 'execution-runtime',
  streams,
  specOf: ({ spec }) => jsonOf(registrationOf(spec)),
  async check({ assets }, { project }, body) {
    const { asset_id: assetId } = body
    if (assetId === undefined) throw invalid('/asset_id', 'a registration names the new asset_id')
    if (body.operation !== registerOperation) {
      throw invalid('/operation', `the operation of a registration is "${registerOperation}"`)
    }
    if (body.expected_state_revision !== undefined) {
      throw invalid('/expected_state_revision', 'an asset has no state before its registration')
    }
    const spec = jsonOf(registrationOf(body.spec))
    if ((await assets.get(project, assetId)) !== undefined) {
      throw new EvidenceError('ASSET_EXISTS', `the asset ${assetId} is registered already`, {
        fields: [{ pointer: '/asset_id', detail: 'is registered already' }],
      })
    }
    return { ...told(body), asset_ids: [assetId], spec }
  },
  questions: async (ground, change, access) => ({
    blocked: [],
    changes: (await recordsOf(ground, change)).map(([assetId, record]) =>
      registration(change, assetId, access, record),
    ),
  }),
}

/** Changes assets that are under control. */
export const assetOperation: ProposalKind = {
  executor: 'execution-runtime',
  streams,
  specOf: ({ spec }) => spec,
  async check({ assets }, { project }, body) {
    const { asset_id: assetId, role = '', operation, expected_state_revision: expected } = body
    const target = assetId === undefined ? { role } : { assetId }
    const records = await resolveTarget(assets, project, target, operation)
    for (const { spec } of records) parametersOf(spec.kind, operation, body.spec)
    const moved = records.find(
      ({ stateRevision }) => expected !== undefined && stateRevision !== expected,
    )
    if (moved !== undefined) {
      throw new EvidenceError(
        'STATE_REVISION_STALE',
        `the asset ${moved.assetId} stands at state revision ${moved.stateRevision}, not at ${String(expected)}`,
        { details: { asset_id: moved.assetId, state_revision: moved.stateRevision } },
      )
    }
    return { ...told(body), asset_ids: records.map((record) => record.assetId) }
  },
  questions: async (ground, change, access) => ({
    blocked: change.role === undefined ? [] : await roleProblems(ground, change, change.role),
    changes: (await recordsOf(ground, change)).map(([assetId, record]) =>
      operation(change, assetId, access, record),
    ),
  }),
}

async function recordsOf(
  { assets }: Ground,
  { project, assetIds }: ProposedChange,
): Promise<readonly (readonly [string, AssetRecord | undefined])[]> {
  const records: (readonly [string, AssetRecord | undefined])[] = []
  for (const assetId of assetIds) records.push([assetId, await assets.get(project, assetId)])
  return records
}

/** A role must still name the assets it named when the proposal was submitted. */
async function roleProblems(
  { assets }: Ground,
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

const aboutAsset = (assetId: string, record: AssetRecord | undefined) => ({
  subject: assetId,
  binding: bindingOf(assetId, record),
})

function registration(
  change: ProposedChange,
  assetId: string,
  access: readonly string[],
  record: AssetRecord | undefined,
): ChangeQuestion {
  if (record !== undefined) {
    const message = `${assetId} is registered already`
    const reason = { code: 'asset-exists', message, resolvable_by: 'proposer' }
    return { ...aboutAsset(assetId, record), changes: [], blocked: [reason] }
  }
  const about = aboutAsset(assetId, undefined)
  try {
    const spec = registrationOf(change.spec)
    const { kind, role, lifetime, replicas, criticality } = spec
    return {
      ...about,
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
    return { ...about, changes: [], blocked: [reasonOf(error)] }
  }
}

function operation(
  change: ProposedChange,
  assetId: string,
  access: readonly string[],
  record: AssetRecord | undefined,
): ChangeQuestion {
  const about = aboutAsset(assetId, record)
  if (record === undefined) {
    const message = `no asset ${assetId} is registered`
    const reason = { code: 'asset-unknown', message, resolvable_by: 'operator' }
    return { ...about, changes: [], blocked: [reason] }
  }
  const { kind, role, lifetime, criticality } = record.spec
  try {
    const parameters = parametersOf(kind, change.operation, change.spec)
    return {
      ...about,
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
    return { ...about, changes: [], blocked: [reasonOf(error)] }
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
