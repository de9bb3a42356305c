import { QueryProofFile } from '../contracts/query-proof.js'
import { mismatch, type OpenLeaf, openLeaf, tie } from './completeness.js'
import { hexOf } from './encoding.js'
import type { ProofCrypto } from './note.js'
import {
  judgeTrust,
  parseCanonical,
  type ProofStep,
  type ProofTrust,
  type SoundProof,
} from './proof-file.js'

/** What is proven of the answer of a query. */
export interface QueryReport extends SoundProof {
  readonly kind: 'query'
  readonly statement: string
  readonly sql: string
  readonly rows: number
  readonly events: number
  /** The last position that a row names. */
  readonly position: number
}

/**
 * Verifies that every row of a query proof names an event that stands on the ledger at its position. What the
 * query left out, and the other cells of its rows, are the warehouse's word.
 *
 * @throws EvidenceError as `verifyWindowProof`.
 */
export function verifyQueryProof(
  text: string | Uint8Array,
  trust: ProofTrust,
  crypto: ProofCrypto,
): QueryReport {
  const file = parseCanonical(QueryProofFile, text)
  const leaves = file.leaves.map((placed) => openLeaf(crypto, placed))
  const list = checkRows(file, leaves)
  const tied = tie(crypto, { ...file, seal: null, since: null }, leaves)
  const { checkpoint } = tied
  const steps: ProofStep[] = [
    { name: 'form', summary: 'The file is in its only form', computed: { format: file.format } },
    list,
    ...tied.steps,
  ]
  return judgeTrust(
    {
      kind: 'query',
      statement: `${file.rows.length} rows of a query name ${leaves.length} events, each on the ledger at its position under checkpoint size ${checkpoint.size}; the query saw every event below position ${file.position}; that it left out no row, and the other cells, are not proven`,
      sql: file.sql,
      rows: file.rows.length,
      events: leaves.length,
      position: leaves.at(-1)?.index ?? 0,
      checkpoint,
      signedBy: file.keys,
      trusted: [],
      witnesses: [],
      steps,
    },
    tied.signed,
    trust,
    crypto,
  )
}

/** Every row has its leaf and every leaf a row. */
function checkRows({ rows }: QueryProofFile, leaves: readonly OpenLeaf[]): ProofStep {
  const byPosition = new Map(leaves.map((leaf) => [String(leaf.index), leaf]))
  if (
    byPosition.size !== leaves.length ||
    leaves.some(({ index }, i) => index <= (leaves[i - 1]?.index ?? -1))
  )
    throw mismatch('the leaves are not ascending, each once')
  const named = new Set<string>()
  for (const [at, { position, event_id, leaf_hash }] of rows.entries()) {
    const found = byPosition.get(position)
    if (found === undefined)
      throw mismatch(`row ${at} names position ${position}, whose leaf is missing`)
    if (found.leaf.id !== event_id)
      throw mismatch(
        `row ${at} names event ${event_id}, at position ${position} stands ${found.leaf.id}`,
      )
    if (hexOf(found.leafHash) !== leaf_hash)
      throw mismatch(`row ${at} names another leaf hash than that of position ${position}`)
    named.add(position)
  }
  if (named.size !== leaves.length) throw mismatch('the file holds a leaf that no row names')
  return {
    name: 'list',
    summary: `Each of the ${rows.length} rows names an event of this file by position, id and leaf hash`,
    computed: { rows: String(rows.length), events: String(named.size) },
  }
}
