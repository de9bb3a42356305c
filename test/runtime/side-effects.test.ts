import { randomUUID } from 'node:crypto'
import { ApplicationFailure } from '@temporalio/common'
import { MockActivityEnvironment } from '@temporalio/testing'
import t, { type Test } from 'tap'
import { EvidenceError } from '../../src/contracts/errors.js'
import { workflowCompleted } from '../../src/contracts/workflow.js'
import { fact } from '../../src/ledger/facts.js'
import type { SideEffectWriter } from '../../src/ledger/writers.js'
import { failureOf, failures } from '../../src/runtime/failure.js'
import { currentWriter, sideEffects } from '../../src/runtime/side-effects.js'
import { openTestLedger } from '../support/ledger.js'

const log = { info() {}, warn() {}, error() {} }
const recording = () => ({
  project: 'default',
  stream: 'workflow-w',
  expected: 'any' as const,
  actor: 'worker',
  facts: [fact(workflowCompleted, randomUUID(), workflowCompleted.example) as never],
})

const recordBy = async (writer: SideEffectWriter | undefined): Promise<unknown> =>
  writer?.record(recording())
const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} }

async function environment(t: Test) {
  const { ledger } = await openTestLedger(t)
  const attempt = () =>
    new MockActivityEnvironment(
      { activityType: 'mutateAsset' },
      { interceptors: [failures(log), sideEffects(ledger)], logger: quiet },
    )
  return { ledger, attempt }
}

t.test(
  'the capability appends inside its attempt and refuses outside, after its end, and in another attempt',
  async (t) => {
    const { ledger, attempt } = await environment(t)
    t.throws(
      () => currentWriter(),
      { code: 'CAPABILITY_ENDED' },
      'outside an activity there is none',
    )

    let kept: SideEffectWriter | undefined
    let late: Promise<unknown> = Promise.resolve()
    let goOn = () => {}
    const ended = new Promise<void>((done) => (goOn = done))
    await attempt().run(async () => {
      kept = currentWriter()
      await kept.record(recording())
      late = ended.then(() => recordBy(kept))
    })
    t.equal(ledger.size(), 1)

    await t.rejects(recordBy(kept), { code: 'CAPABILITY_ENDED' }, 'after its attempt')
    goOn()
    await t.rejects(late, { code: 'CAPABILITY_ENDED' }, 'what the attempt left running')
    await t.rejects(
      attempt().run(() => recordBy(kept)),
      { type: 'CAPABILITY_ENDED', nonRetryable: true } as never,
      'in another attempt',
    )
    let lent: SideEffectWriter | undefined
    let done = () => {}
    const holding = attempt().run(async () => {
      lent = currentWriter()
      await new Promise<void>((resolve) => (done = resolve))
    })
    await t.rejects(
      recordBy(lent),
      { code: 'CAPABILITY_ENDED' },
      'from outside, while the attempt runs',
    )
    done()
    await holding
    t.equal(ledger.size(), 1, 'nothing was appended')
  },
)

t.test(
  'an attempt that fails, or is stopped with its worker, loses the capability at once',
  async (t) => {
    const { ledger, attempt } = await environment(t)
    let kept: SideEffectWriter | undefined
    const failing = attempt().run(async () => {
      kept = currentWriter()
      throw new EvidenceError('ASSET_BUSY', 'a payload that must not travel')
    })
    const failure: unknown = await failing.then(
      () => undefined,
      (error: unknown) => error,
    )
    t.ok(failure instanceof ApplicationFailure)
    t.match(failure, { type: 'ASSET_BUSY', nonRetryable: false })
    t.notMatch(JSON.stringify(failure) + String(failure), /payload/)
    await t.rejects(recordBy(kept), { code: 'CAPABILITY_ENDED' })

    const stopping = attempt()
    let refused: unknown
    const stopped = stopping.run(async () => {
      const writer = currentWriter()
      await new Promise<void>((done) =>
        stopping.context.cancellationSignal.addEventListener('abort', () => done(), { once: true }),
      )
      refused = await writer.record(recording()).catch((error: unknown) => error)
    })
    stopping.cancel('WORKER_SHUTDOWN')
    await t.rejects(stopped, { message: 'WORKER_SHUTDOWN' })
    await Promise.resolve()
    t.match(refused, { code: 'CAPABILITY_ENDED' }, 'what it would say of its stop is not recorded')
    t.equal(ledger.size(), 0)
  },
)

t.test(
  'only an outage or a moved revision is worth another attempt, and no failure quotes a payload',
  async (t) => {
    const map = (error: unknown) => {
      const failure = failureOf(error)
      return failure instanceof ApplicationFailure
        ? {
            type: failure.type,
            final: failure.nonRetryable,
            text: `${failure.message} ${String(failure.cause)}`,
          }
        : undefined
    }
    const secret = 'planted'
    for (const [code, final] of [
      ['LEDGER_BUSY', false],
      ['REVISION_CONFLICT', false],
      ['EVENT_ID_REUSED', true],
      ['EVENT_INVALID', true],
      ['CAPABILITY_ENDED', true],
    ] as const) {
      const mapped = map(new EvidenceError(code, secret, { details: { secret } }))
      t.match(mapped, { type: code, final })
      t.notMatch(mapped?.text ?? secret, /planted/)
    }
    const unexpected = map(new TypeError(secret))
    t.match(unexpected, { type: 'INTERNAL', final: false })
    t.notMatch(unexpected?.text ?? secret, /planted/)
    const own = ApplicationFailure.create({ type: 'X' })
    t.equal(failureOf(own), own)
  },
)
