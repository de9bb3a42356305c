import { type Client, ScheduleAlreadyRunning, ScheduleOverlapPolicy } from '@temporalio/client'
import type { checkFacts } from './workflows.js'

export const factCheckEveryMs = 24 * 3_600_000
const catchupWindowMs = 3_600_000

/** Has Temporal compare the fact tables with the ledger once a day; called whenever it is reached anew. */
export async function keepCheckingFacts(client: Client, taskQueue: string): Promise<void> {
  const scheduleId = `${taskQueue}-facts`
  const schedule = {
    spec: { intervals: [{ every: factCheckEveryMs }] },
    action: {
      type: 'startWorkflow' as const,
      workflowType: 'checkFacts' as const,
      workflowId: scheduleId,
      taskQueue,
      args: [{ repair: false }] as Parameters<typeof checkFacts>,
      workflowExecutionTimeout: '12 hours' as const,
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: catchupWindowMs },
  }
  try {
    await client.schedule.create<typeof checkFacts>({ scheduleId, ...schedule })
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error
    const handle = client.schedule.getHandle(scheduleId)
    await handle.update<typeof checkFacts>(() => ({ ...schedule, state: {} }))
  }
}
