import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { buildWitnessServer } from '../../src/api/witness-server.js'
import { originHash, openWitnessState } from '../../src/ledger/adapters/witness-state.js'
import { parseForeignCheckpoint } from '../../src/ledger/checkpoint.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { parseNote, parseSignatureLines, parseVkey, verifyNote } from '../../src/ledger/note.js'
import { formatAddCheckpoint } from '../../src/ledger/witness-request.js'
import { parseFollowedLogs } from '../../src/ledger/witness.js'
import { createWitness, waitingMax, type WitnessAnswer } from '../../src/runtime/witness.js'
import { createDisk, everyLoss } from '../support/disk.js'
import { applies, everyFault, startProcess } from '../support/faults.js'
import { temporaryFolder } from '../support/ledger.js'
import { memoryLog, witnessSigner } from '../support/witness.js'

const { sha256 } = nodeCrypto
const log = memoryLog()
/** The same log, rewritten from its fourth leaf on. */
const fork = memoryLog(log.origin, 3)
const signer = witnessSigner('w.example/1')
const key = parseVkey(sha256, signer.vkey)
const followed = parseFollowedLogs(sha256, `log ${log.vkey}\n`)
const nowMs = () => 1_790_000_000_500

const witnessOver = (state: Parameters<typeof createWitness>[0]['state']) =>
  createWitness({ crypto: nodeCrypto, followed, signer, state, nowMs })

const bodyOf = async (old: number, size: number, of = log) =>
  formatAddCheckpoint({
    old,
    proof: old > size ? [] : of.consistency(old, size),
    note: await of.checkpoint(size),
  })

/** A witness over a folder on the disk of this machine. */
async function openWitness(t: Test) {
  const folder = await temporaryFolder(t)
  const state = await openWitnessState(folder)
  t.teardown(() => state.close())
  const witness = witnessOver(state)
  const add = async (old: number, size: number, of = log) =>
    witness.add(await bodyOf(old, size, of))
  return { folder, state, witness, add }
}

t.test('what is cosigned is what was seen, also by the next start', async (t) => {
  const { folder, state, add } = await openWitness(t)

  const first = await add(0, 4)
  const again = await add(4, 9)
  if (first.kind !== 'cosigned' || again.kind !== 'cosigned') throw new Error('not cosigned')
  const signatures = parseSignatureLines(again.lines)
  t.strictSame(verifyNote(nodeCrypto, { text: log.textOf(9), signatures }, [key]), [key])
  t.equal((await add(9, 9)).kind, 'cosigned', 'the same checkpoint is cosigned anew')
  t.strictSame(await add(4, 12), { kind: 'conflict', size: 9 })
  t.equal((await add(9, 12, fork)).kind, 'inconsistent')
  t.equal((await add(9, 9, fork)).kind, 'inconsistent')
  await t.rejects(openWitnessState(folder), { code: 'LEDGER_LOCKED' })

  await state.close()
  const next = await openWitnessState(folder)
  t.teardown(() => next.close())
  const kept = parseNote((await next.seen(log.origin)) ?? '')
  t.equal(parseForeignCheckpoint(kept.text).size, 9)
  t.strictSame(verifyNote(nodeCrypto, kept, [key, parseVkey(sha256, log.vkey)]).length, 2)
  t.strictSame(await witnessOver(next).add(await bodyOf(4, 12)), { kind: 'conflict', size: 9 })
})

t.test('of requests that come at once, what is cosigned is one line of trees', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 5, max: 12 }), fc.boolean()), {
        minLength: 2,
        maxLength: 12,
      }),
      async (wishes) => {
        const { state, add } = await openWitness(t)
        await add(0, 4)
        const asked = wishes.map(([size, isFork]) => ({ size, of: isFork ? fork : log }))
        const answers = await Promise.all(asked.map(({ size, of }) => add(4, size, of)))
        t.equal(answers.filter(({ kind }) => kind === 'cosigned').length <= 1, true)
        const chosen = asked.find((_, i) => answers[i]?.kind === 'cosigned')
        const seen = parseForeignCheckpoint(parseNote((await state.seen(log.origin)) ?? '').text)
        t.equal(seen.size, chosen?.size ?? 4)
        t.notOk(asked.some(({ of }, i) => of === fork && answers[i]?.kind === 'cosigned'))
      },
    ),
    { numRuns: 15 },
  )
})

t.test('a log that asks too often at once is told so, and others are not held up', async (t) => {
  const { witness } = await openWitness(t)
  const body = await bodyOf(0, 3)
  const answers = await Promise.all(Array.from({ length: waitingMax + 5 }, () => witness.add(body)))
  t.equal(answers.filter(({ kind }) => kind === 'busy').length, 5)
  t.equal((await witness.add(body)).kind, 'conflict')
})

t.test('what somebody changed in the folder is not taken for what was seen', async (t) => {
  const { folder, add, state } = await openWitness(t)
  await add(0, 4)
  const path = join(folder, `${originHash(log.origin)}.checkpoint`)
  const kept = (await state.seen(log.origin)) ?? ''
  for (const other of [
    '',
    kept.replace('\n4\n', '\n3\n'),
    kept.slice(0, -9),
    await fork.checkpoint(4),
  ]) {
    await writeFile(path, other)
    await t.rejects(add(4, 6), { code: 'WITNESS_STATE_DAMAGED' })
  }
  await writeFile(path, kept)
  t.equal((await add(4, 6)).kind, 'cosigned')
})

t.test(
  'whatever call to the disk fails or is the last, no cosignature is ever taken back',
  async (t) => {
    const folder = await temporaryFolder(t)
    const began = createDisk()
    const live = async (process: ReturnType<typeof startProcess>) => {
      const state = await openWitnessState(folder, process.files)
      try {
        const witness = witnessOver(state)
        const answers: { readonly size: number; readonly answer: WitnessAnswer }[] = []
        // A failed request is sent again, as clients do; a dead process answers nothing.
        for (const [old, size] of [
          [0, 4],
          [4, 9],
          [4, 9],
          [9, 9],
        ] as const)
          await witness.add(await bodyOf(old, size)).then(
            (answer) => answers.push({ size, answer }),
            () => undefined,
          )
        return answers
      } finally {
        await state.close()
      }
    }
    const recorded = startProcess(began.copy())
    await live(recorded)
    let cases = 0
    for (const [at, call] of recorded.calls.entries()) {
      for (const fault of everyFault) {
        if (!applies(fault, call)) continue
        const disk = began.copy()
        const answers = await live(startProcess(disk, { at, fault })).catch(() => [])
        const cosigned = Math.max(
          0,
          ...answers.flatMap(({ size, answer }) => (answer.kind === 'cosigned' ? [size] : [])),
        )
        for (const [left, found] of [
          ['it lives on', disk] as const,
          ...everyLoss.map((loss) => [loss, disk.afterPowerCut(loss)] as const),
        ]) {
          cases += 1
          const name = `call ${at} ${call.method}, ${fault}; ${left}`
          const state = await openWitnessState(folder, startProcess(found).files)
          const kept = await state.seen(log.origin)
          const size = kept === undefined ? 0 : parseForeignCheckpoint(parseNote(kept).text).size
          // Less would be a rollback; more can stand there only when the answer was lost.
          if (size < cosigned) t.fail(`${name}: cosigned ${cosigned}, kept ${size}`)
          const witness = witnessOver(state)
          if (size > 3 && (await witness.add(await bodyOf(size, 12, fork))).kind !== 'inconsistent')
            t.fail(`${name}: a fork was cosigned`)
          if ((await witness.add(await bodyOf(size, 12))).kind !== 'cosigned')
            t.fail(`${name}: it does not go on`)
          await state.close()
        }
      }
    }
    t.comment(`${recorded.calls.length} calls, ${cases} cases`)
    t.ok(cases > 100)
  },
)

/** The server on a free port. */
async function openServer(t: Test) {
  const { witness, state } = await openWitness(t)
  const silent = () => undefined
  const app = buildWitnessServer({
    witness,
    vkey: signer.vkey,
    seenByHash: (hash) => state.seenByHash(hash),
    log: { info: silent, warn: silent, error: silent },
    nowMs,
  })
  t.teardown(() => app.close())
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const post = async (
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
  ) => {
    const answer = await fetch(`${url}/add-checkpoint`, { method: 'POST', body, headers })
    return {
      status: answer.status,
      type: answer.headers.get('content-type'),
      text: await answer.text(),
    }
  }
  return { url, post }
}

t.test('the witness answers over HTTP as the standard says', async (t) => {
  const { url, post } = await openServer(t)
  const monitor = (hash: string) => fetch(`${url}/${hash}/checkpoint`)

  t.equal((await monitor(originHash(log.origin))).status, 404)
  const cosigned = await post(await bodyOf(0, 4), { 'content-type': 'application/octet-stream' })
  t.equal(cosigned.status, 200)
  t.equal(parseSignatureLines(cosigned.text)[0]?.name, signer.name)
  t.strictSame(await post(await bodyOf(0, 9)), {
    status: 409,
    type: 'text/x.tlog.size',
    text: '4\n',
  })
  t.equal((await post(await bodyOf(9, 4))).status, 400)
  t.equal((await post(await bodyOf(4, 9, fork))).status, 422)
  t.equal((await post(await bodyOf(0, 4, memoryLog('example.org/other')))).status, 404)
  const note = await log.checkpoint(9)
  const forged = note.replace('\n9\n', '\n8\n')
  t.equal((await post(formatAddCheckpoint({ old: 4, proof: [], note: forged }))).status, 403)

  const seen = await monitor(originHash(log.origin))
  t.equal(seen.status, 200)
  t.match(seen.headers.get('content-type'), /^text\/plain/)
  t.strictSame(
    parseNote(await seen.text()).signatures.map(({ name }) => name),
    [log.origin, signer.name],
  )
  t.equal(await (await fetch(`${url}/vkey`)).text(), `${signer.vkey}\n`)
})

t.test('bodies that are no request are refused, and nothing is kept of them', async (t) => {
  const { url, post } = await openServer(t)
  const body = await bodyOf(0, 4)
  for (const other of ['', 'old 0\n', body.slice(0, -4), `${body}\n`, body.replace('old', 'new')])
    t.equal((await post(other)).status, 400, other.slice(0, 20))
  t.equal((await post(Uint8Array.of(0xff, 0xfe, 0x00))).status, 400)
  t.equal((await post('x'.repeat(200_000))).status, 413)
  t.equal((await fetch(`${url}/add-checkpoint`)).status, 404)
  t.equal((await fetch(`${url}/${'A'.repeat(64)}/checkpoint`)).status, 404)
  t.equal((await fetch(`${url}/..%2fwitness.key/checkpoint`)).status, 404)
  t.equal((await fetch(`${url}/${originHash(log.origin)}/checkpoint`)).status, 404)
})

t.test('who asks without end is told to slow down', async (t) => {
  const { url } = await openServer(t)
  const statuses: number[] = []
  for (let round = 0; round < 13; round += 1) {
    const asked = Array.from({ length: 20 }, async () => (await fetch(`${url}/vkey`)).status)
    statuses.push(...(await Promise.all(asked)))
  }
  t.equal(statuses.filter((status) => status === 200).length, 200)
  t.equal(statuses.filter((status) => status === 429).length, 60)
})
