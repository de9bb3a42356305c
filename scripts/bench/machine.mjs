// What was measured on: figures without their machine say nothing.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statfsSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { commit, repository } from '../built.mjs'
import { quantile } from './statistics.mjs'

const memoryFilesystems = new Set([0x01021994, 0x858458f6])
const syncProbes = 100

/** A folder of this run alone. By default beside the checkout: the temporary folder may be memory. */
export function makeFolder(parent = dirname(repository)) {
  mkdirSync(parent, { recursive: true })
  const folder = mkdtempSync(join(parent, 'fractalops-bench-'))
  // PostgreSQL runs as a user of its own, who must get through.
  chmodSync(folder, 0o711)
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }) }
}

export const isMemory = (folder) => memoryFilesystems.has(statfsSync(folder).type)

/** The mount that holds a folder: the longest mount point above it. */
function mountOf(folder) {
  const path = realpathSync(folder)
  let best
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n')) {
    const [left, right] = line.split(' - ')
    const [, , device, , point] = left.split(' ')
    const [type, source] = right.split(' ')
    const isAbove = point === '/' || path === point || path.startsWith(`${point}/`)
    if (isAbove && (best === undefined || point.length >= best.point.length))
      best = { device, point, type, source }
  }
  return best
}

function diskKind(device) {
  for (const place of ['queue/rotational', '../queue/rotational']) {
    try {
      const isTurning = readFileSync(`/sys/dev/block/${device}/${place}`, 'utf8').trim() === '1'
      return isTurning ? 'reports itself as rotating' : 'solid state or virtual'
    } catch {
      // A partition has its queue one folder up; a file system without a block device has none.
    }
  }
  return 'no block device'
}

/** Median and p99 of appending 4 KiB and syncing it: what one durable write costs here. */
async function syncCost(folder) {
  const path = join(folder, 'sync-probe')
  const file = await open(path, 'w')
  const block = Buffer.alloc(4096, 1)
  const costs = []
  for (let i = 0; i < syncProbes; i += 1) {
    const began = performance.now()
    await file.write(block)
    await file.datasync()
    costs.push(performance.now() - began)
  }
  await file.close()
  rmSync(path)
  return { p50_ms: quantile(costs, 0.5), p99_ms: quantile(costs, 0.99) }
}

const isDirty = () => {
  try {
    const options = { cwd: repository, encoding: 'utf8' }
    return execFileSync('git', ['status', '--porcelain'], options).trim() !== ''
  } catch {
    return false
  }
}

export async function machineOf(folder) {
  const disk = {}
  if (process.platform === 'linux') {
    const mount = mountOf(folder)
    Object.assign(disk, { filesystem: mount.type, kind: diskKind(mount.device) })
  }
  return {
    commit: commit() + (isDirty() ? ' with changes' : ''),
    node: process.version,
    system: `${process.platform} ${release()} ${process.arch}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    disk: { ...disk, durable: !isMemory(folder), sync_4k: await syncCost(folder) },
    load_before: Number((loadavg()[0] ?? 0).toFixed(2)),
    at: new Date().toISOString(),
  }
}
