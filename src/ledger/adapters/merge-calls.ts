import type { MergePlan } from './run-merge.js'

/** What the thread of a merge is given when it begins. */
export interface MergeTask {
  readonly plan: MergePlan
  /** Pages of each run. */
  readonly pages: readonly number[]
}

/** What the thread asks of the one that began it: it opens nothing itself. */
export type MergeCall =
  | {
      readonly call: 'readPages'
      readonly run: number
      readonly first: number
      readonly count: number
    }
  | { readonly call: 'create' | 'remove'; readonly path: string }
  | { readonly call: 'write'; readonly bytes: Uint8Array; readonly offset: number }
  | { readonly call: 'sync' | 'close' }
  /** The last one: whether the merge came to its end. */
  | { readonly call: 'ended'; readonly whole: boolean }

/** The answer to a call, one after the other. Why a call failed stays where it failed. */
export interface MergeAnswer {
  readonly failed: boolean
  /** True when the merge should end early. */
  readonly isOver: boolean
  readonly pages?: readonly Uint32Array[]
}
