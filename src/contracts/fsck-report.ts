import * as z from 'zod'

export const fsckFormat = 'fractalops/fsck/1'

const count = z.int().nonnegative()

/** What a damaged file is a part of, which says how it is mended. */
export const LedgerPart = z.enum([
  'journal',
  'checkpoints',
  'witnessed',
  'erasure',
  'index',
  'tiles',
])
export type LedgerPart = z.infer<typeof LedgerPart>

/** What `fractalops fsck --json` prints. Paths are relative to the folder of the ledger. */
export const FsckReportFile = z.strictObject({
  format: z.literal(fsckFormat),
  origin: z.string(),
  /** False when it was interrupted: nothing is said of what was not read. */
  finished: z.boolean(),
  /** Everything was read and nothing is wrong. */
  sound: z.boolean(),
  /** Leaves that were read: events and raw leaves. */
  size: count,
  events: count,
  raw_leaves: count,
  segments: count,
  checkpoints: count,
  witnessed: count,
  seals: count,
  index: z.strictObject({
    /** `absent` is no flaw: a start makes it anew. */
    state: z.enum(['sound', 'absent', 'unsound']),
    /** Positions below this one are in it; what comes behind is no flaw. */
    through: count,
  }),
  /** Whether every id stands on the ledger once, and streams and types have no gap. */
  uniqueness: z.enum(['checked', 'not-checked']),
  /** At most 10,000; `problem_count` counts all. */
  problems: z.array(
    z.strictObject({
      part: LedgerPart,
      file: z.string(),
      offset: count,
      position: count.nullable(),
      flaw: z.string(),
    }),
  ),
  problem_count: count,
  /** What to do, once for each part that has a problem. */
  remedies: z.array(z.strictObject({ part: LedgerPart, remedy: z.string() })),
  /** A write that was never acknowledged; the next start cuts it off. No flaw. */
  torn_tail: z.strictObject({ file: z.string(), offset: count }).nullable(),
  /** Id of the event whose erasure the next start finishes. No flaw. */
  unfinished_erasure: z.string().nullable(),
  /** Leaves below this one were read by an interrupted check that this one went on with. */
  resumed_from: count,
})
export type FsckReportFile = z.infer<typeof FsckReportFile>

/** What is done about damage of each part. */
export const partRemedies: Readonly<Record<LedgerPart, string>> = {
  journal: 'keep a copy of the folder and restore it from a backup',
  checkpoints: 'keep a copy of the folder and restore it from a backup',
  witnessed:
    'nothing is lost of the ledger: the next start sets a damaged file aside (witnessed.damaged) and witnessing goes on in a new one; one of another tree must be looked at',
  erasure: 'keep a copy of the folder and restore the file "erasure" from a backup',
  index:
    'nothing is lost: delete the folder "index" in the folder of the ledger and start; index and hash tiles are made anew from the journal',
  tiles:
    'nothing is lost: delete the folder "index" in the folder of the ledger and start; index and hash tiles are made anew from the journal',
}

/** What a file of the folder of a ledger is a part of. */
export function partOf(file: string): LedgerPart {
  if (file.startsWith('index/tiles-')) return 'tiles'
  if (file.startsWith('index/')) return 'index'
  const named = LedgerPart.safeParse(file)
  return named.success ? named.data : 'journal'
}
