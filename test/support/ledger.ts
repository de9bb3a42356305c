import { randomUUID } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { evidenceRecorded } from '../../src/contracts/evidence.js'
import {
  type JournalLedger,
  type JournalOptions,
  openJournal,
} from '../../src/ledger/adapters/open-journal.js'
import { utf8 } from '../../src/ledger/encoding.js'
import type { AppendRequest, EventDraft, RecordedEvent } from '../../src/ledger/event-store.js'

/** A folder that is removed after the test. */
export async function temporaryFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'fractalops-ledger-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export interface TestLedger {
  readonly ledger: JournalLedger
  readonly folder: string
  /** What the ledger's clock reads next; a test sets it. */
  readonly clock: { nowMs: number }
}

/** A ledger in a temporary folder with a clock of its own, closed after the test. */
export async function openTestLedger(
  t: Test,
  options: Partial<JournalOptions> = {},
): Promise<TestLedger> {
  const folder = options.folder ?? (await temporaryFolder(t))
  const clock = { nowMs: Date.UTC(2026, 0, 1) }
  const ledger = await openJournal({ folder, now: () => clock.nowMs, ...options })
  t.teardown(() => ledger.close())
  return { ledger, folder, clock }
}

/** An event of a client; every field can be replaced. */
export const draft = (fields: Partial<EventDraft> = {}): EventDraft => ({
  id: randomUUID(),
  type: 'order.placed',
  version: '0',
  writer: 'client',
  actor: 'ada',
  contentType: 'application/json',
  data: utf8('{"amount":1}'),
  metadata: utf8('{}'),
  ...fields,
})

/** A request for a stream of clients; every field can be replaced. */
export const request = (fields: Partial<AppendRequest> = {}): AppendRequest => ({
  project: 'default',
  stream: 'order-1',
  expected: 'any',
  events: [draft()],
  ...fields,
})

/** A fact of the contract `evidence.recorded`. */
export const evidenceFact = (id: string = randomUUID()) => ({
  contract: evidenceRecorded,
  id,
  data: evidenceRecorded.example,
})

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}

/** The whole log, oldest first. */
export const wholeLog = (ledger: JournalLedger): Promise<RecordedEvent[]> =>
  collect(ledger.readLog())

/** The segment files of a ledger folder, oldest first. */
export const journalFiles = async (folder: string): Promise<string[]> =>
  (await readdir(join(folder, 'journal'))).map((name) => join(folder, 'journal', name)).sort()

/** Its first segment file. */
export const segmentOf = async (folder: string): Promise<string> => {
  const [first] = await journalFiles(folder)
  if (first === undefined) throw new Error('there is no segment')
  return first
}

/** A closed ledger with some events in several groups. */
export async function closedLedger(t: Test, groups = 5): Promise<string> {
  const { ledger, folder } = await openTestLedger(t)
  for (let i = 0; i < groups; i += 1) {
    await ledger.append(
      request({
        stream: `order-${i % 2}`,
        events: [draft(), draft({ data: utf8('x'.repeat(40)) })],
      }),
    )
  }
  await ledger.close()
  return folder
}
