import type { Outcome, PolicyBundle } from '../contracts/policy.js'
import type { Reason } from '../contracts/proposal.js'

/** One question to policy: may this principal do this to this asset, in this context? */
export interface PolicyQuestion {
  readonly principal: { readonly id: string; readonly access: readonly string[] }
  readonly action: string
  /** Attributes as far as they are known; one that the schema requires and is missing makes the answer indeterminate. */
  readonly resource: {
    readonly type: string
    readonly id: string
    readonly attributes: Readonly<Record<string, unknown>>
  }
  readonly context: Readonly<Record<string, unknown>>
}

export interface PolicyAnswer {
  readonly outcome: Outcome
  readonly reasons: readonly Reason[]
  readonly determiningPolicies: readonly string[]
  readonly errors: readonly string[]
}

/** A bundle made ready to decide with. Deciding is total: whatever goes wrong is `indeterminate`. */
export interface ReadyPolicies {
  readonly bundle: PolicyBundle
  readonly bundleDigest: string
  readonly schemaDigest: string
  readonly engine: string
  ask(question: PolicyQuestion): PolicyAnswer
}

/** The policy engine port. */
export interface PolicyEngine {
  /** @throws EvidenceError POLICY_INVALID naming policy, line and problem when strict validation fails. */
  prepare(bundle: PolicyBundle): ReadyPolicies
}
