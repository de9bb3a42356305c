/**
 * Labels of the heads map, one per kind of digest, so that no digest of one kind is one of another.
 * docs/completeness.md defines the map; vectors are in schemas/vectors/heads.json.
 */
export const streamKeyLabel = 'fractalops/heads/stream/1\0'
export const typeKeyLabel = 'fractalops/heads/type/1\0'
export const headLabel = 'fractalops/heads/head/1\0'
export const headsNodeLabel = 'fractalops/heads/node/1\0'

/** Leaves since the last seal that make the next one due. */
export const sealLeavesMax = 65_536
/** A leaf that is not of the ledger itself is sealed after this time at the latest. */
export const sealDelayMsMax = 60_000
/** How many leaves may stand between the last leaf that a seal covers and the seal itself. */
export const sealLagMax = 524_288
