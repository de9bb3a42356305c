import { identityRevoked, tokenIssued, workerEnrolled } from '../contracts/identity.js'
import { ledgerBootstrapped } from '../contracts/ledger.js'
import type { RemoteComponent } from '../contracts/worker.js'
import type { EventReader, RecordedEvent } from '../ledger/event-store.js'
import { dataOf } from '../ledger/facts.js'
import { createFold } from '../ledger/fold.js'

/** The stream on which a person, program or process is told of. */
export const identityStream = (name: string): string => `identity-${name}`

/** A process of another machine as the ledger knows it. */
export interface Worker {
  readonly name: string
  /** The project in which it was enrolled. */
  readonly enrolledIn: string
  /** The only project it may append to; absent = every one. */
  readonly project?: string
  readonly keySha256: string
  readonly components: readonly RemoteComponent[]
  readonly expiresAt: string
  readonly revoked: boolean
}

/** Every process that was ever enrolled, folded from the ledger. */
export interface WorkerDirectory {
  /** The enrolment that counts for a name: the last one. */
  byName(name: string): Promise<Worker | undefined>
  /** Whose key this is, or was before it was revoked or expired. */
  byKey(keySha256: string): Promise<Worker | undefined>
  /** Whether a token bears the name, or did. */
  isToken(name: string): Promise<boolean>
}

interface Known {
  readonly byName: Map<string, Worker>
  readonly tokens: Set<string>
}

/** Whether what was enrolled counts at this time. */
export const isEnrolled = ({ revoked, expiresAt }: Worker, nowMs: number): boolean =>
  !revoked && Date.parse(expiresAt) > nowMs

export function createWorkerDirectory(reader: EventReader): WorkerDirectory {
  const fold = createFold<Known>(reader, {
    filter: {
      types: [workerEnrolled, identityRevoked, tokenIssued, ledgerBootstrapped].map(
        ({ type }) => type,
      ),
    },
    initial: { byName: new Map(), tokens: new Set() },
    evolve: learn,
  })
  const keyed = (name: string) => name.toLowerCase()
  return {
    byName: async (name) => (await fold.current()).byName.get(keyed(name)),
    isToken: async (name) => (await fold.current()).tokens.has(keyed(name)),
    async byKey(keySha256) {
      for (const worker of (await fold.current()).byName.values())
        if (worker.keySha256 === keySha256) return worker
      return undefined
    },
  }
}

/** Types alone are not enough: writer and stream must be those of the contract. */
function learn(known: Known, event: RecordedEvent): Known {
  const { type, writer, stream, project } = event.leaf
  if (type === ledgerBootstrapped.type && writer === 'ledger') {
    const data = dataOf(ledgerBootstrapped, event)
    if (data !== undefined) known.tokens.add(data.administrator.name.toLowerCase())
  }
  if (type === tokenIssued.type && writer === 'recording') {
    const data = dataOf(tokenIssued, event)
    if (data !== undefined && stream === identityStream(data.name))
      known.tokens.add(data.name.toLowerCase())
  }
  if (writer !== 'activity') return known
  if (type === workerEnrolled.type) {
    const data = dataOf(workerEnrolled, event)
    if (data === undefined || stream !== identityStream(data.name)) return known
    known.byName.set(data.name.toLowerCase(), {
      name: data.name,
      enrolledIn: project,
      ...(data.project === undefined ? {} : { project: data.project }),
      keySha256: data.public_key_sha256,
      components: data.components,
      expiresAt: data.expires_at,
      revoked: false,
    })
  }
  if (type === identityRevoked.type) {
    const data = dataOf(identityRevoked, event)
    const before = data === undefined ? undefined : known.byName.get(data.name.toLowerCase())
    if (before === undefined || stream !== identityStream(before.name)) return known
    if (before.enrolledIn === project && before.keySha256 === data?.public_key_sha256)
      known.byName.set(before.name.toLowerCase(), { ...before, revoked: true })
  }
  return known
}
