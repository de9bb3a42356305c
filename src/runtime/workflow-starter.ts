import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
} from '@temporalio/client'
import { EvidenceError } from '../contracts/errors.js'
import type {
  AssetRef,
  EndingCode,
  FactCheckWish,
  ObservationCause,
  ProposalRef,
} from './step-names.js'
import type { checkFacts, executeProposal, observeAsset, observeAssets } from './workflows.js'

const callTimeoutMs = 5_000

/** What Temporal says of a proposal's workflow; a code when it ended there. */
export type ProposalState = 'running' | 'missing' | EndingCode

/** Starts workflows and asks about them. @throws EvidenceError EXECUTION_UNAVAILABLE from every method. */
export interface WorkflowStarter {
  /** Whether a call is worth trying. */
  isReached(): boolean
  /** Starts the workflow of a proposal; one that was started before is left as it is. */
  startProposal(ref: ProposalRef): Promise<void>
  proposalState(ref: ProposalRef): Promise<ProposalState>
  startObservation(id: string, asset: AssetRef, cause: ObservationCause): Promise<void>
  /** Observes every asset once. */
  startObservations(id: string, cause: ObservationCause): Promise<void>
  startFactCheck(id: string, wish: FactCheckWish): Promise<void>
}

const closedCodes: Readonly<Record<string, EndingCode>> = {
  TERMINATED: 'workflow-terminated',
  TIMED_OUT: 'workflow-timed-out',
  CANCELLED: 'workflow-cancelled',
  FAILED: 'workflow-failed',
  COMPLETED: 'workflow-closed',
}

/** `client` answers undefined while Temporal cannot be reached. */
export function createWorkflowStarter(
  client: () => Client | undefined,
  taskQueue: string,
): WorkflowStarter {
  const call = async <Result>(work: (client: Client) => Promise<Result>): Promise<Result> => {
    const connected = client()
    if (connected === undefined)
      throw new EvidenceError('EXECUTION_UNAVAILABLE', 'Temporal cannot be reached')
    try {
      return await connected.withDeadline(Date.now() + callTimeoutMs, () => work(connected))
    } catch (error) {
      if (
        error instanceof WorkflowExecutionAlreadyStartedError ||
        error instanceof WorkflowNotFoundError
      )
        throw error
      throw new EvidenceError('EXECUTION_UNAVAILABLE', 'Temporal did not answer', { cause: error })
    }
  }
  const once = async (work: (client: Client) => Promise<unknown>) => {
    try {
      await call(work)
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error
    }
  }
  const fresh = {
    taskQueue,
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    workflowIdConflictPolicy: 'FAIL',
  } as const

  return {
    isReached: () => client() !== undefined,

    startProposal: (ref) =>
      once(({ workflow }) =>
        workflow.start<typeof executeProposal>('executeProposal', {
          ...fresh,
          workflowId: ref.proposalId,
          args: [ref],
        }),
      ),

    async proposalState({ proposalId }) {
      try {
        const { status } = await call(({ workflow }) => workflow.getHandle(proposalId).describe())
        return closedCodes[status.name] ?? 'running'
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return 'missing'
        throw error
      }
    },

    startObservation: (id, asset, cause) =>
      once(({ workflow }) =>
        workflow.start<typeof observeAsset>('observeAsset', {
          ...fresh,
          workflowId: id,
          args: [{ ...asset, cause }],
        }),
      ),

    startObservations: (id, cause) =>
      once(({ workflow }) =>
        workflow.start<typeof observeAssets>('observeAssets', {
          ...fresh,
          workflowId: id,
          args: [{ cause }],
        }),
      ),

    startFactCheck: (id, wish) =>
      once(({ workflow }) =>
        workflow.start<typeof checkFacts>('checkFacts', { ...fresh, workflowId: id, args: [wish] }),
      ),
  }
}
