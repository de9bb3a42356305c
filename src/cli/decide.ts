import type { ProposalView } from '../contracts/http.js'
import { type Command, connectionFlags, only, readArgs, UsageError } from './command.js'
import { connect } from './connection.js'
import { printJson } from './print.js'
import { statusOf } from './propose.js'

const flags = {
  ...connectionFlags,
  digest: { type: 'string' },
  comment: { type: 'string' },
  reason: { type: 'string' },
  key: { type: 'string' },
} as const

interface Step {
  readonly name: string
  readonly path: string
  readonly usage: string
  readonly summary: string
  readonly body: (given: {
    readonly digest: string
    readonly comment: string | undefined
    readonly reason: string | undefined
  }) => unknown
}

/** Commands that decide or end a proposal; approvals are bound to the digest that is shown. */
const step = ({ name, path, usage, summary, body }: Step): Command => ({
  name,
  usage: `ID ${usage}`,
  summary,
  async run(args, context) {
    const { values, positionals } = readArgs(args, flags, { min: 1, max: 1 })
    const client = connect(values, context)
    const at = `/v1/proposals/${encodeURIComponent(only(positionals))}`
    const shown = values.digest === undefined ? await client.get<ProposalView>(at) : undefined
    const request = body({
      digest: values.digest ?? shown?.digest ?? '',
      comment: values.comment,
      reason: values.reason,
    })
    const headers = values.key === undefined ? {} : { 'idempotency-key': values.key }
    const view = await client.post<ProposalView>(`${at}/${path}`, request, headers)
    if (values.json) printJson(context.terminal, view)
    else context.terminal.out(statusOf(view))
    return 0
  },
})

export const approve = step({
  name: 'approve',
  path: 'approvals',
  usage: '[--digest SHA256] [--comment TEXT]',
  summary: 'Approve exactly the proposal that is there, or the one of the digest',
  body: ({ digest, comment }) => ({
    proposal_digest: digest,
    ...(comment === undefined ? {} : { comment }),
  }),
})

export const reject = step({
  name: 'reject',
  path: 'rejections',
  usage: '--reason TEXT [--digest SHA256]',
  summary: 'Reject a proposal',
  body: ({ digest, reason }) => {
    if (reason === undefined || reason === '') throw new UsageError('say why with --reason')
    return { proposal_digest: digest, reason }
  },
})

export const withdraw = step({
  name: 'withdraw',
  path: 'withdraw',
  usage: '[--reason TEXT]',
  summary: 'Take back a proposal of your own before it is decided',
  body: ({ reason }) => ({ reason: reason ?? '' }),
})

export const cancel = step({
  name: 'cancel',
  path: 'cancel',
  usage: '[--reason TEXT]',
  summary: 'End an approved proposal before its execution begins',
  body: ({ reason }) => ({ reason: reason ?? '' }),
})
