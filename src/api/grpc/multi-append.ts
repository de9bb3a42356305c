import { EvidenceError } from '../../contracts/errors.js'
import type { ExpectedRevision } from '../../ledger/event-store.js'
import { checkStream } from '../../ledger/stream-name.js'
import type { Identity } from '../../runtime/identities.js'
import { contractFor } from '../evidence-contract.js'
import { requireReading } from '../streams.js'
import type { MethodParts } from './parts.js'
import {
  appendProposed,
  clientAppend,
  isAsExpected,
  isRepeated,
  lastRevisionOf,
  type ProposedEvent,
} from './proposed-events.js'

/** How often an append is judged anew when streams change under it. */
const triesMax = 8

/** How a stream has to stand, whether it is written to or not. */
export interface Check {
  readonly stream: string
  readonly expected: ExpectedRevision
  /** As the client has said it. */
  readonly told: number
}

interface Violation {
  readonly index: number
  readonly check: Check
  /** The revision, or a number below 0 for what has none. */
  readonly actual: number
}

/** Where the events of one stream ended. */
export interface Written {
  readonly stream: string
  readonly revision: number
  readonly position: number
}

/** What is written together or not at all. */
interface Together {
  /** In the order in which they are to stand. */
  readonly runs: readonly { readonly stream: string; readonly events: readonly ProposedEvent[] }[]
  readonly checks: readonly Check[]
  /** How it is told that streams do not stand as they have to. */
  readonly violated: (violations: readonly [Violation, ...Violation[]]) => Error
  /** How it is told that a stream that is written to was ended. */
  readonly ended: (stream: string) => Error
}

/** A stream that was never there, was deleted, or was ended, as the protocol numbers them. */
const missingState = -1
const deletedState = -5
const endedState = -6

interface Standing {
  readonly last: number | undefined
  readonly counted: number | undefined
  readonly ended: boolean
}

/**
 * Writes to several streams together, when all of them stand as they have to.
 *
 * @throws EvidenceError as `appendTogether` of the event store; ACCESS_DENIED, WRITER_REFUSED.
 */
export async function writeTogether(
  parts: MethodParts,
  caller: Identity,
  wanted: Together,
): Promise<readonly Written[]> {
  const { runs, checks } = wanted
  if (runs.length === 0) throw new EvidenceError('REQUEST_INVALID', 'the append holds no record')
  const written = new Set(runs.map(({ stream }) => stream))
  const named = new Set([...written, ...checks.map(({ stream }) => stream)])
  for (const stream of named) {
    checkStream(caller.project, stream)
    if (!written.has(stream)) await requireReading(parts.ledger, caller, stream)
  }
  for (let tries = 1; ; tries += 1) {
    const standings = new Map<string, Standing>()
    for (const stream of named)
      standings.set(stream, await standingOf(parts, caller.project, stream))
    // Ids come before what is expected: the ledger answers those that it knows.
    const [first] = runs
    const repeated = first !== undefined && (await isRepeated(parts.ledger, first))
    if (!repeated) judge(wanted, standings)
    try {
      return await write(parts, caller, wanted, standings)
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error
      if (error.code === 'STREAM_DELETED') throw wanted.ended(String(error.details['stream']))
      if (error.code !== 'REVISION_CONFLICT' || tries >= triesMax) throw error
    }
  }
}

async function standingOf(
  { ledger }: MethodParts,
  project: string,
  stream: string,
): Promise<Standing> {
  const { metadata } = (await ledger.streamMetadata(project, stream)) ?? {}
  return {
    ...(await lastRevisionOf(ledger, project, stream)),
    ended: metadata?.$tombstoned === true,
  }
}

/** Tells everything that is not as it has to be. */
function judge(
  { runs, checks, violated, ended }: Together,
  standings: ReadonlyMap<string, Standing>,
): void {
  for (const { stream } of runs) if (standings.get(stream)?.ended === true) throw ended(stream)
  const [first, ...others] = checks.flatMap((check, index): Violation[] => {
    const standing = standings.get(check.stream)
    if (isAsExpected(check.expected, standing?.counted)) return []
    return [{ index, check, actual: actualOf(standing) }]
  })
  if (first !== undefined) throw violated([first, ...others])
}

function actualOf(standing: Standing | undefined): number {
  if (standing?.ended === true) return endedState
  if (standing?.counted !== undefined) return standing.counted
  return standing?.last === undefined ? missingState : deletedState
}

async function write(
  parts: MethodParts,
  caller: Identity,
  { runs, checks }: Together,
  standings: ReadonlyMap<string, Standing>,
): Promise<readonly Written[]> {
  const expectations = [...new Set(checks.map(({ stream }) => stream))].map((stream) => ({
    stream,
    expected: expectationOf(
      checks.filter((check) => check.stream === stream),
      standings.get(stream),
    ),
  }))
  const fact = await writeFact(parts, caller, runs, expectations)
  if (fact !== undefined) return [fact]
  const receipts = await parts.clients.appendClientTogether(
    [
      ...expectations.map((check) => ({ ...check, events: [] })),
      ...runs.map((run) => ({ ...run, expected: 'any' as const })),
    ].map((append) => clientAppend(caller, append)),
  )
  const ends = new Map<string, Written>()
  for (const { stream, revision, position } of receipts.flat())
    ends.set(stream, { stream, revision, position: position ?? 0 })
  return [...ends.values()]
}

/** What the store must find, so that nothing that was judged can have changed. */
function expectationOf(checks: readonly Check[], standing: Standing | undefined): ExpectedRevision {
  if (checks.every(({ expected }) => expected === 'any')) return 'any'
  if (checks.every(({ expected }) => expected === 'any' || expected === 'exists')) return 'exists'
  return standing?.last ?? 'none'
}

/** Facts of a contract are recorded by it; they go to one stream. Undefined for events of a client's own. */
async function writeFact(
  parts: MethodParts,
  caller: Identity,
  runs: Together['runs'],
  expectations: readonly { readonly stream: string; readonly expected: ExpectedRevision }[],
): Promise<Written | undefined> {
  const [run, ...more] = runs
  if (run === undefined || more.length > 0) return undefined
  const { stream, events } = run
  if (events.every(({ type }) => contractFor(type) === undefined)) return undefined
  if (expectations.some((check) => check.stream !== stream)) return undefined
  const expected = expectations[0]?.expected ?? 'any'
  const appended = await appendProposed(parts, caller, { stream, expected, events })
  return { stream, revision: appended.revision ?? 0, position: appended.position ?? 0 }
}
