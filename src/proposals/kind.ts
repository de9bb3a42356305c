import type { AssetDirectory } from '../assets/directory.js'
import { canonicalText } from '../contracts/canonical-json.js'
import { EvidenceError } from '../contracts/errors.js'
import { type DataOf, fieldProblems } from '../contracts/event.js'
import type { ProposalBody, proposalSubmitted } from '../contracts/proposal.js'
import type * as z from 'zod'
import type { ChangeQuestions, ProposedChange } from './policy-questions.js'
import type { Principal } from './proposal.js'
import type { WorkerDirectory } from './worker-directory.js'

/** A checked request: what is going to be recorded of it, but for its expiry. */
export type Submission = Omit<DataOf<typeof proposalSubmitted>, 'expires_at'>

/** What stands on the ledger of the things that proposals are about. */
export interface Ground {
  readonly assets: AssetDirectory
  readonly workers: WorkerDirectory
}

/**
 * Everything in which one kind of proposal differs from the others until it is executed; how each is executed
 * stands in `src/runtime/workflows.ts`.
 */
export interface ProposalKind {
  /** The component that executes it. */
  readonly executor: 'execution-runtime' | 'worker'
  /** The specification as it is recorded, with its defaults filled in. @throws EvidenceError REQUEST_INVALID. */
  specOf(body: ProposalBody): ProposalBody['spec']
  /**
   * Checks a request against what there is.
   * @throws EvidenceError REQUEST_INVALID with the pointer of the field, and what the kind says.
   */
  check(
    ground: Ground & { readonly now: () => number },
    principal: Principal,
    body: ProposalBody,
  ): Promise<Submission>
  /** The questions to put to policy, on what there is now. */
  questions(
    ground: Ground,
    change: ProposedChange,
    access: readonly string[],
  ): Promise<ChangeQuestions>
  /** The streams that a change of this kind may write to, beside those of proposal, workflow and evidence. */
  streams(change: Pick<ProposedChange, 'assetIds' | 'spec'>): readonly string[]
  /** The name of what it is about, for kinds that are about no asset. */
  subject?(change: Pick<ProposedChange, 'spec'>): string | undefined
}

export const invalid = (pointer: string, detail: string): EvidenceError =>
  new EvidenceError('REQUEST_INVALID', `${pointer}: ${detail}`, { fields: [{ pointer, detail }] })

/** What the request says of itself, without absent members. */
export function told(body: ProposalBody): Omit<Submission, 'asset_ids'> {
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
export const jsonOf = (spec: object): ProposalBody['spec'] =>
  // The canonical text of an object is that of a JSON object.
  JSON.parse(canonicalText(spec)) as ProposalBody['spec']

/** Reads a specification. @throws EvidenceError REQUEST_INVALID with pointers below /spec. */
export function readSpec<Spec>(schema: z.ZodType<Spec>, spec: unknown): Spec {
  const parsed = schema.safeParse(spec)
  if (parsed.success) return parsed.data
  const fields = fieldProblems(parsed.error, '/spec')
  throw new EvidenceError(
    'REQUEST_INVALID',
    `the spec is wrong at ${fields.map(({ pointer }) => pointer).join(', ')}`,
    { cause: parsed.error, fields },
  )
}
