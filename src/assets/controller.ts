import type { AssetKind, AssetSpec, AssetState } from '../contracts/asset.js'

/** One registered asset as its controller needs it. */
export interface ControlledAsset {
  readonly project: string
  readonly assetId: string
  readonly spec: AssetSpec
  /** The last recorded state: what is wanted of the asset stands in `state.desired`. */
  readonly state: AssetState
  /** The content behind `state.desired.configuration_sha256`; null when the ledger no longer holds it. */
  readonly configuration: string | null
}

/** What a controller saw, and the material that proves it (kept as evidence; JSON, at most 64 KiB). */
export interface Observation {
  readonly state: AssetState
  readonly evidence: unknown
}

/** A mutation that policy allowed: bring the asset to `desired`. Applying it again is harmless. */
export interface Mutation {
  readonly mutationId: string
  readonly operation: string
  readonly parameters: Readonly<Record<string, unknown>>
  readonly desired: AssetState['desired']
  /** Aborted when the attempt is cancelled; the controller stops at the next safe place. */
  readonly signal: AbortSignal
  /** Called while it works, at least every few seconds, with a short word on what it does. */
  readonly progress: (what: string) => void
}

/** How a mutation ended, as far as the controller can tell. The state afterwards is observed apart. */
export type Applied =
  | { readonly outcome: 'reached' }
  | { readonly outcome: 'failed'; readonly reason: string }
  /** Nobody can say whether it took effect: recorded as such and resolved by a later observation. */
  | { readonly outcome: 'unknown'; readonly reason: string }

/**
 * Controls the assets of one kind. Names such as pid, vmid or namespace stay inside.
 *
 * Everything converges: `apply` with the same mutation after a crash goes on where it stopped and
 * never doubles a process.
 */
export interface RuntimeAssetController {
  readonly kind: AssetKind
  /**
   * Looks at a specification before its asset is registered, without any side effect.
   * @throws EvidenceError CONTROLLER_REFUSED naming the field.
   */
  check(assetId: string, spec: AssetSpec): Promise<void>
  /** The present state, `desired` taken over from the asset. @throws EvidenceError CONTROLLER_UNAVAILABLE. */
  observe(asset: ControlledAsset): Promise<Observation>
  apply(asset: ControlledAsset, mutation: Mutation): Promise<Applied>
  /** Tells when an asset that it controls changed without a mutation (a process exited). */
  watch(asset: ControlledAsset, changed: () => void): void
  /** Stops watching and ends what does not outlive the service, each within a bound. */
  close(): Promise<void>
}
