import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { EvidenceError } from '../../src/contracts/errors.js'
import type { FilePort } from '../../src/ledger/adapters/file-port.js'
import { openJournal } from '../../src/ledger/adapters/open-journal.js'
import { utf8 } from '../../src/ledger/encoding.js'
import type {
  AppendRequest,
  ExpectedRevision,
  RecordedEvent,
} from '../../src/ledger/event-store.js'
import { createDisk, type Disk, everyLoss } from '../support/disk.js'
import { everyFault, startProcess } from '../support/faults.js'
import { collect, draft, request, temporaryFolder } from '../support/ledger.js'

const streams = ['order-1', 'order-2', 'bill-1'] as const
const types = ['order.placed', 'order.paid'] as const
const ids = Array.from({ length: 12 }, (_, i) => `00000000-0000-4000-8000-0000000000${10 + i}`)

const append = fc.record({
  kind: fc.constant('append' as const),
  stream: fc.constantFrom(...streams),
  type: fc.constantFrom(...types),
  expected: fc.constantFrom<ExpectedRevision>('any', 'any', 'none', 'exists', 0, 1, 3),
  ids: fc.uniqueArray(fc.constantFrom(...ids), { minLength: 1, maxLength: 3 }),
  content: fc.constantFrom('a', 'a', 'b'),
})
type Append = ReturnType<(typeof append)['generate']>['value']

const requestOf = ({ stream, type, expected, ids, content }: Append): AppendRequest =>
  request({
    stream,
    expected,
    events: ids.map((id) => draft({ id, type, data: utf8(content.repeat(40)) })),
  })

interface ModelEvent {
  readonly id: string
  readonly stream: string
  readonly type: string
  readonly content: string
  readonly revision: number
}

/** The ledger as its port describes it, in a list. */
function createModel(log: ModelEvent[] = []) {
  const sizeOf = (stream: string) => log.filter((event) => event.stream === stream).length
  return {
    log,
    copy: () => createModel([...log]),
    /** The revisions that an append answers, or the code of its error. */
    append({ stream, type, expected, ids, content }: Append): string {
      const known = ids.map((id) => log.find((event) => event.id === id))
      if (known.some((event) => event !== undefined)) {
        const same = known.every(
          (e) => e?.stream === stream && e.type === type && e.content === content,
        )
        return same ? known.map((event) => event?.revision).join() : 'EVENT_ID_REUSED'
      }
      const size = sizeOf(stream)
      const holds =
        expected === 'any' ||
        (expected === 'none'
          ? size === 0
          : expected === 'exists'
            ? size > 0
            : expected === size - 1)
      if (!holds) return 'REVISION_CONFLICT'
      ids.forEach((id, i) => log.push({ id, stream, type, content, revision: size + i }))
      return ids.map((_, i) => size + i).join()
    },
  }
}
type Model = ReturnType<typeof createModel>

const answerOf = (answer: Promise<readonly { revision: number }[]>): Promise<string> =>
  answer.then(
    (receipts) => receipts.map(({ revision }) => revision).join(),
    (error: unknown) => {
      if (error instanceof EvidenceError) return error.code
      throw error
    },
  )

const open = (disk: Disk, folder: string, files: FilePort = disk.files) =>
  openJournal({
    folder,
    files,
    now: () => Date.UTC(2026, 0, 1),
    segmentBytesMax: 2_000,
    checkpointIntervalMs: 0,
    overlapEventsMin: 1,
  })
type Ledger = Awaited<ReturnType<typeof open>>

const idsOf = async (events: AsyncIterable<RecordedEvent>) =>
  (await collect(events)).map(({ leaf }) => leaf.id)

/** Every way of reading answers what a list would. */
async function checkReads(ledger: Ledger, { log }: Model, from: number, max: number) {
  const wanted = (events: readonly ModelEvent[]) => events.map(({ id }) => id).slice(0, max)
  const backwards = [...log].reverse()
  assert.deepEqual(await idsOf(ledger.readLog({ from, max })), wanted(log.slice(from)))
  assert.deepEqual(await idsOf(ledger.readLog({ direction: 'backwards', max })), wanted(backwards))
  assert.deepEqual(
    await idsOf(ledger.readLog({ max, filter: { types: [types[0]], streamPrefixes: ['order-'] } })),
    wanted(log.filter(({ type, stream }) => type === types[0] && stream.startsWith('order-'))),
  )
  for (const stream of streams) {
    const own = log.filter((event) => event.stream === stream)
    const read = { project: 'default', stream, max }
    assert.deepEqual(await idsOf(ledger.readStream({ ...read, from })), wanted(own.slice(from)))
    assert.deepEqual(
      await idsOf(ledger.readStream({ ...read, direction: 'backwards' })),
      wanted([...own].reverse()),
    )
    const last = own.length === 0 ? undefined : own.length - 1
    assert.equal(await ledger.lastRevision('default', stream), last)
  }
  for (const id of ids) {
    const found = await ledger.find(id)
    assert.equal(found?.leaf.stream, log.find((event) => event.id === id)?.stream)
  }
}

t.test(
  'journal and index behave as a list does, over restarts and reads in every direction',
  async (t) => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.array(append, { minLength: 1, maxLength: 12 }) },
      { weight: 1, arbitrary: fc.constant('restart' as const) },
      { weight: 2, arbitrary: fc.record({ from: fc.nat(9), max: fc.integer({ min: 1, max: 9 }) }) },
    )
    const folder = await temporaryFolder(t)
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 14 }), async (steps) => {
        const disk = createDisk()
        const model = createModel()
        let ledger = await open(disk, folder)
        try {
          for (const step of steps) {
            if (step === 'restart') {
              await ledger.close()
              ledger = await open(disk, folder)
            } else if ('from' in step) await checkReads(ledger, model, step.from, step.max)
            else {
              const answers = await Promise.all(
                step.map((one) => answerOf(ledger.append(requestOf(one)))),
              )
              assert.deepEqual(
                answers,
                step.map((one) => model.append(one)),
              )
            }
          }
          await checkReads(ledger, model, 0, 1_000)
        } finally {
          await ledger.close()
        }
      }),
      { numRuns: 60 },
    )
  },
)

/** Whether the ids on the ledger, in their order, are what these models hold. */
const isLog = ({ log }: Model, found: readonly string[]) =>
  log.map(({ id }) => id).join() === found.join()

t.test(
  'ids answer the same over a crash: what was acknowledged repeats, what was not is whole or new',
  async (t) => {
    const folder = await temporaryFolder(t)
    await fc.assert(
      fc.asyncProperty(
        fc.array(append, { minLength: 1, maxLength: 8 }),
        fc.nat(60),
        fc.constantFrom(...everyFault),
        fc.constantFrom(...everyLoss),
        async (appends, at, fault, loss) => {
          const disk = createDisk()
          const model = createModel()
          const doubtful: Append[] = []
          const process = startProcess(disk, { at, fault })
          const ledger = await open(disk, folder, process.files).catch(() => undefined)
          for (const one of ledger === undefined ? [] : appends) {
            const answer = await answerOf(ledger?.append(requestOf(one)) ?? Promise.resolve([]))
            if (answer === 'LEDGER_READ_ONLY' || answer === 'DISK_FULL') doubtful.push(one)
            else assert.equal(answer, model.append(one))
          }
          await ledger?.close().catch(() => undefined)

          const left = disk.afterPowerCut(loss)
          const again = await open(left, folder)
          try {
            // The first that was refused in doubt may have been recorded; nothing behind it was tried.
            const [first] = doubtful
            const found = await idsOf(again.readLog())
            if (!isLog(model, found) && first !== undefined) model.append(first)
            assert.ok(
              isLog(model, found),
              'the ledger holds what it neither acknowledged nor tried',
            )
            for (const one of [...appends, ...appends])
              assert.equal(await answerOf(again.append(requestOf(one))), model.append(one))
          } finally {
            await again.close()
          }
        },
      ),
      { numRuns: 250 },
    )
  },
)

/** Whether the answers are those of some order of the requests, each taking effect as a whole. */
function isLinearizable(
  requests: readonly Append[],
  answers: readonly string[],
  model: Model,
): boolean {
  if (requests.length === 0) return true
  return requests.some((request, i) => {
    const next = model.copy()
    return (
      next.append(request) === answers[i] &&
      isLinearizable(requests.toSpliced(i, 1), answers.toSpliced(i, 1), next)
    )
  })
}

t.test('answers to concurrent appends are those of some order of them', async (t) => {
  const folder = await temporaryFolder(t)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(append, { minLength: 2, maxLength: 6 }), { minLength: 1, maxLength: 3 }),
      fc.scheduler(),
      async (rounds, scheduler) => {
        const ledger = await open(createDisk(), folder)
        const model = createModel()
        try {
          for (const requests of rounds) {
            const answers = Promise.all(
              requests.map((one) =>
                scheduler
                  .schedule(Promise.resolve())
                  .then(() => answerOf(ledger.append(requestOf(one)))),
              ),
            )
            await scheduler.waitFor(answers)
            assert.ok(isLinearizable(requests, await answers, model))
            for (const { leaf, data } of (await collect(ledger.readLog())).slice(
              model.log.length,
            )) {
              const content = String.fromCharCode(data?.bytes[0] ?? 0)
              const revision = Number(leaf.revision)
              model.log.push({
                id: leaf.id,
                stream: leaf.stream,
                type: leaf.type,
                content,
                revision,
              })
            }
          }
        } finally {
          await ledger.close()
        }
      },
    ),
    { numRuns: 60 },
  )
})
