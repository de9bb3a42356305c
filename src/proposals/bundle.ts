import { jsonSha256 } from '../assets/state.js'
import { EvidenceError } from '../contracts/errors.js'
import { fieldProblems } from '../contracts/event.js'
import { PolicyBundle } from '../contracts/policy.js'

export const policiesMax = 256

/** SHA-256 of the bundle's RFC 8785 JSON: it names the bundle in decisions and approvals. */
export const bundleDigest = (bundle: PolicyBundle): string => jsonSha256(bundle)

/** The digest of a bundle's schema text. */
export const schemaDigest = (bundle: PolicyBundle): string => jsonSha256(bundle.schema)

/**
 * Checks the shape of a bundle, not yet what its policies say.
 *
 * @throws EvidenceError POLICY_INVALID naming every wrong place.
 */
export function checkBundle(value: unknown): PolicyBundle {
  const parsed = PolicyBundle.safeParse(value)
  if (!parsed.success) {
    const fields = fieldProblems(parsed.error)
    const places = fields.map(({ pointer, detail }) => `${pointer || '/'}: ${detail}`).join('; ')
    throw new EvidenceError('POLICY_INVALID', `the policy bundle is malformed at ${places}`, {
      cause: parsed.error,
      fields,
    })
  }
  const count = Object.keys(parsed.data.policies).length
  if (count === 0 || count > policiesMax) {
    throw new EvidenceError(
      'POLICY_INVALID',
      `the policy bundle ${parsed.data.name} holds ${count} policies; it must hold 1 to ${policiesMax}`,
    )
  }
  return parsed.data
}
