import { hostname } from 'node:os'
import { EvidenceError } from '../contracts/errors.js'
import { ActorName } from '../contracts/identifiers.js'
import { remoteComponents, WorkerEnrolment } from '../contracts/worker.js'
import { type Command, readArgs, UsageError } from './command.js'
import { dataFolderOf } from './connection.js'
import { printJson } from './print.js'

const daysDefault = 365
const daysMax = 3_650
const dayMs = 24 * 3_600_000
const flags = {
  data: { type: 'string' },
  name: { type: 'string' },
  components: { type: 'string' },
  project: { type: 'string' },
  days: { type: 'string' },
} as const

export const worker: Command = {
  name: 'worker',
  usage: 'identity [--data DIR] [--name NAME] [--components A,B] [--project P] [--days N]',
  summary:
    'The key of this machine for running parts without the ledger, as the proposal to enrol it',
  async run(args, context) {
    const { values, positionals } = readArgs(args, flags, { min: 1, max: 1 })
    if (positionals[0] !== 'identity') throw new UsageError('worker takes identity')
    const days = Number(values.days ?? daysDefault)
    if (!Number.isInteger(days) || days < 1 || days > daysMax)
      throw new UsageError(`--days is a whole number from 1 to ${daysMax}`)
    const { publicKeySha256 } = await context.offline.workerIdentity(dataFolderOf(values, context))
    const name = values.name ?? hostname().split('.')[0] ?? ''
    if (!ActorName.safeParse(name).success)
      throw new EvidenceError(
        'REQUEST_INVALID',
        `${name} cannot be the name of a worker: give --name`,
      )
    const spec = WorkerEnrolment.safeParse({
      name,
      public_key_sha256: publicKeySha256,
      components: (values.components ?? 'worker,execution-runtime').split(','),
      ...(values.project === undefined ? {} : { project: values.project }),
      expires_at: new Date(context.now() + days * dayMs).toISOString(),
    })
    if (!spec.success)
      throw new UsageError(
        `--components are of ${remoteComponents.join(', ')}, --project is a name`,
      )
    printJson(context.terminal, {
      kind: 'worker-enrolment',
      operation: 'enrol',
      spec: spec.data,
      reason: `run ${spec.data.components.join(' and ')} on ${name}`,
    })
    // What is printed can be handed on as it is; this is for who reads it.
    context.terminal.err(
      `The key stays in ${dataFolderOf(values, context)}/keys/worker.key. Have it enrolled where the ledger runs:\n  fractalops worker identity | fractalops propose - --url URL --token TOKEN\n`,
    )
    return 0
  },
}
