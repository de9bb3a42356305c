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

/** One thing that a change is about: the question to put to policy, or why none can be put. */
export interface ChangeQuestion {
  /** As decisions name it. */
  readonly subject: string
  /** The state it stands in; only assets have one. */
  readonly binding?: Decision['states'][number]
  readonly changes: readonly Difference[]
  readonly blocked: readonly Reason[]
  /** Without the number of approvals, which the decision varies. */
  readonly question?: PolicyQuestion
}

/** The questions of a change on what was last recorded, or why there are none at all. */
export interface ChangeQuestions {
  readonly blocked: readonly Reason[]
  readonly changes: readonly ChangeQuestion[]
}

const reasonCodes: Partial<Record<ErrorCode, string>> = {
  ASSET_UNKNOWN: 'asset-unknown',
  ROLE_UNRESOLVED: 'role-unresolved',
}

/** What a submission would refuse is, at any later decision, a reason that blocks. */
export function reasonOf(error: unknown): Reason {
  if (!(error instanceof EvidenceError)) throw error
  const code = reasonCodes[error.code] ?? 'change-unfit'
  return { code, message: error.message.slice(0, 2048), resolvable_by: 'proposer' }
}

export const commonContext = ({ operation, assetIds, ticket }: ProposedChange) => ({
  operation,
  assets: assetIds.length,
  ...(ticket === undefined ? {} : { ticket }),
})

export const bindingOf = (
  assetId: string,
  record: AssetRecord | undefined,
): Decision['states'][number] => ({
  asset_id: assetId,
  state_revision: record?.stateRevision ?? null,
  state_sha256: record?.stateSha256 ?? null,
})
