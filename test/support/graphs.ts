import { catalog } from '../../src/contracts/catalog.js'
import { canonicalBytes } from '../../src/contracts/canonical-json.js'
import type { EventContract } from '../../src/contracts/event.js'
import { leafTextOf } from '../../src/ledger/leaf.js'
import { utf8 } from '../../src/ledger/encoding.js'
import type { RecordedEvent } from '../../src/ledger/event-store.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'

export const graphLedger = '0123456789abcdef'
export const exampleId = '0f2d6a52-6f2e-4a4e-9d35-0c5b1a7d1c11'

/** An event as the ledger would hold it, the same for ever; every part can be replaced. */
export function recorded(
  contract: EventContract,
  fields: {
    readonly id?: string
    readonly position?: number
    readonly data?: unknown
    readonly stream?: string
    readonly actor?: string
    readonly erased?: boolean
    readonly metadata?: unknown
    readonly version?: string
    readonly project?: string
  } = {},
): RecordedEvent {
  const position = fields.position ?? 7
  const leaf = {
    actor: fields.actor ?? 'ada',
    content_type: 'application/json',
    data_sha256: 'a'.repeat(64),
    id: fields.id ?? exampleId,
    metadata_sha256: 'b'.repeat(64),
    prev: null,
    project: fields.project ?? 'default',
    revision: '0',
    stream: fields.stream ?? `${contract.category}-${exampleId}`,
    time: '2026-11-24T00:00:00.000Z',
    type: contract.type,
    type_seq: '0',
    version: fields.version ?? contract.version,
    writer: contract.writer,
  }
  const text = leafTextOf(leaf)
  const salt = new Uint8Array(32)
  return {
    position,
    leaf,
    leafText: text,
    leafHash: nodeCrypto.sha256(utf8(`\0${text}`)),
    data:
      fields.erased === true
        ? null
        : { bytes: canonicalBytes(fields.data ?? contract.example), salt },
    metadata: { bytes: canonicalBytes(fields.metadata ?? {}), salt },
  }
}

/** The example of every contract, as an event. */
export const examples = (): { contract: EventContract; event: RecordedEvent }[] =>
  catalog.map((contract) => ({ contract, event: recorded(contract) }))
