import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { nodeFiles, replaceFile } from './file-port.js'
import type { FoldStart } from './fsck-fold.js'
import { problemsMax } from '../fsck-report.js'
import type { ComparisonState } from './fsck-index-compare.js'
import type { SealState } from './fsck-seals.js'
import { indexFolder } from './index-store.js'
import { checkpointsFile } from './kept-checkpoints.js'
import { witnessedFile } from './witnessed-checkpoints.js'

const format = 'fractalops/fsck-state/1'
const count = z.int().nonnegative()
const place = z.strictObject({ segment: z.string(), offset: count })

/**
 * Where an interrupted check stands. It stands beside the ledger and is no part of it: what it says
 * of the leaves below `fold.position` is believed only for segments that were not touched since.
 */
const FsckState = z.strictObject({
  format: z.literal(format),
  origin: z.string(),
  /** The files that were read, the last segment in part, as they were then. */
  files: z.array(z.strictObject({ name: z.string(), bytes: count, changed: z.string() })),
  /** Where the next group begins. */
  at: z.strictObject({ segment: count, offset: count }),
  fold: z.strictObject({
    position: count,
    edges: z.array(z.strictObject({ full: count, hashes: z.base64() })),
    events: count,
    raw: count,
    last_time: z.string(),
    clock_alarm: z.boolean().optional(),
  }),
  /** Null when there is no sound index. */
  comparison: z
    .strictObject({
      seeds: z.array(count),
      added: count,
      sum: z.array(count),
      agrees: z.boolean(),
    })
    .nullable(),
  seals: z.strictObject({
    seals: count,
    previous: z.strictObject({ position: count, leafHash: z.string(), size: count }).nullable(),
    kept: count,
  }),
  erasures: z.strictObject({
    erased: z.array(
      z.tuple([z.string(), z.strictObject({ namedBy: count, position: count, place })]),
    ),
    told: z.array(z.tuple([z.string(), z.strictObject({ by: z.array(count), place })])),
    pending_at: count.nullable(),
  }),
  problems: z
    .array(
      z.strictObject({
        segment: z.string(),
        offset: count,
        position: count.nullable(),
        flaw: z.string(),
      }),
    )
    .max(problemsMax),
  problem_count: count,
})
export type FsckState = z.infer<typeof FsckState>

/** Why there is nothing to go on with. */
export class NoState extends Error {}

/** Length and times of change of a file, as far as they tell that nobody touched it. */
const touched = async (folder: string, name: string) => {
  const { size, mtimeNs, ctimeNs, ino } = await stat(join(folder, name), { bigint: true })
  return { name, bytes: Number(size), changed: `${ino}-${mtimeNs}-${ctimeNs}` }
}

/** What a check reads: segments, index, checkpoints. */
async function filesRead(folder: string, segments: readonly string[]): Promise<readonly string[]> {
  const beside = (await nodeFiles.list(folder)).filter((name) =>
    [checkpointsFile, witnessedFile].includes(name),
  )
  const index = await nodeFiles.list(indexFolder(folder))
  return [
    ...segments.map((name) => `journal/${name}`),
    ...index.map((name) => `index/${name}`),
    ...beside,
  ]
}

/** Writes where a check stands, so that a crash leaves this or what was written before. */
export async function writeState(
  path: string,
  folder: string,
  names: readonly string[],
  state: Omit<FsckState, 'format' | 'files' | 'fold' | 'comparison'> & {
    readonly fold: FoldStart
    readonly seals: SealState
    readonly comparison: ComparisonState | null
  },
): Promise<void> {
  const { edges, lastTime, clockAlarm, ...fold } = state.fold
  const written: FsckState = {
    ...state,
    format,
    files: await Promise.all(
      (await filesRead(folder, names.slice(0, state.at.segment + 1))).map((name) =>
        touched(folder, name),
      ),
    ),
    comparison: state.comparison && {
      ...state.comparison,
      seeds: [...state.comparison.seeds],
      sum: [...state.comparison.sum],
    },
    fold: {
      ...fold,
      last_time: lastTime,
      ...(clockAlarm === undefined ? {} : { clock_alarm: clockAlarm }),
      edges: edges.map(({ full, hashes }) => ({
        full,
        hashes: Buffer.from(hashes).toString('base64'),
      })),
    },
  }
  await replaceFile(nodeFiles, path, Buffer.from(`${JSON.stringify(written)}\n`))
}

/** Reads where an interrupted check stood. @throws NoState saying why it must begin anew. */
export async function readState(
  path: string,
  folder: string,
  origin: string,
): Promise<{ readonly state: FsckState; readonly fold: FoldStart }> {
  const bytes = await nodeFiles.readWhole(path)
  if (bytes === undefined) throw new NoState('no check was interrupted')
  const parsed = FsckState.safeParse(parseJson(Buffer.from(bytes).toString('utf8')))
  if (!parsed.success) throw new NoState(`${path} is not what this program writes`)
  const state = parsed.data
  if (state.origin !== origin) throw new NoState(`${path} is of the ledger ${state.origin}`)
  for (const known of state.files) {
    const now = await touched(folder, known.name).catch(() => undefined)
    if (now?.bytes !== known.bytes || now.changed !== known.changed)
      throw new NoState(`${known.name} was changed since`)
  }
  const { edges, last_time, clock_alarm, ...fold } = state.fold
  return {
    state,
    fold: {
      ...fold,
      lastTime: last_time,
      clockAlarm: clock_alarm,
      edges: edges.map(({ full, hashes }) => ({ full, hashes: Buffer.from(hashes, 'base64') })),
    },
  }
}

export const removeState = (path: string): Promise<void> => nodeFiles.remove(path)

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
