import { type PlacedLeaf, proofLeavesMax } from '../contracts/completeness.js'
import { EvidenceError } from '../contracts/errors.js'
import { ProvenRow, type QueryProofFile, queryProofFormat } from '../contracts/query-proof.js'
import { base64Of, hexOf } from '../ledger/encoding.js'
import type { EventReader, ProofSource } from '../ledger/event-store.js'
import type { Row } from '../projections/warehouse.js'
import { keysOf, proofText } from './proof-view.js'

const coveringTimeoutMs = 10_000

interface Answered {
  readonly sql: string
  readonly parameters: Readonly<Record<string, string | number | boolean>>
  readonly position: number
  readonly rows: readonly Row[]
}

/**
 * The proof file of an answer: every row must name its event by `position`, `event_id` and `leaf_hash`.
 *
 * @throws EvidenceError REQUEST_INVALID when one does not; PROOF_TOO_LARGE; PROOF_MISMATCH when the ledger
 * has another event there: then the fact table was changed.
 */
export async function queryProofOf(
  {
    reader,
    proofs,
  }: {
    readonly reader: Pick<EventReader, 'readLog'>
    readonly proofs: Pick<ProofSource, 'keys' | 'checkpoint' | 'checkpointCovering' | 'proveBatch'>
  },
  { sql, parameters, position, rows }: Answered,
): Promise<string> {
  const proven = rows.map(provenRow)
  const positions = [...new Set(proven.map((row) => Number(row.position)))].sort((a, b) => a - b)
  const last = positions.at(-1)
  if (last === undefined)
    throw new EvidenceError(
      'REQUEST_INVALID',
      'the query answered no row: there is nothing to prove',
    )
  if (positions.length > proofLeavesMax)
    throw new EvidenceError(
      'PROOF_TOO_LARGE',
      `the rows name more than the ${proofLeavesMax} events that one file proves`,
    )
  const leaves = await leavesAt(reader, positions, proven)
  await proofs.checkpointCovering(last, coveringTimeoutMs)
  const checkpoint = proofs.checkpoint()
  const vkeys = proofs.keys.map(({ vkey }) => vkey)
  const file: QueryProofFile = {
    format: queryProofFormat,
    sql,
    parameters: { ...parameters },
    position: String(position),
    rows: proven,
    leaves,
    nodes: (await proofs.proveBatch(positions, checkpoint.size)).map(base64Of),
    checkpoint: checkpoint.note,
    keys: [...keysOf(checkpoint.note, vkeys)],
  }
  return proofText(file)
}

function provenRow(row: Row, at: number): ProvenRow {
  const parsed = ProvenRow.safeParse(row)
  if (parsed.success) return parsed.data
  throw new EvidenceError(
    'REQUEST_INVALID',
    `row ${at} does not name its event: select position, event_id and leaf_hash`,
  )
}

async function leavesAt(
  reader: Pick<EventReader, 'readLog'>,
  positions: readonly number[],
  rows: readonly ProvenRow[],
): Promise<PlacedLeaf[]> {
  const named = new Map(rows.map((row) => [Number(row.position), row]))
  const leaves: PlacedLeaf[] = []
  for (const position of positions) {
    const row = named.get(position)
    let found = false
    for await (const event of reader.readLog({ from: position, max: 1 })) {
      found = event.position === position && event.leaf.id === row?.event_id
      found &&= hexOf(event.leafHash) === row?.leaf_hash
      if (found) leaves.push({ index: String(position), leaf: event.leafText })
    }
    if (!found)
      throw new EvidenceError(
        'PROOF_MISMATCH',
        `the row at position ${position} names an event that the ledger does not have there: the fact table was changed; "fractalops check facts" names where`,
      )
  }
  return leaves
}
