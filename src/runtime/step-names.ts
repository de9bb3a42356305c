// Names that the workflows, which run in a sandbox without modules, share with everything else.

/** A change, by reference: all that a workflow is told of it. */
export interface ProposalRef {
  readonly project: string
  readonly proposalId: string
}

export interface AssetRef {
  readonly project: string
  readonly assetId: string
}

/** Which fact tables are compared with the ledger, all when none is named, and whether they are mended. */
export interface FactCheckWish {
  readonly tables?: readonly string[]
  readonly repair: boolean
}

export type ObservationCause = 'start' | 'exit' | 'schedule'

/** Steps of `executeProposal`; with the workflow id and the event type each makes its event ids. */
export const steps = {
  begin: 'begin',
  enforce: 'enforce',
  register: 'register',
  control: 'control',
  mutate: (assetId: string) => `mutate/${assetId}`,
  resolve: (assetId: string) => `resolve/${assetId}`,
  observe: (assetId: string) => `observe/${assetId}`,
  finish: 'finish',
  expire: 'expire',
  check: (round: string, table: string) => `${round}/${table}`,
  refold: (table: string) => `refold/${table}`,
} as const

/** How a workflow says that its change ends; the words for it are found on the ledger. */
export interface Ending {
  readonly goal: 'reached' | 'missed'
  /** Why, when the goal was missed: a key of `endingMessages`. */
  readonly code?: EndingCode
  /** The step that decided it. */
  readonly step?: string
}

export const endingMessages = {
  'step-failed': 'a step of the change failed',
  'step-timed-out': 'a step of the change did not end in its time',
  'workflow-cancelled': 'the workflow was cancelled before the change was complete',
  'workflow-terminated': 'the workflow was terminated before the change was complete',
  'workflow-timed-out': 'the workflow ran out of time before the change was complete',
  'workflow-failed': 'the workflow failed before the change was complete',
  'workflow-closed': 'the workflow ended without ending the change',
} as const
export type EndingCode = keyof typeof endingMessages

const ledgerSuffix = '-ledger'

/** Task queues of one ledger: several ledgers may share a Temporal. */
export const ledgerQueue = (ledgerHash: string) => `fractalops-${ledgerHash}${ledgerSuffix}`
/** The queue of the component that alone reaches assets, beside the given ledger queue. */
export const executionQueue = (ledger: string) =>
  `${ledger.slice(0, -ledgerSuffix.length)}-execution`
