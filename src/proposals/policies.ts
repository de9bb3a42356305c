import { ledgerBootstrapped } from '../contracts/ledger.js'
import { bundleActivated, bundlePublished, type PolicyBundle } from '../contracts/policy.js'
import type { EventReader, RecordedEvent } from '../ledger/event-store.js'
import { dataOf } from '../ledger/facts.js'
import { createFold } from '../ledger/fold.js'
import { bundleDigest, schemaDigest } from './bundle.js'
import type { PolicyEngine, ReadyPolicies } from './policy-engine.js'

/** The policies that decide now, as the ledger tells them. */
export interface ActivePolicies {
  /** Total: when the active bundle cannot be used, what is answered decides nothing (indeterminate). */
  current(): Promise<ReadyPolicies>
}

interface Active {
  readonly bundle: PolicyBundle
  /** Why the bundle must not decide, if it must not. */
  readonly problem?: string
}

interface Known {
  /** By the digest that was computed from what was published. */
  readonly published: Map<string, PolicyBundle>
  active: Active
  bootstrapped: boolean
}

const noBundle: PolicyBundle = { name: 'none', policies: {}, schema: '' }

export function createActivePolicies(reader: EventReader, engine: PolicyEngine): ActivePolicies {
  const fold = createFold<Known>(reader, {
    filter: { types: [ledgerBootstrapped.type, bundlePublished.type, bundleActivated.type] },
    initial: {
      published: new Map(),
      active: { bundle: noBundle, problem: 'the ledger names no policy bundle' },
      bootstrapped: false,
    },
    evolve: learn,
  })
  let prepared: { readonly active: Active; readonly ready: ReadyPolicies } | undefined
  return {
    async current() {
      const { active } = await fold.current()
      if (prepared?.active !== active) prepared = { active, ready: prepare(engine, active) }
      return prepared.ready
    },
  }
}

/** Types alone are not enough: writer and stream must be those of the contract. */
function learn(known: Known, event: RecordedEvent): Known {
  const { type, writer, stream } = event.leaf
  if (type === ledgerBootstrapped.type && writer === 'ledger' && stream.startsWith('ledger-')) {
    const data = dataOf(ledgerBootstrapped, event)
    if (data === undefined || known.bootstrapped) return known
    known.bootstrapped = true
    known.active = checked(data.policy, data.policy_digest)
    return known
  }
  if (!stream.startsWith('policy-')) return known
  if (type === bundlePublished.type && writer === 'recording') {
    const data = dataOf(bundlePublished, event)
    if (data !== undefined) known.published.set(bundleDigest(data.bundle), data.bundle)
  }
  if (type === bundleActivated.type && writer === 'activity') {
    const data = dataOf(bundleActivated, event)
    if (data !== undefined)
      known.active = checked(known.published.get(data.bundle_digest), data.bundle_digest)
  }
  return known
}

function checked(bundle: PolicyBundle | undefined, digest: string): Active {
  if (bundle === undefined) {
    return { bundle: noBundle, problem: `the active policy bundle ${digest} was never published` }
  }
  if (bundleDigest(bundle) === digest) return { bundle }
  return {
    bundle,
    problem: `the policy bundle ${bundle.name} does not have the digest ${digest} it was recorded with`,
  }
}

function prepare(engine: PolicyEngine, { bundle, problem }: Active): ReadyPolicies {
  if (problem !== undefined) return undecided(bundle, problem)
  try {
    return engine.prepare(bundle)
  } catch (error) {
    // An engine that refuses what it accepted before (an upgrade) blocks; it does not stop the service.
    return undecided(bundle, error instanceof Error ? error.message : String(error))
  }
}

const undecided = (bundle: PolicyBundle, problem: string): ReadyPolicies => ({
  bundle,
  bundleDigest: bundleDigest(bundle),
  schemaDigest: schemaDigest(bundle),
  engine: 'none',
  ask: () => ({
    outcome: 'indeterminate',
    reasons: [
      {
        code: 'policy-unavailable',
        message: `the active policies cannot decide: ${problem}`.slice(0, 2048),
        resolvable_by: 'policy-admin',
      },
    ],
    determiningPolicies: [],
    errors: [problem.slice(0, 2048)],
  }),
})
