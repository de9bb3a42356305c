import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { EvidenceError } from '../../src/contracts/errors.js'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import { openJournal } from '../../src/ledger/adapters/open-journal.js'
import { closedLedger } from '../support/ledger.js'

const now = () => Date.UTC(2026, 0, 2)

/** Why a ledger is not opened; undefined when it is. */
async function refusalOf(folder: string): Promise<unknown> {
  try {
    const ledger = await openJournal({ folder, now })
    await ledger.close()
    return undefined
  } catch (error) {
    return error
  }
}

const codes = ['DATA_FOLDER_INVALID', 'KEY_FILE_INVALID', 'JOURNAL_DAMAGED']

for (const [name, checked] of [
  ['ledger.json', true],
  ['checkpoint.key', false],
] as const) {
  t.test(`a flipped bit anywhere in ${name} is refused by name, and nothing changes`, async (t) => {
    const folder = await closedLedger(t, 2)
    const path = join(folder, name)
    const bytes = await readFile(path)
    for (const [at, byte] of bytes.entries()) {
      const flipped = Buffer.from(bytes)
      flipped[at] = byte ^ (1 << (at % 8))
      await writeFile(path, flipped)
      const refusal = await refusalOf(folder)
      if (!(refusal instanceof EvidenceError && codes.includes(refusal.code)))
        t.fail(`byte ${at}: ${String(refusal)}`)
      if (!checked || at % 8 !== 0) continue
      const report = await fsck({ folder }).catch((error: unknown) => error)
      const isNamed =
        report instanceof EvidenceError ||
        (typeof report === 'object' && report !== null && 'sound' in report && !report.sound)
      if (!isNamed) t.fail(`fsck does not name byte ${at}`, { report })
    }
    await writeFile(path, bytes)
    t.equal(await refusalOf(folder), undefined)
    t.match(await fsck({ folder }), { sound: true })
  })
}
