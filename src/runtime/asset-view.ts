import { EvidenceError } from '../contracts/errors.js'
import type { AssetView } from '../contracts/http.js'
import type { AssetDirectory } from '../assets/directory.js'
import { type AssetRecord, assetStream, evolveAsset } from '../assets/state.js'
import type { EventReader } from '../ledger/event-store.js'

/** Assets as their events tell them: now, and as of any earlier position. */
export interface AssetViews {
  list(project: string): Promise<readonly AssetView[]>
  /** @throws EvidenceError ASSET_NOT_FOUND, also when it was not registered at `at`. */
  get(project: string, assetId: string, at?: number): Promise<AssetView>
  /** The last position whose ledger time is not after `time`; -1 before the first event. */
  positionAt(time: string): Promise<number>
}

export function createAssetViews(
  reader: EventReader,
  directory: Pick<AssetDirectory, 'get' | 'list'>,
): AssetViews {
  const missing = (assetId: string, when: string) =>
    new EvidenceError('ASSET_NOT_FOUND', `there is no asset ${assetId}${when}`)
  // Taken before the state is read: what was on the ledger by then is in it.
  const head = () => Math.max(0, reader.size() - 1)

  return {
    async list(project) {
      const asOf = head()
      return (await directory.list(project)).map((record) => assetView(record, asOf))
    },

    async get(project, assetId, at) {
      if (at === undefined) {
        const asOf = head()
        const record = await directory.get(project, assetId)
        if (record === undefined) throw missing(assetId, '')
        return assetView(record, asOf)
      }
      let record: AssetRecord | undefined
      for await (const event of reader.readStream({ project, stream: assetStream(assetId) })) {
        if (event.position > at) break
        record = evolveAsset(record, event)
      }
      if (record === undefined) throw missing(assetId, ` as of position ${at}`)
      return assetView(record, at)
    },

    async positionAt(time) {
      // Ledger time never decreases with the position, so that the place is found by halving.
      const limit = Date.parse(time)
      let [low, high] = [-1, reader.size() - 1]
      while (low < high) {
        const middle = Math.ceil((low + high) / 2)
        let found = Number.POSITIVE_INFINITY
        for await (const event of reader.readLog({ from: middle, max: 1 }))
          found = Date.parse(event.leaf.time)
        if (found <= limit) low = middle
        else high = middle - 1
      }
      return low
    },
  }
}

const assetView = (record: AssetRecord, asOf: number): AssetView => ({
  asset_id: record.assetId,
  kind: record.spec.kind,
  role: record.spec.role,
  spec: record.spec,
  spec_sha256: record.specSha256,
  state_revision: record.stateRevision,
  state: record.state,
  state_sha256: record.stateSha256,
  recorded_at: record.recordedAt,
  event_id: record.eventId,
  position: String(record.position),
  registered_at: record.registeredAt,
  mutation:
    record.mutation === null
      ? null
      : {
          mutation_id: record.mutation.mutationId,
          proposal_id: record.mutation.proposalId,
          operation: record.mutation.operation,
          status: record.mutation.status,
          since: record.mutation.since,
        },
  as_of: String(asOf),
})
