import { EvidenceError } from '../contracts/errors.js'
import type { EventReader } from '../ledger/event-store.js'
import { createFold } from '../ledger/fold.js'
import { operationOf } from './operations.js'
import { type AssetRecord, assetStream, evolveAsset } from './state.js'

/** Every registered asset, in the state that was last recorded of it. */
export interface AssetDirectory {
  get(project: string, assetId: string): Promise<AssetRecord | undefined>
  /** By asset_id. */
  list(project: string): Promise<readonly AssetRecord[]>
  withRole(project: string, role: string): Promise<readonly AssetRecord[]>
  /** Those of every project. */
  all(): Promise<readonly AssetRecord[]>
}

/** How a proposal names what it changes. */
export type Target = { readonly assetId: string } | { readonly role: string }

/** As many assets as one proposal may change. */
export const targetsMax = 64

const keyOf = (project: string, assetId: string) => `${project}/${assetId}`
const byId = (a: AssetRecord, b: AssetRecord) => (a.assetId < b.assetId ? -1 : 1)

export function createAssetDirectory(reader: EventReader): AssetDirectory {
  const fold = createFold<Map<string, AssetRecord>>(reader, {
    filter: { streamPrefixes: ['asset-'] },
    initial: new Map(),
    evolve(records, event) {
      const key = keyOf(event.leaf.project, event.leaf.stream.slice(assetStream('').length))
      const record = evolveAsset(records.get(key), event)
      if (record !== undefined) records.set(key, record)
      return records
    },
  })
  const all = async () => [...(await fold.current()).values()].sort(byId)
  return {
    get: async (project, assetId) => (await fold.current()).get(keyOf(project, assetId)),
    list: async (project) => (await all()).filter((record) => record.project === project),
    withRole: async (project, role) =>
      (await all()).filter((record) => record.project === project && record.spec.role === role),
    all,
  }
}

/**
 * The assets that a proposal changes.
 * @throws EvidenceError ASSET_UNKNOWN; ROLE_UNRESOLVED for none, or several where the operation takes one;
 * REQUEST_INVALID for an operation that an asset does not know.
 */
export async function resolveTarget(
  directory: AssetDirectory,
  project: string,
  target: Target,
  operation: string,
): Promise<readonly AssetRecord[]> {
  if ('assetId' in target) {
    const record = await directory.get(project, target.assetId)
    if (record === undefined) {
      const detail = `no asset ${target.assetId} is registered`
      throw new EvidenceError('ASSET_UNKNOWN', detail, {
        fields: [{ pointer: '/asset_id', detail }],
      })
    }
    operationOf(record.spec.kind, operation)
    return [record]
  }
  const records = await directory.withRole(project, target.role)
  const takesSeveral = records.every(({ spec }) => operationOf(spec.kind, operation).severalAssets)
  const max = takesSeveral ? targetsMax : 1
  if (records.length >= 1 && records.length <= max) return records
  const names = records.slice(0, 5).map(({ assetId }) => assetId)
  const detail =
    records.length === 0
      ? `no registered asset has the role ${target.role}`
      : `the role ${target.role} names ${records.length} assets (${names.join(', ')}${records.length > 5 ? ', …' : ''}), but ${operation} takes at most ${max}`
  throw new EvidenceError('ROLE_UNRESOLVED', detail, { fields: [{ pointer: '/role', detail }] })
}

/** A point of the past: after the event at a position, or at a time. */
export type PointInTime = { readonly position: number } | { readonly time: string }

/**
 * The asset as it stood then; undefined when it was not registered yet.
 * @throws EvidenceError REQUEST_INVALID for a time that is none.
 */
export async function assetAt(
  reader: EventReader,
  project: string,
  assetId: string,
  at: PointInTime,
): Promise<AssetRecord | undefined> {
  const isLater = 'position' in at ? laterThanPosition(at.position) : laterThanTime(at.time)
  let record: AssetRecord | undefined
  for await (const event of reader.readStream({ project, stream: assetStream(assetId) })) {
    if (isLater({ position: event.position, time: event.leaf.time })) break
    record = evolveAsset(record, event)
  }
  return record
}

interface Place {
  readonly position: number
  readonly time: string
}

const laterThanPosition = (position: number) => (place: Place) => place.position > position

function laterThanTime(time: string): (place: Place) => boolean {
  const instant = new Date(time)
  if (Number.isNaN(instant.getTime())) {
    const detail = `"${time.slice(0, 64)}" is no RFC 3339 time`
    throw new EvidenceError('REQUEST_INVALID', detail, { fields: [{ pointer: '/at', detail }] })
  }
  // Times on the ledger have one form, so that their order is that of their texts.
  const limit = instant.toISOString()
  return (place) => place.time > limit
}
