import { createHash } from 'node:crypto'
import { EvidenceError } from '../../contracts/errors.js'
import { isReserved, reservedCategories } from '../../contracts/identifiers.js'
import { isLimited, leafNameBytesMax } from '../../contracts/leaf.js'
import { checkStream, ledgerProject } from '../stream-name.js'

/** Which stream of the ledger a stream of the cluster is. */
export interface LedgerStream {
  readonly project: string
  readonly stream: string
}

/** The stream of the cluster in which sequencers follow one another; it becomes no leaf. */
export const sequencerStream = 'fractalops-sequencer'

const mark = 'fractalops:'
const streamForm = /^fractalops:([a-z][a-z0-9-]{0,62}):(.+)$/s

/**
 * The name of a stream on the cluster. Those of clients in the first project keep theirs, so that other programs there
 * find them; what could be mistaken, there or by a ledger of ours underneath, is marked.
 */
export const clusterStreamOf = ({ project, stream }: LedgerStream): string =>
  project === ledgerProject && !isReserved(stream) && !isOurs(stream)
    ? stream
    : `${mark}${project}:${stream}`

const isOurs = (stream: string): boolean =>
  stream.startsWith(mark) || stream === sequencerStream || isMetadataLike(stream)
const isMetadataLike = (stream: string): boolean => stream.startsWith('$')

/**
 * The stream of the ledger that a stream of the cluster is. One that is no name of ours stands in a stream named by
 * the digest of its name.
 */
export function ledgerStreamAt(name: string): LedgerStream {
  const [, project, stream] = streamForm.exec(name) ?? []
  const found =
    project === undefined || stream === undefined
      ? { project: ledgerProject, stream: name }
      : { project, stream }
  return clusterStreamOf(found) === name && isPossible(found)
    ? found
    : { project: ledgerProject, stream: `foreign-${digest(name)}` }
}

function isPossible({ project, stream }: LedgerStream): boolean {
  try {
    checkStream(project, stream)
    return true
  } catch (error) {
    if (error instanceof EvidenceError) return false
    throw error
  }
}

const digest = (name: string) => createHash('sha256').update(name).digest('hex').slice(0, 32)

const categories: ReadonlySet<string> = new Set(reservedCategories)

/** Whether a type may be one of the catalogue, now or in a later version. */
const isOfCatalogue = (type: string): boolean => categories.has(type.slice(0, type.indexOf('.')))

/** The type that an event of ours has on the cluster. */
export const clusterTypeOf = (type: string): string =>
  isOfCatalogue(type) || type.startsWith('$') || type.startsWith(mark) ? `${mark}${type}` : type

/** The type of an event that somebody else appended: never one that a reader would take for ours. */
export function foreignTypeOf(type: string): string {
  const shown = isOfCatalogue(type) || type.startsWith(mark) || type.startsWith('$')
  const named = shown ? `foreign:${type}` : type
  return isLimited(named, leafNameBytesMax) ? named : `foreign:${digest(type)}`
}

/** What is the cluster's own: statistics, links, metadata of its streams. */
export const isSystemEvent = (event: { readonly stream: string; readonly type: string }): boolean =>
  event.stream.startsWith('$') || event.type.startsWith('$')
