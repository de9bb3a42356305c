import fc from 'fast-check'
import t from 'tap'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { formatAddCheckpoint } from '../../src/ledger/witness-request.js'
import {
  isRefusal,
  judgeCheckpoint,
  openRequest,
  parseFollowedLogs,
  type Refusal,
} from '../../src/ledger/witness.js'
import { parseForeignCheckpoint } from '../../src/ledger/checkpoint.js'
import { signNote } from '../../src/ledger/note.js'
import { cosigned, memoryLog, signerOf, witnessSigner } from '../support/witness.js'

const { sha256 } = nodeCrypto
const log = memoryLog()
const fork = memoryLog(log.origin, 3)
const followed = parseFollowedLogs(sha256, `log ${log.vkey}\n`)

interface Asked {
  readonly seen?: number
  readonly old: number
  readonly size: number
  readonly of?: typeof log
  readonly proof?: readonly Uint8Array[]
}

/** What a witness that saw `seen` leaves of the log says. */
async function asked({ seen = 0, old, size, of = log, proof }: Asked): Promise<Refusal | null> {
  const body = formatAddCheckpoint({
    old,
    proof: proof ?? (old <= size ? of.consistency(old, size) : []),
    note: await of.checkpoint(size),
  })
  const opened = openRequest(nodeCrypto, followed, body)
  if (isRefusal(opened)) return opened
  return judgeCheckpoint(
    sha256,
    opened,
    seen === 0 ? undefined : parseForeignCheckpoint(log.textOf(seen)),
  )
}

t.test('a checkpoint that extends what was seen is cosigned, and no other', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.nat(20), fc.nat(20), fc.nat(20), async (seen, old, size) => {
      const refusal = await asked({ seen, old, size })
      const expected = old > size ? 'malformed' : old === seen ? undefined : 'conflict'
      t.equal(refusal?.kind, expected)
      if (refusal?.kind === 'conflict') t.equal(refusal.size, seen)
    }),
    { numRuns: 200 },
  )
  for (let seen = 4; seen < 12; seen += 1) {
    for (let size = seen; size < 14; size += 1) {
      const refusal = await asked({ seen, old: seen, size, of: fork })
      t.equal(refusal?.kind, 'inconsistent', `fork at 3, seen ${seen}, offered ${size}`)
    }
  }
  t.equal(await asked({ seen: 3, old: 3, size: 7, of: fork }), null, 'before the fork all agree')
})

t.test('proofs that are too short, too long or not needed are refused', async (t) => {
  const proof = log.consistency(5, 11)
  const [first = new Uint8Array(32)] = proof
  for (const other of [
    [],
    proof.slice(1),
    [...proof, first],
    [first, ...proof],
    proof.slice(0, -1),
  ])
    t.equal((await asked({ seen: 5, old: 5, size: 11, proof: other }))?.kind, 'inconsistent')
  t.equal((await asked({ old: 0, size: 4, proof: [first] }))?.kind, 'inconsistent')
  t.equal((await asked({ seen: 4, old: 4, size: 4, proof: [first] }))?.kind, 'inconsistent')
})

t.test('an empty tree has one root', async (t) => {
  const signer = signerOf(log.origin)
  const text = `${log.origin}\n0\n${Buffer.alloc(32, 9).toString('base64')}\n`
  t.equal(await asked({ old: 0, size: 0 }), null)
  const body = formatAddCheckpoint({
    old: 0,
    proof: [],
    note: await signNote(text, signer, sha256),
  })
  const opened = openRequest(nodeCrypto, followed, body)
  if (isRefusal(opened)) throw new Error(opened.kind)
  t.equal(judgeCheckpoint(sha256, opened, undefined)?.kind, 'inconsistent')
})

t.test('other logs, other keys and bad signatures are told apart', async (t) => {
  const open = (note: string) => {
    const opened = openRequest(
      nodeCrypto,
      followed,
      formatAddCheckpoint({ old: 0, proof: [], note }),
    )
    return isRefusal(opened) ? opened.kind : opened
  }
  const note = await log.checkpoint(5)

  t.equal(open(await memoryLog('example.org/other').checkpoint(5)), 'unknown-log')
  t.equal(open(note.replace('\n5\n', '\n6\n')), 'not-signed')
  t.equal(open('no note'), 'malformed')
  const opened = open(await cosigned(note, [witnessSigner('w.example/1')]))
  t.strictSame(
    typeof opened === 'string' ? opened : opened.note.signatures.map(({ name }) => name),
    [log.origin],
    'lines of strangers are not kept',
  )
})
