import { assetEvents } from './asset.js'
import type { EventContract } from './event.js'
import { evidenceEvents } from './evidence.js'
import { identityEvents } from './identity.js'
import { keyEvents, ledgerEvents } from './ledger.js'
import { policyEvents } from './policy.js'
import { projectionEvents } from './projection.js'
import { proposalEvents } from './proposal.js'
import { workflowEvents } from './workflow.js'

/** Every event type of this version. Readers and writers look types up here. */
export const catalog: readonly EventContract[] = [
  ...proposalEvents,
  ...policyEvents,
  ...workflowEvents,
  ...assetEvents,
  ...evidenceEvents,
  ...identityEvents,
  ...keyEvents,
  ...projectionEvents,
  ...ledgerEvents,
] as readonly EventContract[]

const byType = new Map(catalog.map((contract) => [contract.type, contract]))

export const contractOf = (type: string): EventContract | undefined => byType.get(type)
