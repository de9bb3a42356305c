import { jsonSha256 } from '../assets/state.js'
import { EvidenceError } from '../contracts/errors.js'
import type { Decision, Outcome } from '../contracts/policy.js'
import { isControlKind, type Reason } from '../contracts/proposal.js'
import type { ProposalDirectory } from './directory.js'
import type { ActivePolicies } from './policies.js'
import type { PolicyAnswer, PolicyQuestion, ReadyPolicies } from './policy-engine.js'
import type { Ground } from './kind.js'
import { kinds } from './kinds.js'
import type { ChangeQuestion, ProposedChange } from './policy-questions.js'
import { standingApprovals } from './standing-approvals.js'

/** Policy cannot ask for more approvals than it is asked with. */
export const approvalsMax = 3
const reasonsMax = 64
const errorsMax = 64
const policiesNamedMax = 256

export interface DecisionParts extends Ground {
  readonly policies: ActivePolicies
  /** The access roles that somebody's valid token holds now; undefined when there is no such token. */
  readonly accessOf: (project: string, name: string) => Promise<readonly string[] | undefined>
}

/** Makes decisions and records none. Whatever is uncertain comes out as indeterminate, with its reason. */
export interface Decider {
  /** Stage 1: what policy says before anybody approved, and how many approvals it asks for. */
  decide(change: ProposedChange): Promise<Decision>
  /**
   * Decides again at execution, with the approvals that still hold for this proposal, these
   * policies and the state of every asset now.
   * @throws EvidenceError PROPOSAL_NOT_FOUND.
   */
  enforce(project: string, proposalId: string): Promise<Decision>
}

export function createDecider(
  parts: DecisionParts & { readonly proposals: Pick<ProposalDirectory, 'get'> },
): Decider {
  return {
    decide: async (change) =>
      decisionOf(parts, change, await parts.policies.current(), {
        counted: undefined,
        reasons: [],
      }),

    async enforce(project, proposalId) {
      const proposal = await parts.proposals.get(project, proposalId)
      if (proposal === undefined) {
        throw new EvidenceError('PROPOSAL_NOT_FOUND', `there is no proposal ${proposalId}`)
      }
      const policies = await parts.policies.current()
      const standing = await standingApprovals(proposal, {
        policyDigest: policies.bundleDigest,
        assets: parts.assets,
        accessOf: parts.accessOf,
      })
      return decisionOf(parts, proposal, policies, {
        counted: Math.min(standing.valid, approvalsMax),
        reasons: standing.voided,
      })
    },
  }
}

/** The approvals to decide with; `counted` is undefined while none could be given yet. */
interface Approvals {
  readonly counted: number | undefined
  readonly reasons: readonly Reason[]
}

interface ChangeAnswer extends PolicyAnswer {
  readonly approvalsRequired: number
  /** The question as it was put last, with its number of approvals. */
  readonly input: unknown
}

async function decisionOf(
  parts: DecisionParts,
  change: ProposedChange,
  policies: ReadyPolicies,
  approvals: Approvals,
): Promise<Decision> {
  const access = await parts.accessOf(change.project, change.proposer)
  const asked = await kinds[change.kind].questions(parts, change, access ?? [])
  const blocked = [
    ...(access === undefined ? [principalUnknown(change.proposer)] : []),
    ...asked.blocked,
  ]
  const answers = asked.changes.map((one) => answerFor(policies, one, approvals.counted))
  const outcome = worst([
    ...answers.map((answer) => answer.outcome),
    ...(blocked.length > 0 ? ['indeterminate' as const] : []),
  ])
  const required =
    outcome === 'allow'
      ? Math.max(0, ...answers.map(({ approvalsRequired }) => approvalsRequired))
      : 0
  const input = {
    principal: { id: change.proposer, access: [...(access ?? [])] },
    action: change.operation,
    [isControlKind(change.kind) ? 'subjects' : 'assets']: answers.map((answer) => answer.input),
  }
  const explaining = answers.filter((answer) => answer.outcome === outcome)
  // Why approvals are missing stands before the fact that they are.
  const lacking = explaining.some(({ reasons }) => reasons.some(({ code }) => code === missingCode))
  const reasons = [
    ...(lacking ? approvals.reasons : []),
    ...blocked,
    ...[...explaining, ...answers].flatMap((answer) => answer.reasons),
    ...(outcome === 'allow' && required > 0 ? [approvalRequired(required)] : []),
    ...approvals.reasons,
  ]
  return {
    proposal_digest: change.digest,
    outcome,
    reasons: distinct(reasons, ({ code, message }) => `${code} ${message}`).slice(0, reasonsMax),
    approvals_required: required,
    approvals_counted: approvals.counted ?? 0,
    determining_policies: distinct(
      explaining.flatMap((answer) => answer.determiningPolicies),
      String,
    ).slice(0, policiesNamedMax),
    errors: distinct(
      answers.flatMap((answer) => answer.errors),
      String,
    ).slice(0, errorsMax),
    bundle: policies.bundle.name,
    bundle_digest: policies.bundleDigest,
    schema_digest: policies.schemaDigest,
    input_digest: jsonSha256(input),
    // The input is made of strings, numbers and lists of them; the contract checks that it is JSON.
    input: input as Decision['input'],
    engine: policies.engine,
    states: asked.changes.flatMap(({ binding }) => binding ?? []),
    diff: asked.changes.flatMap(({ binding, changes }) =>
      binding === undefined ? [] : { asset_id: binding.asset_id, changes: [...changes] },
    ),
  }
}

const severity: readonly Outcome[] = ['allow', 'deny', 'indeterminate']

/** A change of several assets is decided as its worst part; one of none is not decided at all. */
const worst = (outcomes: readonly Outcome[]): Outcome =>
  severity[Math.max(...outcomes.map((outcome) => severity.indexOf(outcome)))] ?? 'indeterminate'

function answerFor(
  policies: ReadyPolicies,
  { subject, binding, blocked, question }: ChangeQuestion,
  counted: number | undefined,
): ChangeAnswer {
  const nothing = { determiningPolicies: [], errors: [], approvalsRequired: 0 }
  if (blocked.length > 0 || question === undefined) {
    const name = binding === undefined ? { subject } : { asset_id: subject }
    const input = { ...name, not_asked: blocked.map(({ code }) => code) }
    return { ...nothing, outcome: 'indeterminate', reasons: blocked, input }
  }
  const probed = probe(policies, question)
  if (counted === undefined || probed.outcome !== 'allow') return probed
  if (counted < probed.approvalsRequired) {
    const { input } = askWith(policies, question, counted)
    return {
      ...nothing,
      outcome: 'deny',
      reasons: [approvalsMissing(counted, probed.approvalsRequired)],
      input,
    }
  }
  return { ...askWith(policies, question, counted), approvalsRequired: probed.approvalsRequired }
}

/** Asks with none, then with one, two, three: the first allow says how many approvals policy wants. */
function probe(policies: ReadyPolicies, question: PolicyQuestion): ChangeAnswer {
  let answer = askWith(policies, question, 0)
  for (let approvals = 1; answer.outcome === 'deny' && approvals <= approvalsMax; approvals += 1) {
    answer = { ...askWith(policies, question, approvals), approvalsRequired: approvals }
  }
  return answer.outcome === 'allow' ? answer : { ...answer, approvalsRequired: 0 }
}

function askWith(
  policies: ReadyPolicies,
  question: PolicyQuestion,
  approvals: number,
): ChangeAnswer {
  const context = { ...question.context, approvals }
  const answer = policies.ask({ ...question, context })
  return { ...answer, approvalsRequired: 0, input: { resource: question.resource, context } }
}

const principalUnknown = (name: string): Reason => ({
  code: 'principal-unknown',
  message: `the proposer ${name} holds no valid token now`,
  resolvable_by: 'administrator',
})

const approvalRequired = (required: number): Reason => ({
  code: 'approval-required',
  message: `policy allows this with ${required} ${required === 1 ? 'approval' : 'approvals'} by somebody else`,
  resolvable_by: 'approver',
})

const missingCode = 'approval-missing'

const approvalsMissing = (counted: number, required: number): Reason => ({
  code: missingCode,
  message: `${counted} of ${required} approvals hold at execution`,
  resolvable_by: 'approver',
})

function distinct<Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[] {
  const byKey = new Map<string, Item>()
  for (const item of items) if (!byKey.has(keyOf(item))) byKey.set(keyOf(item), item)
  return [...byKey.values()]
}
