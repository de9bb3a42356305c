import { workflowStepFinished } from '../contracts/workflow.js'
import { defineProjector, on, timeCell } from './projector.js'

/** Every finished step of a workflow, with the events it appended. */
export const workflowSteps = defineProjector({
  table: 'workflow_steps',
  version: 1,
  on: [
    on(workflowStepFinished, (data) => ({
      workflow_id: data.workflow_id,
      run_id: data.run_id,
      step: data.step,
      activity_type: data.activity_type,
      attempt: data.attempt,
      outcome: data.outcome,
      started_at: timeCell(data.started_at),
      finished_at: timeCell(data.finished_at),
      duration_ms: Date.parse(data.finished_at) - Date.parse(data.started_at),
      event_ids: data.event_ids,
      reason_code: data.reason?.code ?? null,
      reason_message: data.reason?.message ?? null,
    })),
  ],
})
