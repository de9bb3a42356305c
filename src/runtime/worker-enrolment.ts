import { identityRevoked, workerEnrolled } from '../contracts/identity.js'
import { activityEventId } from '../ledger/event-ids.js'
import { fact } from '../ledger/facts.js'
import { workerChangeOf, workerProblem } from '../proposals/worker-kind.js'
import { identityStream } from '../proposals/worker-directory.js'
import type { ControlChange } from './control-change.js'
import { steps } from './step-names.js'
import { recordOnce } from './steps.js'

/** Enrols a worker or ends its enrolment, on what is enrolled at this moment. */
export const changeWorker: ControlChange = async ({ reader, workers }, proposal) => {
  const { project, id: proposalId } = proposal
  const change = workerChangeOf(proposal)
  const { name } = change.spec
  const contract = change.operation === 'enrol' ? workerEnrolled : identityRevoked
  const id = activityEventId(proposalId, steps.control, contract.type)
  if ((await reader.find(id)) !== undefined) return { outcome: 'done', eventIds: [id] }
  const stream = identityStream(name)
  // Looked at before the check: whoever changes the worker between the two is met by the revision.
  const expected = (await reader.lastRevision(project, stream)) ?? 'none'
  const present = await workers.byName(name)
  const problem = await workerProblem({ workers }, project, change)
  if (problem !== undefined) {
    const code = problem.code.toLowerCase().replaceAll('_', '-')
    const reason = { code, message: problem.message, resolvable_by: 'proposer' }
    return { outcome: 'failed', eventIds: [], reason }
  }
  await recordOnce(reader, {
    project,
    stream,
    expected,
    correlationId: proposalId,
    fact:
      change.operation === 'enrol'
        ? fact(workerEnrolled, id, { ...change.spec, proposal_id: proposalId })
        : fact(identityRevoked, id, {
            name: present?.name ?? name,
            public_key_sha256: present?.keySha256 ?? '',
            proposal_id: proposalId,
          }),
  })
  return { outcome: 'done', eventIds: [id] }
}
