import type { PolicyBundle } from '../contracts/policy.js'
import { ledgerBootstrapped } from '../contracts/ledger.js'
import type { EventStore, ProofSource } from '../ledger/event-store.js'
import { fact } from '../ledger/facts.js'
import type { RecordWriter } from '../ledger/writers.js'

export const administratorName = 'administrator'
export const defaultProject = 'default'

/** What a new ledger starts with; recorded once, at revision 0 of its own stream. */
export interface Beginning {
  readonly policy: PolicyBundle
  readonly policyDigest: string
  readonly schemaDigest: string
  /** SHA-256 of the administrator's token. */
  readonly administratorTokenSha256: string
  /** Stream of the ledger's own events. */
  readonly ledgerStream: string
  readonly newId: () => string
}

/** Whether the ledger still has to be told who it is: it holds nothing, or only its first event. */
export const needsBootstrap = async (ledger: EventStore, ledgerStream: string): Promise<boolean> =>
  (await ledger.lastRevision(defaultProject, ledgerStream)) === undefined

/**
 * Records the first facts of a ledger: the only ones without a proposal (law 13). A crash before the
 * append leaves an empty ledger, and the next start begins again with a new token.
 */
export async function bootstrapLedger(
  ledger: EventStore & ProofSource,
  writer: RecordWriter,
  { policy, policyDigest, schemaDigest, administratorTokenSha256, ledgerStream, newId }: Beginning,
): Promise<void> {
  await writer.record({
    project: defaultProject,
    stream: ledgerStream,
    expected: 'none',
    actor: 'ledger',
    facts: [
      fact(ledgerBootstrapped, newId(), {
        origin: ledger.origin,
        policy,
        policy_digest: policyDigest,
        schema_digest: schemaDigest,
        administrator: { name: administratorName, token_sha256: administratorTokenSha256 },
        vkey: ledger.vkey,
      }),
    ],
  })
}
