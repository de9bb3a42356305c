import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { canonicalBytes } from '../../contracts/canonical-json.js'
import { EvidenceError } from '../../contracts/errors.js'
import type { ClusterConnection } from './kurrentdb-connection.js'
import { unreachable } from './kurrentdb-connection.js'
import type { Envelopes } from './kurrentdb-envelope.js'
import { sequencerStream } from './kurrentdb-names.js'

const claimTriesMax = 10
const claimPauseMs = 200
const claimType = 'fractalops.sequencer-claimed'

/** The word of this process that it sequences from now on. */
export interface OwnClaim {
  readonly origin: string
  readonly holder: string
  /** Its place among the claims: whoever has a later one is the successor. */
  readonly revision: number
}

/**
 * Whose ledger the cluster holds: undefined = nobody's yet.
 *
 * @throws EvidenceError CONFIGURATION_INVALID when it is another one's; EVENT_STORE_UNREACHABLE.
 */
export async function lastClaim(
  connection: Pick<ClusterConnection, 'lastOf'>,
  envelopes: Envelopes | undefined,
  origin: string | undefined,
): Promise<number | undefined> {
  const last = await connection.lastOf(sequencerStream)
  if (last === undefined) return undefined
  const claim = envelopes?.claimIn(last)
  if (claim === undefined || claim.origin !== origin)
    throw new EvidenceError(
      'CONFIGURATION_INVALID',
      'the cluster holds the events of a ledger that is not the one in this data folder: a ledger begins on a cluster that holds none',
    )
  return last.revision
}

/**
 * Takes the ledger over by a compare and swap: the claim stands behind the last one, or another was faster and this one
 * tries again behind that.
 *
 * @throws EvidenceError CONFIGURATION_INVALID, EVENT_STORE_UNREACHABLE.
 */
export async function claimLedger(
  connection: Pick<ClusterConnection, 'append' | 'lastOf'>,
  envelopes: Envelopes,
  { origin, isNew }: { readonly origin: string; readonly isNew: boolean },
): Promise<OwnClaim> {
  const holder = randomUUID()
  const data = canonicalBytes(envelopes.claim(origin, holder))
  const event = { id: randomUUID(), type: claimType, data, metadata: canonicalBytes({}) }
  let lost: unknown
  for (let tries = 1; tries <= claimTriesMax; tries += 1) {
    const last = await connection.lastOf(sequencerStream)
    if (last !== undefined && envelopes.claimIn(last)?.holder === holder)
      return { origin, holder, revision: last.revision }
    const before = await lastClaim(connection, envelopes, origin)
    if (before === undefined && !isNew)
      throw new EvidenceError(
        'CONFIGURATION_INVALID',
        'the cluster does not hold the events of the ledger in this data folder',
      )
    const answer = await connection.append(sequencerStream, before ?? 'none', [event])
    if (answer.kind === 'appended') return { origin, holder, revision: answer.lastRevision }
    if (answer.kind === 'refused') throw answer.error
    if (answer.kind === 'unknown') lost = answer.cause
    await pause(claimPauseMs)
  }
  throw unreachable(lost ?? new Error('others claim the ledger again and again'))
}
