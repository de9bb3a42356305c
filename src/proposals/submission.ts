import { jsonSha256 } from '../assets/state.js'
import { canonicalText } from '../contracts/canonical-json.js'
import type { DataOf } from '../contracts/event.js'
import { type ProposalBody, type proposalSubmitted, specBytesMax } from '../contracts/proposal.js'
import { type Ground, invalid, type Submission, told } from './kind.js'
import { kinds } from './kinds.js'
import type { ProposedChange } from './policy-questions.js'
import type { Principal } from './proposal.js'

/**
 * Checks what is proposed against what there is. Specifications that have defaults are recorded with them
 * filled in, so that everybody decides on exactly what will stand.
 *
 * @throws EvidenceError REQUEST_INVALID with the pointer of the field; ASSET_UNKNOWN, ASSET_EXISTS,
 * ROLE_UNRESOLVED, STATE_REVISION_STALE for assets; WORKER_UNKNOWN, WORKER_EXISTS, ACCESS_DENIED for workers.
 */
export async function checkSubmission(
  ground: Ground & { readonly now: () => number },
  principal: Principal,
  body: ProposalBody,
): Promise<Submission> {
  if (new TextEncoder().encode(canonicalText(body.spec)).length > specBytesMax) {
    throw invalid('/spec', `has more than ${specBytesMax} bytes`)
  }
  return kinds[body.kind].check(ground, principal, body)
}

/** Whether a recorded submission is the one that this body asks for, whatever became of its subject since. */
export function isRepeated(
  recorded: DataOf<typeof proposalSubmitted>,
  body: ProposalBody,
): boolean {
  const { asset_ids: _ids, expires_at: _expiry, ...before } = recorded
  return (
    canonicalText(before) === canonicalText({ ...told(body), spec: kinds[body.kind].specOf(body) })
  )
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
