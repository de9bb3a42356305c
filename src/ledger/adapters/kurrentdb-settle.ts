import { createHash } from 'node:crypto'
import { canonicalBytes } from '../../contracts/canonical-json.js'
import { duplicateRefused } from '../../contracts/ledger.js'
import { dataBytesMax, metadataBytesMax } from '../event-store.js'
import { encodeFact, fact } from '../facts.js'
import type { DataKeyFile } from './data-key-file.js'
import type { SettledEvent } from './journal-appends.js'
import type { ClusterEvent } from './kurrentdb-connection.js'
import type { Envelopes } from './kurrentdb-envelope.js'
import { foreignTypeOf, ledgerStreamAt } from './kurrentdb-names.js'

/** What becomes of an event of the cluster: its leaf, and the place of its keys when it is ours. */
export interface Settled {
  readonly event: SettledEvent
  readonly key: number | null
  /** Whether its id was used before, so that the leaf tells of that alone. */
  readonly isRefused: boolean
}

/** Who did what somebody else appended: the cluster does not say. */
const foreignActor = 'foreign'
const leftOut = 'application/vnd.fractalops.left-out+json'

/**
 * The leaf that an event of the cluster becomes. It depends on the cluster, the leaves before it and the secret alone:
 * whoever sequences the same cluster makes the same log of it.
 *
 * @throws EvidenceError DATA_FOLDER_INVALID when an event of ours cannot be opened.
 */
export async function settle(
  event: ClusterEvent,
  parts: {
    readonly envelopes: Envelopes
    readonly keys: DataKeyFile
    /** Where an event with this id stands already; undefined while none does. */
    readonly positionOf: (id: string) => Promise<number | undefined>
    /** Ledger time of the leaf before. */
    readonly lastTimeMs: number
  },
): Promise<Settled> {
  const { envelopes, keys, lastTimeMs } = parts
  const timeMs = Math.max(lastTimeMs, event.createdMs)
  const sealed = envelopes.recognise(event)
  const key = sealed === undefined ? null : Number(sealed.facts.key)
  const first = await parts.positionOf(event.id)
  if (first !== undefined)
    return { event: duplicate(event, first, timeMs, envelopes), key, isRefused: true }
  if (sealed === undefined || key === null)
    return { event: foreign(event, timeMs, envelopes), key, isRefused: false }
  const { facts } = sealed
  const { data, metadata, dataSalt, metadataSalt } = envelopes.open(
    sealed,
    await keys.read(key, event.id),
  )
  return {
    key,
    isRefused: false,
    event: {
      id: event.id,
      type: facts.type,
      version: facts.version,
      writer: facts.writer,
      actor: facts.actor,
      contentType: facts.content_type,
      data,
      metadata,
      project: facts.project,
      stream: facts.stream,
      settled: { timeMs, dataSalt, metadataSalt },
    },
  }
}

const madeHere = (event: ClusterEvent, timeMs: number, envelopes: Envelopes) => ({
  ...ledgerStreamAt(event.stream),
  settled: {
    timeMs,
    dataSalt: envelopes.foreignSalt(event, 'data'),
    metadataSalt: envelopes.foreignSalt(event, 'metadata'),
  },
})

/** In the place of the second event, so that the stream has no gap. */
const duplicate = (
  event: ClusterEvent,
  first: number,
  timeMs: number,
  envelopes: Envelopes,
): SettledEvent => ({
  ...encodeFact(
    fact(duplicateRefused, envelopes.idAt(event), {
      event_id: event.id,
      first_position: String(first),
      cluster_revision: String(event.revision),
    }),
    'ledger',
  ),
  ...madeHere(event, timeMs, envelopes),
})

function foreign(event: ClusterEvent, timeMs: number, envelopes: Envelopes): SettledEvent {
  const isWhole = event.data.length <= dataBytesMax
  const plainType = event.isJson ? 'application/json' : 'application/octet-stream'
  return {
    id: event.id,
    type: foreignTypeOf(event.type),
    version: '0',
    writer: 'foreign',
    actor: foreignActor,
    contentType: isWhole ? plainType : leftOut,
    data: isWhole ? event.data : digestOf(event.data),
    metadata: event.metadata.length <= metadataBytesMax ? event.metadata : digestOf(event.metadata),
    ...madeHere(event, timeMs, envelopes),
  }
}

/** What stands on the ledger of bytes that are too many for it. */
const digestOf = (bytes: Uint8Array): Uint8Array =>
  canonicalBytes({
    left_out: {
      bytes: String(bytes.length),
      sha256: createHash('sha256').update(bytes).digest('hex'),
    },
  })
