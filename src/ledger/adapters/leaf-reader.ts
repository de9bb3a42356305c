import { EvidenceError } from '../../contracts/errors.js'
import { leafBytesMax } from '../../contracts/leaf.js'
import { rawLeafBytesMax } from '../raw-leaf.js'
import type { TileSource } from '../tiles.js'
import { decodeLeaf, isFlaw, recordHeaderBytes } from './journal-format.js'
import type { JournalIndex } from './journal-index.js'
import type { Place } from './place-list.js'
import { damaged, type Segment } from './segments.js'

/** Payloads up to this size are read along with the leaves around them: fewer, larger reads are faster. */
const gapBytesMax = 16 * 1024
const runBytesMax = 1024 * 1024

/** Neighbouring records of one segment, read at once from `start` to `end`. */
interface Run {
  readonly places: Place[]
  readonly start: number
  end: number
}

/** Reads leaves without their payloads; checks every checksum and that it found the position it looked for. */
export function createLeafReader(
  index: JournalIndex,
  segments: readonly Segment[],
): TileSource['leaves'] {
  const readRun = async ({ places, start, end }: Run, from: number): Promise<Uint8Array[]> => {
    const segment = segments[places[0]?.segment ?? -1]
    if (segment === undefined) throw new RangeError('a position lies in no segment')
    const bytes = Buffer.allocUnsafe(end - start)
    const got = bytes.subarray(0, await segment.file.read(bytes, start))
    return places.map(({ offset }, i) => {
      const leaf = decodeLeaf(got, offset - start)
      if (isFlaw(leaf)) throw damaged(segment.name, offset, leaf.flaw, { position: from + i })
      if (leaf.position !== from + i)
        throw damaged(
          segment.name,
          offset,
          `position ${leaf.position} stands where ${from + i} should`,
        )
      return leaf.leaf
    })
  }

  return async (from, count) => {
    if (from + count > index.size)
      throw new EvidenceError(
        'TREE_RANGE',
        `the ledger has ${index.size} leaves: there are no ${count} from ${from} on`,
      )
    const leaves: Uint8Array[] = []
    const positions = Array.from({ length: count }, (_, i) => from + i)
    const places = (await index.placesOf(positions)).map((place) => {
      // Of an event the payload behind the leaf is not wanted; a raw leaf has none.
      const leafMax = place.raw ? rawLeafBytesMax : leafBytesMax
      return { ...place, bytes: Math.min(place.bytes, recordHeaderBytes + leafMax) }
    })
    for (const run of runsOf(places)) leaves.push(...(await readRun(run, from + leaves.length)))
    return leaves
  }
}

function runsOf(places: readonly Place[]): readonly Run[] {
  const runs: Run[] = []
  for (const place of places) {
    const end = place.offset + place.bytes
    const run = runs.at(-1)
    if (
      run?.places[0]?.segment === place.segment &&
      place.offset - run.end <= gapBytesMax &&
      end - run.start <= runBytesMax
    ) {
      run.places.push(place)
      run.end = end
    } else runs.push({ places: [place], start: place.offset, end })
  }
  return runs
}
