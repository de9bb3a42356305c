import type * as z from 'zod'
import type { TokenResponse } from '../contracts/http.js'
import { type Command, connectionFlags, readArgs, UsageError } from './command.js'
import { connect } from './connection.js'
import { printJson, table } from './print.js'

const flags = { ...connectionFlags, name: { type: 'string' }, access: { type: 'string' } } as const

interface ListedToken {
  readonly name: string
  readonly access: readonly string[]
  readonly issued_at: string
  readonly revoked: boolean
}

export const token: Command = {
  name: 'token',
  usage: 'create --name NAME --access ROLE[,ROLE] | list | revoke NAME | link',
  summary: 'Issue, list and revoke tokens; make a sign-in link for yourself',
  async run(args, context) {
    const { values, positionals } = readArgs(args, flags, { min: 1, max: 2 })
    const [action, subject] = positionals
    const { terminal } = context
    const client = connect(values, context)
    switch (action) {
      case 'create': {
        const name = values.name ?? subject
        if (name === undefined || values.access === undefined)
          throw new UsageError('name the token with --name and its access roles with --access')
        const issued = await client.post<z.infer<typeof TokenResponse>>('/v1/tokens', {
          name,
          access: values.access.split(',').map((role) => role.trim()),
        })
        if (values.json) printJson(terminal, issued)
        else
          terminal.out(
            `token    ${issued.token}\nsign in  ${issued.sign_in_url}\n\nThe token is shown once. The link signs one browser in, once, within 15 minutes.\n`,
          )
        return 0
      }
      case 'list': {
        const { items } = await client.get<{ items: ListedToken[] }>('/v1/tokens')
        if (values.json) printJson(terminal, items)
        else
          terminal.out(
            table(
              terminal,
              ['NAME', 'ACCESS', 'ISSUED', 'STATE'],
              items.map((one) => [
                one.name,
                one.access.join(','),
                one.issued_at,
                one.revoked ? 'revoked' : 'valid',
              ]),
            ),
          )
        return 0
      }
      case 'revoke': {
        const name = subject ?? values.name
        if (name === undefined) throw new UsageError('name the token to revoke')
        const revoked = await client.post<ListedToken>(
          `/v1/tokens/${encodeURIComponent(name)}/revoke`,
        )
        if (values.json) printJson(terminal, revoked)
        else terminal.out(`the token of ${revoked.name} and its sessions have ended\n`)
        return 0
      }
      case 'link': {
        const link = await client.post<{ sign_in_url: string }>('/v1/session/links')
        if (values.json) printJson(terminal, link)
        else terminal.out(`${link.sign_in_url}\n`)
        return 0
      }
      default:
        throw new UsageError(
          `token takes create, list, revoke or link, not ${JSON.stringify(action)}`,
        )
    }
  },
}
