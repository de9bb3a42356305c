import { workflowCompleted, workflowFailed, workflowStarted } from '../contracts/workflow.js'
import type { RecordedEvent } from '../ledger/event-store.js'
import { defineProjector, on } from './projector.js'
import type { Row } from './warehouse.js'

const run = (
  data: { readonly workflow_id: string; readonly run_id: string },
  event: RecordedEvent,
  status: 'running' | 'completed' | 'failed',
): Row => ({
  workflow_id: data.workflow_id,
  run_id: data.run_id,
  event: event.leaf.type,
  status,
})

/** Start and end of every workflow. */
export const workflowRuns = defineProjector({
  table: 'workflow_runs',
  version: 1,
  on: [
    on(workflowStarted, (data, event) => ({
      ...run(data, event, 'running'),
      workflow_type: data.workflow_type,
      task_queue: data.task_queue,
      proposal_id: data.proposal_id ?? null,
    })),
    on(workflowCompleted, (data, event) => run(data, event, 'completed')),
    on(workflowFailed, (data, event) => ({
      ...run(data, event, 'failed'),
      reason_code: data.reason.code,
      reason_message: data.reason.message,
    })),
  ],
})
