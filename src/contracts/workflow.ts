import * as z from 'zod'
import { defineEvent } from './event.js'
import { Timestamp, Uuid } from './identifiers.js'
import { Reason } from './proposal.js'

const common = { workflow_id: z.string().max(128), run_id: z.string().max(64) }
const id = '0f2d6a52-6f2e-4a4e-9d35-0c5b1a7d1c11'
const example = { workflow_id: id, run_id: '7a2d2e1f-3d4c-5b68-9a8f-4b3c0d5e6f70' }

const define = <Data>(
  contract: Omit<Parameters<typeof defineEvent<Data>>[0], 'version' | 'category' | 'writer'>,
) => defineEvent<Data>({ version: '1', category: 'workflow', writer: 'activity', ...contract })

export const workflowStarted = define({
  type: 'workflow.started',
  summary: 'A workflow began',
  schema: z.strictObject({
    ...common,
    workflow_type: z.string().max(128),
    task_queue: z.string().max(128),
    proposal_id: Uuid.optional(),
  }),
  example: { ...example, workflow_type: 'executeProposal', task_queue: 'ledger', proposal_id: id },
})

export const workflowStepFinished = define({
  type: 'workflow.step-finished',
  fromReserve: true,
  summary: 'One step of a workflow reached its end; the events it appended are named',
  schema: z.strictObject({
    ...common,
    step: z.string().max(128),
    activity_type: z.string().max(128),
    attempt: z.int().min(1),
    outcome: z.enum(['done', 'failed', 'indeterminate']),
    started_at: Timestamp,
    finished_at: Timestamp,
    event_ids: z.array(Uuid).max(64),
    reason: Reason.optional(),
  }),
  example: {
    ...example,
    step: 'mutate/web-01',
    activity_type: 'mutateAsset',
    attempt: 1,
    outcome: 'done',
    started_at: '2026-11-24T00:00:00.000Z',
    finished_at: '2026-11-24T00:00:01.000Z',
    event_ids: [id],
  },
})

export const workflowCompleted = define({
  type: 'workflow.completed',
  fromReserve: true,
  summary: 'A workflow reached its goal',
  schema: z.strictObject(common),
  example,
})

export const workflowFailed = define({
  type: 'workflow.failed',
  fromReserve: true,
  summary: 'A workflow ended without reaching its goal',
  schema: z.strictObject({ ...common, reason: Reason }),
  example: {
    ...example,
    reason: { code: 'policy-denied', message: 'policy denied the change at execution' },
  },
})

export const workflowEvents = [
  workflowStarted,
  workflowStepFinished,
  workflowCompleted,
  workflowFailed,
] as const
