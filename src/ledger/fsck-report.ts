/** Problems that a report lists; further ones are counted only. */
export const problemsMax = 10_000

/** Names one place of a file of the ledger folder that is not what it should be. */
export type Tell = (segment: string, offset: number, position: number | null, flaw: string) => void

export interface FsckProblem {
  /** Name of the file in the ledger folder; a segment without its folder. */
  readonly segment: string
  readonly offset: number
  readonly position: number | null
  readonly flaw: string
}

/** What the comparison of the index with the journal came to. */
export interface IndexFinding {
  /** `absent`: there is none, which is no flaw. `unsound`: problems name what is wrong with it. */
  readonly state: 'sound' | 'absent' | 'unsound'
  /** Positions below this one are in the index. */
  readonly through: number
}

export interface FsckReport {
  readonly origin: string
  /** False when it was interrupted: then nothing is said of what was not read. */
  readonly finished: boolean
  /** Leaves that were read, events or not. */
  readonly size: number
  readonly events: number
  /** Leaves that are no events; only a ledger created for interoperability has any. */
  readonly raw: number
  readonly segments: number
  readonly checkpoints: number
  /** Kept checkpoints with cosignatures of witnesses. */
  readonly witnessed: number
  /** Seals whose map was made anew and compared. */
  readonly seals: number
  readonly index: IndexFinding
  /** Whether every id is known to stand on the ledger once, and every stream and type to have no gap. */
  readonly uniqueness: 'checked' | 'not-checked'
  /** True when nothing is damaged; a torn tail of the last stop is not damage. */
  readonly sound: boolean
  readonly problems: readonly FsckProblem[]
  readonly problemCount: number
  /** An unacknowledged write that the next start cuts off. */
  readonly tornTail: { readonly segment: string; readonly offset: number } | null
  /** Id of the event whose erasure the last stop left unfinished; the next start settles it. */
  readonly unfinishedErasure: string | null
  /** Position from which an earlier, interrupted check was gone on with; 0 when all was read. */
  readonly resumedFrom: number
}

export interface FsckProgress {
  readonly bytesDone: number
  readonly bytesTotal: number
  readonly events: number
}

/** Called between pieces of work with the bytes read since. It may make the check wait, or end it by throwing. */
export type Pace = (bytes: number) => Promise<void> | undefined

/** Gathers problems; what goes beyond `problemsMax` is counted. */
export function gatherProblems(known: readonly FsckProblem[] = [], knownCount = known.length) {
  const problems = [...known]
  let count = knownCount
  const tell: Tell = (segment, offset, position, flaw) => {
    count += 1
    if (problems.length < problemsMax) problems.push({ segment, offset, position, flaw })
  }
  return {
    tell,
    problems,
    get count() {
      return count
    },
  }
}
