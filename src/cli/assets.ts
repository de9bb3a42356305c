import type * as z from 'zod'
import { type AssetPage, pageLimitMax } from '../contracts/http.js'
import { type Command, connectionFlags, readArgs } from './command.js'
import { connect } from './connection.js'
import { printJson, table } from './print.js'

export const assets: Command = {
  name: 'assets',
  usage: '',
  summary: 'Registered assets and their last recorded state',
  async run(args, context) {
    const { values } = readArgs(args, connectionFlags)
    const { items } = await connect(values, context).get<z.infer<typeof AssetPage>>(
      `/v1/assets?limit=${pageLimitMax}`,
    )
    if (values.json) printJson(context.terminal, items)
    else {
      const rows = items.map((one) => [
        one.asset_id,
        one.kind,
        one.role,
        one.state.run_state,
        one.state_revision,
        one.recorded_at,
      ])
      context.terminal.out(
        table(context.terminal, ['ASSET', 'KIND', 'ROLE', 'STATE', 'REVISION', 'RECORDED'], rows),
      )
    }
    return 0
  },
}
