import { EvidenceError } from '../contracts/errors.js'
import type { ProposalBody } from '../contracts/proposal.js'
import { WorkerEnrolment, WorkerRevocation } from '../contracts/worker.js'
import { ledgerProject } from '../ledger/stream-name.js'
import { type Ground, invalid, jsonOf, type ProposalKind, readSpec, told } from './kind.js'
import { commonContext, type ProposedChange, reasonOf } from './policy-questions.js'
import type { PolicyQuestion } from './policy-engine.js'
import { identityStream } from './worker-directory.js'

export const enrolOperation = 'enrol'
export const revokeOperation = 'revoke'

/** What a proposal of this kind asks for. @throws EvidenceError REQUEST_INVALID with pointers below /spec. */
export type WorkerChange =
  | { readonly operation: 'enrol'; readonly spec: WorkerEnrolment }
  | { readonly operation: 'revoke'; readonly spec: WorkerRevocation }

export function workerChangeOf({
  operation,
  spec,
}: Pick<ProposalBody, 'operation' | 'spec'>): WorkerChange {
  if (operation === enrolOperation) return { operation, spec: readSpec(WorkerEnrolment, spec) }
  if (operation === revokeOperation) return { operation, spec: readSpec(WorkerRevocation, spec) }
  throw invalid(
    '/operation',
    `the operation of a worker-enrolment is "${enrolOperation}" or "${revokeOperation}"`,
  )
}

/**
 * Why the change cannot be made of what is enrolled now; undefined when it can. The project of the ledger itself
 * rules over all; any other may enrol for itself alone, and end what it enrolled.
 */
export async function workerProblem(
  { workers }: Pick<Ground, 'workers'>,
  project: string,
  { operation, spec }: WorkerChange,
): Promise<EvidenceError | undefined> {
  const { name } = spec
  const present = await workers.byName(name)
  const refused = (code: 'WORKER_UNKNOWN' | 'WORKER_EXISTS' | 'ACCESS_DENIED', detail: string) =>
    new EvidenceError(code, detail, { fields: [{ pointer: '/spec/name', detail }] })
  if (present !== undefined && present.enrolledIn !== project)
    return refused('ACCESS_DENIED', `the worker ${name} is one of another project`)
  if (operation === revokeOperation) {
    return present === undefined || present.revoked
      ? refused('WORKER_UNKNOWN', `no worker ${name} is enrolled`)
      : undefined
  }
  if (project !== ledgerProject && spec.project !== project)
    return refused('ACCESS_DENIED', `from ${project} a worker is enrolled for that project alone`)
  if (await workers.isToken(name))
    return refused('WORKER_EXISTS', `the name ${name} is that of a token`)
  const holder = await workers.byKey(spec.public_key_sha256)
  if (holder !== undefined && holder.name !== name)
    return refused('WORKER_EXISTS', `the key of ${name} was enrolled as ${holder.name}`)
  return holder?.revoked === true
    ? refused('WORKER_EXISTS', `the key of ${name} was revoked: make another`)
    : undefined
}

/** Asked of recorded proposals, whose specification was checked. */
const nameOf = ({ spec }: Pick<ProposedChange, 'spec'>): string | undefined => {
  const { name } = spec
  return typeof name === 'string' ? name : undefined
}

/**
 * Enrols a process by its key, or ends that. A second enrolment of a name takes the place of the first, so that
 * keys can be changed.
 */
export const workerEnrolment: ProposalKind = {
  executor: 'worker',
  specOf: (body) => jsonOf(workerChangeOf(body).spec),
  subject: nameOf,
  streams: ({ spec }) => {
    const name = nameOf({ spec })
    return name === undefined ? [] : [identityStream(name)]
  },
  async check(ground, { project }, body) {
    const change = workerChangeOf(body)
    if (change.operation === 'enrol' && Date.parse(change.spec.expires_at) <= ground.now())
      throw invalid('/spec/expires_at', 'lies in the past')
    const problem = await workerProblem(ground, project, change)
    if (problem !== undefined) throw problem
    return { ...told(body), asset_ids: [], spec: jsonOf(change.spec) }
  },
  async questions(ground, change, access) {
    let asked: WorkerChange
    try {
      asked = workerChangeOf(change)
    } catch (error) {
      return { blocked: [reasonOf(error)], changes: [] }
    }
    const subject = asked.spec.name
    const problem = await workerProblem(ground, change.project, asked)
    const blocked = problem === undefined ? [] : [reasonOf(problem)]
    const components =
      asked.operation === 'enrol'
        ? asked.spec.components
        : ((await ground.workers.byName(subject))?.components ?? [])
    const question = questionOf(change, access, { id: subject, components })
    return { blocked: [], changes: [{ subject, changes: [], blocked, question }] }
  },
}

const questionOf = (
  change: ProposedChange,
  access: readonly string[],
  { id, components }: { readonly id: string; readonly components: readonly string[] },
): PolicyQuestion => {
  const { assets: _, ...context } = commonContext(change)
  return {
    principal: { id: change.proposer, access },
    action: change.operation,
    resource: { type: 'WorkerIdentity', id, attributes: { components: [...components] } },
    context,
  }
}
