import { cp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { buildWitnessServer } from '../../src/api/witness-server.js'
import { startWitnessing } from '../../src/compose-witnessing.js'
import { openWitnessState } from '../../src/ledger/adapters/witness-state.js'
import { openJournal, type JournalLedger } from '../../src/ledger/adapters/open-journal.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { type NoteSigner, parseNote } from '../../src/ledger/note.js'
import { parsePolicy, verifyPolicy } from '../../src/ledger/witness-policy.js'
import { parseFollowedLogs } from '../../src/ledger/witness.js'
import { createClosing } from '../../src/runtime/closing.js'
import { loadConfig } from '../../src/runtime/config.js'
import { provingUnder, shownCheckpoint } from '../../src/runtime/proof-view.js'
import { createWitness } from '../../src/runtime/witness.js'
import { witnessHealth } from '../../src/runtime/witness-health.js'
import { collect, openTestLedger, request, temporaryFolder } from '../support/ledger.js'
import { eventually, freePorts } from '../support/product.js'
import { witnessSigner } from '../support/witness.js'

const silent = () => undefined
const log = { info: silent, warn: silent, error: silent }
const nowMs = () => Date.now()

/** A witness of one log on a port of its own; it can go and come back with what it has seen. */
async function openWitness(t: Test, port: number, name: string, logVkey: string, key?: NoteSigner) {
  const signer = key ?? witnessSigner(name)
  const folder = await temporaryFolder(t)
  const followed = parseFollowedLogs(nodeCrypto.sha256, `log ${logVkey}\n`)
  let end = async () => {}
  const start = async () => {
    const state = await openWitnessState(folder)
    const app = buildWitnessServer({
      witness: createWitness({ crypto: nodeCrypto, followed, signer, state, nowMs }),
      vkey: signer.vkey,
      seenByHash: (hash) => state.seenByHash(hash),
      log,
      nowMs,
    })
    await app.listen({ host: '127.0.0.1', port })
    end = async () => {
      end = async () => {}
      await app.close()
      await state.close()
    }
  }
  await start()
  t.teardown(() => end())
  return {
    start,
    end: () => end(),
    line: `witness ${name} ${witnessSigner(name).vkey} http://127.0.0.1:${port}/\n`,
  }
}

/** Begins to follow the policy; ended after the test. */
async function witnessed(
  t: Test,
  ledger: JournalLedger,
  ledgerFolder: string,
  policyText: string,
  env: Record<string, string> = {},
) {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'policy'), policyText)
  const config = loadConfig({
    flags: {},
    cwd: folder,
    env: { FRACTALOPS_WITNESS_POLICY: 'policy', FRACTALOPS_WITNESS_INTERVAL_MS: '50', ...env },
  })
  const closing = createClosing(log)
  t.teardown(() => closing.closeAll())
  const follower = await startWitnessing(
    ledger,
    { folder: ledgerFolder, seal: (reason) => ledger.seal(reason) },
    config,
    { log, closing },
  )
  if (follower === undefined) throw new Error('nothing is followed')
  return { follower, close: () => closing.closeAll() }
}

t.test(
  'cosignatures of all witnesses meet on one note, which is there after a restart',
  async (t) => {
    const { ledger, folder } = await openTestLedger(t)
    const port = await freePorts(2)
    const one = await openWitness(t, port, 'w1', ledger.vkey)
    const two = await openWitness(t, port + 1, 'w2', ledger.vkey)
    const text = `log ${ledger.vkey}\n${one.line}${two.line}group both all w1 w2\nquorum both\n`
    const policy = parsePolicy(nodeCrypto.sha256, text)
    const { follower, close } = await witnessed(t, ledger, folder, text)

    const [receipt] = await ledger.append(request())
    const position = receipt?.position ?? -1
    const under = provingUnder(ledger, follower, true)
    const { note, size } = await under.checkpointCovering(position)
    t.equal(verifyPolicy(nodeCrypto, policy, parseNote(note)).witnesses.length, 2)
    t.ok(size > position)
    t.equal(
      (await provingUnder(ledger, follower, false).checkpointCovering(position)).note.split(
        '\u2014',
      ).length,
      2,
    )

    // With one of two away the quorum is not met, and the other goes on alone.
    await two.end()
    await ledger.append(request())
    await eventually('the loss being seen', () =>
      follower.witnesses()[1]?.problem !== null && follower.witnesses()[0]?.size === ledger.size()
        ? true
        : undefined,
    )
    t.equal(follower.latest()?.size, size)
    t.equal(witnessHealth(follower, ledger.size()).part.status, 'lagging')
    await two.start()
    await eventually('both following', () =>
      follower.latest()?.size === ledger.size() ? true : undefined,
    )
    t.equal(witnessHealth(follower, ledger.size()).part.status, 'ok')

    const latest = follower.latest()
    await close()
    const next = await witnessed(t, ledger, folder, text)
    t.strictSame(next.follower.latest()?.note, latest?.note)
  },
)

t.test('a witness that signs with another key counts for nothing', async (t) => {
  const { ledger, folder } = await openTestLedger(t)
  const port = await freePorts(1)
  const stranger = witnessSigner('stranger')
  const one = await openWitness(t, port, 'w1', ledger.vkey, stranger)
  const { follower } = await witnessed(t, ledger, folder, `${one.line}quorum w1\n`)
  await ledger.append(request())
  await eventually('its answer', () =>
    follower.witnesses()[0]?.problem?.includes('another key') ? true : undefined,
  )
  t.equal(follower.latest(), undefined)
  t.equal(shownCheckpoint(ledger.checkpoint(), follower, undefined).note, ledger.checkpoint().note)
})

t.test(
  'where witnesses are required nothing else is shown, and a fork ends the ledger',
  async (t) => {
    const { ledger, folder } = await openTestLedger(t)
    await ledger.append(request())
    const port = await freePorts(1)
    const one = await openWitness(t, port, 'w1', ledger.vkey)
    const text = `${one.line}quorum w1\n`
    const required = { FRACTALOPS_WITNESS_REQUIRED: 'true' }
    const older = await temporaryFolder(t)
    await ledger.close()
    await cp(folder, older, { recursive: true })

    const now = nowMs
    const grown = await openJournal({ folder, now })
    const { follower, close } = await witnessed(t, grown, folder, text, required)
    for (let i = 0; i < 3; i += 1) await grown.append(request())
    await eventually('the witness following', () =>
      follower.latest()?.size === grown.size() ? true : undefined,
    )
    t.equal(
      parseNote(shownCheckpoint(grown.checkpoint(), follower, false).note).signatures.length,
      2,
    )
    await close()
    await grown.close()

    // The older copy, while the witness is reachable: refused before anything is appended.
    const restored = await openJournal({ folder: older, now })
    t.teardown(() => restored.close())
    const size = restored.size()
    await t.rejects(witnessed(t, restored, older, text, required), {
      code: 'ROLLBACK_DETECTED',
      message: /w1 saw 4 leaves, this ledger has 1/,
    })
    t.equal(restored.size(), size)
    const kept = join(older, 'kept')
    await writeFile(kept, follower.latest()?.note ?? '')
    await one.end()
    await t.rejects(witnessed(t, restored, older, text, { FRACTALOPS_KNOWN_CHECKPOINT: kept }), {
      code: 'ROLLBACK_DETECTED',
      message: /covers 4 leaves/,
    })

    // While it is away nobody tells; when it is back it does.
    const late = await witnessed(t, restored, older, text, required)
    for (let i = 0; i < 5; i += 1) await restored.append(request())
    t.throws(() => shownCheckpoint(restored.checkpoint(), late.follower, undefined), {
      code: 'CHECKPOINT_NOT_WITNESSED',
    })
    await one.start()
    await eventually('the ledger being ended', () => (restored.readOnly() ? true : undefined))
    await t.rejects(restored.append(request()), { code: 'LEDGER_READ_ONLY', message: /another/ })
    const alarms = await collect(
      restored.readLog({ filter: { project: 'default', types: ['ledger.alarm-raised'] } }),
    )
    t.strictSame(
      alarms.map(({ leaf }) => leaf.actor),
      ['witnesses'],
    )
    t.equal(witnessHealth(late.follower, restored.size()).part.status, 'down')
    await late.close()
    await restored.close()

    // The alarm of witnesses is none of the clock.
    const again = await openJournal({ folder: older, now })
    t.teardown(() => again.close())
    t.strictSame(again.alarms(), [])
  },
)
