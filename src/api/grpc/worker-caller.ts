import { EvidenceError } from '../../contracts/errors.js'
import type { EnrolledRights } from '../../ledger/enrolled-writer.js'
import { isEnrolled, type WorkerDirectory } from '../../proposals/worker-directory.js'

/** Processes by the key of their client certificate, judged anew whenever they are asked for. */
export interface WorkerCallers {
  /** @throws EvidenceError WORKER_REFUSED saying why. No token helps. */
  require(peer: string): Promise<EnrolledRights>
}

export function createWorkerCallers(
  workers: WorkerDirectory,
  keyOf: (peer: string) => string | undefined,
  now: () => number,
): WorkerCallers {
  const refused = (why: string) => new EvidenceError('WORKER_REFUSED', why)
  return {
    async require(peer) {
      const key = keyOf(peer)
      if (key === undefined)
        throw refused(
          'this call needs a client certificate that is in its term: no token stands for one',
        )
      const worker = await workers.byKey(key)
      if (worker === undefined) throw refused(`no worker is enrolled with the key ${key}`)
      const { name, components, project, expiresAt, revoked } = worker
      if (revoked) throw refused(`the worker ${name} was revoked`)
      if (!isEnrolled(worker, now()))
        throw refused(`the worker ${name} was enrolled until ${expiresAt}`)
      return { name, components, ...(project === undefined ? {} : { project }) }
    },
  }
}
