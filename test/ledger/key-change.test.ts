import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { keyFiles } from '../../src/ledger/adapters/key-file.js'
import { openJournal, openJournalReadOnly } from '../../src/ledger/adapters/open-journal.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { parseNote, parseVkey, verifyNote } from '../../src/ledger/note.js'
import { openTestLedger, request } from '../support/ledger.js'

const now = () => Date.UTC(2026, 0, 2)
const keysOf = (folder: string) => keyFiles(join(folder, 'checkpoint.key'))
const reopen = async (t: Test, folder: string) => {
  const ledger = await openJournal({ folder, now })
  t.teardown(() => ledger.close())
  return ledger
}
const signersOf = (note: string, vkeys: readonly string[]) =>
  verifyNote(
    nodeCrypto,
    parseNote(note),
    vkeys.map((vkey) => parseVkey(nodeCrypto.sha256, vkey)),
  ).map(({ keyId }) => keyId)

t.test('a key that waits takes over with one checkpoint that both sign', async (t) => {
  const { ledger: first, folder } = await openTestLedger(t)
  await first.append(request())
  await first.checkpointCovering(0)
  await first.close()
  const next = await keysOf(folder).prepareNext(first.origin)
  t.equal((await keysOf(folder).prepareNext(first.origin)).vkey, next.vkey, 'it is made once')

  const ledger = await reopen(t, folder)
  t.match(ledger, { vkey: first.vkey, nextVkey: next.vkey })
  await ledger.changeKey()

  t.match(ledger, { vkey: next.vkey, nextVkey: null })
  t.strictSame(ledger.keys, [
    { vkey: first.vkey, signingFrom: 0 },
    { vkey: next.vkey, signingFrom: 1 },
  ])
  const both = ledger.keys.map(({ vkey }) => vkey)
  t.equal(signersOf(ledger.checkpoint().note, both).length, 2)
  t.equal((await ledger.checkpointCovering(0)).note, ledger.checkpoint().note)
  await ledger.append(request())
  const later = await ledger.checkpointCovering(1)
  t.strictSame(signersOf(later.note, both), [parseVkey(nodeCrypto.sha256, next.vkey).keyId])
  await t.rejects(ledger.changeKey(), { code: 'KEY_FILE_INVALID' }, 'no other key waits')
  await ledger.append(request())
  await ledger.close()

  t.match(await fsck({ folder }), { sound: true, checkpoints: 5 })
  const view = await openJournalReadOnly({ folder })
  t.match(view, { vkey: next.vkey, keys: ledger.keys })
  await view.close()
  t.equal((await reopen(t, folder)).vkey, next.vkey)
})

t.test('a ledger goes on while its key changes, and can change it again', async (t) => {
  const { ledger, folder } = await openTestLedger(t, { checkpointIntervalMs: 0 })
  await ledger.append(request())
  await ledger.close()

  for (let change = 1; change <= 3; change += 1) {
    const next = await keysOf(folder).prepareNext(ledger.origin)
    const open = await reopen(t, folder)
    const appends = Array.from({ length: 30 }, () => open.append(request()))
    await Promise.all([open.changeKey(), ...appends])
    t.equal(open.vkey, next.vkey)
    t.equal(open.keys.length, change + 1)
    t.equal((await open.checkpointCovering(open.size() - 1)).size, open.size())
    await open.close()
  }

  t.match(await fsck({ folder }), { sound: true })
})

t.test('a key counts in its term alone, on open and in fsck', async (t) => {
  const { ledger: first, folder } = await openTestLedger(t)
  await first.append(request())
  await first.close()
  await keysOf(folder).prepareNext(first.origin)
  const ledger = await openJournal({ folder, now })
  await ledger.changeKey()
  await ledger.append(request())
  await ledger.close()
  const path = join(folder, 'ledger.json')
  const identity = await readFile(path, 'utf8')

  // As if the second key had signed before its term.
  await writeFile(path, identity.replace('"signing_from":1', '"signing_from":3'))
  t.match((await fsck({ folder })).problems, [
    { segment: 'checkpoints', flaw: /no known key signed/ },
  ])
  await t.rejects(openJournal({ folder, now }), { code: 'JOURNAL_DAMAGED', message: /of its time/ })
  await writeFile(path, identity)
  t.match(await fsck({ folder }), { sound: true })
})

t.test(
  'keys that are not those of the ledger are refused, and the message says which is missing',
  async (t) => {
    const { ledger: first, folder } = await openTestLedger(t)
    await first.append(request())
    await first.close()
    const keyPath = join(folder, 'checkpoint.key')
    const old = await readFile(keyPath)
    await keysOf(folder).prepareNext(first.origin)
    const ledger = await openJournal({ folder, now })
    await ledger.changeKey()
    await ledger.close()

    const present = await readFile(keyPath)
    await writeFile(keyPath, old)
    await t.rejects(openJournal({ folder, now }), {
      code: 'KEY_FILE_INVALID',
      message: /was followed by .*, which is not at hand/,
    })
    await writeFile(keyPath, present)
    await writeFile(`${keyPath}.next`, old, { mode: 0o600 })
    await t.rejects(openJournal({ folder, now }), {
      code: 'KEY_FILE_INVALID',
      message: /signed this ledger before/,
    })
  },
)
