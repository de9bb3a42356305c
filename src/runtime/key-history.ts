import { keyCreated } from '../contracts/ledger.js'
import type { KeyHistoryView } from '../contracts/http.js'
import type { EventReader, EventStore, ProofSource } from '../ledger/event-store.js'
import { fact } from '../ledger/facts.js'
import { nodeCrypto } from '../ledger/node-crypto.js'
import { type KeyChange, keyStreamOf, type LedgerKey } from '../ledger/signing-keys.js'
import type { RecordWriter } from '../ledger/writers.js'
import { defaultProject } from './bootstrap.js'

/**
 * Records the key that signs checkpoints on its own stream, unless it stands there. A key that waits is
 * recorded under the key that it follows, and takes over behind that: so the old key vouches for the new.
 */
export async function recordKeys(
  ledger: EventStore & ProofSource,
  change: KeyChange,
  writer: RecordWriter,
  newId: () => string,
): Promise<void> {
  const record = async (vkey: string, follows: { vkey: string; size: string } | null) => {
    const stream = keyStreamOf(nodeCrypto.sha256, vkey)
    if ((await ledger.lastRevision(defaultProject, stream)) !== undefined) return
    await writer.record({
      project: defaultProject,
      stream,
      expected: 'none',
      actor: 'ledger',
      facts: [fact(keyCreated, newId(), { vkey, purpose: 'checkpoint', follows })],
    })
  }
  await record(ledger.vkey, null)
  if (change.nextVkey === null) return
  await record(change.nextVkey, { vkey: ledger.vkey, size: String(ledger.checkpoint().size) })
  await change.changeKey()
}

/** Every key that signed the ledger, with its term and the event that tells of it, oldest first. */
export async function keyHistoryOf(
  reader: Pick<EventReader, 'readStream'>,
  keys: readonly LedgerKey[],
): Promise<KeyHistoryView> {
  const told = async ({ vkey, signingFrom }: LedgerKey) => {
    const stream = keyStreamOf(nodeCrypto.sha256, vkey)
    let eventId: string | null = null
    for await (const { leaf } of reader.readStream({ project: defaultProject, stream, max: 1 }))
      eventId = leaf.id
    return { vkey, signing_from: String(signingFrom), event_id: eventId }
  }
  return { keys: await Promise.all(keys.map(told)) }
}
