import { keyCreated, ledgerBootstrapped } from '../contracts/ledger.js'
import { bundlePublished } from '../contracts/policy.js'
import { eventKinds, type Names, proposalParts, readName } from './names.js'

/** Where on the ledger something is told of a thing. */
export interface Sources {
  readonly streams: readonly string[]
  /** The event, and its whole stream. */
  readonly events: readonly string[]
  readonly types: readonly string[]
  /** What tells of the assets of this proposal. */
  readonly proposals: readonly string[]
  /** What tells of the proposals about this asset. */
  readonly assets: readonly string[]
}

export const nowhere: Sources = { streams: [], events: [], types: [], proposals: [], assets: [] }

const ofEvents: ReadonlySet<string> = new Set(eventKinds)
const ofProposals: ReadonlySet<string> = new Set(['proposal', 'run', ...proposalParts])

/** Things that very much hangs on: what came of them is asked of the graph, not walked. */
const hubs: ReadonlySet<string> = new Set(['actor', 'bundle', 'ledger', 'key', 'token', 'table'])

/** Whether what came of a thing is followed at all. */
export const isHub = (names: Names, iri: string): boolean =>
  hubs.has(readName(names, iri)?.kind ?? '')

/** Where it is told what a thing came from. */
export function sourcesAbove(names: Names, iri: string): Sources {
  const { kind = '', parts = [] } = readName(names, iri) ?? {}
  const [id = ''] = parts
  if (ofProposals.has(kind)) return { ...nowhere, streams: [`proposal-${id}`, `workflow-${id}`] }
  if (ofEvents.has(kind) || kind === 'event' || kind === 'evidence')
    return { ...nowhere, events: [id] }
  if (kind === 'step') return { ...nowhere, streams: [`workflow-${id}`] }
  if (['asset', 'state', 'mutation', 'registration'].includes(kind))
    return { ...nowhere, streams: [`asset-${id}`] }
  if (kind === 'bundle')
    return { ...nowhere, types: [bundlePublished.type, ledgerBootstrapped.type] }
  if (kind === 'key') return { ...nowhere, types: [keyCreated.type, ledgerBootstrapped.type] }
  return nowhere
}

/** Where it is told what came of a thing. */
export function sourcesBelow(names: Names, iri: string): Sources {
  const above = sourcesAbove(names, iri)
  const { kind = '', parts = [] } = readName(names, iri) ?? {}
  const [id = ''] = parts
  if (hubs.has(kind)) return nowhere
  if (ofProposals.has(kind))
    return { ...above, streams: [...above.streams, `evidence-${id}`], proposals: [id] }
  if (['asset', 'state'].includes(kind)) return { ...above, assets: [id] }
  return above
}
