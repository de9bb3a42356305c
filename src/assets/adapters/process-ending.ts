import { setTimeout as pause } from 'node:timers/promises'
import { isAlive, type ProcessName, type ReplicaProcesses, scanReplicas } from './process-table.js'

const lookIntervalMs = 50
const killRoundsMax = 20

function signal({ pid }: ProcessName, name: 'SIGTERM' | 'SIGKILL'): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // Ended since it was looked at.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

const living = async (processes: readonly ProcessName[]): Promise<ProcessName[]> => {
  const alive = await Promise.all(processes.map(isAlive))
  return processes.filter((_, at) => alive[at])
}

/** Ends processes of replicas: how to choose them, and how long they may take to end by themselves. */
export interface Ending {
  readonly namespace: string
  readonly isMeant: (replica: ReplicaProcesses) => boolean
  readonly graceMs: number
  readonly now: () => number
  readonly progress?: (what: string) => void
}

const membersOf = async ({ namespace, isMeant }: Ending): Promise<ProcessName[]> =>
  (await scanReplicas(namespace)).filter(isMeant).flatMap(({ members }) => members)

/**
 * Ends whole replicas, children included: SIGTERM, and SIGKILL for what is left after the grace.
 * Answers whether nothing of them lives any more.
 */
export async function endReplicas(ending: Ending): Promise<boolean> {
  let members = await membersOf(ending)
  if (members.length === 0) return true
  for (const member of members) signal(member, 'SIGTERM')
  const end = ending.now() + ending.graceMs
  while (members.length > 0 && ending.now() < end) {
    await pause(lookIntervalMs)
    ending.progress?.('waiting for replicas to end')
    members = await living(members)
  }
  // Looked for anew each time: a process may leave children behind while it ends.
  for (let round = 0; round < killRoundsMax; round += 1) {
    members = await membersOf(ending)
    if (members.length === 0) return true
    for (const member of members) signal(member, 'SIGKILL')
    await pause(lookIntervalMs)
  }
  return false
}
