import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { canonicalText } from '../../src/contracts/canonical-json.js'
import { dataFolder } from '../../src/runtime/data-folder.js'
import { keyFiles } from '../../src/ledger/adapters/key-file.js'
import { openJournal } from '../../src/ledger/adapters/open-journal.js'
import { followKeys } from '../../src/ledger/key-succession.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { verifyProofFile } from '../../src/ledger/proof-file.js'
import { createWitness } from '../../src/runtime/witness.js'
import { parseFollowedLogs } from '../../src/ledger/witness.js'
import { formatAddCheckpoint } from '../../src/ledger/witness-request.js'
import { createLedgerWriter } from '../../src/ledger/writers.js'
import { keyHistoryOf, recordKeys } from '../../src/runtime/key-history.js'
import { proofOf } from '../../src/runtime/proof-view.js'
import { draft, request, temporaryFolder } from '../support/ledger.js'
import { witnessSigner } from '../support/witness.js'

const now = () => Date.UTC(2026, 0, 2)

/** A ledger whose key changed `changes` times, with an event before, between and behind. */
async function rotatedLedger(t: Test, changes = 2) {
  const { ledger: folder } = dataFolder(await temporaryFolder(t))
  const keys = keyFiles(join(folder, 'checkpoint.key'))
  const events: string[] = []
  const checkpoints: string[] = []
  for (let change = 0; ; change += 1) {
    const ledger = await openJournal({ folder, now })
    await recordKeys(ledger, ledger, createLedgerWriter(ledger), randomUUID)
    const bridge = ledger.checkpoint()
    const event = draft()
    await ledger.append(request({ events: [event] }))
    events.push(event.id)
    checkpoints.push((await ledger.checkpointCovering(ledger.size() - 1)).note)
    if (change < changes) {
      await ledger.close()
      await keys.prepareNext(ledger.origin)
      continue
    }
    t.teardown(() => ledger.close())
    const prove = async (id: string) => {
      const found = await ledger.find(id)
      if (found === undefined) throw new Error(`there is no event ${id}`)
      return proofOf(found, ledger, ledger.keys)
    }
    const history = (await keyHistoryOf(ledger, ledger.keys)).keys
    const successions: string[] = []
    for (const { event_id: id } of history.slice(1)) successions.push(await prove(id ?? ''))
    const vkeys = ledger.keys.map(({ vkey }) => vkey)
    return { ledger, prove, events, history, successions, vkeys, bridge, checkpoints }
  }
}

const known = (files: readonly string[], trusted: readonly string[]) =>
  followKeys(files, trusted, nodeCrypto).map(({ vkey }) => vkey)

t.test(
  'who pinned the first key verifies what the last one signed, and the other way round',
  async (t) => {
    const { ledger, prove, events, successions, vkeys } = await rotatedLedger(t)
    const [first = '', , last = ''] = vkeys
    const recent = await prove(events[2] ?? '')
    t.throws(() => verifyProofFile(recent, { keys: [first] }, nodeCrypto), {
      code: 'PROOF_KEY_UNKNOWN',
    })

    for (const files of [successions, successions.toReversed()]) {
      const terms = followKeys(files, [first], nodeCrypto)
      t.strictSame(
        terms.map(({ vkey, from, to }) => ({ vkey, from, to })),
        vkeys.map((vkey, i) => ({
          vkey,
          from: ledger.keys[i]?.signingFrom,
          to: ledger.keys[i + 1]?.signingFrom ?? Number.POSITIVE_INFINITY,
        })),
      )
      const keys = terms.map(({ vkey }) => vkey)
      t.equal(verifyProofFile(recent, { keys, terms }, nodeCrypto).leaf.id, events[2])
    }
    t.same(new Set(known(successions, [last])), new Set(vkeys), 'backwards from the last key')
  },
)

t.test('events of earlier keys are proven under the present key', async (t) => {
  const { prove, events, vkeys } = await rotatedLedger(t)

  for (const id of events) {
    const { leaf } = verifyProofFile(await prove(id), { keys: vkeys.slice(-1) }, nodeCrypto)
    t.equal(leaf.id, id)
  }
})

t.test('the event of a key names the one before it, and its size', async (t) => {
  const { ledger, history, vkeys } = await rotatedLedger(t, 1)

  t.match(history, [
    { vkey: vkeys[0], signing_from: '0' },
    { vkey: vkeys[1], signing_from: '3' },
  ])
  const event = await ledger.find(history[1]?.event_id ?? '')
  t.match(event?.leaf, { type: 'key.created', version: '2', writer: 'ledger' })
  t.match(JSON.parse(Buffer.from(event?.data?.bytes ?? []).toString()), {
    vkey: vkeys[1],
    follows: { vkey: vkeys[0], size: '2' },
  })
})

t.test(
  'what does not lead from a trusted key, or tells of no key, is refused by name',
  async (t) => {
    const { prove, events, successions, vkeys } = await rotatedLedger(t)
    const other = await rotatedLedger(t, 1)
    const refused = (files: readonly string[], keys: readonly string[], code: string) =>
      t.throws(() => followKeys(files, keys, nodeCrypto), { code })

    refused(successions.slice(1), vkeys.slice(0, 1), 'PROOF_KEY_UNKNOWN')
    refused([...successions, ...other.successions], vkeys.slice(0, 1), 'PROOF_KEY_UNKNOWN')
    refused([await prove(events[2] ?? '')], vkeys.slice(2), 'PROOF_MISMATCH')
    const broken = JSON.parse(successions[0] ?? '') as { keys: string[] }
    broken.keys.reverse()
    refused([`${canonicalText(broken)}\n`], vkeys.slice(0, 1), 'PROOF_MISMATCH')
    t.strictSame(known([], vkeys.slice(0, 1)), vkeys.slice(0, 1))
  },
)

t.test('a key that was followed counts for nothing behind its term', async (t) => {
  const { ledger, prove, events, successions, vkeys } = await rotatedLedger(t, 1)
  const proof = await prove(events[1] ?? '')
  const terms = followKeys(successions, vkeys.slice(0, 1), nodeCrypto)
  const swapped = terms.map(({ vkey }, i) => ({ ...terms[i === 0 ? 1 : 0], vkey, from: 0, to: 1 }))

  t.equal(ledger.keys.length, 2)
  t.throws(() => verifyProofFile(proof, { keys: vkeys, terms: swapped }, nodeCrypto), {
    code: 'PROOF_MISMATCH',
    message: /whose term is another/,
  })
})

t.test('a witness follows over the bridging checkpoint, and then needs the new key', async (t) => {
  const { ledger, bridge, vkeys } = await rotatedLedger(t, 1)
  const [first = '', second = ''] = vkeys
  const seen = new Map<string, string>()
  const witness = (logs: readonly string[]) =>
    createWitness({
      crypto: nodeCrypto,
      followed: parseFollowedLogs(nodeCrypto.sha256, logs.map((vkey) => `log ${vkey}\n`).join('')),
      signer: witnessSigner('w.example.org/1'),
      state: {
        seen: async (origin) => seen.get(origin),
        replace: async (origin, note) => void seen.set(origin, note),
      },
      nowMs: now,
    })
  const latest = ledger.checkpoint()
  const later = formatAddCheckpoint({
    old: bridge.size,
    proof: await ledger.proveConsistency(bridge.size, latest.size),
    note: latest.note,
  })

  const before = witness([first])
  t.match(await before.add(formatAddCheckpoint({ old: 0, proof: [], note: bridge.note })), {
    kind: 'cosigned',
  })
  t.match(await before.add(later), { kind: 'not-signed' }, 'and it says so, rather than to follow')
  t.match(await witness([first, second]).add(later), { kind: 'cosigned' })
})
