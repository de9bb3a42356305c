import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { fsck } from '../../src/ledger/adapters/fsck.js'
import {
  type JournalLedger,
  openJournal,
  openJournalReadOnly,
} from '../../src/ledger/adapters/open-journal.js'
import type { StreamMetadata } from '../../src/contracts/stream-metadata.js'
import type { EventReader } from '../../src/ledger/event-store.js'
import { nodeCrypto } from '../../src/ledger/node-crypto.js'
import { verifyStreamProof } from '../../src/ledger/stream-proof.js'
import { createClientWriter } from '../../src/ledger/writers.js'
import { streamProofOf } from '../../src/runtime/completeness-view.js'
import { headsOf } from '../support/heads.js'
import {
  collect,
  draft,
  openTestLedger,
  request,
  temporaryFolder,
  wholeLog,
} from '../support/ledger.js'

const project = 'default'
const indexLimits = { flushEvents: 8, closingFlushEvents: 1, fanOut: 2, frozenMax: 2 }
const setting = (ledger: JournalLedger, stream: string, metadata: StreamMetadata) =>
  createClientWriter(ledger).setStreamMetadata({
    project,
    stream,
    expected: 'any',
    id: randomUUID(),
    actor: 'ada',
    metadata,
    user: { name: 'ada', access: ['proposer'] },
  })

interface Shown {
  readonly $maxAge?: number
  readonly $maxCount?: number
  readonly $tb?: number
}

/** Streams as lists, and what is shown of them as the rules say it. */
interface Model {
  nowMs: number
  readonly streams: Map<string, number[]>
  readonly metadata: Map<string, Shown>
}

const shownOf = ({ nowMs, streams, metadata }: Model, stream: string): number[] => {
  const times = streams.get(stream) ?? []
  const { $maxAge, $maxCount, $tb } = metadata.get(stream) ?? {}
  return [...times.keys()].filter(
    (revision) =>
      revision >= ($tb ?? 0) &&
      ($maxCount === undefined || revision >= times.length - $maxCount) &&
      ($maxAge === undefined || (times[revision] ?? 0) >= nowMs - $maxAge * 1_000),
  )
}

const stream = fc.constantFrom('order-1', 'order-2', 'bill-1')
const step = fc.oneof(
  fc.record({ do: fc.constant('append' as const), stream, count: fc.integer({ min: 1, max: 6 }) }),
  fc.record({
    do: fc.constant('set' as const),
    stream,
    metadata: fc.record(
      {
        $maxAge: fc.integer({ min: 1, max: 20 }),
        $maxCount: fc.integer({ min: 1, max: 8 }),
        $tb: fc.integer({ min: 0, max: 12 }),
      },
      { requiredKeys: [] },
    ),
  }),
  fc.record({ do: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ do: fc.constant('reopen' as const) }),
)
const read = fc.record({
  stream,
  from: fc.option(fc.integer({ min: 0, max: 14 }), { nil: undefined }),
  max: fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined }),
  backwards: fc.boolean(),
})

async function agrees(
  reader: EventReader,
  model: Model,
  {
    stream,
    from,
    max,
    backwards,
  }: { stream: string; from?: number | undefined; max?: number | undefined; backwards: boolean },
) {
  const shown = shownOf(model, stream)
  const wanted = (backwards ? shown.toReversed() : shown)
    .filter((revision) => from === undefined || (backwards ? revision <= from : revision >= from))
    .slice(0, max)
  const found = await collect(
    reader.readStream({
      project,
      stream,
      direction: backwards ? 'backwards' : 'forwards',
      ...(from === undefined ? {} : { from }),
      ...(max === undefined ? {} : { max }),
    }),
  )
  const revisions = found.map(({ leaf }) => Number(leaf.revision))
  if (revisions.join() !== wanted.join())
    throw new Error(`${stream}: ${revisions.join()} was read, ${wanted.join()} is shown`)
  if ((await reader.lastRevision(project, stream)) !== shown.at(-1))
    throw new Error(`the last revision of ${stream} is not ${shown.at(-1)}`)
  const all = await collect(reader.readStream({ project, stream, hidden: true }))
  if (all.length !== (model.streams.get(stream)?.length ?? 0))
    throw new Error(`${stream} lost events`)
}

t.test('what is shown of streams is as in the model, however the index is stored', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 14 }),
      fc.array(read, { minLength: 4, maxLength: 8 }),
      async (steps, reads) => {
        const model: Model = {
          nowMs: Date.UTC(2026, 0, 1),
          streams: new Map(),
          metadata: new Map(),
        }
        const folder = await temporaryFolder(t)
        const options = { folder, now: () => model.nowMs, indexLimits }
        let ledger = await openJournal(options)
        try {
          for (const one of steps) {
            if (one.do === 'wait') model.nowMs += one.seconds * 1_000
            else if (one.do === 'reopen') {
              await ledger.close()
              ledger = await openJournal(options)
            } else if (one.do === 'set') {
              await setting(ledger, one.stream, one.metadata)
              model.metadata.set(one.stream, one.metadata)
            } else {
              const events = Array.from({ length: one.count }, () => draft())
              await ledger.append(request({ stream: one.stream, events }))
              const times = model.streams.get(one.stream) ?? []
              model.streams.set(one.stream, [...times, ...events.map(() => model.nowMs)])
            }
            for (const one of reads) await agrees(ledger, model, one)
          }
        } finally {
          await ledger.close()
        }
        const view = await openJournalReadOnly({ folder, now: options.now })
        try {
          for (const one of reads) await agrees(view, model, one)
        } finally {
          await view.close()
        }
      },
    ),
    { numRuns: 40 },
  )
})

t.test(
  'a list with hidden events is proven complete as any other, and fsck counts them',
  async (t) => {
    const { ledger, folder, clock } = await openTestLedger(t)
    const heads = await headsOf(t, ledger)
    for (let i = 0; i < 6; i += 1) await ledger.append(request())
    await setting(ledger, 'order-1', { $maxCount: 1 })
    await heads.sealIfDue(clock.nowMs)
    const parts = { reader: ledger, proofs: ledger, heads, vkeys: [ledger.vkey] }

    const list = await streamProofOf(parts, { project, stream: 'order-1' })
    const ofMetadata = await streamProofOf(parts, { project, stream: '$$order-1' })

    const trust = { keys: [ledger.vkey] }
    t.match(verifyStreamProof(list, trust, nodeCrypto), { events: 6, first: 0, last: 5 })
    t.match(verifyStreamProof(ofMetadata, trust, nodeCrypto), { events: 1, last: 0 })
    const size = (await wholeLog(ledger)).length
    await ledger.close()
    t.match(await fsck({ folder }), { sound: true, events: size })
  },
)

t.test(
  'readers of a stream see a change of its metadata as soon as it is acknowledged',
  async (t) => {
    const { ledger } = await openTestLedger(t)
    await ledger.append(request({ events: [draft(), draft(), draft()] }))
    const shown = async () =>
      (await collect(ledger.readStream({ project, stream: 'order-1' }))).length

    for (const $maxCount of [2, 1, 3, 2]) {
      const beside = [shown(), shown()]
      await setting(ledger, 'order-1', { $maxCount })
      t.equal(await shown(), $maxCount)
      await Promise.all(beside)
      t.equal(await shown(), $maxCount)
    }
  },
)
