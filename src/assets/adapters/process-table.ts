import { readdir, readFile } from 'node:fs/promises'

/** Names the replica that a process belongs to: its environment carries it, its children inherit it. */
export const markerVariable = 'FRACTALOPS_SUPERVISED'

export interface ReplicaName {
  readonly project: string
  readonly assetId: string
  readonly index: number
  readonly generation: string
}

/** One process for ever: a pid is used again, a pid with its start time is not. */
export interface ProcessName {
  readonly pid: number
  /** Clock ticks since boot. */
  readonly startTime: string
}

interface SeenProcess extends ProcessName {
  readonly session: number
}

/** All processes of one replica: those with its marker and those in their sessions. */
export interface ReplicaProcesses {
  readonly name: ReplicaName
  /** The process that was spawned, while it lives: it leads its session. */
  readonly leader: ProcessName | null
  readonly members: readonly ProcessName[]
}

const readsAtOnceMax = 32
const gone = new Set(['ENOENT', 'ESRCH', 'EACCES', 'EPERM'])
const decimalIndex = /^(0|[1-9][0-9]{0,3})$/

export const markerOf = (namespace: string, { project, assetId, index, generation }: ReplicaName) =>
  `${namespace}/${project}/${assetId}/${index}/${generation}`

/** Reads a file of a process; undefined when the process is gone or belongs to somebody else. */
async function readOf(pid: number, file: string): Promise<string | undefined> {
  try {
    return await readFile(`/proc/${pid}/${file}`, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && gone.has(String(error.code))) return undefined
    throw error
  }
}

async function seenProcess(pid: number): Promise<SeenProcess | undefined> {
  const stat = await readOf(pid, 'stat')
  if (stat === undefined) return undefined
  // The name stands in parentheses and may hold anything; what follows its last one is numbers.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, session, startTime] = [fields[0], fields[3], fields[19]]
  if (state === 'Z' || state === 'X' || session === undefined || startTime === undefined) {
    return undefined
  }
  return { pid, startTime, session: Number(session) }
}

/** Whether exactly this process still lives; a zombie does not. */
export const isAlive = async ({ pid, startTime }: ProcessName): Promise<boolean> =>
  (await seenProcess(pid))?.startTime === startTime

/** The process that has the pid now. */
export const processWithPid = async (pid: number): Promise<ProcessName | undefined> => {
  const seen = await seenProcess(pid)
  return seen && { pid, startTime: seen.startTime }
}

function nameIn(environment: string, namespace: string): ReplicaName | undefined {
  const prefix = `${markerVariable}=${namespace}/`
  const line = environment.split('\0').find((one) => one.startsWith(prefix))
  const [project, assetId, index, generation, ...more] = line?.slice(prefix.length).split('/') ?? []
  if (project === undefined || assetId === undefined || index === undefined) return undefined
  if (generation === undefined || more.length > 0 || !decimalIndex.test(index)) return undefined
  return { project, assetId, index: Number(index), generation }
}

async function inGroups<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  for (let at = 0; at < items.length; at += readsAtOnceMax) {
    results.push(...(await Promise.all(items.slice(at, at + readsAtOnceMax).map(work))))
  }
  return results
}

interface Found {
  readonly process: SeenProcess
  readonly name: ReplicaName | undefined
}

/** Every replica of the namespace that has a living process, as the machine tells it now. */
export async function scanReplicas(namespace: string): Promise<ReplicaProcesses[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const all = await inGroups(pids, async (pid): Promise<Found | undefined> => {
    const process = await seenProcess(pid)
    // Threads of the kernel are in session 0 and have no environment.
    if (process === undefined || process.session === 0) return undefined
    const environment = await readOf(pid, 'environ')
    return { process, name: environment === undefined ? undefined : nameIn(environment, namespace) }
  })
  const found = all.filter((one) => one !== undefined)
  const groups = new Map<string, { name: ReplicaName; marked: SeenProcess[] }>()
  for (const { name, process } of found) {
    if (name === undefined) continue
    const key = markerOf(namespace, name)
    const group = groups.get(key) ?? { name, marked: [] }
    groups.set(key, group)
    group.marked.push(process)
  }
  return [...groups.values()].map(({ name, marked }) => replicaOf(name, marked, found))
}

function replicaOf(
  name: ReplicaName,
  marked: readonly SeenProcess[],
  found: readonly Found[],
): ReplicaProcesses {
  const leaders = marked.filter(({ pid, session }) => pid === session)
  // A descendant may lead a session of its own: the oldest is the one that was spawned.
  const [leader = null] = leaders.toSorted((a, b) => Number(a.startTime) - Number(b.startTime))
  const sessions = new Set(leaders.map(({ session }) => session))
  const members = found
    .map(({ process }) => process)
    .filter((process) => sessions.has(process.session) || marked.includes(process))
  const nameOf = ({ pid, startTime }: SeenProcess): ProcessName => ({ pid, startTime })
  return { name, leader: leader && nameOf(leader), members: members.map(nameOf) }
}
