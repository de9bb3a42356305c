import { type AssetDirectory, resolveTarget } from '../assets/directory.js'
import { parametersOf, registerOperation, registrationOf } from '../assets/operations.js'
import { jsonSha256 } from '../assets/state.js'
import { canonicalText } from '../contracts/canonical-json.js'
import { EvidenceError } from '../contracts/errors.js'
import type { DataOf } from '../contracts/event.js'
import { type ProposalBody, proposalSubmitted, specBytesMax } from '../contracts/proposal.js'
import type { ProposedChange } from './policy-questions.js'
import type { Principal } from './proposal.js'

/** A checked request: what is going to be recorded of it, but for its expiry. */
export type Submission = Omit<DataOf<typeof proposalSubmitted>, 'expires_at'>

const invalid = (pointer: string, detail: string) =>
  new EvidenceError('REQUEST_INVALID', `${pointer}: ${detail}`, { fields: [{ pointer, detail }] })

/**
 * Checks what is proposed against the assets there are. The specification of a registration is
 * recorded with its defaults filled in, so that everybody decides on exactly what will stand.
 *
 * @throws EvidenceError ASSET_UNKNOWN, ASSET_EXISTS, ROLE_UNRESOLVED, STATE_REVISION_STALE,
 * REQUEST_INVALID with the pointer of the field.
 */
export async function checkSubmission(
  assets: AssetDirectory,
  { project }: Principal,
  body: ProposalBody,
): Promise<Submission> {
  if (new TextEncoder().encode(canonicalText(body.spec)).length > specBytesMax) {
    throw invalid('/spec', `has more than ${specBytesMax} bytes`)
  }
  return body.kind === 'asset-registration'
    ? checkRegistration(assets, project, body)
    : checkOperation(assets, project, body)
}

async function checkRegistration(
  assets: AssetDirectory,
  project: string,
  body: ProposalBody,
): Promise<Submission> {
  const { asset_id: assetId } = body
  if (assetId === undefined) throw invalid('/asset_id', 'a registration names the new asset_id')
  if (body.operation !== registerOperation) {
    throw invalid('/operation', `the operation of a registration is "${registerOperation}"`)
  }
  if (body.expected_state_revision !== undefined) {
    throw invalid('/expected_state_revision', 'an asset has no state before its registration')
  }
  const spec = registrationOf(body.spec)
  if ((await assets.get(project, assetId)) !== undefined) {
    throw new EvidenceError('ASSET_EXISTS', `the asset ${assetId} is registered already`, {
      fields: [{ pointer: '/asset_id', detail: 'is registered already' }],
    })
  }
  return { ...told(body), asset_ids: [assetId], spec: jsonOf(spec) }
}

async function checkOperation(
  assets: AssetDirectory,
  project: string,
  body: ProposalBody,
): Promise<Submission> {
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
}

/** What the request says of itself, without absent members. */
function told(body: ProposalBody): Omit<Submission, 'asset_ids'> {
  const { kind, operation, spec, reason, asset_id, role, ticket, expected_state_revision } = body
  return {
    kind,
    ...(asset_id === undefined ? {} : { asset_id }),
    ...(role === undefined ? {} : { role }),
    operation,
    spec,
    reason,
    ...(ticket === undefined ? {} : { ticket }),
    ...(expected_state_revision === undefined ? {} : { expected_state_revision }),
  }
}

/** A parsed specification as the JSON that stands for it, without absent members. */
const jsonOf = (spec: object): ProposalBody['spec'] =>
  // The canonical text of an object is that of a JSON object.
  JSON.parse(canonicalText(spec)) as ProposalBody['spec']

/** Whether a recorded submission is the one that this body asks for, whatever became of the assets since. */
export function isRepeated(
  recorded: DataOf<typeof proposalSubmitted>,
  body: ProposalBody,
): boolean {
  const { asset_ids: _ids, expires_at: _expiry, ...before } = recorded
  const now = told(body)
  const spec = body.kind === 'asset-registration' ? jsonOf(registrationOf(body.spec)) : body.spec
  return canonicalText(before) === canonicalText({ ...now, spec })
}

/** The change that a checked request would be, to be decided on without recording it. */
export const unrecorded = (principal: Principal, submission: Submission): ProposedChange => ({
  project: principal.project,
  proposer: principal.name,
  digest: jsonSha256(submission),
  kind: submission.kind,
  ...(submission.asset_id === undefined ? {} : { assetId: submission.asset_id }),
  ...(submission.role === undefined ? {} : { role: submission.role }),
  assetIds: submission.asset_ids,
  operation: submission.operation,
  spec: submission.spec,
  ...(submission.ticket === undefined ? {} : { ticket: submission.ticket }),
  ...(submission.expected_state_revision === undefined
    ? {}
    : { expectedStateRevision: submission.expected_state_revision }),
})
