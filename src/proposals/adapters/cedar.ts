import { performance } from 'node:perf_hooks'
import type {
  AuthorizationAnswer,
  CedarValueJson,
  DetailedError,
  StatefulAuthorizationCall,
} from '@cedar-policy/cedar-wasm/nodejs'
import cedar from '@cedar-policy/cedar-wasm/nodejs'
import { EvidenceError } from '../../contracts/errors.js'
import type { PolicyBundle } from '../../contracts/policy.js'
import type { Reason } from '../../contracts/proposal.js'
import { bundleDigest, checkBundle, schemaDigest } from '../bundle.js'
import type { PolicyAnswer, PolicyEngine, PolicyQuestion, ReadyPolicies } from '../policy-engine.js'

const evaluationMsMax = 50
/** A slow answer is asked for again: a busy machine passes, a slow policy stays slow. */
const evaluationAttemptsMax = 3
const messageCharactersMax = 2048
const problemsShownMax = 20

/**
 * The policy engine on Cedar. Cedar skips a policy that errors and then may still allow; here
 * nothing but a success without any error is an answer, and everything else is indeterminate.
 *
 * `monotonicMs` is the clock that evaluations are timed with.
 */
export const createCedarEngine = (
  monotonicMs: () => number = () => performance.now(),
): PolicyEngine => ({
  prepare(bundle) {
    checkBundle(bundle)
    validateStrictly(bundle)
    return makeReady(bundle, monotonicMs)
  },
})

function makeReady(bundle: PolicyBundle, monotonicMs: () => number): ReadyPolicies {
  const name = bundleDigest(bundle)
  // The preparsed form stays in the engine under its digest; preparing it again replaces the same by the same.
  const policies = cedar.preparsePolicySet(name, { staticPolicies: bundle.policies })
  const schema = cedar.preparseSchema(name, bundle.schema)
  for (const parsed of [policies, schema]) {
    if (parsed.type === 'failure') throw refused(bundle, parsed.errors)
  }
  const messages = messagesOf(bundle)
  return {
    bundle,
    bundleDigest: name,
    schemaDigest: schemaDigest(bundle),
    engine: `cedar ${cedar.getCedarSDKVersion()}`,
    ask: (question) => ask(callOf(question, name), question, { messages, monotonicMs }),
  }
}

/** The sentence that a policy has for people, in its annotation `@message`. */
function messagesOf({ policies }: PolicyBundle): ReadonlyMap<string, string> {
  const messages = new Map<string, string>()
  for (const [id, text] of Object.entries(policies)) {
    const parsed = cedar.policyToJson(text)
    const message = parsed.type === 'success' ? parsed.json.annotations?.['message'] : undefined
    if (message !== undefined) messages.set(id, message)
  }
  return messages
}

function validateStrictly(bundle: PolicyBundle): void {
  const answer = cedar.validate({
    validationSettings: { mode: 'strict' },
    schema: bundle.schema,
    policies: { staticPolicies: bundle.policies },
  })
  if (answer.type === 'failure') throw refused(bundle, answer.errors)
  // A policy that can never apply is a mistake in one that was meant to protect something.
  const impossible = answer.validationWarnings.filter(({ error }) =>
    error.message.includes('policy is impossible'),
  )
  const problems = [...answer.validationErrors, ...impossible]
  if (problems.length === 0) return
  throw invalidPolicy(
    bundle,
    problems.map(({ policyId, error }) => placed(bundle, policyId, error)),
  )
}

const refused = (bundle: PolicyBundle, errors: readonly DetailedError[]) =>
  invalidPolicy(
    bundle,
    errors.map((error) =>
      placed(bundle, /policy with id `([^`]+)`/.exec(error.message)?.[1], error),
    ),
  )

const invalidPolicy = (bundle: PolicyBundle, problems: readonly string[]) =>
  new EvidenceError(
    'POLICY_INVALID',
    `the policy bundle ${bundle.name} is not valid: ${problems.slice(0, problemsShownMax).join('; ')}`,
    { details: { problems: problems.slice(0, problemsShownMax) } },
  )

/** A problem with its file, line and column. The engine counts its places in UTF-8 bytes. */
function placed(bundle: PolicyBundle, policyId: string | undefined, error: DetailedError): string {
  const text = policyId === undefined ? bundle.schema : (bundle.policies[policyId] ?? '')
  const start = error.sourceLocations?.[0]?.start
  const before = Buffer.from(text)
    .subarray(0, start ?? 0)
    .toString()
  const lines = before.split('\n')
  const where =
    start === undefined ? '' : ` line ${lines.length} column ${(lines.at(-1) ?? '').length + 1}`
  const help = [error.sourceLocations?.[0]?.label, error.help].filter(Boolean).join('; ')
  const subject = policyId === undefined ? 'schema' : `policy ${policyId}`
  return `${subject}${where}: ${error.message}${help === '' ? '' : ` (${help})`}`
}

type Values = Record<string, CedarValueJson>

/** Attributes that are not known are left out, so that the engine finds them missing. */
const known = (attributes: Readonly<Record<string, unknown>>): Values =>
  // What cannot be a Cedar value makes the engine throw or refuse, which is indeterminate.
  Object.fromEntries(
    Object.entries(attributes).filter(([, value]) => value !== undefined),
  ) as Values

function callOf(question: PolicyQuestion, name: string): StatefulAuthorizationCall {
  const principal = { type: 'Person', id: question.principal.id }
  const resource = { type: question.resource.type, id: question.resource.id }
  return {
    principal,
    action: { type: 'Action', id: question.action },
    resource,
    context: known(question.context),
    preparsedPolicySetId: name,
    preparsedSchemaName: name,
    validateRequest: true,
    // Both entities are validated against the schema before any policy sees them.
    entities: [
      { uid: principal, attrs: { access: [...question.principal.access] }, parents: [] },
      { uid: resource, attrs: known(question.resource.attributes), parents: [] },
    ],
  }
}

interface Asking {
  readonly messages: ReadonlyMap<string, string>
  readonly monotonicMs: () => number
}

function ask(
  call: StatefulAuthorizationCall,
  question: PolicyQuestion,
  { messages, monotonicMs }: Asking,
): PolicyAnswer {
  let tookMs = 0
  for (let attempt = 0; attempt < evaluationAttemptsMax; attempt += 1) {
    const beganMs = monotonicMs()
    let answer: AuthorizationAnswer
    try {
      answer = cedar.statefulIsAuthorized(call)
    } catch (error) {
      return indeterminate([String(error)], {
        code: 'engine-error',
        message: `the policy engine could not evaluate the question: ${String(error)}`,
        resolvable_by: 'policy-admin',
      })
    }
    tookMs = monotonicMs() - beganMs
    if (tookMs <= evaluationMsMax) return answerOf(answer, question, messages)
  }
  return indeterminate([`evaluation took ${Math.round(tookMs)} ms`], {
    code: 'engine-timeout',
    message: `policy took ${Math.round(tookMs)} ms to decide, more than ${evaluationMsMax} ms`,
    resolvable_by: 'policy-admin',
  })
}

function answerOf(
  answer: AuthorizationAnswer,
  question: PolicyQuestion,
  messages: ReadonlyMap<string, string>,
): PolicyAnswer {
  if (answer.type !== 'success') {
    const errors = answer.errors.map(({ message }) => message)
    return indeterminate(errors, ...errors.map((message) => refusalReason(message, question)))
  }
  const { decision, diagnostics } = answer.response
  if (diagnostics.errors.length > 0) {
    const errors = diagnostics.errors.map(({ policyId, error }) => `${policyId}: ${error.message}`)
    return indeterminate(
      errors,
      ...errors.map((message) => ({
        code: 'policy-error',
        message: `a policy could not be evaluated: ${message}`,
        resolvable_by: 'policy-admin',
      })),
    )
  }
  const determiningPolicies = [...diagnostics.reason].sort()
  if (decision === 'allow')
    return { outcome: 'allow', reasons: [], determiningPolicies, errors: [] }
  const reasons =
    determiningPolicies.length === 0
      ? [notAllowed(question)]
      : determiningPolicies.map((id) => forbidden(id, messages.get(id)))
  return { outcome: 'deny', reasons, determiningPolicies, errors: [] }
}

const notAllowed = ({ action, resource }: PolicyQuestion): Reason => ({
  code: 'no-policy-allows',
  message: `no policy allows ${action} on ${resource.id}`,
  resolvable_by: 'policy-admin',
})

const forbidden = (id: string, message = 'this change is forbidden'): Reason => ({
  code: 'policy-forbids',
  message: shortened(`policy ${id} forbids it: ${message}`),
  resolvable_by: 'policy-admin',
})

/** Turns the words in which the engine refuses a question into the reason people see. */
function refusalReason(message: string, { resource, action }: PolicyQuestion): Reason {
  const missing = /to have (?:an )?attribute `([^`]+)`, but it does not/.exec(message)?.[1]
  if (missing !== undefined && message.startsWith('while parsing context')) {
    return {
      code: 'attribute-missing',
      message: `policy needs ${missing} of the change, and ${action} does not say it`,
      resolvable_by: 'policy-admin',
    }
  }
  if (missing !== undefined) {
    return {
      code: 'attribute-missing',
      message: `policy needs the attribute ${missing} of ${resource.id}, and the asset does not have it`,
      resolvable_by: 'operator: register the asset with this attribute',
    }
  }
  return {
    code: 'schema-mismatch',
    message: shortened(`the question does not fit the policy schema: ${message}`),
    resolvable_by: 'policy-admin',
  }
}

const shortened = (text: string) => text.slice(0, messageCharactersMax)

const indeterminate = (errors: readonly string[], ...reasons: readonly Reason[]): PolicyAnswer => ({
  outcome: 'indeterminate',
  reasons: reasons.map((reason) => ({ ...reason, message: shortened(reason.message) })),
  determiningPolicies: [],
  errors: errors.map(shortened),
})
