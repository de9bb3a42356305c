import { EvidenceError } from '../../contracts/errors.js'
import * as messages from '../../contracts/ledger-messages.js'
import type { AppendRequest, ProofSource, Receipt } from '../event-store.js'
import type { Ledger } from '../ledger.js'
import * as wire from '../ledger-wire.js'
import { nodeCrypto } from '../node-crypto.js'
import type { SealedHeads } from '../sealed-heads.js'
import { presentKey } from '../signing-keys.js'
import type { TileSource } from '../tiles.js'
import { openRemoteCalls, type RemoteCalls, type RemotePlace, resumed } from './remote-calls.js'
import { remoteReading } from './remote-reading.js'
import { type FollowedStanding, followStanding } from './remote-standing.js'

const { sha256 } = nodeCrypto

/** A ledger that another process has, with what that one knows of its seals. */
export interface RemoteLedger extends Ledger {
  readonly heads: SealedHeads
}

/** What the ports of a ledger are made of when it is elsewhere. */
export interface RemoteContext {
  readonly calls: RemoteCalls
  readonly standing: FollowedStanding
}

/**
 * Opens the ledger of another process; resolves when it was reached for the first time, however long that takes.
 *
 * What is asked is asked again while the ledger does not answer, up to a bound, and is then LEDGER_UNREACHABLE;
 * subscriptions go on where they were for as long as they are wanted. An append that was sent again is known by
 * its ids: it is there once. `size` follows within milliseconds what others append, and at once what this one does.
 */
export async function openRemoteLedger(
  place: RemotePlace,
  options: {
    readonly signal: AbortSignal
    readonly onTrouble: (trouble: EvidenceError | null) => void
  },
): Promise<RemoteLedger> {
  const calls = openRemoteCalls(place)
  let standing: FollowedStanding
  try {
    standing = await followStanding(calls, options)
  } catch (error) {
    calls.close()
    throw error
  }
  const context = { calls, standing }
  const present = () => standing.present()
  return {
    ...remoteReading(context),
    ...appending(context),
    ...proving(context),
    ...tiles(context),
    heads: sealedHeads(context),
    interoperability: false,
    get capabilities() {
      return present().capabilities
    },
    get origin() {
      return present().origin
    },
    get vkey() {
      return presentKey(present().keys).vkey
    },
    get keys() {
      return present().keys
    },
    alarms: () => present().alarms,
    readOnly: () => standing.trouble() ?? present().readOnly,
    lacksSpace: () => present().lacksSpace,
    async close() {
      await standing.close()
      calls.close()
    },
  }
}

function appending({ calls, standing }: RemoteContext) {
  const send = async (requests: readonly AppendRequest[]) => {
    const trouble = standing.trouble()
    if (trouble?.code === 'ROLLBACK_DETECTED') throw trouble
    try {
      const types = [messages.AppendPart, messages.AppendAnswer] as const
      const answer = await calls.upload('Append', types, () => wire.appendParts(requests))
      standing.saw(wire.numberOf(answer.size))
      return (answer.streams ?? []).map(({ receipts = [] }) => receipts.map(wire.receiptOf))
    } catch (error) {
      // Whoever met an event that it did not know of looks again: then it must be seen.
      if (error instanceof EvidenceError && error.kind === 'conflict') {
        const { size } = error.details
        if (typeof size === 'number') standing.saw(size)
      }
      throw error
    }
  }
  return {
    async append(request: AppendRequest): Promise<readonly Receipt[]> {
      return (await send([request]))[0] ?? []
    },
    appendTogether: send,
  }
}

function proving({
  calls,
  standing,
}: RemoteContext): Omit<ProofSource, 'origin' | 'vkey' | 'keys'> {
  const hashes = async (request: Parameters<typeof messages.ProofRequest.encode>[0]) => {
    const answer = await calls.unary('Prove', [messages.ProofRequest, messages.Hashes], request)
    return (answer.hashes ?? []).map((hash) => Uint8Array.from(hash))
  }
  return {
    checkpoint: () => standing.present().checkpoint,
    async checkpointCovering(position, timeoutMs) {
      const types = [messages.CoveringRequest, messages.Checkpoint] as const
      const request = { position, ...(timeoutMs === undefined ? {} : { timeoutMs }) }
      return wire.checkpointOf(await calls.unary('CheckpointCovering', types, request))
    },
    async *checkpointsAfter(size) {
      const types = [messages.AfterRequest, messages.Checkpoint] as const
      let after = size
      yield* resumed(
        () => calls.stream('CheckpointsAfter', types, { size: after }),
        (told) => {
          const checkpoint = wire.checkpointOf(told)
          after = checkpoint.size
          return [checkpoint]
        },
      )
    },
    proveInclusion: (position, size) => hashes({ position, size }),
    proveBatch: (positions, size) => hashes({ positions, size }),
    proveConsistency: (from, to) => hashes({ from, size: to }),
  }
}

const tiles = ({ calls }: RemoteContext): TileSource => ({
  async hashTile(level, index, width) {
    const types = [messages.TileRequest, messages.Hashes] as const
    const answer = await calls.unary('HashTile', types, { level, index, width })
    return Uint8Array.from(answer.hashes?.[0] ?? [])
  },
  async leaves(from, count) {
    const types = [messages.LeavesRequest, messages.Hashes] as const
    const found: Uint8Array[] = []
    while (found.length < count) {
      const request = { from: from + found.length, count: count - found.length }
      const { hashes = [] } = await calls.unary('Leaves', types, request)
      if (hashes.length === 0) throw new EvidenceError('TREE_RANGE', 'there are no such leaves')
      found.push(...hashes.map((leaf) => Uint8Array.from(leaf)))
    }
    return found
  },
})

const sealedHeads = ({ calls }: RemoteContext): SealedHeads => ({
  async prove(kind, project, name) {
    const types = [messages.HeadRequest, messages.HeadAnswer] as const
    return wire.sealedHeadOf(sha256, await calls.unary('ProveHead', types, { kind, project, name }))
  },
})
