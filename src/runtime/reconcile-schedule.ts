import { type Client, ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client'
import type { reconcileProposals } from './workflows.js'

const everyMs = 10_000
const catchupWindowMs = 60_000

/**
 * Has Temporal run the comparison of its workflows with the ledger, again and again, one run at a
 * time. Called whenever Temporal is reached anew: a store that was lost took its schedules with it.
 */
export async function keepReconciling(
  client: Client,
  taskQueue: string,
  intervalMs = everyMs,
): Promise<void> {
  const scheduleId = `${taskQueue}-reconcile`
  const schedule = {
    spec: { intervals: [{ every: intervalMs }] },
    action: {
      type: 'startWorkflow' as const,
      workflowType: 'reconcileProposals' as const,
      workflowId: scheduleId,
      taskQueue,
      args: [] as Parameters<typeof reconcileProposals>,
      workflowExecutionTimeout: '10 minutes' as const,
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: catchupWindowMs },
  }
  try {
    await client.schedule.create<typeof reconcileProposals>({
      scheduleId,
      ...schedule,
      state: { triggerImmediately: true },
    })
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error
    const handle = client.schedule.getHandle(scheduleId)
    await handle.update<typeof reconcileProposals>(() => ({ ...schedule, state: {} }))
    await handle.trigger(ScheduleOverlapPolicy.SKIP)
  }
}
