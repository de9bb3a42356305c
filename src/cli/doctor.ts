import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { loadConfig } from '../runtime/config.js'
import type { Witnessing } from '../runtime/witness-config.js'
import { type Command, type Context, readArgs } from './command.js'
import { printJson, table } from './print.js'

const flags = { data: { type: 'string' }, json: { type: 'boolean' } } as const
const nodeMin = [20, 20] as const
const secretFiles = ['admin.token', join('keys', 'checkpoint.key'), join('keys', 'session.key')]

interface Finding {
  readonly what: string
  readonly status: 'ok' | 'warning' | 'problem'
  readonly detail: string
}

export const doctor: Command = {
  name: 'doctor',
  usage: '[--data DIR]',
  summary: 'Check this machine, its configuration and the service on the data folder',
  async run(args, context) {
    const { values } = readArgs(args, flags)
    const config = loadConfig({ flags: { data: values.data }, env: context.env, cwd: context.cwd })
    const temporal = await context.offline.findTemporal(config)
    const findings: Finding[] = [
      nodeVersion(),
      ...secretFiles.flatMap((name) => permissions(config.data, name)),
      temporal === null
        ? {
            what: 'temporal',
            status: 'warning',
            detail:
              'not found: proposals wait until it is installed (fractalops up --install-temporal)',
          }
        : { what: 'temporal', status: 'ok', detail: temporal },
      await ledgerState(config.data, context),
      ...trust(config.witnessing),
    ]
    if (values.json) printJson(context.terminal, findings)
    else
      context.terminal.out(
        table(
          context.terminal,
          ['CHECK', 'STATUS', 'DETAIL'],
          findings.map(({ what, status, detail }) => [what, status, detail]),
        ),
      )
    return findings.some(({ status }) => status === 'problem') ? 1 : 0
  },
}

/** Who besides the ledger vouches for it, and whether a restored older copy would be seen. */
function trust({ policy, known, required }: Witnessing): Finding[] {
  const level: Finding = {
    what: 'trust level',
    status: 'ok',
    detail:
      policy === undefined
        ? 'self-signed: nobody but the ledger signs its checkpoints'
        : `witnesses of ${policy}${required ? ', required for every proof' : ''}; /readyz says how each stands`,
  }
  const seenBy = [
    ...(policy === undefined ? [] : ['the witnesses']),
    ...(known === undefined ? [] : [known]),
  ]
  const rollback: Finding =
    seenBy.length === 0
      ? {
          what: 'rollback',
          status: 'warning',
          detail:
            'a restored older copy is undetectable here: name witnesses (FRACTALOPS_WITNESS_POLICY), or keep a checkpoint elsewhere (fractalops checkpoint -o FILE) and start with --known FILE',
        }
      : {
          what: 'rollback',
          status: 'ok',
          detail: `each start compares the ledger with ${seenBy.join(' and ')}`,
        }
  return [level, rollback]
}

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const isNew = major > nodeMin[0] || (major === nodeMin[0] && minor >= nodeMin[1])
  return {
    what: 'node',
    status: isNew ? 'ok' : 'problem',
    detail: `${process.version}, needed is ${nodeMin.join('.')} or newer`,
  }
}

function permissions(data: string, name: string): Finding[] {
  const path = join(data, name)
  if (!existsSync(path)) return []
  const mode = statSync(path).mode & 0o777
  const isPrivate = (mode & 0o077) === 0
  return [
    {
      what: name,
      status: isPrivate ? 'ok' : 'problem',
      detail: isPrivate
        ? 'readable by its owner only'
        : `others may read it (mode ${mode.toString(8)}): chmod 600 ${path}`,
    },
  ]
}

async function ledgerState(data: string, { offline }: Context): Promise<Finding> {
  if (!existsSync(join(data, 'ledger', 'ledger.json')))
    return { what: 'ledger', status: 'ok', detail: `none in ${data} yet: fractalops up creates it` }
  const isRunning = await offline.isLocked(data)
  return {
    what: 'ledger',
    status: 'ok',
    detail: `${isRunning ? 'a service runs on it' : 'no service runs on it'}${kindOf(data)}`,
  }
}

const LedgerKind = z.object({ interoperability: z.boolean().optional() })

/** What its creation made of the ledger for ever, as far as that is not the usual. */
const kindOf = (data: string): string =>
  LedgerKind.parse(JSON.parse(readFileSync(join(data, 'ledger', 'ledger.json'), 'utf8')))
    .interoperability === true
    ? '; created for interoperability: it takes raw leaves, and everybody may read its leaves'
    : ''
