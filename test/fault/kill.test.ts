import { appendFileSync, mkdirSync } from 'node:fs'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { checkHeard, type Heard, nothingHeard, runAppender } from '../support/appender.js'
import { temporaryFolder } from '../support/ledger.js'
import { repository } from '../support/product.js'

const rounds = Number(process.env['FRACTALOPS_TEST_LEDGER_KILL_ROUNDS'] ?? '24')
/** A ledger that has grown makes every start read more: after so many rounds another one begins. */
const roundsPerLedger = 12
const logFile = join(repository, '.tap', 'ledger-kill-rounds.log')

const note = (line: string) => {
  mkdirSync(join(repository, '.tap'), { recursive: true })
  appendFileSync(logFile, `${new Date().toISOString()} ${line}\n`)
}

/** One life of a process: killed after some time, anywhere from its start on, or after some answers. */
async function killedOnce(folder: string, heard: Heard): Promise<string> {
  const byTime = randomInt(2) === 0
  const answersMax = 1 + randomInt(400)
  const afterMs = randomInt(250)
  const before = heard.acknowledged.size
  const { code, signal } = await runAppender(heard, {
    args: [folder, String(1 + randomInt(32)), 'Infinity', '20000'],
    onStart(child) {
      // The start of node itself takes long and touches nothing: time counts from the first line on,
      // but for some rounds that end during the start of the ledger.
      if (byTime && randomInt(2) === 0) setTimeout(() => child.kill('SIGKILL'), 60 + afterMs)
    },
    onLine(child, line) {
      if (byTime && line === 'open') setTimeout(() => child.kill('SIGKILL'), afterMs)
      if (!byTime && heard.acknowledged.size - before >= answersMax) child.kill('SIGKILL')
    },
  })
  if (signal !== 'SIGKILL') throw new Error(`it ended by itself with ${code ?? signal}`)
  return `${byTime ? `after ${afterMs} ms` : `after ${answersMax} answers`}, ${heard.acknowledged.size - before} acknowledged`
}

t.test(
  `kill -9 at random moments under load, ${rounds} rounds: nothing acknowledged is lost, no half batch is seen`,
  { timeout: 60_000 + rounds * 5_000 },
  async (t) => {
    let folder = ''
    let heard = nothingHeard()
    for (let round = 0; round < rounds; round += 1) {
      if (round % roundsPerLedger === 0) {
        folder = await temporaryFolder(t)
        heard = nothingHeard()
      }
      const how = await killedOnce(folder, heard)
      note(`round ${round}: ${how}; ${heard.notes.size} checkpoints seen`)
      // Not after every kill: so the next start, which settles what this one left, is killed as well.
      if (round % 2 === 1) await checkHeard(folder, heard)
    }
    t.ok(heard.acknowledged.size > 0)
    t.ok(heard.notes.size > 0)
  },
)
