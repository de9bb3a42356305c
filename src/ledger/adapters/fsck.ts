import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { EvidenceError } from '../../contracts/errors.js'
import { type FilePort, nodeFiles } from './file-port.js'
import { findErasure } from './erasure-recovery.js'
import { lockFolder } from './folder-lock.js'
import { type CheckpointCursor, openCheckpointCursor } from './fsck-checkpoints.js'
import { createErasureCheck, type ErasureCheck } from './fsck-erasures.js'
import { createFold, type Fold, foldStart, type FoldStart } from './fsck-fold.js'
import { prepare, type Prepared, tailEventsMax } from './fsck-prepare.js'
import {
  type FsckProgress,
  type FsckReport,
  gatherProblems,
  type Pace,
  type Tell,
} from '../fsck-report.js'
import { createSealCheck, type SealCheck } from './fsck-seals.js'
import { leavesBetween, openSegmentFiles, type SegmentFiles } from './fsck-segments.js'
import { type FsckState, NoState, readState, removeState, writeState } from './fsck-state.js'
import { checkSegment, type SeenSegments } from './fsck-walk.js'
import { segmentHeaderBytes } from './journal-format.js'
import { checkpointsFile } from './kept-checkpoints.js'
import { type LedgerIdentity, readIdentity } from './ledger-folder.js'
import { type PatchedFiles, patchedFiles } from './patched-files.js'
import { pendingErasureFile, type PendingErasure } from './pending-erasure.js'
import { witnessedFile } from './witnessed-checkpoints.js'

/** How long others wait while records are checked. */
const turnMs = 10
/** How often it is written where a check stands, and how much of the time that may take. */
const saveEveryMs = 1_000
const saveShare = 20
const rememberedAtOnce = 65_536

export interface FsckOptions {
  readonly folder: string
  readonly files?: FilePort
  /** File beside the ledger for where an interrupted check stands; without one it begins anew each time. */
  readonly statePath?: string
  /** Go on where an interrupted check stood. */
  readonly resume?: boolean
  /** Ends it early; what was found so far is reported. */
  readonly signal?: AbortSignal
  readonly tailEventsMax?: number
  readonly saveEveryMs?: number
  readonly turnMs?: number
  /** Told what could not be done as it was wished, and what is done instead. */
  readonly onNotice?: (notice: string) => void
}

class Interrupted extends Error {}

/**
 * Checks everything in a ledger folder that no process writes: checksums, leaf form, digests made
 * anew, `prev`, revisions, `type_seq`, time, ids, the tree against every kept checkpoint and its
 * signature, the root of every seal, and that index and hash tiles say what the journal says. Names
 * every damaged place; damage never stops it. Memory does not grow with the ledger.
 *
 * @throws EvidenceError LEDGER_LOCKED, DATA_FOLDER_INVALID.
 */
export async function fsck(
  options: FsckOptions,
  onProgress: (progress: FsckProgress) => void = () => undefined,
): Promise<FsckReport> {
  const { folder } = options
  const patched = patchedFiles(options.files ?? nodeFiles)
  const identity = await readIdentity(patched.files, folder)
  if (identity === undefined)
    throw new EvidenceError('DATA_FOLDER_INVALID', `there is no ledger in ${folder}`)
  const lock = await lockFolder(folder, 'shared')
  try {
    const statePath = await writableState(options)
    return await checkFolder({ ...options, statePath, patched, identity, onProgress })
  } finally {
    await lock.release()
  }
}

/** A folder that cannot be written is checked all the same. */
async function writableState({ statePath, onNotice }: FsckOptions): Promise<string | undefined> {
  if (statePath === undefined) return undefined
  try {
    await access(dirname(statePath), constants.W_OK)
    return statePath
  } catch {
    onNotice?.(
      `${statePath} cannot be written: the check cannot be gone on with when it ends early`,
    )
    return undefined
  }
}

interface CheckOptions extends Omit<FsckOptions, 'statePath'> {
  readonly statePath: string | undefined
  readonly patched: PatchedFiles
  readonly identity: LedgerIdentity
  readonly onProgress: (progress: FsckProgress) => void
}

/** Everything of a check that is closed at its end. */
interface Check {
  readonly begin: FoldStart
  readonly at: { readonly segment: number; readonly offset: number }
  readonly told: ReturnType<typeof gatherProblems>
  readonly segments: SegmentFiles
  readonly kept: CheckpointCursor
  readonly witnessed: CheckpointCursor
  readonly prepared: Prepared
  readonly seals: SealCheck
  readonly erasures: ErasureCheck
  readonly pending: PendingErasure | undefined
  readonly pace: Pace
  readonly progress: (segment: number, offset: number, events: number) => void
}

async function checkFolder(options: CheckOptions): Promise<FsckReport> {
  const closing: (() => Promise<unknown>)[] = []
  let isKept = false
  try {
    const earlier = await earlierState(options)
    const check = await openCheck(options, earlier, closing, () => isKept)
    const report = await run(options, check)
    isKept = !report.finished
    if (report.finished && options.statePath !== undefined) await removeState(options.statePath)
    return report
  } finally {
    for (const close of closing.toReversed()) await close()
  }
}

/** What an interrupted check left, when it is to be gone on with and can be. */
async function earlierState({ folder, identity, statePath, resume, onNotice }: CheckOptions) {
  if (statePath === undefined) return undefined
  if (resume !== true) {
    await removeState(statePath)
    return undefined
  }
  try {
    return await readState(statePath, folder, identity.origin)
  } catch (error) {
    if (!(error instanceof NoState)) throw error
    onNotice?.(`${error.message}: the check begins anew`)
    return undefined
  }
}

async function openCheck(
  options: CheckOptions,
  earlier: { readonly state: FsckState; readonly fold: FoldStart } | undefined,
  closing: (() => Promise<unknown>)[],
  isKept: () => boolean,
): Promise<Check> {
  const { patched, folder, identity, statePath } = options
  const { files } = patched
  const sealsOf = (before: FsckState['seals'] | undefined) =>
    createSealCheck({
      files,
      origin: identity.origin,
      before,
      ...(statePath === undefined ? {} : { path: `${statePath}.heads` }),
    })
  let state = earlier?.state
  let seals = await sealsOf(state?.seals)
  if (seals === undefined) {
    options.onNotice?.('the heads that were kept are of another place: the check begins anew')
    state = undefined
    seals = await sealsOf(undefined)
  }
  if (seals === undefined) throw new Error('the heads map cannot begin anew')
  closing.push(() => seals.close(isKept()))
  const begin = (state && earlier?.fold) ?? foldStart
  const told = gatherProblems(state?.problems, state?.problem_count)
  const cursor = (name: string) =>
    openCheckpointCursor({ files, folder, name, identity, after: begin.position, tell: told.tell })
  const kept = await cursor(checkpointsFile)
  closing.push(() => kept.close())
  const witnessed = await cursor(witnessedFile)
  closing.push(() => witnessed.close())
  const pending = await unfinishedErasure(patched, folder, told.tell)
  const segments = await openSegmentFiles(files, folder)
  closing.push(() => segments.close())
  const at = state?.at ?? { segment: 0, offset: segmentHeaderBytes }
  const { pace, progress, addTotal } = pacing(options, segments)
  const prepared = await prepare({
    files,
    folder,
    origin: identity.origin,
    from: async () => begin.position,
    size: kept.lastSize,
    before: state?.comparison ?? undefined,
    without: 'own-index',
    tailMax: options.tailEventsMax ?? tailEventsMax,
    fileOf: async (name) => segments.fileOf(name),
    tell: told.tell,
    pace,
    onRuns: addTotal,
  })
  closing.push(() => prepared.close())
  for await (const leaf of leavesBetween(segments, state?.seals.kept ?? 0, begin.position)) {
    seals.remember(leaf)
    // Nothing is compared; leaves that no seal can leave out any more go from memory into the map.
    if (leaf.position % rememberedAtOnce === 0) await seals.compare(() => undefined)
  }
  const erasures = createErasureCheck(pending, state?.erasures)
  return {
    begin,
    at,
    told,
    segments,
    kept,
    witnessed,
    prepared,
    seals,
    erasures,
    pending,
    pace,
    progress,
  }
}

/** Lets others run, tells how far it is, and ends the check when that is asked for. */
function pacing({ signal, onProgress, ...options }: CheckOptions, segments: SegmentFiles) {
  let runBytes = 0
  let runsDone = 0
  let turned = Date.now()
  let where = { done: 0, events: 0 }
  const tell = () =>
    onProgress({
      bytesDone: runsDone + where.done,
      bytesTotal: runBytes + segments.bytesBefore(segments.names.length),
      events: where.events,
    })
  return {
    addTotal: (bytes: number) => void (runBytes = bytes),
    progress: (segment: number, offset: number, events: number) => {
      runsDone = runBytes
      where = { done: segments.bytesBefore(segment) + offset, events }
      tell()
    },
    pace: (bytes: number): Promise<void> | undefined => {
      if (runsDone < runBytes) runsDone = Math.min(runBytes, runsDone + bytes)
      if (Date.now() - turned < (options.turnMs ?? turnMs)) return undefined
      return nextTurn().then(() => {
        turned = Date.now()
        if (signal?.aborted === true) throw new Interrupted()
        tell()
      })
    },
  }
}

async function run(options: CheckOptions, check: Check): Promise<FsckReport> {
  const { begin, told, segments, kept, witnessed, prepared, seals } = check
  const fold = createFold({
    ...check,
    ...prepared,
    takesRaw: options.identity.interoperability === true,
    isPart: false,
    tell: told.tell,
  })
  let tornTail: FsckReport['tornTail'] = null
  let finished = false
  try {
    await fold.begin()
    tornTail = await walk(options, check, fold)
    await fold.end(segments.names.at(-1) ?? 'journal')
    finished = true
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error
  }
  const isUnique =
    finished && fold.isWhole() && prepared.chain.isWhole && prepared.comparison?.agrees !== false
  return {
    origin: options.identity.origin,
    finished,
    size: fold.next(),
    events: fold.events(),
    raw: fold.raw(),
    segments: segments.names.length,
    checkpoints: kept.count,
    witnessed: witnessed.count,
    seals: seals.seals,
    index: prepared.finding(),
    uniqueness: isUnique ? 'checked' : 'not-checked',
    sound: finished && told.count === 0 && isUnique,
    problems: told.problems,
    problemCount: told.count,
    tornTail,
    unfinishedErasure: check.pending?.event_id ?? null,
    resumedFrom: begin.position,
  }
}

async function walk(options: CheckOptions, check: Check, fold: Fold) {
  const { at, told, segments, prepared, pace, progress } = check
  const save = saving(options, check, fold)
  const numbers = new Map(prepared.index?.manifest.segments.map(({ name }, i) => [name, i]))
  const seen: SeenSegments = [...segments.seenBefore(at.segment)]
  let tornTail: FsckReport['tornTail'] = null
  for (const [number, name] of segments.names.entries()) {
    if (number < at.segment) continue
    const segment = {
      file: await segments.open(number),
      name,
      number,
      isLast: number === segments.names.length - 1,
      from: number === at.segment ? at.offset : segmentHeaderBytes,
    }
    const parts = {
      origin: options.identity.origin,
      fold,
      tell: told.tell,
      pace,
      numberOf: (one: string, place: number) => numbers.get(one) ?? place,
      limit: Number.POSITIVE_INFINITY,
      onGroup(one: number, offset: number) {
        progress(one, offset, fold.events())
        return save(one, offset)
      },
    }
    const tail = await checkSegment(parts, segment, seen)
    if (tail !== null) tornTail = { segment: name, offset: tail }
  }
  return tornTail
}

/** Writes now and then where the check stands. What the index does not hold yet would have to be read again. */
function saving(options: CheckOptions, check: Check, fold: Fold) {
  const { folder, identity, statePath } = options
  const { prepared, seals, told } = check
  let dueMs = Date.now() + (options.saveEveryMs ?? saveEveryMs)
  let { kept } = seals.state()
  const save = async (path: string, at: Check['at'], erasures: FsckState['erasures']) => {
    const began = Date.now()
    await writeState(path, folder, check.segments.names, {
      origin: identity.origin,
      at,
      fold: await fold.state(),
      comparison: (await prepared.comparison?.state()) ?? null,
      seals: seals.state(),
      erasures,
      problems: [...told.problems],
      problem_count: told.count,
    }).catch((error: unknown) => {
      // A full disk must not end the check: it only cannot be gone on with from here.
      options.onNotice?.(`${path} cannot be written: ${String(error)}`)
    })
    kept = seals.state().kept
    const now = Date.now()
    dueMs = now + (options.saveEveryMs ?? Math.max(saveEveryMs, (now - began) * saveShare))
  }
  return (segment: number, offset: number): Promise<void> | undefined => {
    if (statePath === undefined) return undefined
    // Heads that were kept anew fit no earlier state: it is replaced at once.
    if (Date.now() < dueMs && seals.state().kept === kept) return undefined
    const erasures = check.erasures.state()
    const isWorthIt = fold.isWhole() && fold.next() <= prepared.through && erasures !== null
    return isWorthIt ? save(statePath, { segment, offset }, erasures) : undefined
  }
}

/** The erasure that the last stop left. Blocks that it tore are read as what the next start makes of them. */
async function unfinishedErasure(
  patched: PatchedFiles,
  folder: string,
  tell: Tell,
): Promise<PendingErasure | undefined> {
  try {
    return (await findErasure(patched, folder))?.pending
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error
    tell(pendingErasureFile, 0, null, error.message)
    return undefined
  }
}
